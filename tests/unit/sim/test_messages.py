import json

import pytest

from tapewatch.sim.messages import MICROS, MILLIS, TEXT, Message, frame


@pytest.mark.parametrize(("size", "header"), [(125, 2), (126, 4), (65_535, 4), (65_536, 10)])
def test_frame_header_fits_its_size(size, header):
    made = frame(TEXT, b"x" * size)
    assert made[0] == 0x81
    assert len(made) == size + header


def test_four_forms_are_made_when_wanted_and_kept():
    calls = []

    def render(unit):
        calls.append(unit)
        return json.dumps({"T": 1_000_000 // unit})

    message = Message("btcusdt@trade", render)
    wrapped = message.frame(MILLIS, combined=True)
    assert wrapped is message.frame(MILLIS, combined=True)
    assert json.loads(wrapped[2:]) == {"stream": "btcusdt@trade", "data": {"T": 1_000}}
    assert json.loads(message.frame(MICROS, combined=False)[2:]) == {"T": 1_000_000}
    assert calls == [MILLIS, MICROS]


def test_raw_text_is_never_wrapped():
    message = Message("x", lambda _: "nonsense", raw=True)
    assert message.frame(MILLIS, combined=True)[2:] == b"nonsense"
