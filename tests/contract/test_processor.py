"""What every processor must keep, whoever writes it. A new file in process/ is found by itself."""

import importlib
import pkgutil
from itertools import pairwise
from random import Random

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tapewatch.process
from tapewatch.analysis.selftest import prove
from tapewatch.model.codec import encode_json, json_lines
from tapewatch.model.events import DeadLetter, MarketEvent, Metric, Tick, Trade
from tapewatch.model.instrument import split_id
from tapewatch.ports import Plugin
from tapewatch.stream import book
from tapewatch.stream.keyed import EVERYWHERE, Saved
from tapewatch.stream.pipeline import Pipeline
from tests.streams import play, random_moves, streams, trade

MODULES = {
    module.name: importlib.import_module(f"tapewatch.process.{module.name}")
    for module in pkgutil.iter_modules(tapewatch.process.__path__)
    if not module.name.startswith("_")
}
NAMES = sorted(
    name for name, module in MODULES.items() if isinstance(getattr(module, "PLUGIN", None), Plugin)
)
modest = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def build(*names):
    """Build these, and what adds trades up for them."""
    plugins = [(name, MODULES[name].PLUGIN) for name in dict.fromkeys(("seconds", *names))]
    return Pipeline([plugin.build(name, plugin.config()) for name, plugin in plugins])


# Each alone, and all of them together, so that what one gives another hears.
each = pytest.mark.parametrize("names", [(name,) for name in NAMES] + [tuple(NAMES)], ids="+".join)


def test_there_are_processors_to_test():
    assert {"candles", "rolling", "book_stats"} <= set(NAMES)


@each
@modest
@given(moves=streams())
def test_same_input_gives_same_output(names, moves):
    events = play(moves)
    assert json_lines(build(*names).process(events)) == json_lines(build(*names).process(events))


@each
@modest
@given(moves=streams(), cuts=st.lists(st.integers(0, 120), max_size=6))
def test_cutting_into_batches_changes_nothing(names, moves, cuts):
    events = play(moves)
    whole = build(*names).process(events)
    parts = build(*names)
    bounds = sorted({0, len(events), *(min(cut, len(events)) for cut in cuts)})
    pieces = [
        event for begin, end in pairwise(bounds) for event in parts.process(events[begin:end])
    ]
    assert json_lines(pieces) == json_lines(whole)


@each
@modest
@given(moves=streams(), cuts=st.lists(st.integers(0, 120), min_size=1, max_size=3))
def test_snapshot_and_restore_changes_nothing(names, moves, cuts):
    events = play(moves)
    whole = build(*names).process(events)
    pipeline, pieces, begin = build(*names), [], 0
    for end in [*sorted(min(cut, len(events)) for cut in cuts), len(events)]:
        pieces += pipeline.process(events[begin:end])
        begin = end
        saved = pipeline.snapshot()
        pipeline = build(*names)
        assert pipeline.restore(saved) == []
    assert json_lines(pieces) == json_lines(whole)


@each
@modest
@given(moves=streams())
def test_nothing_raises_and_only_what_is_declared_comes_out(names, moves):
    pipeline = build(*names)
    events = play(moves)
    given_types = {kind for processor in pipeline.processors for kind in processor.gives}
    derived = pipeline.process(events)
    assert [letter for letter in derived if type(letter) is DeadLetter] == []
    assert {type(event) for event in derived} <= given_types
    spoken = {event.inst for event in derived if not event.inst.startswith(f"{EVERYWHERE}:")}
    heard = {event.inst for event in events if isinstance(event, MarketEvent)}
    assert spoken <= heard | {f"{split_id(inst)[0]}:*" for inst in heard}


@pytest.mark.long
def test_no_state_grows_with_the_input(monkeypatch):
    """All at once: none hears more than when it also hears what the others give."""
    monkeypatch.setattr(book, "MAX_LEVELS", 300)
    pipeline = build(*NAMES)
    events = play(random_moves(Random(4), 40_000))  # some three days
    sizes = {name: [] for name in NAMES}
    for begin in range(0, len(events), 250):
        pipeline.process(events[begin : begin + 250])
        for part in msgspec.msgpack.decode(pipeline.snapshot(), type=Saved).parts:
            sizes[part.name].append(len(msgspec.msgpack.encode(part)))
    for name, told in sizes.items():
        half = len(told) // 2
        assert max(told[:half]) > 100, name
        assert max(told[half:]) <= max(told[:half]) * 1.4, name  # in step with the input: 2


@each
@modest
@given(moves=streams())
def test_the_key_follows_from_type_and_instrument(names, moves):
    keys = {}
    for processor in build(*names).processors:
        for event in play(moves):
            if type(event) in processor.wants:
                asked = processor.name, type(event), event.inst
                assert keys.setdefault(asked, processor.key(event)) == processor.key(event)


@each
def test_nothing_wants_ticks_because_timers_hear_them(names):
    assert all(Tick not in processor.wants for processor in build(*names).processors)


DETECTORS = [name for name in NAMES if hasattr(MODULES[name], "PROOF")]


@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_fires_on_its_positive_and_not_in_a_quiet_market(name):
    plugin = MODULES[name].PLUGIN
    verdict = prove(name, lambda: plugin.build(name, plugin.config()), MODULES[name].PROOF)
    assert verdict.ok, verdict.words


def test_whoever_gives_a_number_of_its_own_proves_that_it_can():
    without = {"book_stats", "candles", "rolling"}  # they judge nothing, they measure
    giving = {
        name
        for name in NAMES
        if MODULES[name].PLUGIN.build(name, MODULES[name].PLUGIN.config()).measures
    }
    assert giving - without <= set(DETECTORS)


@each
@modest
@given(moves=streams())
def test_only_declared_numbers_come_out(names, moves):
    pipeline = build(*names)
    words = {
        (measure.name, window)
        for processor in pipeline.processors
        for measure in processor.measures
        for window in measure.windows
    }
    told = {(e.name, e.window) for e in pipeline.process(play(moves)) if type(e) is Metric}
    assert told <= words


@each
@modest
@given(moves=streams())
def test_echoes_of_trades_change_nothing(names, moves):
    events = play(moves)
    heard = [event for event in events if not (type(event) is Trade and event.echo)]
    assert json_lines(build(*names).process(events)) == json_lines(build(*names).process(heard))


def across(name):
    """Say whether this processor puts several instruments together on purpose."""
    processor = MODULES[name].PLUGIN.build(name, MODULES[name].PLUGIN.config())
    return processor.key(trade()) != trade().inst


SINGLE = tuple(name for name in NAMES if not across(name))


@pytest.mark.parametrize("names", [*((name,) for name in SINGLE), SINGLE], ids="+".join)
@modest
@given(moves=streams())
def test_one_instrument_does_not_touch_another(names, moves):
    events = play(moves)
    for inst in {event.inst for event in events if isinstance(event, MarketEvent)}:
        alone = [e for e in events if not isinstance(e, MarketEvent) or e.inst == inst]
        said = [encode_json(e) for e in build(*names).process(events) if e.inst == inst]
        assert [encode_json(e) for e in build(*names).process(alone)] == said
