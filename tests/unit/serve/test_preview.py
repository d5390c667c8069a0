import pytest

from tapewatch.model.errors import NotFound, Unavailable
from tapewatch.rules.defaults import RuleSet
from tapewatch.rules.preview import preview
from tapewatch.rules.rule import Rule
from tapewatch.runtime.launch import processors_of
from tapewatch.serve.ask import Ask
from tapewatch.serve.preview import post_preview
from tapewatch.serve.problem import BadParameters
from tapewatch.stores.duckdb import DuckDb
from tests.past import at, store, surges
from tests.serving import World

RULE = Rule(name="surge", when="volume_surge_5m > 4", resolve_when="volume_surge_5m < 2")
MEASURES = [measure for each in processors_of({}) for measure in each.measures]


@pytest.fixture
async def world(tmp_path):
    await store(tmp_path, surges([1.0, 5.0, 3.0, 1.0, 6.0]))
    query = DuckDb(tmp_path)
    made = World()
    made.context.rules = RuleSet((RULE,), measures=tuple(MEASURES))
    made.context.preview = lambda question: preview(query, question, MEASURES)
    yield made
    query.close()


async def ask(world, **query):
    return await post_preview(
        world.context, Ask(path={}, query={"rule": "surge"} | query, now=at(10))
    )


async def test_it_tells_what_the_rule_would_have_done(world):
    answer = await ask(world, start="-10m")
    assert (answer.has_data, answer.covered_percent) == (True, 90.0)
    assert [(f.symbol, f.value, f.ended is None) for f in answer.firings] == [
        ("BTCUSDT", 5.0, False),
        ("BTCUSDT", 6.0, False),
    ]
    assert answer.notices[0].title == "BTC/USDT: surge"
    assert answer.sweep == []


async def test_a_rule_may_be_changed_for_the_question(world):
    answer = await ask(world, start="-10m", when="volume_surge_5m > 5.5", sweep="2.5,7")
    assert answer.when == "volume_surge_5m > 5.5"
    assert len(answer.firings) == 1
    assert [(each.threshold, each.firings) for each in answer.sweep] == [("2.5", 2), ("7", 0)]


async def test_a_new_rule_needs_a_condition(world):
    with pytest.raises(NotFound) as caught:
        await ask(world, rule="surg")
    assert caught.value.suggestions == ("surge",)
    answer = await ask(world, rule="surg", when="volume_surge_1m > 1")
    assert (answer.has_data, answer.firings, answer.notices) == (False, None, None)


@pytest.mark.parametrize(
    ("query", "name", "words"),
    [
        ({"rule": ""}, "rule", "must be given"),
        ({"when": "volume_surge5m > 1"}, "when", "unknown metric volume_surge5m at character 1"),
        ({"resolve_when": "volume_surge_5m >"}, "resolve_when", "is wanted here"),
        ({"sweep": "x"}, "sweep", "'x' is no number"),
        ({"start": "now", "end": "-1h"}, "start", "is not before the end"),
        ({"hold_secs": "-1"}, "hold_secs", "is no whole number"),
    ],
)
async def test_a_mistake_names_the_parameter(world, query, name, words):
    with pytest.raises(BadParameters) as caught:
        await ask(world, **query)
    (fault,) = caught.value.faults
    assert fault.pointer == f"?{name}"
    assert words in fault.detail


async def test_too_much_is_refused_with_what_to_do(world, monkeypatch):
    monkeypatch.setattr("tapewatch.serve.preview.MAX_ROWS", 4)
    with pytest.raises(BadParameters, match="5 stored values: ask for a shorter time"):
        await ask(world, start="-10m")


async def test_without_a_store_it_says_so(world):
    world.context.preview = None
    with pytest.raises(Unavailable):
        await ask(world)
