import msgspec
import pytest

from tapewatch.model.errors import BadFrame, NotFound
from tapewatch.model.events import (
    BookDelta,
    BookSnapshot,
    Candle,
    Coverage,
    Gap,
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
    Accepted,
    Answer,
    Fetch,
    Paged,
    Refused,
    Route,
    Send,
    Streams,
    Subscription,
)
from tapewatch.venues.bybit import LIMITS, STREAMS_PER_LINK, Bybit, BybitConfig
from tapewatch.venues.bybit_linear import BybitLinear

SECOND = 1_000_000
MS = 1_789_299_670_000
NOW = MS * 1000
SPOT = "bybit:BTC/USDT"
LINEAR = "bybit_linear:BTC/USDT:USDT"
KINDS = {"bybit": Bybit, "bybit_linear": BybitLinear}


def catalogue():
    return Catalogue(
        [
            *(Instrument("bybit", base, "USDT", f"{base}USDT") for base in ("BTC", "ETH", "XRP")),
            Instrument("bybit_linear", "BTC", "USDT", "BTCUSDT", settle="USDT"),
            Instrument("bybit_linear", "BTC", "USDC", "BTCPERP", settle="USDC"),
        ]
    )


class Wire:
    """One connection, with its clock and its output."""

    def __init__(self, *channels, inst=SPOT, streams=None, lenient=False, wanted=None):
        self.streams = streams or Streams(catalogue(), lenient=lenient)
        venue = inst.partition(":")[0]
        wanted = wanted or tuple(Subscription(inst, channel) for channel in channels)
        dialect = KINDS[venue](venue, BybitConfig())
        self.talk = dialect.converse(Route("r", "", () if lenient else wanted), self.streams)
        self.now = NOW
        self.out = []
        self.asks = list(self.talk.open(self.now))

    def frame(self, message):
        raw = message if isinstance(message, bytes) else msgspec.json.encode(message)
        self.asks.extend(self.talk.decode(raw, self.now, self.out))
        return self

    def ack(self, number, **changes):
        message = {"success": True, "ret_msg": "subscribe", "conn_id": "d967", "op": "subscribe"}
        return self.frame(message | {"req_id": str(number)} | changes)

    def tick(self, secs=0.0):
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

    def said(self):
        return [msgspec.json.decode(ask.frame) for ask in self.asked(Send)]


def trade(number, **changes):
    row = {
        "i": f"21000000001886915{number:02}", "T": MS + number, "p": "77140.5", "v": "0.000078",
        "S": "Sell", "seq": 2189232212, "s": "BTCUSDT", "BT": False, "RPI": False,
    }  # fmt: skip
    return row | changes


def trades(*rows, symbol="BTCUSDT"):
    return {"topic": f"publicTrade.{symbol}", "ts": MS, "type": "snapshot", "data": list(rows)}


def book(update, kind="delta", depth=50, bids=(("10.0", "1.0"),), asks=(("11.0", "2.0"),), **more):
    data = {"s": "BTCUSDT", "b": list(bids), "a": list(asks), "u": update, "seq": 7_000 + update}
    topic = f"orderbook.{depth}.BTCUSDT"
    times = {"ts": MS + update, "cts": MS + update - 5}
    return {"topic": topic, "type": kind, "data": data, **times, **more}


def ticker(kind, ts=0, symbol="BTCUSDT", **data):
    return {
        "topic": f"tickers.{symbol}", "type": kind, "data": {"symbol": symbol, **data},
        "cs": 818232112541, "ts": MS + ts,
    }  # fmt: skip


WHOLE = {
    "tickDirection": "ZeroMinusTick", "price24hPcnt": "-0.01229", "lastPrice": "83024.60",
    "prevPrice24h": "84057.70", "highPrice24h": "84556.00", "lowPrice24h": "82813.80",
    "markPrice": "83024.70", "indexPrice": "83074.01", "turnover24h": "3734121786.2434",
    "volume24h": "44701.1000", "nextFundingTime": "1790784000000", "fundingRate": "-0.00007774",
    "bid1Price": "83024.60", "bid1Size": "3.871", "ask1Price": "83024.70", "ask1Size": "2.935",
    "preOpenPrice": "", "curPreListingPhase": "",
}  # fmt: skip
SPOT_TICKER = {
    "lastPrice": "21109.77", "highPrice24h": "21426.99", "lowPrice24h": "20575",
    "prevPrice24h": "20704.93", "volume24h": "6780.866843", "turnover24h": "141946527.22",
    "price24hPcnt": "0.0196", "usdIndexPrice": "21120.24",
}  # fmt: skip


# --- trades ---


def test_a_frame_of_trades_gives_each_row_with_the_takers_side():
    rows = (trade(33), trade(34, S="Buy", p="77140.1", v="0.003812"))
    wire = Wire("publicTrade").frame(trades(*rows))
    first, second = wire.of(Trade)
    assert first == Trade(
        (MS + 33) * 1000, NOW, SPOT, "2100000000188691533", Side.SELL, 77140.5, 0.000078,
        "publicTrade",
    )  # fmt: skip
    assert (second.side, second.price, second.size) == (Side.BUY, 77140.1, 0.003812)


def test_a_stream_of_trades_is_vouched_for_by_nobody():
    wire = Wire("publicTrade").frame(trades(trade(1))).tick(5)
    assert [gap.channel for gap in wire.of(Gap)] == ["publicTrade"]
    assert not wire.of(Coverage)


def test_trades_come_before_the_answer_to_the_request():
    wire = Wire("publicTrade").frame(trades(trade(1))).ack(1)
    assert len(wire.of(Trade)) == 1
    assert wire.asked(Accepted) == [Accepted((Subscription(SPOT, "publicTrade"),))]


RECENT = (
    b'{"retCode":0,"retMsg":"OK","result":{"category":"spot","list":['
    b'{"execId":"2100000000188691504","symbol":"BTCUSDT","price":"16.5","size":"0.2","side":"Buy",'
    b'"time":"1789299670004","isBlockTrade":false,"isRPITrade":false,"seq":"123"},'
    b'{"execId":"2100000000188691502","symbol":"BTCUSDT","price":"16.4","size":"0.1","side":"Sell",'
    b'"time":"1789299670002","isBlockTrade":false},'
    b'{"execId":"2100000000188691501","symbol":"BTCUSDT","price":"16.3","size":"0.1","side":"Sell",'
    b'"time":"1789299670001","isBlockTrade":false}]},"retExtInfo":{},"time":1672053054358}'
)


@pytest.mark.parametrize(
    ("inst", "query"),
    [
        (SPOT, "category=spot&symbol=BTCUSDT&limit=60"),
        (LINEAR, "category=linear&symbol=BTCUSDT&limit=1000"),
    ],
)
def test_after_a_loss_the_newest_trades_are_fetched_and_put_in_order(inst, query):
    old = Wire("publicTrade", inst=inst).frame(trades(trade(1)))
    old.talk.lost("reset", old.now, old.out)
    new = Wire("publicTrade", inst=inst, streams=old.streams).frame(trades(trade(4))).tick()
    assert [fetch.url for fetch in new.asked(Fetch)] == [
        f"https://api.bybit.com/v5/market/recent-trade?{query}"
    ]
    new.answer(RECENT)
    assert [(t.id[-2:], t.repaired) for t in new.of(Trade)] == [("02", True), ("04", False)]
    assert new.of(Trade)[0].side is Side.SELL
    assert not new.of(Gap)


def test_an_error_with_status_200_is_an_error():
    old = Wire("publicTrade").frame(trades(trade(1)))
    old.talk.lost("reset", old.now, old.out)
    new = Wire("publicTrade", streams=old.streams).frame(trades(trade(4))).tick()
    for secs in (0, 3, 5, 9, 17, 33):
        new.tick(secs).answer(b'{"retCode":10006,"retMsg":"Too many visits","result":{}}')
    assert "retCode 10006: Too many visits" in new.of(Gap)[-1].reason


# --- books ---


def test_a_book_is_a_snapshot_and_changes_that_count_by_one():
    wire = Wire("orderbook.50").frame(book(4, "snapshot")).frame(book(5)).frame(book(6))
    assert [type(e) for e in wire.out] == [BookSnapshot, BookDelta, BookDelta]
    assert [e.seq for e in wire.out] == [4, 5, 6]
    assert wire.out[0].ts == (MS - 1) * 1000  # the engine's time
    assert wire.out[2] == BookDelta(
        (MS + 1) * 1000, NOW, SPOT, 6, 6, ((10.0, 1.0),), ((11.0, 2.0),)
    )


def test_a_hole_voids_the_book_and_it_is_subscribed_anew():
    wire = Wire("orderbook.50").ack(1).frame(book(4, "snapshot")).frame(book(6))
    assert [gap.reason for gap in wire.of(Gap)] == ["book update 6 does not follow 4"]
    wire.tick(0.25)
    assert [(said["op"], said["args"]) for said in wire.said()[1:]] == [
        ("unsubscribe", ["orderbook.50.BTCUSDT"]),
        ("subscribe", ["orderbook.50.BTCUSDT"]),
    ]
    wire.frame(book(9)).frame(book(10, "snapshot")).frame(book(11))
    assert [event.seq for event in wire.of(BookSnapshot, BookDelta)] == [4, 10, 11]


@pytest.mark.parametrize("kind", ["snapshot", "delta"])
def test_a_restart_of_the_service_begins_the_book_anew(kind):
    wire = Wire("orderbook.50").frame(book(400, "snapshot")).frame(book(1, kind)).frame(book(2))
    assert [type(e) for e in wire.out] == [BookSnapshot, BookSnapshot, BookDelta]


def test_repeated_changes_are_dropped_and_a_counter_that_fell_is_a_hole():
    wire = Wire("orderbook.50").frame(book(50_000, "snapshot")).frame(book(50_000))
    assert not wire.of(Gap, BookDelta)
    assert len(wire.frame(book(2)).of(Gap)) == 1


def test_levels_that_are_gone_are_no_levels_of_a_snapshot():
    frame = book(4, "snapshot", bids=[["10.0", "0"], ["9.0", "1"]])
    assert Wire("orderbook.50").frame(frame).out[0].bids == ((9.0, 1.0),)


@pytest.mark.parametrize("level", [["0", "1"], ["-1", "1"], ["1", "-1"], ["NaN", "1"], ["x", "1"]])
def test_an_impossible_level_is_a_bad_frame_and_the_book_stands(level):
    wire = Wire("orderbook.50").frame(book(4, "snapshot"))
    with pytest.raises(msgspec.ValidationError):
        wire.frame(book(5, bids=[["10.0", "1"], level]))
    assert len(wire.out) == 1


def test_one_instrument_has_one_book():
    wire = Wire("orderbook.50", "orderbook.200", "publicTrade")
    (refused,) = wire.asked(Refused)
    assert refused.subscriptions == (Subscription(SPOT, "orderbook.50"),)
    assert refused.reason == "orderbook.200 is the book of bybit:BTC/USDT: one is enough"
    assert wire.said()[0]["args"] == ["orderbook.200.BTCUSDT", "publicTrade.BTCUSDT"]


def test_the_book_that_is_carried_stays_when_a_deeper_one_is_wanted():
    wire = Wire("orderbook.50")
    wanted = frozenset(Subscription(SPOT, c) for c in ("orderbook.50", "orderbook.1000"))
    (refused,) = wire.talk.want(wanted, wire.now, wire.out)
    assert refused.subscriptions == (Subscription(SPOT, "orderbook.1000"),)


# --- quotes ---


def test_the_book_of_depth_1_is_a_quote_and_repetitions_are_none():
    wire = Wire("orderbook.1")
    for update in (5, 5, 6):
        wire.frame(book(update, "snapshot", depth=1))
    assert wire.out == [
        Quote((MS + u - 5) * 1000, NOW, SPOT, 10.0, 1.0, 11.0, 2.0, 7_000 + u) for u in (5, 6)
    ]


def test_a_side_of_a_quote_may_be_empty():
    wire = Wire("orderbook.1").frame(book(5, "snapshot", depth=1, bids=[]))
    assert (wire.out[0].bid, wire.out[0].bid_size, wire.out[0].ask) == (0.0, 0.0, 11.0)


def test_of_two_connections_the_slower_one_gives_no_quotes_and_a_restart_gives_some():
    one = Wire("orderbook.1").frame(book(5, "snapshot", 1)).frame(book(6, "snapshot", 1))
    other = Wire("orderbook.1", streams=one.streams).frame(book(5, "snapshot", 1))
    assert not other.out
    restarted = book(1, "snapshot", 1, cts=MS + 90)
    assert len(other.frame(restarted).out) == 1


# --- tickers, bars, liquidations ---


def test_a_linear_ticker_is_merged_from_a_snapshot_and_its_changes():
    wire = Wire("tickers", inst=LINEAR).frame(ticker("snapshot", **WHOLE))
    assert wire.of(Ticker) == [
        Ticker(
            NOW, NOW, LINEAR, 83024.6, 84057.7, 84556.0, 82813.8, 44701.1, 3734121786.2434,
            83024.6 - 84057.7, -0.01229, 83024.6, 83024.7,
        )
    ]  # fmt: skip
    assert wire.of(MarkPrice) == [
        MarkPrice(NOW, NOW, LINEAR, 83024.7, 83074.01, -0.00007774, 1_790_784_000_000_000)
    ]
    wire.out.clear()
    wire.frame(ticker("delta", 100, lastPrice="83000.0"))
    (changed,) = wire.out
    assert (changed.last, changed.open, changed.bid) == (83000.0, 84057.7, 83024.6)
    wire.out.clear()
    wire.frame(ticker("delta", 200, indexPrice="83073.68", openInterest="5"))
    (mark,) = wire.out
    assert (mark.mark, mark.index) == (83024.7, 83073.68)
    assert not wire.frame(ticker("delta", 300, openInterest="6")).out[1:]


def test_changes_without_a_snapshot_give_only_what_is_known():
    wire = Wire("tickers", inst=LINEAR).frame(ticker("delta", lastPrice="1.0", markPrice="2.0"))
    assert [type(e) for e in wire.out] == [MarkPrice]
    assert wire.out[0].funding_rate is None


def test_empty_texts_in_a_ticker_mean_that_there_is_nothing():
    blank = WHOLE | {"bid1Price": "", "fundingRate": "", "nextFundingTime": ""}
    wire = Wire("tickers", inst=LINEAR).frame(ticker("snapshot", **blank))
    assert wire.of(Ticker)[0].bid is None
    assert wire.of(MarkPrice)[0].funding_rate is wire.of(MarkPrice)[0].next_funding is None


def test_a_spot_ticker_has_no_bid_and_no_mark_price():
    wire = Wire("tickers").frame(ticker("snapshot", **SPOT_TICKER))
    (event,) = wire.out
    assert (event.last, event.change_pct, event.bid) == (21109.77, 0.0196, None)


def test_of_two_connections_one_gives_the_tickers_and_both_know_all():
    one = Wire("tickers", inst=LINEAR).frame(ticker("snapshot", **WHOLE))
    other = Wire("tickers", inst=LINEAR, streams=one.streams).frame(ticker("snapshot", **WHOLE))
    assert not other.out
    assert other.frame(ticker("delta", 100, lastPrice="1.5")).of(Ticker)[0].high == 84556.0


KLINE = {
    "start": 1672324800000, "end": 1672325099999, "interval": "5", "open": "16649.5",
    "close": "16677", "high": "16677", "low": "16608", "volume": "2.081",
    "turnover": "34666.4005", "confirm": False, "timestamp": 1672324988882,
}  # fmt: skip


def test_a_bar_is_a_candle_of_the_venue():
    frames = [KLINE, KLINE | {"confirm": True}]
    wire = Wire("kline.5")
    for ts, row in enumerate(frames):
        wire.frame({"topic": "kline.5.BTCUSDT", "data": [row], "ts": MS + ts, "type": "snapshot"})
    growing, closed = wire.of(Candle)
    assert growing == Candle(
        1672324800000000, NOW, SPOT, "5m", 16649.5, 16677.0, 16608.0, 16677.0, 2.081, 0.0, 0,
        False, 34666.4005, origin=Origin.VENUE,
    )  # fmt: skip
    assert (closed.closed, closed.quality) == (True, Quality.COMPLETE)


def test_a_bar_of_another_interval_is_a_bad_frame():
    frame = {"topic": "kline.1.BTCUSDT", "data": [KLINE], "ts": MS, "type": "snapshot"}
    with pytest.raises(BadFrame, match="a bar of '5' in the stream of '1'"):
        Wire("kline.1").frame(frame)


def liquidated(*rows, ts=MS):
    return {"topic": "allLiquidation.BTCUSDT", "type": "snapshot", "ts": ts, "data": list(rows)}


LONG = {"T": MS - 400, "s": "BTCUSDT", "S": "Buy", "v": "0.006", "p": "82396.90"}


def test_a_liquidated_long_is_closed_by_a_sell():
    short = LONG | {"S": "Sell", "v": "1.5"}
    wire = Wire("allLiquidation", inst=LINEAR).frame(liquidated(LONG, short))
    first = Liquidation((MS - 400) * 1000, NOW, LINEAR, Side.SELL, 82396.9, 0.006, Quality.COMPLETE)
    assert wire.of(Liquidation)[0] == first
    assert wire.of(Liquidation)[1].side is Side.BUY


def test_a_batch_comes_once_however_many_connections_bring_it():
    one = Wire("allLiquidation", inst=LINEAR).frame(liquidated(LONG, LONG))
    other = Wire("allLiquidation", inst=LINEAR, streams=one.streams)
    other.frame(liquidated(LONG, LONG, ts=MS + 1))
    assert (len(one.out), len(other.out)) == (2, 0)


def test_liquidations_that_an_outage_took_are_said():
    wire = Wire("allLiquidation", inst=LINEAR).frame(liquidated(LONG))
    wire.talk.lost("reset", wire.now, wire.out)
    assert [(g.channel, g.reason, g.ts) for g in wire.of(Gap)] == [
        ("allLiquidation", "reset", (MS - 400) * 1000)
    ]


# --- requests ---


def test_spot_takes_ten_names_in_a_request_and_linear_more():
    wanted = tuple(
        Subscription(f"bybit:{base}/USDT", channel)
        for base in ("BTC", "ETH", "XRP")
        for channel in ("publicTrade", "orderbook.50", "orderbook.1", "tickers")
    )
    said = Wire(wanted=wanted).said()
    assert [len(each["args"]) for each in said] == [10, 2]
    assert [each["req_id"] for each in said] == ["1", "2"]
    channels = ("publicTrade", "orderbook.50", "tickers")
    assert len(Wire(*channels, inst=LINEAR).said()) == 1


def test_answers_without_a_number_are_taken_in_order():
    wanted = tuple(
        Subscription(f"bybit:{base}/USDT", f"kline.{code}")
        for base in ("BTC", "ETH")
        for code in ("1", "3", "5", "15", "30", "60")
    )
    wire = Wire(wanted=wanted)
    for _ in range(2):
        wire.ack("")
    assert [len(ask.subscriptions) for ask in wire.asked(Accepted)] == [10, 2]


def test_a_refusal_that_names_a_topic_costs_only_this_one():
    wire = Wire("publicTrade", "tickers", "orderbook.50")
    words = "Invalid symbol :[tickers.BTCUSDT]"
    wire.frame({"success": False, "ret_msg": words, "conn_id": "d", "op": "subscribe"})
    assert wire.asked(Refused) == [Refused((Subscription(SPOT, "tickers"),), words)]
    assert wire.said()[-1]["args"] == ["publicTrade.BTCUSDT", "orderbook.50.BTCUSDT"]
    assert len(wire.ack(2).asked(Accepted)[0].subscriptions) == 2


def test_a_refusal_that_names_nothing_is_halved_until_the_bad_one_is_alone():
    channels = ("publicTrade", "tickers", "orderbook.50", "orderbook.1")
    wire = Wire(*channels)
    requests = {1: 0}
    answered = 0
    while answered < len(wire.said()):
        request = wire.said()[answered]
        answered += 1
        is_bad = "tickers.BTCUSDT" in request["args"]
        wire.ack(request["req_id"], success=not is_bad, ret_msg="no" if is_bad else "")
    assert requests
    assert wire.asked(Refused) == [Refused((Subscription(SPOT, "tickers"),), "no")]
    accepted = [sub.channel for ask in wire.asked(Accepted) for sub in ask.subscriptions]
    assert sorted(accepted) == sorted(set(channels) - {"tickers"})


def test_what_is_subscribed_already_is_no_refusal():
    wire = Wire("tickers").ack(1, success=False, ret_msg="error:already subscribed,topic:tickers")
    assert wire.asked(Accepted)
    assert not wire.asked(Refused)


def test_no_answer_is_a_refusal_after_ten_seconds():
    wire = Wire("publicTrade").ack(1)
    wire.talk.want(frozenset(wire.talk.wanted | {Subscription(SPOT, "tickers")}), wire.now, [])
    assert not wire.tick(9).asked(Refused)
    assert "no answer" in wire.tick(2).asked(Refused)[0].reason


def test_we_ping_every_twenty_seconds():
    wire = Wire("publicTrade").ack(1)
    for _ in range(50):
        wire.tick(1)
    assert [each["op"] for each in wire.said()].count("ping") == 2


@pytest.mark.parametrize(
    "frame",
    [
        b'{"success":true,"ret_msg":"pong","conn_id":"d","req_id":"p1","op":"ping"}',
        b'{"success":true,"ret_msg":"pong","conn_id":"x","req_id":"","op":"ping"}',
        b'{"args":["1672916271846"],"op":"pong"}',
        b'{"success":true,"ret_msg":"","conn_id":"d","req_id":"","op":"unsubscribe"}',
        b'{"topic":"orderbook.rpi.BTCUSDT","ts":1,"type":"delta","data":{}}',
        b'{"topic":"insurance.USDT","type":"delta","data":[],"ts":1}',
        b'{"topic":"kline.M.BTCUSDT","data":[],"ts":1}',
    ],
)
def test_known_frames_that_say_nothing_give_nothing(frame):
    wire = Wire("publicTrade")
    asks = len(wire.asks)
    assert wire.frame(frame).out == []
    assert len(wire.asks) == asks


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (b'{"topic":"trade.BTCUSDT","data":[]}', "unknown topic"),
        (b'{"topic":"tickers.BTCUSDT","type":"snapshot","ts":1,"data":{}}', "not asked for"),
        (b'{"conn_id":"x"}', "neither a topic nor an answer"),
        (b'{"success":false,"ret_msg":"go away","op":"auth","req_id":"77"}', "go away"),
        (b'{"topic":"publicTrade.BTC-26DEC25","data":[]}', "no known quote"),
        (b'{"topic":"publicTrade.BTCUSD","data":[]}', "inverse"),
    ],
)
def test_frames_that_nobody_asked_for_are_bad(frame, words):
    with pytest.raises(BadFrame, match=words):
        Wire("publicTrade").frame(frame)


@pytest.mark.parametrize("raw", [b"", b"[]", b"[1]", b"null", b"{", b"\xff", b'{"topic":"'])
def test_garbage_raises(raw):
    with pytest.raises((BadFrame, ValueError)):
        Wire("publicTrade").frame(raw)


def test_key_order_does_not_matter():
    frame = {"data": [trade(1)], "ts": MS, "type": "snapshot", "topic": "publicTrade.BTCUSDT"}
    assert len(Wire("publicTrade").frame(frame).of(Trade)) == 1


def test_time_goes_on_with_the_trades():
    wire = Wire("publicTrade").frame(trades(trade(1))).tick(1)
    assert [tick.ts for tick in wire.of(Tick)] == [(MS + 1) * 1000 - 1]


# --- recordings ---


@pytest.mark.parametrize(
    ("venue", "symbol", "inst"),
    [
        ("bybit", "BTCUSDC", "bybit:BTC/USDC"),
        ("bybit_linear", "1000PEPEUSDT", "bybit_linear:1000PEPE/USDT:USDT"),
        ("bybit_linear", "ETHPERP", "bybit_linear:ETH/USDC:USDC"),
    ],
)
def test_a_recording_needs_no_listing(venue, symbol, inst):
    wire = Wire(inst=f"{venue}:x", lenient=True).frame(trades(trade(1), symbol=symbol))
    assert wire.of(Trade)[0].inst == inst
    assert not wire.of(Gap)


def test_a_recording_has_depths_that_the_venue_gave_up():
    wire = Wire(inst=LINEAR, lenient=True).frame(book(1, "snapshot", depth=500))
    assert wire.of(BookSnapshot)[0].inst == LINEAR


def test_answers_in_a_recording_are_for_somebody_else():
    wire = Wire(lenient=True).ack(1).ack(2, success=False, ret_msg="Invalid symbol")
    assert (wire.out, wire.asks) == ([], [])


# --- the dialect ---

DIALECT = Bybit("bybit", BybitConfig())
FUTURES = BybitLinear("bybit_linear", BybitConfig(depth=200))


@pytest.mark.parametrize(
    ("text", "spot", "linear"),
    [
        ("trades", "publicTrade", "publicTrade"),
        ("PUBLICTRADE", "publicTrade", "publicTrade"),
        ("book", "orderbook.50", "orderbook.200"),
        ("Depth", "orderbook.50", "orderbook.200"),
        ("orderbook.1000", "orderbook.1000", "orderbook.1000"),
        ("bbo", "orderbook.1", "orderbook.1"),
        ("quote", "orderbook.1", "orderbook.1"),
        ("ticker", "tickers", "tickers"),
        ("klines", "kline.1", "kline.1"),
        ("kline_1h", "kline.60", "kline.60"),
        ("candle_1d", "kline.D", "kline.D"),
        ("kline.d", "kline.D", "kline.D"),
        ("liquidations", None, "allLiquidation"),
        ("mark_price", None, "tickers"),
        ("funding", None, "tickers"),
        ("orderbook.500", None, None),
        ("kline.M", None, None),
    ],
)
def test_channels_have_the_venues_names_and_the_common_ones(text, spot, linear):
    for dialect, expected in ((DIALECT, spot), (FUTURES, linear)):
        if expected is None:
            with pytest.raises(NotFound):
                dialect.channel(text)
        else:
            assert dialect.channel(text) == expected


def test_an_unknown_channel_is_told_the_nearest():
    with pytest.raises(NotFound) as caught:
        DIALECT.channel("publicTrad")
    assert caught.value.suggestions[0] == "publicTrade"


@pytest.mark.parametrize(("dialect", "category"), [(DIALECT, "spot"), (FUTURES, "linear")])
def test_each_category_has_its_own_address(dialect, category):
    wanted = [Subscription(f"x:{n}/USDT", "publicTrade") for n in range(STREAMS_PER_LINK + 1)]
    routes = dialect.routes(wanted)
    assert {route.url for route in routes} == {f"wss://stream.bybit.com/v5/public/{category}"}
    assert len(routes) == 2
    assert sorted(sub for route in routes for sub in route.subscriptions) == sorted(wanted)


def test_the_longest_names_of_one_connection_fit():
    longest = len("allLiquidation.10000000LONGESTNAMEUSDT") + 4
    assert LIMITS.subscriptions * longest <= 21_000


LISTING = (
    b'{"retCode":0,"retMsg":"OK","result":{"category":"linear","list":['
    b'{"symbol":"1000PEPEUSDT","contractType":"LinearPerpetual","status":"Trading",'
    b'"baseCoin":"1000PEPE","quoteCoin":"USDT","settleCoin":"USDT","deliveryTime":"0",'
    b'"priceFilter":{"tickSize":"0.0000001"},"lotSizeFilter":{"qtyStep":"100"}},'
    b'{"symbol":"BTCPERP","contractType":"LinearPerpetual","status":"PreLaunch",'
    b'"baseCoin":"BTC","quoteCoin":"USDC","settleCoin":"USDC","priceFilter":{"tickSize":"0.1"},'
    b'"lotSizeFilter":{"qtyStep":"0.001"}},'
    b'{"symbol":"BTC-26DEC25","contractType":"LinearFutures","status":"Trading",'
    b'"baseCoin":"BTC","quoteCoin":"USDC","settleCoin":"USDC"}],'
    b'"nextPageCursor":"first%3DBTC"},"retExtInfo":{},"time":1}'
)
SPOT_LISTING = (
    b'{"retCode":0,"result":{"category":"spot","list":[{"symbol":"BTCUSDT","baseCoin":"BTC",'
    b'"quoteCoin":"USDT","innovation":"0","status":"Trading","lotSizeFilter":'
    b'{"basePrecision":"0.000001","quotePrecision":"0.00000001"},'
    b'"priceFilter":{"tickSize":"0.01"}}]}}'
)


def test_the_listing_names_perpetuals_and_leaves_dated_futures_out():
    pepe, btc = FUTURES.instruments(LISTING)
    assert (pepe.id, pepe.tick, pepe.step) == (
        "bybit_linear:1000PEPE/USDT:USDT", 0.0000001, 100.0,
    )  # fmt: skip
    assert (btc.id, btc.native, btc.active, btc.status) == (
        "bybit_linear:BTC/USDC:USDC", "BTCPERP", False, "PreLaunch",
    )  # fmt: skip


def test_the_listing_of_spot():
    (btc,) = DIALECT.instruments(SPOT_LISTING)
    assert (btc.id, btc.tick, btc.step, btc.settle) == (SPOT, 0.01, 0.000001, "")


def test_the_listing_comes_in_pages():
    assert isinstance(FUTURES, Paged)
    (first,) = FUTURES.catalogue()
    url = "https://api.bybit.com/v5/market/instruments-info?category=linear&limit=1000"
    assert first.url == url
    following = FUTURES.next_page(LISTING)
    assert following is not None
    assert following.url == f"{url}&cursor=first%253DBTC"
    assert DIALECT.next_page(SPOT_LISTING) is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"retCode":10009,"retMsg":"restricted region","result":{}}', "restricted region"),
        (b"<html>", "malformed"),
        (LISTING, "a listing of linear, not of spot"),
    ],
)
def test_what_is_no_listing_says_so(body, words):
    with pytest.raises(ValueError, match=words):
        DIALECT.instruments(body)


def test_a_listing_among_recorded_frames_is_recognised():
    pending = FUTURES.catalogue()
    streams = Streams(Catalogue())
    assert FUTURES.recognise(LISTING, pending, streams) == pending[0]
    assert FUTURES.recognise(b'{"topic":"tickers.BTCUSDT"}', pending, streams) is None
