import pytest
from msgspec import json

from tapewatch.model.errors import BadFrame, NotFound
from tapewatch.model.events import (
    BookDelta,
    BookSnapshot,
    Candle,
    Gap,
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
    Streams,
    Subscription,
)
from tapewatch.venues.coinbase_advanced import AdvancedConfig, CoinbaseAdvanced

SECOND = 1_000_000
NOW = 1_790_735_999 * SECOND  # 2026-09-30T02:39:59Z
BTC, ETH = "coinbase_advanced:BTC/USD", "coinbase_advanced:ETH/USD"
TWIN = "coinbase_advanced:BTC/USDC"
PRODUCTS = {BTC: "BTC-USD", ETH: "ETH-USD"}


def dialect():
    return CoinbaseAdvanced("coinbase_advanced", AdvancedConfig())


def catalogue():
    listed = [
        Instrument("coinbase_advanced", base, "USD", f"{base}-USD") for base in ("BTC", "ETH")
    ]
    status = "traded in the book of BTC-USD"
    twin = Instrument("coinbase_advanced", "BTC", "USDC", "BTC-USDC", active=False, status=status)
    return Catalogue([*listed, twin])


def subs(*channels, insts=(BTC,)):
    return tuple(Subscription(inst, channel) for inst in insts for channel in channels)


class Wire:
    """One connection, with its clock, its output and the number of the next frame."""

    def __init__(self, *channels, streams=None, lenient=False, insts=(BTC,), resume=None):
        self.streams = streams or Streams(catalogue(), resume=resume or {}, lenient=lenient)
        route = Route("coinbase_advanced-0", "wss://x", subs(*channels, insts=insts))
        self.talk = dialect().converse(route, self.streams)
        self.now = NOW
        self.number = 0
        self.out = []
        self.asks = list(self.talk.open(self.now))

    def raw(self, text):
        self.asks.extend(self.talk.decode(text.encode(), self.now, self.out))
        return self

    def say(self, channel, *events, number=None):
        number = self.number if number is None else number
        self.number = max(self.number, number + 1)
        passed = self.now - NOW
        seconds, micros = 59 + passed // SECOND, passed % SECOND
        time = f"2026-09-30T02:{39 + seconds // 60:02d}:{seconds % 60:02d}.{micros:06d}328Z"
        message = {"channel": channel, "timestamp": time, "sequence_num": number, "events": events}
        return self.raw(json.encode(message).decode())

    def lose(self, frames=1):
        self.number += frames
        return self

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

    def sent(self):
        return [json.decode(ask.frame) for ask in self.asked(Send)]

    def ids(self, inst=BTC):
        return [int(trade.id) for trade in self.of(Trade) if trade.inst == inst]


def row(number, product="BTC-USD", **changes):
    fields = {
        "product_id": product, "trade_id": str(number), "price": "2667.2", "size": "0.67103722",
        "time": f"2026-09-30T02:39:59.{number:04d}Z", "side": "SELL",
    }  # fmt: skip
    return fields | changes


def trades(*numbers, kind="update", product="BTC-USD"):
    return {"type": kind, "trades": [row(number, product) for number in reversed(numbers)]}


def level(side, price, size, time="2026-09-30T02:39:59.592233Z"):
    return {"side": side, "event_time": time, "price_level": price, "new_quantity": size}


def book(*levels, kind="update", product="BTC-USD"):
    return {"type": kind, "product_id": product, "updates": list(levels)}


def snapshot(product="BTC-USD"):
    levels = level("bid", "10.5", "1"), level("bid", "10.4", "2"), level("offer", "11", "3")
    return book(*levels, kind="snapshot", product=product)


CHANGE = book(level("bid", "10.5", "0"), level("offer", "10.9", "0.5"))
TICKER = {
    "type": "ticker", "product_id": "BTC-USD", "price": "66799.88", "volume_24_h": "338.5776341",
    "low_24_h": "64515.5", "high_24_h": "67236.34", "low_52_w": "24801", "high_52_w": "73804",
    "price_percent_chg_24_h": "3.22072416267059", "best_bid": "66799.88",
    "best_bid_quantity": "0.1", "best_ask": "66818.68", "best_ask_quantity": "0.00372549",
}  # fmt: skip
CANDLE = {
    "start": "1790735700", "high": "68950.00", "low": "68850.00", "open": "68900.00",
    "close": "68920.50", "volume": "42.15", "product_id": "BTC-USD",
}  # fmt: skip
BEAT = {"current_time": "2026-04-07 14:30:10.000000000 +0000 UTC m=+1", "heartbeat_counter": "42"}


# --- each message ---


def test_a_trade_has_the_other_side_than_the_maker_and_rows_are_passed_on_oldest_first():
    wire = Wire("market_trades").say("market_trades", trades(4, 5, 6))
    assert wire.ids() == [4, 5, 6]
    first = wire.of(Trade)[0]
    assert (first.side, first.price, first.size) == (Side.BUY, 2667.2, 0.67103722)
    assert (first.channel, first.ts) == ("market_trades", NOW + 400)


def test_rows_of_several_products_find_their_streams():
    wire = Wire("market_trades", insts=(BTC, ETH))
    event = {"type": "update", "trades": [row(6), row(9, "ETH-USD"), row(5), row(8, "ETH-USD")]}
    wire.say("market_trades", event)
    assert (wire.ids(), wire.ids(ETH)) == ([5, 6], [8, 9])


def test_a_row_that_nobody_asked_for_costs_none_of_the_others():
    wire = Wire("market_trades")
    event = {"type": "update", "trades": [row(6), row(9, "ETH-USD"), row(5)]}
    with pytest.raises(BadFrame, match="not asked for"):
        wire.say("market_trades", event)
    assert wire.ids() == [5, 6]


def test_a_book_is_a_snapshot_and_changes_and_empty_updates_are_nothing():
    wire = Wire("level2").say("l2_data", snapshot()).say("l2_data", book())
    wire.say("l2_data", CHANGE)
    (whole,) = wire.of(BookSnapshot)
    assert (whole.bids, whole.asks) == (((10.5, 1.0), (10.4, 2.0)), ((11.0, 3.0),))
    assert whole.ts == NOW + 592_233
    (delta,) = wire.of(BookDelta)
    assert (delta.bids, delta.asks) == (((10.5, 0.0),), ((10.9, 0.5),))
    assert (delta.first_seq, delta.seq) == (whole.seq + 1, whole.seq + 1)


def test_levels_without_a_time_have_the_time_of_their_frame():
    event = book(level("bid", "1", "2", "1970-01-01T00:00:00Z"), kind="snapshot")
    assert Wire("level2").say("l2_data", event).of(BookSnapshot)[0].ts == NOW


def test_a_ticker_counts_per_cent_and_has_the_time_of_its_frame():
    wire = Wire("ticker").say("ticker", {"type": "snapshot", "tickers": [TICKER]})
    (ticker,) = wire.of(Ticker)
    assert (ticker.last, ticker.ts, ticker.bid) == (66799.88, NOW, 66799.88)
    assert ticker.change_pct == pytest.approx(0.0322072416)
    assert ticker.open == pytest.approx(64715.6, abs=0.1)
    assert ticker.open + ticker.change == pytest.approx(ticker.last)
    (quote,) = wire.of(Quote)
    assert (quote.ask, quote.ask_size) == (66818.68, 0.00372549)


def test_a_candle_is_of_five_minutes_and_closed_when_it_is_told_after_its_end():
    wire = Wire("candles").say("candles", {"type": "update", "candles": [CANDLE]})
    wire.now += 2 * SECOND
    wire.say("candles", {"type": "update", "candles": [CANDLE]})
    growing, whole = wire.of(Candle)
    assert (growing.interval, growing.origin) == ("5m", Origin.VENUE)
    assert growing.ts == 1_790_735_700 * SECOND
    assert (growing.open, growing.high, growing.low) == (68900.0, 68950.0, 68850.0)
    assert (growing.close, growing.volume) == (68920.5, 42.15)
    assert (growing.closed, whole.closed) == (False, True)


def test_an_older_client_id_changes_nothing():
    wire = Wire("market_trades").say("heartbeats", BEAT)
    event = json.encode(trades(4)).decode()
    wire.raw(
        '{"channel":"market_trades","client_id":"","timestamp":"2026-09-30T02:39:59.45276432Z",'
        f'"sequence_num":1,"events":[{event}]}}'
    )
    assert wire.ids() == [4]
    wire.raw(
        '{"sequence_num":2,"timestamp":"2026-09-30T02:39:59.5Z",'
        f'"events":[{event.replace("0004", "0005").replace(chr(34) + "4", chr(34) + "5")}],'
        '"channel":"market_trades"}'
    )
    assert wire.ids() == [4, 5]


# --- trades ---


def test_the_hundred_trades_before_us_begin_the_chain_and_are_not_ours():
    wire = Wire("market_trades").say("market_trades", trades(*range(1, 101), kind="snapshot"))
    assert wire.of(Trade) == []
    wire.say("market_trades", trades(102))
    url = "https://api.exchange.coinbase.com/products/BTC-USD/trades?limit=1&after=102"
    assert [fetch.url for fetch in wire.asked(Fetch)] == [url]
    past = row(101) | {"trade_id": 101, "side": "sell"}
    wire.answer(json.encode([past]))
    assert wire.ids() == [101, 102]


def test_after_an_outage_the_snapshot_brings_what_was_missed_once():
    wire = Wire("market_trades", resume={subs("market_trades")[0]: 97})
    wire.say("market_trades", trades(*range(1, 101), kind="snapshot"))
    wire.say("market_trades", trades(100, 101))
    assert wire.ids() == [98, 99, 100, 101]


# --- the number of a frame ---


def test_a_hole_voids_the_books_of_the_connection_and_all_is_subscribed_anew():
    wire = Wire("level2", "market_trades", insts=(BTC, ETH))
    wire.say("l2_data", snapshot()).say("l2_data", snapshot("ETH-USD"))
    wire.say("market_trades", trades(4))
    wire.asks.clear()
    wire.lose(2).say("l2_data", CHANGE)
    reason = "frames 3 to 4 of the connection are missing"
    assert [(gap.inst, gap.reason) for gap in wire.of(Gap)] == [(BTC, reason), (ETH, reason)]
    assert wire.of(BookDelta) == []
    wire.tick(0.25)
    both = ["BTC-USD", "ETH-USD"]
    assert [(m["type"], m["channel"], m["product_ids"]) for m in wire.sent()] == [
        ("unsubscribe", "level2", both), ("subscribe", "level2", both),
        ("unsubscribe", "market_trades", both), ("subscribe", "market_trades", both),
    ]  # fmt: skip
    wire.say("l2_data", snapshot()).say("l2_data", CHANGE)
    wire.say("market_trades", trades(2, 3, 4, 5, 6, kind="snapshot"))
    assert len(wire.of(BookDelta)) == 1
    assert wire.ids() == [4, 5, 6]


def test_trades_are_not_subscribed_anew_at_each_of_many_holes():
    wire = Wire("market_trades")
    for _ in range(12):
        wire.lose().say("heartbeats", BEAT).tick(0.5)
    again = [m for m in wire.sent() if m["type"] == "unsubscribe"]
    assert len(again) == 2


def test_acknowledgements_and_heartbeats_have_numbers_too():
    wire = Wire("level2").say("l2_data", snapshot())
    wire.say("subscriptions", {"subscriptions": {"level2": ["BTC-USD"]}})
    wire.say("heartbeats", BEAT).say("status", {"products": []}).say("l2_data", CHANGE)
    assert wire.of(Gap) == []
    assert len(wire.of(BookDelta)) == 1
    assert wire.asked(Accepted) == [Accepted(subs("level2"))]


def test_a_first_frame_that_is_missing_is_a_hole_too():
    wire = Wire("level2").lose().say("l2_data", snapshot())
    assert len(wire.of(BookSnapshot)) == 1
    assert [m["type"] for m in wire.tick(0.25).sent()] == ["subscribe", "subscribe"]


def test_a_repeated_frame_disturbs_nothing():
    wire = Wire("level2", "market_trades").say("l2_data", snapshot()).say("l2_data", CHANGE)
    wire.say("market_trades", trades(4))
    wire.say("l2_data", CHANGE, number=1).say("market_trades", trades(4), number=2)
    wire.say("l2_data", CHANGE)
    assert wire.of(Gap) == []
    assert len(wire.of(BookDelta)) == 2
    assert wire.ids() == [4]


def test_a_late_frame_still_brings_its_trades():
    wire = Wire("level2", "market_trades").say("l2_data", snapshot())
    wire.say("market_trades", trades(4))
    wire.say("market_trades", trades(6), number=3).say("market_trades", trades(5), number=2)
    assert wire.ids() == [4, 5, 6]
    assert len(wire.of(Gap)) == 1


def test_a_frame_that_cannot_be_read_is_a_hole_for_the_next_one():
    wire = Wire("level2").say("l2_data", snapshot())
    with pytest.raises(ValueError, match="Expected"):
        wire.say("l2_data", book(level("bid", "-1", "1")))
    wire.say("heartbeats", BEAT)
    assert [gap.reason for gap in wire.of(Gap)] == ["frames 1 to 1 of the connection are missing"]


def test_numbers_that_begin_anew_are_a_hole():
    wire = Wire("level2").say("l2_data", snapshot()).lose(5_000).say("l2_data", CHANGE).tick(0.3)
    wire.say("l2_data", snapshot())
    wire.say("l2_data", CHANGE, number=0)
    assert [gap.reason for gap in wire.of(Gap)][
        -1
    ] == "frames before 0 of the connection are missing"


def test_a_hole_of_one_connection_leaves_a_book_that_follows_another():
    first = Wire("level2").say("l2_data", snapshot())
    second = Wire("level2", streams=first.streams).say("l2_data", snapshot())
    first.lose().say("l2_data", CHANGE)
    assert first.of(Gap) == []
    assert len(second.say("l2_data", CHANGE).of(BookDelta)) == 1


# --- time ---


def test_time_is_a_second_behind_the_frames_because_trades_are():
    wire = Wire("market_trades").say("heartbeats", BEAT).tick()
    assert [tick.ts for tick in wire.of(Tick)] == [NOW - SECOND - 1]


def test_without_heartbeats_a_successor_is_wanted():
    wire = Wire("market_trades").say("heartbeats", BEAT).tick(15)
    assert [renew.reason for renew in wire.asked(Renew)] == ["no heartbeat for 15 s"]


# --- subscribing ---


def test_heartbeats_are_subscribed_first_and_one_channel_a_frame():
    wire = Wire("level2", "market_trades", insts=(BTC, ETH))
    both = ["BTC-USD", "ETH-USD"]
    assert wire.sent() == [
        {"type": "subscribe", "channel": "heartbeats"},
        {"type": "subscribe", "product_ids": both, "channel": "level2"},
        {"type": "subscribe", "product_ids": both, "channel": "market_trades"},
    ]


def test_a_product_that_is_refused_takes_no_other_down():
    wire = Wire("level2", insts=(BTC, ETH))
    wire.asks.clear()
    wire.raw('{"type":"error","message":"ETH-USD is not a valid product"}')
    assert wire.asked(Refused) == [
        Refused(subs("level2", insts=(ETH,)), "ETH-USD is not a valid product")
    ]
    assert [message["product_ids"] for message in wire.sent()] == [["BTC-USD"]]


def test_a_stream_that_spoke_before_it_was_accepted_is_not_waited_for():
    wire = Wire("level2").say("l2_data", snapshot())
    wire.say("subscriptions", {"subscriptions": {"level2": ["BTC-USD"]}})
    assert wire.tick(61).asked(Refused) == []


def test_a_product_in_the_book_of_another_is_refused_in_words():
    wire = Wire("level2", insts=(BTC, TWIN))
    reason = "BTC-USDC is traded in the book of BTC-USD"
    assert wire.asked(Refused) == [Refused(subs("level2", insts=(TWIN,)), reason)]
    assert wire.sent()[-1]["product_ids"] == ["BTC-USD"]


def test_an_unknown_channel_is_a_bad_frame_and_the_next_is_no_hole():
    wire = Wire("level2").say("l2_data", snapshot())
    with pytest.raises(BadFrame, match="unknown channel 'riddle'"):
        wire.say("riddle")
    assert wire.say("l2_data", CHANGE).of(Gap) == []


def test_a_recording_begins_at_any_number_and_needs_no_subscriptions():
    wire = Wire(lenient=True).say("market_trades", trades(4, kind="snapshot"), number=242)
    wire.say("market_trades", trades(5), number=247)
    wire.raw('{"type":"subscribe","product_ids":["BTC-USD"],"channel":"level2"}')
    assert wire.ids() == [4, 5]
    assert wire.of(Gap) == []


# --- the dialect ---


@pytest.mark.parametrize(
    ("text", "channel"),
    [
        ("trades", "market_trades"), ("book", "level2"), ("DEPTH", "level2"), ("bbo", "ticker"),
        ("candles", "candles"), ("kline_5m", "candles"), ("klines", "candles"),
    ],
)  # fmt: skip
def test_common_words_name_channels(text, channel):
    assert dialect().channel(text) == channel


def test_other_candles_are_refused_with_the_reason():
    with pytest.raises(NotFound, match="of 5 minutes"):
        dialect().channel("kline_1m")


def test_a_listing_has_spot_only_and_says_whose_book_is_shared():
    body = json.encode({
        "products": [
            {"product_id": "BTC-USD", "base_currency_id": "BTC", "quote_currency_id": "USD",
             "product_type": "SPOT", "status": "online", "alias": "", "alias_to": ["BTC-USDC"],
             "price_increment": "0.01", "base_increment": "0.00000001", "is_disabled": False},
            {"product_id": "BTC-USDC", "base_currency_id": "BTC", "quote_currency_id": "USDC",
             "product_type": "SPOT", "status": "online", "alias": "BTC-USD", "alias_to": []},
            {"product_id": "BIT-28NOV25-CDE", "base_currency_id": "", "quote_currency_id": "USD",
             "product_type": "FUTURE", "status": ""},
        ],
        "num_products": 3,
    })  # fmt: skip
    dollar, coin = dialect().instruments(body)
    assert (dollar.id, dollar.active, dollar.tick, dollar.step) == (BTC, True, 0.01, 1e-8)
    assert (coin.id, coin.active) == (TWIN, False)
    assert coin.status == "traded in the book of BTC-USD"
    venue = dialect()
    assert venue.recognise(body, venue.catalogue(), Streams(Catalogue())) == venue.catalogue()[0]
