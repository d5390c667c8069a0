"""Looking at the seconds that matter tells what looking at every second tells."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tapewatch.model.events import Gap, Metric, Second, Tick
from tapewatch.model.times import SECOND
from tapewatch.process.volume_surge import VolumeSurge, VolumeSurgeConfig, VolumeSurgeState
from tapewatch.stream.pipeline import Pipeline

BTC = "binance:BTC/USDT"
BEGIN = 1_795_200_000 * SECOND


def second(ts, amount):
    return Second(
        ts, ts + 5, BTC, *(4 * (1.0,)), amount, 0.0, amount, amount, 1, ts, ts
    )  # fmt: skip


class EverySecond(VolumeSurgeState):
    def next_timer(self):
        return self.edge + 2 * SECOND if self.edge < self.fades else None


class Diligent(VolumeSurge):
    def fresh(self, key):
        state = super().fresh(key)
        fields = {name: getattr(state, name) for name in state.__struct_fields__}
        return EverySecond(**fields)


def told(detector, market):
    """Tick by tick, as live; `market` has pauses in seconds and what is traded after them."""
    pipeline = Pipeline([detector("volume_surge", VolumeSurgeConfig(warmup=3))])
    metrics, number = [], 0
    for pause, amount in (*market, (900, 1)):
        events = []
        for _ in range(pause):
            number += 1
            events.append(Tick(BEGIN + number * SECOND, BEGIN + number * SECOND, "binance"))
        ts = BEGIN + number * SECOND
        events.append(second(ts, float(amount)))
        if not amount:
            events[-1] = Gap(ts, ts + 5, BTC, "aggTrade", "a hole")
        metrics += [each for each in pipeline.process(events) if type(each) is Metric]
    return metrics


pauses = st.one_of(st.integers(1, 5), st.integers(50, 70), st.integers(1, 700))
amounts = st.one_of(st.integers(0, 9), st.integers(50, 500))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(pauses, amounts), min_size=5, max_size=40))
def test_silent_seconds_are_passed_over_without_a_difference(market):
    quick = told(VolumeSurge, market)
    assert quick == told(Diligent, market)
    assert quick


def test_a_surge_that_ends_in_silence_is_told_each_second_until_it_is_quiet():
    calm = [(10, 5)] * 60
    quick = told(VolumeSurge, [*calm, (1, 900)])
    loud = [each for each in quick if each.value > 2 and each.window == "1m"]
    assert len(loud) >= 50
    assert {b.ts - a.ts for a, b in pairwise(loud)} == {SECOND}
    assert quick == told(Diligent, [*calm, (1, 900)])


def test_settings_that_became_louder_do_not_make_it_stand_still():
    state = VolumeSurge("v", VolumeSurgeConfig(warmup=3, loud=1000.0)).fresh(BTC)
    for number in range(600):
        state.on_event(second(BEGIN + number * SECOND, 5.0))
    VolumeSurge("v", VolumeSurgeConfig(warmup=3, loud=1.01)).adopt(state)
    edge = state.edge
    state.on_timer(state.next_timer())
    assert state.edge > edge
