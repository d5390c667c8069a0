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
    Origin,
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
    Refused,
    Renew,
    Route,
    Send,
    Stalled,
    Streams,
    Subscription,
)
from tapewatch.venues.binance import LIMITS, STREAMS_PER_LINK, Binance, BinanceConfig

SECOND = 1_000_000
NOW = 1_723_161_255 * SECOND
MS = 1_723_161_255_000
BTC = "binance:BTC/USDT"
COIN = "binance:币安人生/USDT"


def catalogue():
    return Catalogue(
        [
            Instrument("binance", "BTC", "USDT", "BTCUSDT"),
            Instrument("binance", "ETH", "USDT", "ETHUSDT"),
            Instrument("binance", "币安人生", "USDT", "币安人生USDT"),
            Instrument("binance", "OLD", "USDT", "OLDUSDT", active=False, status="BREAK"),
        ]
    )


def subs(*channels, inst=BTC):
    return tuple(Subscription(inst, channel) for channel in channels)


class Wire:
    """One connection, with its clock and its output."""

    def __init__(self, *channels, streams=None, lenient=False, inst=BTC, resume=None):
        self.streams = streams or Streams(catalogue(), resume=resume or {}, lenient=lenient)
        route = Route("binance-0", "wss://x/stream", subs(*channels, inst=inst))
        self.talk = Binance("binance", BinanceConfig()).converse(route, self.streams)
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
        fetch = [ask for ask in self.asks if isinstance(ask, Fetch)][-1]
        self.asks.extend(self.talk.answer(fetch, Answer(status, body), self.now, self.out))
        return self

    def of(self, *kinds):
        return [event for event in self.out if isinstance(event, kinds)]

    def asked(self, *kinds):
        return [ask for ask in self.asks if isinstance(ask, kinds)]


def trade(number, **changes):
    message = {
        "e": "trade", "E": MS + number, "s": "BTCUSDT", "t": number, "p": "61837.63000000",
        "q": "0.02000000", "T": MS + number, "m": True, "M": True,
    }  # fmt: skip
    return message | changes


def agg_trade(number, **changes):
    message = {
        "e": "aggTrade", "E": MS + number, "s": "BTCUSDT", "a": number, "p": "0.3528",
        "q": "58.00000000", "f": 10, "l": 12, "T": MS + number, "m": False, "M": True,
    }  # fmt: skip
    return message | changes


def depth(first, last, **changes):
    message = {
        "e": "depthUpdate", "E": MS + last, "s": "BTCUSDT", "U": first, "u": last,
        "b": [["10.0", "1.0"]], "a": [["11.0", "0.00000000"]],
    }  # fmt: skip
    return message | changes


def quote(number):
    return {"u": number, "s": "BTCUSDT", "b": "10.0", "B": "1.0", "a": "11.0", "A": "2.0"}


KLINE = (
    '{"e":"kline","E":1723161255963,"s":"BTCUSDT","k":{"t":1723161240000,"T":1723161299999,'
    '"s":"BTCUSDT","i":"1m","f":19862761,"L":19862790,"o":"0.3527","c":"0.3528","h":"0.3529",'
    '"l":"0.3522","v":"25877.0","n":30,"x":true,"q":"9116.046","V":"58.0","Q":"20.46","B":"0"}}'
)
TICKER = (
    '{"e":"24hrTicker","E":1723161255349,"s":"BTCUSDT","p":"-28.2","P":"1.600","w":"1781.1",'
    '"x":"1764.6","c":"1792.84","Q":"0.5","b":"1792.83","B":"1.6","a":"1792.85","A":"20.2",'
    '"o":"1764.61","h":"1808.98","l":"1748.94","v":"471703.5","q":"840180761.5",'
    '"O":1653726250344,"C":1653812650344,"F":841094172,"L":841646650,"n":552479}'
)
MINI = (
    '{"e":"24hrMiniTicker","E":1723161255349,"s":"BTCUSDT","c":"110","o":"100","h":"120",'
    '"l":"90","v":"5","q":"500"}'
)
BODY = b'{"lastUpdateId":12,"bids":[["10.0","2.0"]],"asks":[["11.0","3.0"]]}'


# --- each message ---


def test_a_trade_is_the_takers():
    wire = Wire("trade").wrapped("btcusdt@trade", trade(7))
    wire.wrapped("btcusdt@trade", trade(8, m=False))
    first, second = wire.of(Trade)
    assert (first.id, first.side, first.price, first.size) == ("7", Side.SELL, 61837.63, 0.02)
    assert (first.ts, first.recv, first.inst) == ((MS + 7) * 1000, NOW, BTC)
    assert (first.channel, second.side) == ("trade", Side.BUY)


def test_an_aggregate_counts_its_fills():
    (event,) = Wire("aggTrade").wrapped("btcusdt@aggTrade", agg_trade(5)).of(Trade)
    assert (event.id, event.channel, event.count, event.echo) == ("5", "aggTrade", 3, False)


def test_aggregates_are_echoes_where_single_fills_are_carried_too():
    wire = Wire("aggTrade", "trade").wrapped("btcusdt@aggTrade", agg_trade(5))
    wire.talk.want(frozenset(subs("aggTrade")), wire.now, wire.out)
    wire.wrapped("btcusdt@aggTrade", agg_trade(6))
    assert [event.echo for event in wire.of(Trade)] == [True, False]


def test_a_quote_has_the_time_of_its_reading():
    (event,) = Wire("bookTicker").wrapped("btcusdt@bookTicker", quote(9)).of(Quote)
    assert event == Quote(NOW, NOW, BTC, 10.0, 1.0, 11.0, 2.0, 9)


def test_a_candle_is_the_venues():
    (event,) = Wire("kline_1m").wrapped("btcusdt@kline_1m", KLINE).of(Candle)
    assert (event.ts, event.interval, event.closed) == (1723161240 * SECOND, "1m", True)
    assert (event.open, event.high, event.low, event.close) == (0.3527, 0.3529, 0.3522, 0.3528)
    assert (event.volume, event.buy_volume, event.trades) == (25877.0, 58.0, 30)
    assert (event.quote_volume, event.origin) == (9116.046, Origin.VENUE)


def test_a_tickers_change_is_a_fraction():
    (event,) = Wire("ticker").wrapped("btcusdt@ticker", TICKER).of(Ticker)
    assert (event.last, event.change, event.change_pct) == (1792.84, -28.2, 0.016)
    assert (event.bid, event.ask, event.trades) == (1792.83, 1792.85, 552479)


def test_a_mini_ticker_is_a_ticker_without_quotes():
    (event,) = Wire("miniTicker").wrapped("btcusdt@miniTicker", MINI).of(Ticker)
    assert (event.last, event.change, event.change_pct, event.bid) == (110.0, 10.0, 0.1, None)


def test_a_partial_book_is_a_snapshot_each_time():
    top = '{"lastUpdateId":%d,"bids":[["10.0","1.0"]],"asks":[["11.0","2.0"]]}'
    wire = Wire("depth5")
    for seq in (5, 9, 9):
        wire.wrapped("btcusdt@depth5@100ms", top % seq)
    assert [event.seq for event in wire.of(BookSnapshot)] == [5, 9]


def test_a_partial_book_does_not_replace_the_whole_one():
    wire = Wire("depth", "depth5").wrapped("btcusdt@depth@100ms", depth(10, 12)).answer(BODY)
    wire.wrapped("btcusdt@depth5@100ms", BODY.decode())
    assert len(wire.of(BookSnapshot)) == 1


def test_microseconds_are_told_by_their_magnitude():
    micros = MS * 1000 + 123
    wire = Wire("trade").wrapped("btcusdt@trade", trade(1, T=micros, E=micros))
    assert wire.of(Trade)[0].ts == micros


def test_levels_of_three_elements_are_read():
    old = depth(10, 12, b=[["10.0", "1.0", []]], a=[])
    wire = Wire("depth").wrapped("btcusdt@depth@100ms", old)
    wire.answer(b'{"lastUpdateId":9,"bids":[],"asks":[]}')
    assert wire.of(BookDelta)[0].bids == ((10.0, 1.0),)


def test_old_keys_and_new_keys_do_not_matter():
    wire = Wire("trade").wrapped("btcusdt@trade", trade(1, b=88, a=50, st=0, zz={"x": [1]}))
    assert len(wire.of(Trade)) == 1


def test_symbols_are_not_only_ascii():
    wire = Wire("trade", "aggTrade", inst=COIN)
    assert "币安人生usdt@trade".encode() in wire.asked(Send)[0].frame
    wire.wrapped("币安人生usdt@trade", trade(1, s="币安人生USDT"))
    escaped = "币安人生".encode("unicode_escape").decode()
    wire.wrapped(f"{escaped}usdt@trade", trade(2, s="币安人生USDT"))
    assert [event.inst for event in wire.of(Trade)] == [COIN, COIN]
    wire.wrapped("币安人生usdt@trade", trade(5))
    assert "symbol=%E5%B8%81%E5%AE%89" in wire.asked(Fetch)[0].url


# --- shapes of frames ---


@pytest.mark.parametrize(
    ("channel", "data"),
    [
        ("trade", trade(7)),
        ("aggTrade", agg_trade(7)),
        ("bookTicker", quote(7)),
        ("kline_1m", msgspec.json.decode(KLINE)),
        ("ticker", msgspec.json.decode(TICKER)),
        ("miniTicker", msgspec.json.decode(MINI)),
    ],
)
@pytest.mark.parametrize("lenient", [False, True])
def test_raw_frames_and_odd_wrappers_mean_the_same(channel, data, lenient):
    def events(form):
        wire = Wire(*(() if lenient else (channel,)), lenient=lenient)
        return wire.frame(msgspec.json.encode(form)).out

    stream = f"btcusdt@{channel}"
    usual = events({"stream": stream, "data": data})
    assert len(usual) == 1
    assert events(data) == usual
    assert events({"data": data, "stream": stream}) == usual
    assert events({"stream": stream.replace("btc", "BTC"), "data": data}) == usual
    assert events([data]) == usual


def test_all_symbols_in_one_array():
    rows = f"[{MINI},{MINI.replace('BTC', 'ETH')}]"
    wire = Wire(lenient=True).wrapped("!miniTicker@arr", rows)
    assert [event.inst for event in wire.of(Ticker)] == [BTC, "binance:ETH/USDT"]


def test_a_bad_row_costs_none_of_the_others():
    wire = Wire(lenient=True)
    with pytest.raises(msgspec.ValidationError):
        wire.frame(f"[{MINI.replace('110', 'NaN')},{MINI.replace('BTC', 'ETH')}]")
    assert [event.inst for event in wire.of(Ticker)] == ["binance:ETH/USDT"]


def test_both_speeds_of_the_book_are_one_book():
    wire = Wire("depth").wrapped("btcusdt@depth", depth(10, 12)).answer(BODY)
    wire.wrapped("btcusdt@depth@100ms", depth(13, 14))
    assert [event.seq for event in wire.out] == [12, 14]


@pytest.mark.parametrize("stream", ["blockTrade", "avgPrice", "ticker_1h", "kline_1d@+08:00"])
def test_kinds_that_no_event_of_ours_tells_are_left_out_quietly(stream):
    for wire in (Wire(), Wire(lenient=True)):
        assert not wire.wrapped(f"btcusdt@{stream}", {"e": "x", "s": "BTCUSDT"}).out


@pytest.mark.parametrize(
    "frame",
    [
        b"", b"{", b"null", b"[]x", b"\xff\xfe", b'{"stream":"btcusdt@trade"}',
        b'{"stream":"btcusdt@nonsense","data":{}}',
        b'{"stream":"ethusdt@trade","data":{"e":"trade","s":"ETHUSDT"}}',
        b'{"e":"listenKeyExpired","E":1}', b'{"lastUpdateId":1,"bids":[],"asks":[]}',
        b'{"code":2,"msg":"Invalid request","id":77}', b'{"x":1}',
    ],
)  # fmt: skip
def test_what_nobody_asked_for_is_a_bad_frame(frame):
    wire = Wire("trade")
    with pytest.raises((BadFrame, ValueError)):
        wire.frame(frame)
    assert not wire.out


@pytest.mark.parametrize("price", ['"NaN"', '"Infinity"', '"-1"', '"0"', '"1e400"', "null", "true"])
def test_impossible_prices_are_bad_frames(price):
    text = msgspec.json.encode(trade(1)).decode().replace('"61837.63000000"', price)
    wire = Wire("trade")
    with pytest.raises(ValueError):
        wire.wrapped("btcusdt@trade", text)
    assert not wire.out


def test_a_bad_frame_leaves_the_stream_as_it_was():
    wire = Wire("trade").wrapped("btcusdt@trade", trade(1))
    with pytest.raises(ValueError):
        wire.wrapped("btcusdt@trade", trade(2, q="x"))
    assert len(wire.wrapped("btcusdt@trade", trade(2)).of(Trade)) == 2


def test_a_frame_whose_last_byte_is_wrong_is_bad():
    raw = msgspec.json.encode({"stream": "btcusdt@trade", "data": trade(1)})
    with pytest.raises(ValueError):
        Wire("trade").frame(raw[:-1] + b"x")


# --- subscribing ---


def test_subscriptions_are_asked_for_and_acknowledged():
    wire = Wire("trade", "depth")
    (send,) = wire.asked(Send)
    assert msgspec.json.decode(send.frame) == {
        "method": "SUBSCRIBE",
        "params": ["btcusdt@trade", "btcusdt@depth@100ms"],
        "id": 1,
    }
    wire.frame(b'{"result":null,"id":1}').frame(b'{"result":null,"id":1}')
    assert wire.asked(Accepted) == [Accepted(subs("trade", "depth"))]


def test_many_names_go_in_batches():
    insts = [Instrument("binance", f"C{n}", "USDT", f"C{n}USDT") for n in range(450)]
    wanted = tuple(Subscription(i.id, "trade") for i in insts)
    talk = Binance("binance", BinanceConfig()).converse(
        Route("r", "", wanted), Streams(Catalogue(insts))
    )
    frames = [msgspec.json.decode(ask.frame) for ask in talk.open(NOW)]
    assert [(len(f["params"]), f["id"]) for f in frames] == [(200, 1), (200, 2), (50, 3)]


@pytest.mark.parametrize(
    "frame",
    [
        b'{"code":2,"msg":"Invalid request: x","id":1}',
        b'{"error":{"code":2,"msg":"Invalid request: x"},"id":1}',
        b'{"code":2,"msg":"Invalid request: x"}',
    ],
)
def test_errors_of_both_forms_refuse_in_the_venues_words(frame):
    wire = Wire("trade").frame(frame).tick(60)
    assert wire.asked(Refused) == [Refused(subs("trade"), "code 2: Invalid request: x")]


def test_a_missing_answer_is_said_once():
    wire = Wire("ticker").frame(b'{"result":null,"id":1}')
    wire.talk.want(frozenset(subs("ticker", "trade")), wire.now, wire.out)
    wire.wrapped("btcusdt@ticker", TICKER).tick(9.9)
    assert not wire.asked(Refused)
    wire.tick(0.2).tick(100)
    assert [refused.reason for refused in wire.asked(Refused)] == [
        "no answer to the subscription within 10 s"
    ]


def test_silence_where_a_stream_always_speaks_is_said_once():
    wire = Wire("trade", "kline_1m", "ticker").frame(b'{"result":null,"id":1}')
    wire.wrapped("btcusdt@ticker", TICKER).tick(59)
    assert not wire.asked(Stalled)
    wire.tick(2).tick(100)
    assert [silent.subscriptions for silent in wire.asked(Stalled)] == [subs("kline_1m")]


def test_silence_of_a_halted_symbol_is_no_surprise():
    wire = Wire("kline_1m", inst="binance:OLD/USDT").frame(b'{"result":null,"id":1}').tick(100)
    assert not wire.asked(Refused)


def test_what_the_venue_does_not_list_is_refused_at_once():
    wire = Wire("trade", inst="binance:XXX/USDT")
    assert wire.asks == [
        Refused(subs("trade", inst="binance:XXX/USDT"), "binance does not list XXX/USDT")
    ]


def test_wanting_less_unsubscribes_and_what_still_comes_is_dropped():
    wire = Wire("trade", "ticker")
    asks = wire.talk.want(frozenset(subs("ticker", "depth")), wire.now, wire.out)
    frames = [msgspec.json.decode(ask.frame) for ask in asks]
    assert [(f["method"], f["params"]) for f in frames] == [
        ("UNSUBSCRIBE", ["btcusdt@trade"]),
        ("SUBSCRIBE", ["btcusdt@depth@100ms"]),
    ]
    assert not wire.wrapped("btcusdt@trade", trade(1)).out
    assert not wire.frame(b'{"result":null,"id":2}').asked(Accepted)


@pytest.mark.parametrize(
    "frame",
    [
        b'{"e":"serverShutdown","E":1770123456789}',
        b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}',
    ],
)
def test_an_announced_shutdown_asks_for_a_successor_once(frame):
    assert len(Wire("trade").frame(frame).frame(frame).asked(Renew)) == 1


# --- books and trades through the conversation ---


def test_a_book_is_built_and_lost():
    wire = Wire("depth").wrapped("btcusdt@depth@100ms", depth(10, 12))
    (fetch,) = wire.asked(Fetch)
    assert fetch.url == "https://data-api.binance.vision/api/v3/depth?symbol=BTCUSDT&limit=1000"
    assert fetch.weight == 50
    wire.answer(BODY).wrapped("btcusdt@depth@100ms", depth(13, 14))
    assert [type(event) for event in wire.out] == [BookSnapshot, BookDelta]
    wire.talk.lost("cut", wire.now, wire.out)
    assert [gap.reason for gap in wire.of(Gap)] == ["cut"]


def test_a_failed_snapshot_is_said_in_words():
    wire = Wire("depth").wrapped("btcusdt@depth@100ms", depth(10, 12)).answer(b"no", 451)
    assert [gap.reason for gap in wire.of(Gap)] == ["no snapshot: HTTP 451 no"]
    assert len(wire.tick(1.1).asked(Fetch)) == 2
    wire.answer(b"<html>")
    assert "cannot be read" in wire.of(Gap)[-1].reason


def test_resync_builds_one_book_anew():
    wire = Wire("depth").wrapped("btcusdt@depth@100ms", depth(10, 12)).answer(BODY).tick(5)
    (sub,) = subs("depth")
    asks = wire.talk.resync(sub, "crossed", wire.now, wire.out)
    assert [type(ask) for ask in asks] == [Fetch]
    assert not wire.talk.resync(subs("trade")[0], "x", wire.now, wire.out)


def test_a_renewal_loses_nothing_and_doubles_nothing():
    old = Wire("trade", "depth", "bookTicker")
    old.wrapped("btcusdt@depth@100ms", depth(10, 12)).answer(BODY)
    new = Wire("trade", "depth", "bookTicker", streams=old.streams)
    out = old.out = new.out = []
    for number in range(20, 30):
        for wire in (old, new):
            wire.wrapped("btcusdt@trade", trade(number))
            wire.wrapped("btcusdt@depth@100ms", depth(number - 7, number - 7))
            wire.wrapped("btcusdt@bookTicker", quote(number))
    old.talk.lost("renewed", old.now, out)
    new.wrapped("btcusdt@trade", trade(30))
    new.wrapped("btcusdt@depth@100ms", depth(23, 23))
    assert [event.id for event in new.of(Trade)] == [str(n) for n in range(20, 31)]
    assert [event.seq for event in new.of(BookDelta)] == list(range(13, 24))
    assert [event.seq for event in new.of(Quote)] == list(range(20, 30))
    assert not new.of(Gap)


def test_a_successor_that_was_accepted_carries_quiet_books():
    old = Wire("depth").wrapped("btcusdt@depth@100ms", depth(10, 12)).answer(BODY)
    new = Wire("depth", streams=old.streams).frame(b'{"result":null,"id":1}')
    old.talk.lost("renewed", old.now, old.out)
    assert not old.of(Gap)
    assert [event.seq for event in new.wrapped("btcusdt@depth@100ms", depth(13, 13)).out] == [13]


def test_what_a_lost_connection_asked_its_successor_asks_again():
    old = Wire("depth", "aggTrade").wrapped("btcusdt@depth@100ms", depth(10, 12))
    old.wrapped("btcusdt@aggTrade", agg_trade(1)).wrapped("btcusdt@aggTrade", agg_trade(4))
    assert len(old.asked(Fetch)) == 2
    old.talk.lost("cut", old.now, old.out)
    new = Wire("depth", "aggTrade", streams=old.streams)
    new.now += 2 * SECOND
    new.wrapped("btcusdt@depth@100ms", depth(13, 14)).tick(0)
    urls = [fetch.url for fetch in new.asked(Fetch)]
    assert any("/depth?" in url for url in urls)
    assert any("/aggTrades?symbol=BTCUSDT&fromId=2&limit=2" in url for url in urls)
    assert not {f.key for f in new.asked(Fetch)} & {f.key for f in old.asked(Fetch)}


def test_an_outage_is_repaired_from_history():
    wire = Wire("aggTrade", resume={subs("aggTrade")[0]: 3})
    wire.wrapped("btcusdt@aggTrade", agg_trade(6))
    (fetch,) = wire.asked(Fetch)
    assert (fetch.url.partition("?")[2], fetch.weight) == ("symbol=BTCUSDT&fromId=4&limit=2", 4)
    wire.answer(msgspec.json.encode([agg_trade(4), agg_trade(5, p="0", q="0", f=-1, l=-1)]))
    wire.tick(1)
    assert [(event.id, event.repaired) for event in wire.of(Trade)] == [("4", True), ("6", False)]
    assert [(c.first, c.last) for c in wire.of(Coverage) if c.holding is Holding.REPAIRED] == [
        (4, 4)
    ]


def test_single_fills_are_repaired_from_history_too():
    wire = Wire("trade").wrapped("btcusdt@trade", trade(1)).wrapped("btcusdt@trade", trade(3))
    (fetch,) = wire.asked(Fetch)
    assert ("/historicalTrades?" in fetch.url, fetch.weight) == (True, 25)
    row = {"id": 2, "price": "4.0", "qty": "12.0", "time": MS, "isBuyerMaker": True}
    wire.answer(msgspec.json.encode([row]))
    assert [event.id for event in wire.of(Trade)] == ["1", "2", "3"]
    assert wire.of(Trade)[1].side is Side.SELL


# --- ticks ---


def test_ticks_follow_the_events_and_then_the_clock():
    wire = Wire("trade").wrapped("btcusdt@trade", trade(0)).tick(0.1)
    wire.tick(0.5).tick(0.5)  # not again: nothing new
    wire.tick(4)
    assert [event.ts - MS * 1000 for event in wire.of(Tick)] == [-1, 3_100_000 - 1]


def test_a_stalled_venue_stops_the_ticks():
    wire = Wire("trade", "ticker").wrapped("btcusdt@ticker", TICKER)
    for _ in range(60):
        wire.tick(1)
    assert wire.of(Tick)[-1].ts < (MS + 349) * 1000 + 4 * SECOND
    asks = wire.talk.want(frozenset(subs("trade")), wire.now, wire.out)
    assert asks
    assert wire.tick(1).of(Tick)[-1].ts > (MS + 349) * 1000 + 50 * SECOND


def test_a_tick_does_not_pass_trades_that_wait():
    wire = Wire("trade", streams=Streams(catalogue(), hold_secs=30))
    wire.wrapped("btcusdt@trade", trade(0)).wrapped("btcusdt@trade", trade(500)).tick(1).tick(8)
    assert all(event.ts < MS * 1000 for event in wire.of(Tick))
    assert wire.tick(30).of(Tick)[-1].ts > (MS + 500) * 1000


def test_the_slowest_connection_counts_until_it_is_lost():
    slow = Wire("trade").wrapped("btcusdt@trade", trade(0))
    fast = Wire("ticker", streams=slow.streams)
    fast.now += SECOND
    fast.wrapped("btcusdt@ticker", TICKER.replace("1723161255349", str(MS + 9000))).tick(0)
    assert [event.ts for event in fast.of(Tick)] == [MS * 1000 - 1]
    slow.talk.lost("cut", slow.now, slow.out)
    assert fast.tick(1).of(Tick)[-1].ts == (MS + 9000) * 1000 - 1


def test_a_time_of_another_year_moves_no_tick():
    wire = Wire("trade").wrapped("btcusdt@trade", trade(1, T=MS * 2)).tick(1)
    assert not wire.of(Tick)


# --- the dialect ---

DIALECT = Binance("binance", BinanceConfig(ws_url="ws://h:1", rest_url="http://h:2"))


@pytest.mark.parametrize(
    ("text", "channel"),
    [
        ("aggTrade", "aggTrade"), ("aggtrade", "aggTrade"), ("depth@100ms", "depth"),
        ("depth", "depth"), ("bookticker", "bookTicker"), ("kline_1m", "kline_1m"),
        ("depth20@100ms", "depth20"), ("KLINE_1H", "kline_1h"),
    ],
)  # fmt: skip
def test_channels_have_one_name(text, channel):
    assert DIALECT.channel(text) == channel


@pytest.mark.parametrize(
    ("text", "near"), [("aggTrad", "aggTrade"), ("kline_1x", "kline_1m"), ("kline_1M", "kline_1m")]
)
def test_an_unknown_channel_names_the_nearest(text, near):
    with pytest.raises(NotFound) as failure:
        DIALECT.channel(text)
    assert near in failure.value.suggestions


def test_the_listing_is_read_by_its_fields():
    body = msgspec.json.encode(
        {
            "timezone": "UTC",
            "symbols": [
                {
                    "symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC",
                    "quoteAsset": "USDT", "filters": [
                        {"filterType": "PRICE_FILTER", "tickSize": "0.01000000"},
                        {"filterType": "LOT_SIZE", "stepSize": "0.00001000"},
                        {"filterType": "ICEBERG_PARTS", "limit": 10},
                    ],
                },
                {"symbol": "XUSDT", "status": "BREAK", "baseAsset": "X", "quoteAsset": "USDT"},
                {"symbol": "XUSDT2", "status": "TRADING", "baseAsset": "X", "quoteAsset": "USDT"},
            ],
        }
    )  # fmt: skip
    (fetch,) = DIALECT.catalogue()
    assert (fetch.url, fetch.weight) == ("http://h:2/api/v3/exchangeInfo", 20)
    assert DIALECT.recognise(body, [fetch], Streams(Catalogue())) == fetch
    btc, other = DIALECT.instruments(body)
    assert (btc.id, btc.tick, btc.step, btc.active) == (BTC, 0.01, 0.00001, True)
    assert (other.native, other.active) == ("XUSDT2", True)


def test_few_subscriptions_go_over_one_connection():
    (route,) = DIALECT.routes(subs("trade", "depth"))
    assert (route.name, route.url) == ("binance-0", "ws://h:1/stream")
    assert route.subscriptions == tuple(sorted(subs("trade", "depth")))
    assert not DIALECT.routes([])


def test_many_subscriptions_are_shared_out_and_one_more_moves_few():
    def wanted(count):
        return [
            Subscription(f"binance:C{n}/USDT", channel)
            for n in range(count)
            for channel in ("trade", "aggTrade")
        ]

    routes = DIALECT.routes(wanted(1000))
    assert len(routes) == 2000 // STREAMS_PER_LINK
    assert max(len(route.subscriptions) for route in routes) <= LIMITS.subscriptions
    assert sorted(s for route in routes for s in route.subscriptions) == sorted(wanted(1000))
    assert DIALECT.routes(list(reversed(wanted(1000)))) == routes
    before = {s: route.name for route in routes for s in route.subscriptions}
    after = {s: r.name for r in DIALECT.routes(wanted(1001)) for s in r.subscriptions}
    moved = sum(before[s] != after[s] for s in before)
    assert moved < 2 * len(before) / len(routes)
    assert all(after[Subscription(s.inst, "trade")] == after[s] for s in after)


def test_a_snapshot_of_a_recording_answers_the_book_whose_ids_are_near():
    wire = Wire("depth").wrapped("btcusdt@depth@100ms", depth(1000, 1002))
    other = Wire("depth", inst="binance:ETH/USDT", streams=wire.streams)
    other.wrapped("ethusdt@depth@100ms", depth(9000, 9002))
    pending = wire.asked(Fetch) + other.asked(Fetch)
    body = BODY.replace(b"12", b"8999")
    assert DIALECT.recognise(body, pending, wire.streams) == pending[1]
    assert DIALECT.recognise(b'{"stream":"x","data":{}}', pending, wire.streams) is None
    assert DIALECT.recognise(b"[1]", [], wire.streams) is None


def test_a_book_message_without_symbol_is_kept_for_its_book_in_a_recording():
    wire = Wire(lenient=True).frame(BODY).wrapped("btcusdt@depth@100ms", depth(10, 11))
    assert not wire.out
    wire.wrapped("btcusdt@depth@100ms", depth(12, 13))
    assert [event.seq for event in wire.out] == [12, 13]
    assert not wire.asks


def test_a_stream_of_a_recording_begins_only_with_a_good_frame():
    wire = Wire(lenient=True)
    for data in (trade(1, p="x"), trade(1, s="ETHUSDT")):
        with pytest.raises(ValueError if data["p"] == "x" else BadFrame):
            wire.wrapped("btcusdt@trade", data)
    with pytest.raises(BadFrame, match="quote currency"):
        wire.wrapped("qqq@trade", trade(1, s="QQQ"))
    assert len(wire.streams.state) == 1  # the watermark
    assert len(wire.wrapped("btcusdt@trade", trade(1)).out) == 1
