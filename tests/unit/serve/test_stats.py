"""What went through, in numbers."""

from tapewatch.model.events import Metric
from tapewatch.serve.stats import stats
from tests.serving import BTC, ETH, NOW, World


def test_only_instruments_whose_candle_differs_are_named():
    world = World()
    assert stats(world.context).candle_mismatches == {}
    world.hot.update(
        [
            Metric(NOW, NOW, BTC, "candle_mismatch", 0.004, "1m"),
            Metric(NOW, NOW, BTC, "candle_mismatch", 0.001, "5m"),
            Metric(NOW, NOW, ETH, "candle_mismatch", 0.0, "1m"),
        ]
    )
    assert stats(world.context).candle_mismatches == {BTC: 0.004}
    world.hot.update([Metric(NOW, NOW, BTC, "candle_mismatch", 0.0, "1m")])
    assert stats(world.context).candle_mismatches == {BTC: 0.001}
