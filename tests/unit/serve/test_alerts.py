import pytest
from msgspec.structs import replace

from tapewatch.model.events import Alert, AlertState, Metric, Micros, Quality
from tapewatch.ports import Measure
from tapewatch.rules.defaults import RuleSet
from tapewatch.rules.rule import Rule
from tapewatch.rules.rulebook import Rulebook
from tapewatch.serve.alerts import get_events, get_rules
from tapewatch.serve.ask import Ask
from tapewatch.serve.problem import BadParameters
from tapewatch.stores.duckdb import DuckDb
from tapewatch.stores.parquet import Parquet
from tapewatch.stream.pipeline import Pipeline
from tests.serving import BTC, ETH, NOW, World

SURGE = Measure("surge", ("1m",), "ratio", "")


def alert(number, state=AlertState.FIRING, rule="surge", inst=BTC, secs=60):
    ts = Micros(NOW - secs * 1_000_000)
    return Alert(
        ts, ts, inst, f"{rule}/{inst}/{number}", rule, state, "warning", 5.0, "text",
        threshold=4.0, since=ts, labels=("team=desk",), evidence=("trade 7",),
    )  # fmt: skip


@pytest.fixture
async def stored(tmp_path):
    world = World()

    async def stored(*alerts):
        store = Parquet(tmp_path, clock=lambda: NOW)
        await store.open()
        await store.write(list(alerts))
        await store.close()
        world.context.query = DuckDb(tmp_path)
        return world

    yield stored
    world.context.query.close()


async def events(world, **query):
    return await get_events(world.context, Ask(path={}, query=query, now=NOW))


async def test_what_was_said_comes_newest_first_and_whole(stored):
    fired, resolved = alert(1, secs=60), alert(1, AlertState.RESOLVED, secs=30)
    resolved = replace(resolved, value_now=0.5)
    answer = await events(await stored(fired, resolved))
    assert [each.state for each in answer.alerts] == ["resolved", "firing"]
    assert [each.value_now for each in answer.alerts] == [0.5, None]
    told = answer.alerts[1]
    assert (told.id, told.ts, told.threshold, told.baseline) == (fired.id, fired.ts, 4.0, None)
    assert (told.symbol, told.exchange, told.evidence) == ("BTCUSDT", "binance", ["trade 7"])
    assert (told.labels, told.notify) == (["team=desk"], [])


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({}, [1, 2, 3]),
        ({"symbol": "ethusdt"}, [2]),
        ({"inst": "all:USDT"}, [3]),
        ({"rule": "it's"}, [3]),
        ({"rule": "x' OR 'a' = 'a"}, []),
        ({"state": "pending"}, [2]),
        ({"start": "-1m", "end": "-30s"}, [1]),
        ({"limit": "2"}, [1, 2]),
    ],
)
async def test_only_what_was_asked_for(stored, query, ids):
    world = await stored(
        alert(1, secs=40),
        alert(2, AlertState.PENDING, inst=ETH, secs=90),
        alert(3, rule="it's", inst="all:USDT", secs=120),
        alert(4, secs=90_000),  # more than a day ago
    )
    answer = await events(world, **query)
    assert [int(each.id.rpartition("/")[2]) for each in answer.alerts] == ids
    assert answer.has_more is ("limit" in query)


@pytest.mark.parametrize("query", [{"state": "fired"}, {"start": "now", "end": "-1h"}])
async def test_a_mistake_is_told(query):
    with pytest.raises(BadParameters):
        await events(World(), **query)


async def test_rules_come_with_where_they_stand():
    rule = Rule(name="surge", when="surge > 4")
    quiet = Rule(name="quiet", when="surge > 40", enabled=False)
    book = Rulebook([rule, quiet], [SURGE])
    metric = Metric(NOW, NOW, BTC, "surge", 5.0, "1m", Quality.COMPLETE)
    Pipeline([book]).process([metric])
    world = World()
    world.context.processors = (book,)
    world.context.rules = RuleSet((rule, quiet), (("depeg", "nobody measures depeg_bps"),))
    answer = await get_rules(world.context, Ask(path={}, query={}, now=NOW))
    assert [(each.name, each.enabled) for each in answer.rules] == [
        ("surge", True),
        ("quiet", False),
    ]
    (standing,) = answer.rules[0].standing
    assert (standing.symbol, standing.state) == ("BTCUSDT", "firing")
    assert [(each.name, each.reason) for each in answer.left_out] == [
        ("depeg", "nobody measures depeg_bps")
    ]
