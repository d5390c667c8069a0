from hypothesis import given
from hypothesis import strategies as st

from tapewatch.model.events import Metric, Origin, Quality, Tick, Ticker, Trade
from tapewatch.stores._window import Window
from tapewatch.stores.memory import PLUGIN, Memory
from tests.rows import INST, T0, at, candle, quote, trade


def hot(*events) -> Memory:
    memory = Memory()
    memory.update(events)
    return memory


def test_the_newest_of_everything_is_shown():
    ticker = Ticker(at(3), at(3), INST, 1.0, 2.0, 3.0, 0.5, 9.0, 9.5, -1.0, -0.5)
    metric = Metric(at(1), at(1), INST, "change", 0.5, "1h")
    latest = hot(
        trade(1), quote(1), ticker, metric, trade(2, 1), quote(2, 2), Tick(T0, T0, "binance")
    ).get_latest(INST)
    assert latest.trade == trade(2, 1)
    assert latest.quote == quote(2, 2)
    assert latest.ticker == ticker
    assert latest.metrics == {"change 1h": metric}
    assert latest.price == 102.0
    assert latest.updated == at(3)


def test_an_instrument_nobody_spoke_of_is_not_known():
    assert hot(trade(1)).get_latest("binance:ETH/USDT") is None
    assert list(hot(trade(1)).get_all()) == [INST]


def test_a_repaired_trade_of_the_past_is_not_the_newest():
    live, old = trade(5, 10), trade(3, 5, repaired=True)
    assert hot(live, old).get_latest(INST).trade == live
    assert hot(old).get_latest(INST).trade == old


def test_our_candle_goes_before_the_venues_of_the_same_time():
    ours, theirs = candle(1), candle(1, origin=Origin.VENUE)
    assert hot(ours, theirs).get_latest(INST).candles == {"1m": ours}
    assert hot(theirs, ours).get_latest(INST).candles == {"1m": ours}
    assert hot(ours, candle(2, origin=Origin.VENUE)).get_latest(INST).candles["1m"].ts == at(120)


def test_a_reissued_candle_of_the_past_is_no_news():
    assert hot(candle(5), candle(1, revision=1)).get_latest(INST).candles["1m"] == candle(5)


def test_closed_minutes_make_the_hot_window():
    memory = hot(candle(1), candle(2, closed=False), candle(3), candle(4, interval="5m"))
    assert [c.ts for c in memory.candles(INST, at(0), at(600))] == [at(60), at(180)]
    assert [c.ts for c in memory.candles(INST, at(60), at(180))] == [at(60)]
    assert memory.candles("binance:ETH/USDT", at(0), at(600)) == []


def test_a_candle_comes_out_of_the_window_as_it_went_in():
    whole = candle(
        1,
        recv=at(60),
        prev_close=9.5,
        quote_volume=3.0,
        quality=Quality.REPAIRED,
        origin=Origin.VENUE,
        revision=4,
    )
    assert hot(whole).candles(INST, at(0), at(600)) == [whole]


def test_a_revision_replaces_and_an_older_one_does_not():
    memory = hot(candle(1), candle(2), candle(1, revision=2, close=5.0), candle(1, revision=1))
    assert [(c.close, c.revision) for c in memory.candles(INST, at(0), at(600))] == [
        (5.0, 2),
        (11.0, 0),
    ]


@given(st.lists(st.integers(0, 400), max_size=500), st.integers(1, 50))
def test_the_window_holds_the_newest_minutes_in_order_and_is_bounded(minutes, rows):
    window = Window(rows)
    for minute in minutes:
        window.put(candle(minute))
        assert len(window) <= rows + 60
    shown = [c.ts for c in window.candles(INST, at(0), at(100_000))]
    assert shown == sorted(set(shown))
    assert len(shown) <= rows
    if minutes:
        assert shown[-1] == at(60 * max(minutes))


def test_the_window_forgets_what_is_older_than_its_hours():
    memory = Memory(hot_window_hours=0.1)
    memory.update([candle(minute) for minute in range(500)])
    assert [c.ts for c in memory.candles(INST, at(0), at(10**6))] == [
        at(60 * minute) for minute in range(494, 500)
    ]


def test_it_is_made_from_its_section():
    memory = PLUGIN.build("memory", PLUGIN.config(hot_window_hours=1.0))
    memory.update([trade(1)])
    assert isinstance(memory.get_latest(INST).trade, Trade)
