"""Gaps and dead letters of a venue."""

import pytest

from tapewatch.model.events import DeadLetter
from tapewatch.ports import NOT_WANTED
from tapewatch.process.feed_faults import PLUGIN
from tapewatch.stream.pipeline import Pipeline
from tests.streams import at, gap, tick


@pytest.fixture
def pipeline():
    return Pipeline([PLUGIN.build("feed_faults", PLUGIN.config())])


def letter(secs, source="binance"):
    return DeadLetter(at(secs), at(secs), source, "decode", "no such field", "{}")


def values(said):
    return [(m.inst, m.name, m.value) for m in said]


def test_faults_are_told_of_their_venue_a_second_later(pipeline):
    said = pipeline.process([gap(10), letter(10), gap(10.5), letter(10, "okx"), tick(12)])
    assert values(said) == [
        ("binance:*", "gaps", 2),
        ("binance:*", "dead_letters", 1),
        ("okx:*", "gaps", 0),
        ("okx:*", "dead_letters", 1),
    ]
    assert said[0].evidence == ("BTC/USDT aggTrade: test",)
    assert said[1].evidence == ("decode: no such field",)


def test_they_leave_the_window_and_then_nothing_is_said(pipeline):
    said = pipeline.process([gap(10), *(tick(n) for n in range(12, 700))])
    told = [m.value for m in said if m.name == "gaps"]
    assert told[0] == 1
    assert told[-1] == 0
    assert 0 not in told[:-1]
    assert said[-1].ts < at(360)


def test_new_fault_does_not_wait_for_the_next_half_minute(pipeline):
    pipeline.process([gap(10), tick(12)])
    assert values(pipeline.process([gap(14), tick(16)]))[0] == ("binance:*", "gaps", 2)


@pytest.mark.parametrize("reason", ["unsubscribed", NOT_WANTED])
def test_what_we_ended_ourselves_is_no_fault(pipeline, reason):
    from msgspec.structs import replace

    assert pipeline.process([replace(gap(10), reason=reason), tick(12)]) == []


def test_sources_are_bounded(pipeline):
    letters = [letter(10, f"venue{n}") for n in range(200)]
    said = pipeline.process([*letters, tick(12)])
    assert len({m.inst for m in said}) == 65
    assert ("others:*", "dead_letters", 136) in values(said)
