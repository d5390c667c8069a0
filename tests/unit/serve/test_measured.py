import pytest

from tapewatch.model.errors import NotFound
from tapewatch.model.events import Metric, Quality
from tapewatch.serve import measured
from tapewatch.serve.ask import Ask
from tests.serving import BTC, NOW, World


@pytest.fixture
def world():
    world = World()
    world.hot.update(
        [
            Metric(NOW, NOW, BTC, "volume_surge", 5.0, "5m", Quality.COMPLETE, 1.25, ("why",)),
            Metric(NOW, NOW, BTC, "volatility", 0.03, "1h"),
            Metric(NOW, NOW, "all:BTC", "liq_count", 7.0, "1m", Quality.SAMPLED),
        ]
    )
    return world


async def asked(world, symbol, **query):
    return await measured.get_measured(world.context, Ask({"symbol": symbol}, query, NOW))


async def test_each_number_comes_with_its_quality_and_what_it_rests_on(world):
    found = await asked(world, "BTCUSDT")
    assert [(m.name, m.quality) for m in found.metrics] == [
        ("volatility", "partial"),
        ("volume_surge", "complete"),
    ]
    surge = found.metrics[1]
    assert (surge.value, surge.baseline, surge.evidence) == (5.0, 1.25, ["why"])


async def test_names_choose(world):
    found = await asked(world, BTC, names="volatility")
    assert [metric.name for metric in found.metrics] == ["volatility"]


async def test_what_is_told_over_all_venues_is_there_too(world):
    found = await asked(world, "all:BTC")
    assert [(m.name, m.quality) for m in found.metrics] == [("liq_count", "sampled")]


async def test_a_symbol_that_nobody_measured_is_told(world):
    with pytest.raises(NotFound, match="metrics"):
        await asked(world, "SOLUSDT")
