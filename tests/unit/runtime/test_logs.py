import io
import json
import logging

import pytest

from tapewatch.runtime import logs


@pytest.fixture(autouse=True)
def _restore():
    root = logging.getLogger("tapewatch")
    before = root.handlers[:], root.level, root.propagate
    yield
    root.handlers[:], root.level, root.propagate = before[0], before[1], before[2]


def test_console_lines_have_the_promised_form():
    out = io.StringIO()
    logs.set_up("INFO", "console", out)
    logging.getLogger("tapewatch.wire.session").warning(
        "link_lost", extra={"fields": {"venue": "binance", "reason": "closed by peer"}}
    )
    assert out.getvalue()[4] == "-"
    stamp, _, rest = out.getvalue().partition(" [")
    assert len(stamp) == len("2026-11-21 08:00:00")
    assert rest == (
        'WARNING] tapewatch.wire.session: link_lost venue=binance reason="closed by peer"\n'
    )


def test_json_lines_carry_every_field():
    out = io.StringIO()
    logs.set_up("DEBUG", "json", out)
    logging.getLogger("tapewatch.x").info("stored", extra={"fields": {"rows": 3}})
    line = json.loads(out.getvalue())
    assert (line["event"], line["level"], line["logger"], line["rows"]) == (
        "stored", "info", "tapewatch.x", 3,
    )  # fmt: skip


def test_colour_only_when_it_is_wanted(monkeypatch):
    out = io.StringIO()
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    logs.set_up("INFO", "console", out)
    logging.getLogger("tapewatch").error("bad")
    assert "\x1b[31m[ERROR]" in out.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    out.truncate(0)
    logs.set_up("INFO", "console", out)
    logging.getLogger("tapewatch").error("bad")
    assert "\x1b" not in out.getvalue()
