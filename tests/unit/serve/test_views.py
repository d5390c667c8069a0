from tapewatch.model.events import Coverage, Holding, Micros, Quote
from tapewatch.ports import Latest
from tapewatch.serve import views
from tests.serving import BTC, NOW, candle, ticker, trade


def entry(first: int, last: int, holding: Holding, channel: str = "aggTrade") -> Coverage:
    return Coverage(NOW, NOW, BTC, channel, first, last, holding, "why")


def test_no_price_without_a_trade_or_ticker():
    assert views.price_fields(Latest(BTC), "BTCUSDT", NOW) is None


def test_a_ticker_alone_gives_the_numbers_of_a_day():
    price = views.Price(**views.price_fields(Latest(BTC, ticker=ticker()), "BTCUSDT", NOW))
    assert price.covers == "24h"
    assert (price.open, price.close, price.volume) == (49_000.0, 50_001.0, 1_234.5)
    assert price.price_change_percent == 4.0
    assert price.trade_count == 77


def test_a_base_candle_goes_before_the_ticker():
    latest = Latest(BTC, trade=trade(), ticker=ticker(), candles={"1m": candle()})
    price = views.Price(**views.price_fields(latest, "BTCUSDT", NOW))
    assert (price.covers, price.price, price.close) == ("1m", 50_000.5, 50_000.0)
    assert price.price_change == 100.0
    assert price.change_percent_24h == 4.0


def test_the_quote_goes_before_the_tickers_bid_and_ask():
    quote = Quote(NOW, NOW, BTC, 1.0, 1.0, 2.0, 1.0)
    fields = views.price_fields(Latest(BTC, ticker=ticker(), quote=quote), "BTCUSDT", NOW)
    assert (fields["bid"], fields["ask"]) == (1.0, 2.0)


def test_an_old_price_says_its_age():
    latest = Latest(BTC, trade=trade(), updated=Micros(NOW - 5_000_000))
    assert views.price_fields(latest, "BTCUSDT", NOW)["age_ms"] == 5_000


def test_without_a_candle_before_there_is_no_change():
    bar = views.bar(candle(prev_close=None), "BTCUSDT")
    assert bar.price_change is None
    assert bar.price_change_percent is None


def test_a_bar_has_the_fields_of_s2():
    bar = views.bar(candle(), "BTCUSDT")
    assert (bar.price, bar.trade_count, bar.quality) == (50_000.0, 42, "complete")
    assert round(bar.price_change_percent, 4) == 0.2004


def test_coverage_adds_up_by_stream():
    report = views.coverage(
        [
            entry(1, 90, Holding.HAVE),
            entry(91, 95, Holding.REPAIRED),
            entry(96, 99, Holding.MISSING),
            entry(100, 100, Holding.LOST),
            entry(5, 6, Holding.HAVE, "trade"),
        ],
        limit=100,
    )
    stream = report.streams[0]
    assert (stream.have, stream.repaired, stream.missing, stream.lost) == (90, 5, 4, 1)
    assert stream.proven_percent == 95.0
    assert report.streams[1].proven_percent == 100.0


def test_almost_everything_is_not_rounded_up_to_everything():
    report = views.coverage(
        [
            entry(1, 10_000_000_000, Holding.HAVE),
            entry(10_000_000_001, 10_000_000_001, Holding.LOST),
        ],
        limit=10,
    )
    assert report.streams[0].proven_percent < 100


def test_holes_are_listed_before_what_is_in_hand():
    report = views.coverage(
        [entry(1, 5, Holding.HAVE), entry(6, 7, Holding.MISSING), entry(8, 9, Holding.HAVE)],
        limit=2,
    )
    assert [r.holding for r in report.ranges] == ["missing", "have"]
    assert report.ranges_total == 3
