"""Tapes of the simulated exchange give the events that they gave before, byte for byte.

`make golden-update` writes the expectations anew after a wanted change; read the difference.
"""

import gzip
import json
from pathlib import Path

import pytest

from tapewatch.cli import replay

FOLDER = Path(__file__).parent / "binance"
WORLD = Path(__file__).parent / "world"
CASES = sorted(path.name.removesuffix(".tape.gz") for path in FOLDER.glob("*.tape.gz"))


def expected(name: str) -> bytes:
    return gzip.decompress((FOLDER / f"{name}.events.jsonl.gz").read_bytes())


def events(name: str) -> list[dict]:
    return [json.loads(line) for line in expected(name).splitlines()]


def trade_ids(name: str) -> list[int]:
    return [int(e["id"]) for e in events(name) if e["type"] == "trade"]


@pytest.mark.parametrize("name", CASES)
def test_a_tape_gives_the_same_bytes_again(name, capsysbinary):
    assert replay.command(FOLDER / f"{name}.tape.gz") == 0
    assert capsysbinary.readouterr().out == expected(name)


def test_there_is_a_tape_for_each_case():
    assert {"every_channel", "holes_repaired", "book_broken", "connection_lost"} <= set(CASES)


def test_every_channel_speaks():
    kinds = {event["type"] for event in events("every_channel")}
    assert {"trade", "quote", "ticker", "candle", "book_snapshot", "book_delta"} <= kinds
    trades = [e for e in events("every_channel") if e["type"] == "trade"]
    assert {e["channel"]: e["echo"] for e in trades} == {"trade": False, "aggTrade": True}


def test_holes_are_repaired_in_order_and_without_a_gap():
    ids = trade_ids("holes_repaired")
    assert ids == list(range(ids[0], ids[-1] + 1))
    found = events("holes_repaired")
    assert any(e["type"] == "trade" and e["repaired"] for e in found)
    assert any(e["type"] == "coverage" and e["holding"] == "repaired" for e in found)
    assert not any(e["type"] == "gap" for e in found)


@pytest.mark.parametrize("name", ["book_broken", "connection_lost", "every_channel"])
def test_a_book_begins_with_a_snapshot_and_goes_on_without_a_hole(name):
    seq, proven = None, 0
    for event in events(name):
        if event["type"] == "gap" and event["channel"] == "depth":
            seq = None
        elif event["type"] == "book_snapshot":
            seq = event["seq"]
        elif event["type"] == "book_delta":
            assert seq is not None, "a change that nothing proves"
            assert event["first_seq"] <= seq + 1 <= event["seq"]
            seq, proven = event["seq"], proven + 1
    assert proven > 10


def test_garbage_is_one_dead_letter():
    assert sum(event["type"] == "dead_letter" for event in events("book_broken")) == 1


def test_a_lost_connection_is_a_gap_of_the_book_and_no_lost_trade():
    ids = trade_ids("connection_lost")
    assert ids == list(range(ids[0], ids[-1] + 1))
    assert any(e["type"] == "gap" and e["channel"] == "depth" for e in events("connection_lost"))


def test_all_that_comes_of_three_venues_at_once_has_the_sealed_hash(capsysbinary):
    """Events, candles, metrics, anomalies and alerts, in their order."""
    assert replay.command(WORLD, verify=True) == 0
    found = [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    alerts = [(e["rule"], e["inst"], e["state"]) for e in found if e["type"] == "alert"]
    assert ("divergence", "okx:BTC/USDT", "firing") in alerts
    assert ("divergence", "okx:BTC/USDT", "resolved") in alerts
    assert {"trade", "quote", "second", "candle", "metric"} <= {e["type"] for e in found}


def test_another_output_than_the_sealed_one_is_told(tmp_path, capsys):
    sealed = WORLD.with_name("world.sha256").read_text().splitlines()
    (tmp_path / "world").mkdir()
    for tape in sorted(WORLD.glob("*.tape.gz"))[:2]:  # a venue is missing
        (tmp_path / "world" / tape.name).write_bytes(tape.read_bytes())
    (tmp_path / "world.sha256").write_text("\n".join(sealed) + "\n")
    assert replay.command(tmp_path / "world", verify=True) == 4
    assert "error: output: expected" in capsys.readouterr().err
