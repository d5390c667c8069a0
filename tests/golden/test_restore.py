"""A checkpoint taken anywhere, and a restart from it: what follows is what would have followed."""

from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tapewatch.feeds.replay import together
from tapewatch.model.codec import json_lines
from tapewatch.model.events import Alert, Candle, Metric
from tapewatch.process.validate import validate
from tapewatch.rules.rule import Rule
from tapewatch.rules.rulebook import Rulebook, measures_of
from tapewatch.runtime import launch, plugins
from tapewatch.runtime.rules_settings import with_usual_rules
from tapewatch.stream.pipeline import Pipeline
from tapewatch.wire.tape import TapeReader
from tests.streams import play, streams

WORLD = Path(__file__).parent / "world"
# in reach of small made-up streams: one at once, one after a while, one that remembers to resolve
RULES = (
    Rule(name="pressed", when="buy_ratio_1m > 0.5"),
    Rule(name="patient", when="buy_ratio_1m > 0.3", hold_secs=20.0, forget_secs=60.0),
    Rule(name="liquidated", when="liq_count_1m >= 1", resolve_when="liq_count_1m < 1"),
    Rule(name="wide", when="spread_bps > 1 or cross_spread_bps > 1"),
)


def usual():
    return Pipeline(with_usual_rules(launch.processors_of({})))


def ruled():
    processors = launch.processors_of({})
    return Pipeline((*processors, Rulebook(RULES, measures_of(processors))))


def resumed(make, events, cuts):
    """Give what is said with a restart at each cut."""
    pipeline, said, begin = make(), [], 0
    for end in [*sorted(min(cut, len(events)) for cut in cuts), len(events)]:
        said += pipeline.process(events[begin:end])
        begin, saved, pipeline = end, pipeline.snapshot(), make()
        assert pipeline.restore(saved) == []
    return said


@pytest.fixture(scope="module")
def recorded():
    tapes = []
    for path in sorted(WORLD.glob("*.tape.gz")):
        with TapeReader(path) as tape:
            plugin = plugins.load("venues", tape.header.venue)
            dialect = plugin.build(tape.header.venue, plugin.config(**tape.header.config))
        tapes.append((path, dialect))
    readers = [(TapeReader(path).__enter__(), dialect) for path, dialect in tapes]
    events = [event for _, batch in together(readers) for event in validate(batch)[0]]
    for reader, _ in readers:
        reader.close()
    return events


@pytest.fixture(scope="module")
def uninterrupted(recorded):
    said = usual().process(recorded)
    assert {Candle, Metric, Alert} <= {type(event) for event in said}
    return json_lines(said)


@pytest.mark.parametrize("seed", range(2))
def test_restarts_in_the_midst_of_a_recording_change_nothing(recorded, uninterrupted, seed):
    random = Random(seed)
    cuts = [random.randrange(len(recorded)) for _ in range(8)]
    assert json_lines(resumed(usual, recorded, cuts)) == uninterrupted


def test_a_restart_while_an_alert_is_pending_or_fires_changes_nothing(recorded, uninterrupted):
    pipeline, cuts = usual(), []
    for number, event in enumerate(recorded, 1):
        if any(type(said) is Alert for said in pipeline.process([event])):
            cuts.append(number)
    assert cuts
    assert json_lines(resumed(usual, recorded, cuts)) == uninterrupted


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(moves=streams(), cuts=st.lists(st.integers(0, 120), min_size=1, max_size=5))
def test_restarts_change_nothing_with_all_processors_and_rules_that_speak(moves, cuts):
    events = play(moves)
    assert json_lines(resumed(ruled, events, cuts)) == json_lines(ruled().process(events))


def test_the_rules_of_this_suite_do_speak():
    from tests.streams import random_moves

    said = ruled().process(play(random_moves(Random(2), 2_000)))
    spoken = {event.rule for event in said if type(event) is Alert}
    assert spoken >= {"pressed", "patient", "liquidated"}
