"""Binance USD-M by the frames of its documentation; what it shares with spot: `test_binance`."""

import msgspec
import pytest

from tapewatch.model.errors import BadFrame, NotFound
from tapewatch.model.events import (
    BookDelta,
    BookSnapshot,
    Candle,
    Coverage,
    Gap,
    Holding,
    Liquidation,
    MarkPrice,
    Origin,
    Quality,
    Quote,
    Side,
    Tick,
    Ticker,
    Trade,
)
from tapewatch.model.instrument import Catalogue, Instrument
from tapewatch.ports import (
    NOT_WANTED,
    Accepted,
    Answer,
    Fetch,
    Refused,
    Route,
    Send,
    Stalled,
    Streams,
    Subscription,
)
from tapewatch.venues.binance_futures import LIMITS, BinanceFutures, FuturesConfig

SECOND = 1_000_000
NOW = 1_790_000_000 * SECOND
MS = 1_790_000_000_000
VENUE = "binance_futures"
BTC = "binance_futures:BTC/USDT:USDT"
PEPE = "binance_futures:1000PEPE/USDT:USDT"


def instrument(base, native, **more):
    return Instrument(VENUE, base, "USDT", native, "USDT", **more)


def catalogue():
    return Catalogue(
        [
            instrument("BTC", "BTCUSDT"),
            instrument("BTC", "BTCUSDT_261225", expiry="261225"),
            instrument("1000PEPE", "1000PEPEUSDT"),
            instrument("OLD", "OLDUSDT", active=False, status="SETTLING"),
        ]
    )


def subs(*channels, inst=BTC):
    return tuple(Subscription(inst, channel) for channel in channels)


class Wire:
    """One connection, with its clock and its output."""

    def __init__(self, *channels, streams=None, lenient=False, inst=BTC, **config):
        self.streams = streams or Streams(catalogue(), lenient=lenient)
        route = Route("r", "wss://x/market/stream", subs(*channels, inst=inst))
        dialect = BinanceFutures(VENUE, FuturesConfig(**config))
        self.talk = dialect.converse(route, self.streams)
        self.now = NOW
        self.out = []
        self.asks = list(self.talk.open(self.now))

    def frame(self, text):
        raw = text if isinstance(text, bytes) else text.encode()
        self.asks.extend(self.talk.decode(raw, self.now, self.out))
        return self

    def wrapped(self, stream, data):
        text = data if isinstance(data, str) else msgspec.json.encode(data).decode()
        return self.frame(f'{{"stream":"{stream}","data":{text}}}')

    def tick(self, secs):
        self.now += int(secs * SECOND)
        self.asks.extend(self.talk.tick(self.now, self.out))
        return self

    def answer(self, body, status=200):
        fetch = self.asked(Fetch)[-1]
        self.asks.extend(self.talk.answer(fetch, Answer(status, body), self.now, self.out))
        return self

    def of(self, *kinds):
        return [event for event in self.out if isinstance(event, kinds)]

    def asked(self, *kinds):
        return [ask for ask in self.asks if isinstance(ask, kinds)]


def trade(number, **changes):
    at = MS + number
    message = {
        "e": "trade", "E": at, "T": at, "s": "BTCUSDT", "t": number, "p": "61800.30",
        "q": "0.006", "X": "MARKET", "m": False,
    }  # fmt: skip
    return message | changes


def agg_trade(number, **changes):
    at = MS + number
    message = {
        "e": "aggTrade", "E": at + 120, "s": "BTCUSDT", "a": number, "p": "61800.30",
        "q": "0.5", "nq": "0.4", "f": 10, "l": 12, "T": at, "m": True, "st": 1,
    }  # fmt: skip
    return message | changes


def nothing(number):
    """A record that is numbered and says nothing, as the venue sends by the thousand."""
    return trade(number, p="0", q="0", X="NA", st=1)


def depth(pu, u, **changes):
    at = MS + u
    message = {
        "e": "depthUpdate", "E": at + 5, "T": at, "s": "BTCUSDT", "ps": "BTCUSDT",
        "U": pu + 50, "u": u, "pu": pu, "b": [["10.0", "1.0"]], "a": [["11.0", "0"]], "st": 1,
    }  # fmt: skip
    return message | changes


def mark(**changes):
    message = {
        "e": "markPriceUpdate", "E": MS, "s": "BTCUSDT", "p": "83003.00000000",
        "ap": "83003.00000000", "P": "83198.57425350", "i": "83047.03260870",
        "r": "-0.00001012", "T": 1790006400000, "st": 1,
    }  # fmt: skip
    return message | changes


def force(**changes):
    order = {
        "s": "BTCUSDT", "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "0.190", "p": "82338.30",
        "ap": "82651.90", "X": "FILLED", "l": "0.155", "z": "0.190", "T": MS - 933,
        "ps": "BTCUSDT", "st": 1,
    }  # fmt: skip
    return {"e": "forceOrder", "E": MS, "o": order | changes}


QUOTE = (
    '{"e":"bookTicker","u":11730346419457,"s":"BTCUSDT","ps":"BTCUSDT","b":"84788.20",'
    '"B":"5.923","a":"84788.30","A":"2.824","T":1789999999473,"E":1789999999475,"st":1}'
)
KLINE = (
    '{"e":"kline","E":1790000000424,"s":"BTCUSDT","k":{"t":1789999980000,"T":1790000039999,'
    '"s":"BTCUSDT","i":"1m","f":23961275,"L":23961322,"o":"1.01000","c":"1.01100","h":"1.01200",'
    '"l":"1.00900","v":"3917","n":48,"x":false,"q":"3957.89900","V":"1729","Q":"1748.01900",'
    '"B":"0"}}'
)
TICKER = (
    '{"e":"24hrTicker","E":1790000000866,"s":"BTCUSDT","ps":"BTCUSDT","p":"24.69","P":"1.405",'
    '"w":"1782.01","c":"1782.02","Q":"0.003","o":"1757.33","h":"1809.33","l":"1750.45",'
    '"v":"1678290.411","q":"2990736920.72","O":1653728760000,"C":1653815205856,"F":1689354205,'
    '"L":1691266554,"n":1912297,"st":1}'
)
BODY = b'{"lastUpdateId":%d,"E":1790000000264,"T":1790000000261,"bids":[["9.0","6"]],"asks":[]}'


# --- each message ---


def test_a_trade_is_the_takers():
    wire = (
        Wire("trade").wrapped("btcusdt@trade", trade(7)).wrapped("btcusdt@trade", trade(8, m=True))
    )
    first, second = wire.of(Trade)
    assert (first.id, first.side, first.price, first.size) == ("7", Side.BUY, 61800.3, 0.006)
    assert (first.ts, first.recv, first.inst) == ((MS + 7) * 1000, NOW, BTC)
    assert (first.channel, first.echo, second.side) == ("trade", False, Side.SELL)


def test_an_aggregate_has_all_its_quantity_and_counts_its_fills():
    (event,) = Wire("aggTrade").wrapped("btcusdt@aggTrade", agg_trade(5)).of(Trade)
    assert (event.id, event.channel, event.count, event.size) == ("5", "aggTrade", 3, 0.5)
    assert (event.side, event.ts) == (Side.SELL, (MS + 5) * 1000)


def test_fills_may_be_left_out_between_aggregates():
    wire = Wire("aggTrade").wrapped("btcusdt@aggTrade", agg_trade(5))
    wire.wrapped("btcusdt@aggTrade", agg_trade(6, f=20, l=20)).tick(1)
    assert [event.count for event in wire.of(Trade)] == [3, 1]
    assert not wire.of(Gap)


def test_a_quote_has_the_time_of_the_match():
    (event,) = Wire("bookTicker").wrapped("btcusdt@bookTicker", QUOTE).of(Quote)
    at = 1789999999473 * 1000
    assert event == Quote(at, NOW, BTC, 84788.2, 5.923, 84788.3, 2.824, 11730346419457)


def test_a_quote_of_2020_has_the_time_of_its_reading():
    old = '{"u":400900217,"s":"BTCUSDT","b":"25.35","B":"31.21","a":"25.36","A":"40.66"}'
    (event,) = Wire("bookTicker").wrapped("btcusdt@bookTicker", old).of(Quote)
    assert (event.ts, event.seq) == (NOW, 400900217)


def test_a_candle_is_the_venues():
    (event,) = Wire("kline_1m").wrapped("btcusdt@kline_1m", KLINE).of(Candle)
    assert (event.ts, event.interval, event.closed) == (1789999980 * SECOND, "1m", False)
    assert (event.open, event.high, event.low, event.close) == (1.01, 1.012, 1.009, 1.011)
    assert (event.volume, event.buy_volume, event.trades) == (3917.0, 1729.0, 48)
    assert (event.origin, event.quality) == (Origin.VENUE, Quality.PARTIAL)


def test_a_ticker_has_no_quotes_and_its_change_is_a_fraction():
    (event,) = Wire("ticker").wrapped("btcusdt@ticker", TICKER).of(Ticker)
    assert (event.last, event.open, event.change, event.change_pct) == (
        1782.02, 1757.33, 24.69, 0.01405,
    )  # fmt: skip
    assert (event.volume, event.quote_volume, event.trades) == (1678290.411, 2990736920.72, 1912297)
    assert (event.bid, event.ask) == (None, None)


def test_a_mark_price_has_its_index_and_its_funding():
    (event,) = Wire("markPrice").wrapped("btcusdt@markPrice@1s", mark()).of(MarkPrice)
    funding = (-0.00001012, 1790006400 * SECOND)
    assert event == MarkPrice(NOW, NOW, BTC, 83003.0, 83047.0326087, *funding)


@pytest.mark.parametrize("rate", ["", "0.00000000"])
def test_a_dated_contract_has_no_funding(rate):
    wire = Wire("markPrice", inst=f"{BTC}-261225")
    data = mark(s="BTCUSDT_261225", r=rate, T=0)
    (event,) = wire.wrapped("btcusdt_261225@markPrice@1s", data).of(MarkPrice)
    assert (event.inst, event.index) == (f"{BTC}-261225", 83047.0326087)
    assert (event.funding_rate, event.next_funding) == (None, None)


def test_a_mark_price_of_2019_has_no_index():
    old = mark()
    for key in ("ap", "P", "i", "st"):
        del old[key]
    (event,) = Wire("markPrice").wrapped("btcusdt@markPrice@1s", old).of(MarkPrice)
    assert (event.mark, event.index, event.funding_rate) == (83003.0, None, -0.00001012)


@pytest.mark.parametrize(("word", "side"), [("SELL", Side.SELL), ("BUY", Side.BUY)])
def test_a_forced_order_is_told_by_its_fills_and_its_own_side(word, side):
    (event,) = Wire("forceOrder").wrapped("btcusdt@forceOrder", force(S=word)).of(Liquidation)
    assert (event.side, event.price, event.size) == (side, 82651.9, 0.19)
    assert (event.ts, event.coverage) == ((MS - 933) * 1000, Quality.SAMPLED)


def test_a_forced_order_without_a_fill_is_none_yet():
    wire = Wire("forceOrder").wrapped("btcusdt@forceOrder", force(X="NEW", z="0", ap="0"))
    assert not wire.out


def test_a_forced_order_that_is_filled_at_no_price_is_refused():
    with pytest.raises(BadFrame, match="at no price"):
        Wire("forceOrder").wrapped("btcusdt@forceOrder", force(ap="0"))


def test_a_partial_book_is_a_snapshot_each_time():
    wire = Wire("depth5")
    for u in (60, 90, 90):
        wire.wrapped("btcusdt@depth5@100ms", depth(u - 10, u, a=[["11.0", "2.0"]]))
    assert [event.seq for event in wire.of(BookSnapshot)] == [60, 90]
    assert wire.of(BookSnapshot)[0].asks == ((11.0, 2.0),)
    assert not wire.of(BookDelta)


def test_a_partial_book_is_silent_beside_the_whole_one():
    wire = Wire("depth", "depth20").wrapped("btcusdt@depth@100ms", depth(100, 200))
    wire.wrapped("btcusdt@depth20@100ms", depth(100, 200))
    assert not wire.of(BookSnapshot)


@pytest.mark.parametrize(
    ("stream", "channel", "data"),
    [
        ("btcusdt@trade", "trade", trade(1, q="0")),
        ("btcusdt@trade", "trade", trade(1, p="-1")),
        ("btcusdt@bookTicker", "bookTicker", QUOTE.replace('"84788.20"', '"NaN"')),
        ("btcusdt@depth@100ms", "depth", depth(200, 100)),
        ("btcusdt@depth@100ms", "depth", depth(1, 2, b=[["0", "1"]])),
        ("btcusdt@markPrice@1s", "markPrice", mark(p="0")),
        ("btcusdt@markPrice@1s", "markPrice", mark(T=-1)),
        ("btcusdt@forceOrder", "forceOrder", force(S="sell")),
    ],
)
def test_what_cannot_be_is_refused_and_the_stream_goes_on(stream, channel, data):
    wire = Wire(channel)
    with pytest.raises((BadFrame, msgspec.ValidationError)):
        wire.wrapped(stream, data)
    assert not wire.out


# --- trades by number ---


def test_ids_without_a_trade_are_in_hand_and_leave_no_event():
    wire = Wire("trade")
    for number in range(7, 12):
        wire.wrapped("btcusdt@trade", nothing(number) if number in {7, 9, 10} else trade(number))
    wire.tick(2)
    assert [event.id for event in wire.of(Trade)] == ["8", "11"]
    (told,) = wire.of(Coverage)
    assert (told.first, told.last, told.holding) == (7, 11, Holding.HAVE)
    assert told.reason == "some ids are no trades of the market"
    assert not wire.of(Gap)
    assert not wire.asked(Fetch)


@pytest.mark.parametrize("kind", ["INSURANCE_FUND", "ADL"])
def test_fills_beside_the_market_are_no_trades(kind):
    wire = (
        Wire("trade").wrapped("btcusdt@trade", trade(7)).wrapped("btcusdt@trade", trade(8, X=kind))
    )
    wire.wrapped("btcusdt@trade", trade(9)).tick(2)
    assert [event.id for event in wire.of(Trade)] == ["7", "9"]
    assert not wire.of(Gap)


def test_an_id_without_a_trade_waits_its_turn_behind_a_hole():
    wire = Wire("trade").wrapped("btcusdt@trade", trade(7)).wrapped("btcusdt@trade", nothing(9))
    wire.wrapped("btcusdt@trade", trade(10)).wrapped("btcusdt@trade", trade(8)).tick(2)
    assert [event.id for event in wire.of(Trade)] == ["7", "8", "10"]
    assert not wire.of(Gap)


def test_missing_trades_are_taken_from_the_newest_and_what_they_leave_out_is_none():
    wire = Wire("trade").wrapped("btcusdt@trade", trade(7)).wrapped("btcusdt@trade", trade(12))
    (fetch,) = wire.asked(Fetch)
    assert fetch.url == "https://fapi.binance.com/fapi/v1/trades?symbol=BTCUSDT&limit=1000"
    assert fetch.weight == 5
    row = '{"id":%d,"price":"4.0","qty":"12","quoteQty":"48","time":%d,"isBuyerMaker":true}'
    rows = ",".join(row % (number, MS + number) for number in (6, 7, 8, 11, 12))
    wire.answer(f"[{rows}]".encode()).tick(2)
    assert [(event.id, event.repaired) for event in wire.of(Trade)] == [
        ("7", False), ("8", True), ("11", True), ("12", False),
    ]  # fmt: skip
    told = [(c.first, c.last, c.holding) for c in wire.of(Coverage)]
    assert (8, 11, Holding.MISSING) in told
    assert (8, 11, Holding.REPAIRED) in told
    assert not wire.of(Gap)


def test_trades_from_before_the_newest_are_said_to_be_lost():
    wire = Wire("trade").wrapped("btcusdt@trade", trade(7)).wrapped("btcusdt@trade", trade(12))
    row = '{"id":%d,"price":"4.0","qty":"12","time":%d,"isBuyerMaker":true}'
    wire.answer(f"[{row % (10, MS)},{row % (12, MS)}]".encode()).tick(2)
    lost = [(c.first, c.last) for c in wire.of(Coverage) if c.holding is Holding.LOST]
    assert lost == [(8, 9)]
    assert [(gap.first, gap.last) for gap in wire.of(Gap)] == [(8, 9)]


def test_missing_aggregates_are_fetched_by_id():
    wire = Wire("aggTrade").wrapped("btcusdt@aggTrade", agg_trade(7))
    wire.wrapped("btcusdt@aggTrade", agg_trade(9))
    (fetch,) = wire.asked(Fetch)
    assert fetch.url.endswith("/fapi/v1/aggTrades?symbol=BTCUSDT&fromId=8&limit=1")
    assert fetch.weight == 20
    wire.answer(b'[{"a":8,"p":"4.0","q":"2","nq":"1","f":13,"l":14,"T":%d,"m":true}]' % MS)
    assert [(event.id, event.count) for event in wire.of(Trade)] == [("7", 3), ("8", 2), ("9", 3)]


# --- aggregates beside single fills: two connections ---


class Both:
    """`trade` on one connection and `aggTrade` on the other, as the venue demands."""

    def __init__(self):
        self.single = Wire("trade")
        self.market = Wire("aggTrade", streams=self.single.streams)
        self.number = 0

    def go(self, secs=1, *, single=True):
        for wire in (self.single, self.market):
            wire.tick(secs)
        self.number += 1
        if single:
            self.single.wrapped("btcusdt@trade", trade(self.number))
        self.market.tick(0).wrapped("btcusdt@aggTrade", agg_trade(self.number))
        return self.market.of(Trade)[-1].echo


def test_aggregates_are_echoes_while_single_fills_come_on_the_other_connection():
    both = Both()
    assert [both.go(), both.go()] == [True, True]


def test_aggregates_are_no_echoes_before_single_fills_have_spoken():
    both = Both()
    assert both.go(single=False) is False
    assert both.go() is True


def test_aggregates_count_again_when_single_fills_are_wanted_no_more():
    both = Both()
    both.go()
    both.single.talk.want(frozenset(), both.single.now, both.single.out)
    assert both.go(single=False) is False


def test_aggregates_count_again_when_the_other_connection_is_closed_for_good():
    both = Both()
    both.go()
    both.single.talk.lost(NOT_WANTED, both.single.now, both.single.out)
    assert both.go(single=False) is False


def test_aggregates_stay_echoes_while_the_other_connection_comes_back():
    both = Both()
    both.go()
    both.single.talk.lost("cut", both.single.now, both.single.out)
    assert both.go(30, single=False) is True
    both.single = Wire("trade", streams=both.single.streams)
    assert both.go(300, single=False) is True


def test_aggregates_count_again_when_the_other_connection_does_not_come_back():
    both = Both()
    both.go()
    both.single.talk.lost("cut", both.single.now, both.single.out)
    assert both.go(121, single=False) is False


def test_a_renewal_of_the_other_connection_changes_nothing():
    both = Both()
    both.go()
    new = Wire("trade", streams=both.single.streams).frame('{"result":null,"id":1}')
    both.single.talk.lost("renewed", both.single.now, both.single.out)
    both.single = new
    assert both.go(300, single=False) is True


def test_repaired_aggregates_are_echoes_too():
    both = Both()
    both.go()
    both.number += 1
    both.go()
    both.market.answer(b'[{"a":2,"p":"4.0","q":"2","f":13,"l":14,"T":%d,"m":true}]' % MS)
    assert [(e.id, e.echo) for e in both.market.of(Trade)] == [
        ("1", True),
        ("2", True),
        ("3", True),
    ]


# --- the book ---


def test_a_book_follows_by_pu_whatever_its_first_id_says():
    wire = Wire("depth").wrapped("btcusdt@depth@100ms", depth(100, 200))
    assert wire.asked(Fetch)[0].url.endswith("/fapi/v1/depth?symbol=BTCUSDT&limit=1000")
    assert wire.asked(Fetch)[0].weight == 20
    wire.answer(BODY % 150).wrapped("btcusdt@depth@100ms", depth(200, 300))
    seqs = [(event.first_seq, event.seq) for event in wire.of(BookDelta)]
    assert seqs == [(101, 200), (201, 300)]
    (snapshot,) = wire.of(BookSnapshot)
    assert (snapshot.seq, snapshot.ts) == (150, (MS + 200) * 1000)
    assert not wire.of(Gap)


@pytest.mark.parametrize(
    ("last", "seqs"),
    [
        (99, []),  # older than what is held
        (100, [200, 300]),  # the end of the change before
        (120, [200, 300]),  # before `U`: ids between belong to other symbols
        (199, [200, 300]),
        (200, [300]),  # this change is in the snapshot
        (250, [300]),
        (300, []),
    ],
)
def test_a_snapshot_is_joined_where_it_stands(last, seqs):
    wire = Wire("depth")
    wire.wrapped("btcusdt@depth@100ms", depth(100, 200))
    wire.wrapped("btcusdt@depth@100ms", depth(200, 300)).answer(BODY % last)
    assert [event.seq for event in wire.of(BookDelta)] == seqs
    assert [event.seq for event in wire.of(BookSnapshot)] == ([] if last == 99 else [last])


def test_a_change_that_does_not_follow_voids_the_book():
    wire = Wire("depth").wrapped("btcusdt@depth@100ms", depth(100, 200)).answer(BODY % 150)
    wire.wrapped("btcusdt@depth@100ms", depth(250, 300))
    (gap,) = wire.of(Gap)
    assert (gap.channel, gap.first, gap.last) == ("depth", 201, 250)
    wire.tick(2).answer(BODY % 260)
    assert [event.seq for event in wire.of(BookDelta)] == [200, 300]


def test_an_empty_change_keeps_the_chain():
    wire = Wire("depth").wrapped("btcusdt@depth@100ms", depth(100, 200)).answer(BODY % 150)
    wire.wrapped("btcusdt@depth@100ms", depth(200, 300, b=[], a=[]))
    assert [event.seq for event in wire.of(BookDelta)] == [200, 300]


@pytest.mark.parametrize(("limit", "weight"), [(5, 2), (50, 2), (100, 5), (500, 10), (1000, 20)])
def test_a_snapshot_costs_by_its_depth(limit, weight):
    wire = Wire("depth", depth_limit=limit).wrapped("btcusdt@depth@100ms", depth(100, 200))
    (fetch,) = wire.asked(Fetch)
    assert (fetch.url.rpartition("=")[2], fetch.weight) == (str(limit), weight)


def test_a_depth_that_the_venue_does_not_give_cannot_be_configured():
    with pytest.raises(msgspec.ValidationError, match="250"):
        msgspec.convert({"depth_limit": 250}, FuturesConfig)


# --- connections ---


def test_a_second_connection_repeats_forced_orders_and_adds_nothing():
    old = Wire("forceOrder").wrapped("btcusdt@forceOrder", force())
    new = Wire("forceOrder", streams=old.streams).wrapped("btcusdt@forceOrder", force())
    assert len(old.of(Liquidation)) == 1
    assert not new.of(Liquidation)


def test_forced_orders_may_be_missing_after_an_outage_and_that_is_said():
    wire = Wire("forceOrder").frame('{"result":null,"id":1}')
    wire.talk.lost("cut", wire.now, wire.out)
    (gap,) = wire.of(Gap)
    assert (gap.inst, gap.channel, gap.reason) == (BTC, "forceOrder", "cut")


def test_no_tick_overtakes_a_forced_order_that_comes_a_second_late():
    wire = Wire("forceOrder", "markPrice")
    wire.wrapped("btcusdt@markPrice@1s", mark()).tick(1.5)
    assert wire.of(Tick)
    assert all(tick.ts < (MS - 1_100) * 1000 for tick in wire.of(Tick))


def test_no_tick_overtakes_an_aggregate_that_is_being_made():
    wire = Wire("aggTrade", "markPrice")
    wire.wrapped("btcusdt@markPrice@1s", mark()).tick(1.5)
    assert [tick.ts for tick in wire.of(Tick)] == [(MS - 1_000) * 1000 - 1]


def test_each_stream_is_asked_for_by_its_name_and_speed():
    wire = Wire("aggTrade", "markPrice", "forceOrder", "kline_1m", inst=PEPE)
    (send,) = wire.asked(Send)
    assert msgspec.json.decode(send.frame) == {
        "method": "SUBSCRIBE",
        "params": [
            "1000pepeusdt@aggTrade", "1000pepeusdt@markPrice@1s", "1000pepeusdt@forceOrder",
            "1000pepeusdt@kline_1m",
        ],
        "id": 1,
    }  # fmt: skip


def test_a_stream_on_the_wrong_path_is_accepted_stays_silent_and_is_named():
    wire = Wire("depth", "aggTrade").frame('{"result":null,"id":1}')
    assert [ask.subscriptions for ask in wire.asked(Accepted)] == [subs("depth", "aggTrade")]
    wire.tick(59).wrapped("btcusdt@aggTrade", agg_trade(1)).tick(2)
    (silent,) = wire.asked(Stalled)
    assert silent.subscriptions == subs("depth")
    assert "nothing came" in silent.reason


def test_a_contract_that_does_not_trade_may_be_silent():
    wire = Wire("depth", inst=f"{VENUE}:OLD/USDT:USDT").frame('{"result":null,"id":1}').tick(61)
    assert not wire.asked(Stalled)


def test_a_refusal_names_the_venues_words():
    wire = Wire("depth").frame('{"error":{"code":2,"msg":"Invalid request: unknown"},"id":1}')
    (refused,) = wire.asked(Refused)
    assert refused == Refused(subs("depth"), "code 2: Invalid request: unknown")


def dialect(**config):
    return BinanceFutures(VENUE, FuturesConfig(**config))


def test_books_and_quotes_go_to_one_path_and_all_else_to_the_other():
    channels = (
        "trade", "bookTicker", "depth", "depth5", "aggTrade", "markPrice", "kline_1h", "ticker",
        "miniTicker", "forceOrder",
    )  # fmt: skip
    public, market = dialect(ws_url="wss://x/").routes(subs(*channels))
    assert (public.name, public.url) == (f"{VENUE}-public-0", "wss://x/public/stream")
    assert (market.name, market.url) == (f"{VENUE}-market-0", "wss://x/market/stream")
    assert set(public.subscriptions) == set(subs(*channels[:4]))
    assert set(market.subscriptions) == set(subs(*channels[4:]))


def test_a_path_without_streams_has_no_connection():
    (route,) = dialect().routes(subs("aggTrade"))
    assert route.url == "wss://fstream.binance.com/market/stream"


def test_the_limits_are_the_venues():
    assert (LIMITS.subscriptions, LIMITS.weight, LIMITS.weight_secs) == (1024, 2400, 60)
    assert LIMITS.frames_per_sec < 10
    assert LIMITS.idle_secs > 180  # its pings are three minutes apart
    assert LIMITS.max_age_secs < 24 * 3600


@pytest.mark.parametrize(
    ("text", "channel"),
    [
        ("trades", "aggTrade"), ("trade", "trade"), ("AGGTRADE", "aggTrade"), ("book", "depth"),
        ("depth@100ms", "depth"), ("quote", "bookTicker"), ("bbo", "bookTicker"),
        ("klines", "kline_1m"), ("candle_5m", "kline_5m"), ("mark_price", "markPrice"),
        ("funding", "markPrice"), ("markPrice@1s", "markPrice"), ("liquidations", "forceOrder"),
        ("forceorder", "forceOrder"), ("ticker", "ticker"),
    ],
)  # fmt: skip
def test_channels_are_known_by_the_venues_words_and_by_common_ones(text, channel):
    assert dialect().channel(text) == channel


def test_a_second_is_no_interval_here():
    with pytest.raises(NotFound) as caught:
        dialect().channel("kline_1s")
    assert "kline_1m" in str(caught.value)


# --- the listing ---


def symbol(name, base, contract, status="TRADING", quote="USDT", margin="USDT"):
    return {
        "symbol": name, "pair": name.partition("_")[0], "contractType": contract,
        "status": status, "baseAsset": base, "quoteAsset": quote, "marginAsset": margin,
        "filters": [
            {"filterType": "PRICE_FILTER", "tickSize": "0.10"},
            {"filterType": "LOT_SIZE", "stepSize": "0.001"},
            {"filterType": "MARKET_LOT_SIZE", "stepSize": "1"},
        ],
    }  # fmt: skip


def listed(*symbols):
    found = dialect().instruments(msgspec.json.encode({"symbols": symbols}))
    return {each.native: each for each in found}


def test_contracts_are_named_by_what_they_are():
    found = listed(
        symbol("BTCUSDT", "BTC", "PERPETUAL"),
        symbol("BTCUSDC", "BTC", "PERPETUAL", quote="USDC", margin="USDC"),
        symbol("BTCUSDT_261225", "BTC", "CURRENT_QUARTER"),
        symbol("1000PEPEUSDT", "1000PEPE", "PERPETUAL"),
        symbol("TSLAUSDT", "TSLA", "TRADIFI_PERPETUAL"),
        symbol("NEWUSDT", "NEW", "", status="PENDING_TRADING"),
        symbol("GONEUSDT", "GONE", "PERPETUAL_DELIVERING", status="SETTLING"),
    )
    assert {native: each.symbol for native, each in found.items()} == {
        "BTCUSDT": "BTC/USDT:USDT", "BTCUSDC": "BTC/USDC:USDC",
        "BTCUSDT_261225": "BTC/USDT:USDT-261225", "1000PEPEUSDT": "1000PEPE/USDT:USDT",
        "TSLAUSDT": "TSLA/USDT:USDT", "NEWUSDT": "NEW/USDT:USDT", "GONEUSDT": "GONE/USDT:USDT",
    }  # fmt: skip
    assert {native for native, each in found.items() if not each.active} == {"NEWUSDT", "GONEUSDT"}
    btc = found["BTCUSDT"]
    assert (btc.tick, btc.step, btc.contract_size, btc.status) == (0.1, 0.001, 1.0, "TRADING")


def test_contracts_of_the_other_universe_are_left_out():
    coin = symbol("BTCUSD_PERP", "BTC", "PERPETUAL", quote="USD", margin="BTC")
    assert set(listed(symbol("BTCUSDT", "BTC", "PERPETUAL"), coin)) == {"BTCUSDT"}


def test_the_listing_is_where_the_configuration_says():
    (fetch,) = dialect(rest_url="http://x/").catalogue()
    assert (fetch.url, fetch.weight) == ("http://x/fapi/v1/exchangeInfo", 1)


def test_a_frame_that_nobody_asked_for_is_refused():
    with pytest.raises(BadFrame, match="not asked for"):
        Wire("aggTrade").wrapped("btcusdt@trade", trade(1))
