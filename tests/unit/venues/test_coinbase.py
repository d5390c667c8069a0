from datetime import UTC, datetime

import pytest
from msgspec import json

from tapewatch.model.errors import BadFrame, NotFound
from tapewatch.model.events import (
    BookDelta,
    BookSnapshot,
    Coverage,
    Gap,
    Holding,
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
from tapewatch.venues._coinbase import Time, micros
from tapewatch.venues.coinbase import LIMITS, STREAMS_PER_LINK, Coinbase, CoinbaseConfig

SECOND = 1_000_000
NOW = 1_790_733_800 * SECOND  # 2026-09-30T02:03:20Z
BTC, ETH, XYZ = "coinbase:BTC/USD", "coinbase:ETH/USD", "coinbase:XYZ/USD"


def dialect():
    return Coinbase("coinbase", CoinbaseConfig())


def catalogue():
    return Catalogue(
        Instrument("coinbase", base, "USD", f"{base}-USD") for base in ("BTC", "ETH", "XYZ")
    )


def subs(*channels, insts=(BTC,)):
    return tuple(Subscription(inst, channel) for inst in insts for channel in channels)


class Wire:
    """One connection, with its clock and its output."""

    def __init__(self, *channels, streams=None, lenient=False, insts=(BTC,), resume=None):
        self.streams = streams or Streams(catalogue(), resume=resume or {}, lenient=lenient)
        route = Route("coinbase-0", "wss://x", subs(*channels, insts=insts))
        self.talk = dialect().converse(route, self.streams)
        self.now = NOW
        self.out = []
        self.asks = list(self.talk.open(self.now))

    def frame(self, text):
        self.asks.extend(self.talk.decode(text.encode(), self.now, self.out))
        return self

    def say(self, **message):
        return self.frame(json.encode(message).decode())

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

    def ids(self):
        return [int(trade.id) for trade in self.of(Trade)]


def match(number, kind="match", product="BTC-USD", **changes):
    fields = {
        "type": kind, "trade_id": number, "maker_order_id": "e28c3252", "taker_order_id": "b5bb",
        "side": "buy", "size": "0.00000014", "price": "83425.97", "product_id": product,
        "sequence": 136999333734, "time": f"2026-09-30T02:03:20.{number:06d}Z",
    }  # fmt: skip
    return fields | changes


def heartbeat(last, secs=21, product="BTC-USD"):
    return {
        "type": "heartbeat", "last_trade_id": last, "product_id": product,
        "sequence": 136999333795, "time": f"2026-09-30T02:03:{secs}.000000Z",
    }  # fmt: skip


def row(number, side="sell"):
    return {
        "trade_id": number, "side": side, "size": "0.01000000", "price": "10.00000000",
        "time": f"2026-09-30T02:03:20.{number:06d}Z",
    }  # fmt: skip


SNAPSHOT = (
    '{"type":"snapshot","product_id":"BTC-USD","asks":[["14.8024","12.77"],["14.7","1"]],'
    '"bids":[["14.5","3"],["14.6","2.5"]],"time":"2026-09-30T02:03:20.423910Z"}'
)
UPDATE = (
    '{"type":"l2update","product_id":"BTC-USD","changes":[["buy","14.6","0.00000000"],'
    '["sell","14.7","0.16159129"],["buy","14.55","2"]],"time":"2026-09-30T02:03:20.473910Z"}'
)
TICKER = (
    '{"type":"ticker","sequence":50978628538,"product_id":"BTC-USD","price":"17165.16",'
    '"open_24h":"16437.94","volume_24h":"42492.05081975","low_24h":"16423.37",'
    '"high_24h":"17259.37","volume_30d":"1093827.95195495","best_bid":"17165.15",'
    '"best_bid_size":"0.61540890","best_ask":"17167.76","best_ask_size":"0.18528568",'
    '"side":"sell","time":"2022-12-01T00:00:00.122581Z","trade_id":463751434,"last_size":"0.05"}'
)
LISTING = (
    b'[{"id":"BTC-GBP","base_currency":"BTC","quote_currency":"GBP","quote_increment":"0.01",'
    b'"base_increment":"0.00000001","status":"online","trading_disabled":false},'
    b'{"id":"OMG-GBP","base_currency":"OMG","quote_currency":"GBP","quote_increment":"0.0001",'
    b'"base_increment":"0.1","status":"delisted","trading_disabled":true}]'
)


# --- each message ---


def test_a_match_is_a_trade_of_the_other_side_than_the_maker():
    wire = Wire("matches").say(**match(7)).say(**match(8, side="sell"))
    first, second = wire.of(Trade)
    assert (first.side, second.side) == (Side.SELL, Side.BUY)
    assert (first.id, first.inst, first.channel) == ("7", BTC, "matches")
    assert (first.price, first.size) == (83425.97, 0.00000014)
    assert first.ts == NOW + 7


def test_a_ticker_is_a_ticker_and_with_sizes_a_quote():
    wire = Wire("ticker").frame(TICKER)
    (ticker,) = wire.of(Ticker)
    assert (ticker.last, ticker.open, ticker.high) == (17165.16, 16437.94, 17259.37)
    assert ticker.change == pytest.approx(727.22)
    assert ticker.change_pct == pytest.approx(0.04424034)
    assert (ticker.volume, ticker.quote_volume) == (42492.05081975, 0.0)
    (quote,) = wire.of(Quote)
    assert (quote.bid, quote.bid_size) == (17165.15, 0.6154089)
    assert (quote.ask, quote.ask_size, quote.seq) == (17167.76, 0.18528568, 50978628538)


def test_a_ticker_without_sizes_makes_no_quote():
    text = TICKER.replace('"best_bid_size":"0.61540890",', "").replace('"best_ask_size"', '"x"')
    wire = Wire("ticker").frame(text)
    assert len(wire.of(Ticker)) == 1
    assert wire.of(Quote) == []


def test_a_ticker_that_came_already_is_dropped():
    wire = Wire("ticker").frame(TICKER).frame(TICKER)
    older = TICKER.replace("50978628538", "50978628500")
    assert len(wire.frame(older).of(Ticker)) == 1


def test_a_book_is_the_best_first_and_changes_follow_with_numbers_of_our_own():
    wire = Wire("level2_batch").frame(SNAPSHOT).frame(UPDATE).frame(UPDATE)
    (snapshot,) = wire.of(BookSnapshot)
    assert snapshot.bids == ((14.6, 2.5), (14.5, 3.0))
    assert snapshot.asks == ((14.7, 1.0), (14.8024, 12.77))
    one, two = wire.of(BookDelta)
    assert one.bids == ((14.6, 0.0), (14.55, 2.0))
    assert one.asks == ((14.7, 0.16159129),)
    assert (one.first_seq, one.seq, two.first_seq, two.seq) == (1, 1, 2, 2)
    assert one.ts == NOW + 473_910


def test_keys_in_another_order_are_read_too():
    wire = Wire("matches", "level2_batch")
    wire.say(**dict(reversed(match(7).items())))
    wire.say(**dict(reversed(json.decode(SNAPSHOT).items())))
    assert len(wire.of(Trade)) == len(wire.of(BookSnapshot)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "2026-09-30T02:03:20.974504Z",
        "2026-09-30T02:39:59.4104Z",
        "2026-09-30T02:39:59Z",
        "2019-04-01T00:00:04.540000Z",
        "2024-02-29T23:59:59.999999Z",
        "2026-08-24T22:34:13.793075885Z",
        "2026-08-24T22:34:13.82310097Z",
    ],
)
def test_times_are_what_datetime_says_with_less_than_a_microsecond_between(text):
    head, _, fraction = text.removesuffix("Z").partition(".")
    whole = datetime.fromisoformat(head).replace(tzinfo=UTC).timestamp()
    expected = int(whole) * SECOND + float(f"0.{fraction or 0}") * SECOND
    told = micros(json.decode(f'"{text}"', type=Time))
    assert abs(told - expected) < 1
    assert told == expected or len(fraction) > 6


@pytest.mark.parametrize("year", ["1970", "2101", "9999"])
def test_a_time_of_no_market_is_a_bad_frame(year):
    with pytest.raises(BadFrame, match="no time of a market"):
        Wire("matches").say(**match(7, time=f"{year}-01-01T00:00:00Z"))


@pytest.mark.parametrize(
    "changes",
    [
        {"price": "-1"},
        {"price": "NaN"},
        {"size": "0"},
        {"side": "up"},
        {"time": "now"},
        {"time": None},
    ],
)
def test_a_match_that_cannot_be_is_a_bad_frame(changes):
    with pytest.raises(ValueError, match=r"Expected|Invalid"):
        Wire("matches").say(**match(7, **changes))


# --- trades ---


def test_the_last_match_before_us_begins_the_chain_and_is_not_ours():
    wire = Wire("matches").say(**match(6, "last_match")).say(**match(8))
    assert wire.ids() == []
    url = "https://api.exchange.coinbase.com/products/BTC-USD/trades?limit=1&after=8"
    assert [fetch.url for fetch in wire.asked(Fetch)] == [url]
    wire.answer(json.encode([row(7)]))
    assert wire.ids() == [7, 8]
    assert wire.of(Trade)[0].side is Side.BUY
    assert wire.of(Trade)[0].repaired


def test_after_an_outage_the_last_match_shows_what_is_missing():
    wire = Wire("matches", resume={subs("matches")[0]: 5})
    wire.say(**match(8, "last_match"))
    wire.answer(json.encode([row(7), row(6)]))
    assert wire.ids() == [6, 7, 8]


def test_the_last_match_that_is_stored_is_no_restart_of_the_numbering():
    wire = Wire("matches", resume={subs("matches")[0]: 8}).say(**match(8, "last_match"))
    wire.say(**match(9))
    assert wire.ids() == [9]
    assert wire.of(Gap) == []


def test_the_last_match_that_is_known_is_dropped():
    wire = Wire("matches").say(**match(7)).say(**match(7, "last_match")).say(**match(8))
    assert wire.ids() == [7, 8]
    assert not wire.asked(Fetch)


def test_pages_come_newest_first_and_are_passed_on_oldest_first():
    wire = Wire("matches").say(**match(5)).tick()
    wire.say(**match(9))
    wire.tick(1.5)
    assert [(gap.first, gap.last) for gap in wire.of(Gap)] == [(6, 8)]
    wire.answer(json.encode([row(8), row(7), row(6)]))
    assert wire.ids() == [5, 9, 6, 7, 8]


def test_a_match_that_was_dropped_is_seen_by_the_heartbeat():
    wire = Wire("matches").say(**match(5)).say(**heartbeat(6))
    wire.tick(0.5)
    assert not wire.asked(Fetch)
    wire.tick(0.6)
    assert [fetch.url[-17:] for fetch in wire.asked(Fetch)] == ["s?limit=1&after=7"]
    wire.answer(json.encode([row(6)]))
    assert wire.ids() == [5, 6]
    wire.tick(1)
    told = [(c.first, c.last, c.holding) for c in wire.of(Coverage)]
    assert (6, 6, Holding.REPAIRED) in told


def test_time_does_not_pass_a_match_that_the_heartbeat_speaks_of():
    wire = Wire("matches").say(**match(5)).say(**heartbeat(6, 21))
    wire.tick(0.3)
    assert all(tick.ts < NOW + 5 for tick in wire.of(Tick))
    wire.say(**match(6)).say(**heartbeat(6, 22)).tick(1)
    assert wire.of(Tick)[-1].ts > NOW + SECOND


def test_heartbeats_let_time_pass_without_trades():
    wire = Wire("level2_batch").frame(SNAPSHOT).say(**heartbeat(6, 21)).tick()
    assert [tick.ts for tick in wire.of(Tick)] == [NOW + SECOND - SECOND // 10 - 1]


# --- books ---


def test_a_change_that_cannot_be_read_voids_its_book_and_asks_for_a_new_one():
    wire = Wire("level2_batch", insts=(BTC, ETH)).frame(SNAPSHOT)
    wire.frame(SNAPSHOT.replace("BTC", "ETH")).frame(UPDATE)
    with pytest.raises(ValueError, match="Expected"):
        wire.frame(UPDATE.replace('"2"', '"-2"'))
    assert [gap.inst for gap in wire.of(Gap)] == [BTC]
    wire.frame(UPDATE)
    assert len(wire.of(BookDelta)) == 1
    wire.asks.clear()
    wire.tick(0.25)
    assert [m["type"] for m in wire.sent()] == ["unsubscribe", "subscribe"]
    assert {tuple(m["product_ids"]) for m in wire.sent()} == {("BTC-USD",)}
    wire.frame(SNAPSHOT).frame(UPDATE)
    assert len(wire.of(BookDelta)) == 2


def test_a_torn_change_of_no_known_product_voids_all_books_of_the_connection():
    wire = Wire("level2_batch", insts=(BTC, ETH)).frame(SNAPSHOT)
    wire.frame(SNAPSHOT.replace("BTC", "ETH"))
    with pytest.raises(ValueError, match=r"truncated|malformed"):
        wire.frame('{"type":"l2update","produ')
    assert {gap.inst for gap in wire.of(Gap)} == {BTC, ETH}


def test_nonsense_that_is_no_change_voids_nothing():
    wire = Wire("level2_batch").frame(SNAPSHOT)
    with pytest.raises(ValueError, match="malformed"):
        wire.frame("no venue says this")
    assert wire.of(Gap) == []


def test_of_two_connections_a_book_follows_the_one_with_the_newest_snapshot():
    first = Wire("level2_batch").frame(SNAPSHOT).frame(UPDATE)
    second = Wire("level2_batch", streams=first.streams).frame(SNAPSHOT)
    first.frame(UPDATE)
    second.frame(UPDATE)
    assert len(first.of(BookDelta)) == len(second.of(BookDelta)) == 1
    first.talk.lost("renewed", first.now, first.out)
    assert first.of(Gap) == []


def test_without_heartbeats_books_are_void_and_a_successor_is_wanted():
    wire = Wire("level2_batch").frame(SNAPSHOT).say(**heartbeat(6))
    wire.tick(14)
    assert wire.asked(Renew) == []
    wire.tick(1)
    assert [renew.reason for renew in wire.asked(Renew)] == ["no heartbeat for 15 s"]
    assert [gap.inst for gap in wire.of(Gap)] == [BTC]


def test_books_are_asked_for_anew_one_after_the_other():
    wire = Wire("level2_batch", insts=(BTC, ETH)).frame(SNAPSHOT)
    wire.frame(SNAPSHOT.replace("BTC", "ETH")).tick(1)
    asked = []
    for _ in range(4):
        wire.asks.clear()
        wire.tick(449).asks.clear()
        asked.append([(m["type"], m["product_ids"]) for m in wire.tick(1).sent()])
    both = [
        [(verb, [f"{base}-USD"]) for verb in ("unsubscribe", "subscribe")]
        for base in ("ETH", "BTC")
    ]
    assert asked == both * 2
    wire.frame(SNAPSHOT).frame(UPDATE)
    assert wire.of(Gap) == []
    assert len(wire.of(BookDelta)) == 1


# --- subscribing ---


def test_one_frame_a_channel_with_heartbeats_beside():
    wire = Wire("matches", "ticker", insts=(BTC, ETH))
    products = ["BTC-USD", "ETH-USD"]
    assert wire.sent() == [
        {"type": "subscribe", "product_ids": products, "channels": [channel, "heartbeat"]}
        for channel in ("matches", "ticker")
    ]


def test_the_list_of_all_that_is_carried_accepts_what_is_on_it():
    wire = Wire("matches", "level2_batch", insts=(BTC, ETH))
    wire.say(
        type="subscriptions",
        channels=[
            {"name": "matches", "product_ids": ["ETH-USD", "BTC-USD"], "account_ids": None},
            {"name": "heartbeat", "product_ids": ["ETH-USD", "BTC-USD"]},
        ],
    )
    assert set(wire.asked(Accepted)[0].subscriptions) == set(subs("matches", insts=(BTC, ETH)))
    wire.say(
        type="subscriptions",
        channels=[
            {"name": "level2_50", "product_ids": ["ETH-USD", "BTC-USD"]},
            {"name": "matches", "product_ids": ["BTC-USD", "ETH-USD"]},
        ],
    )
    accepted = [sub for ask in wire.asked(Accepted) for sub in ask.subscriptions]
    assert sorted(accepted) == sorted(subs("matches", "level2_batch", insts=(BTC, ETH)))
    assert wire.tick(60).asked(Stalled) == [
        Stalled(
            subs("level2_batch", insts=(BTC, ETH)),
            "accepted, but nothing came within 60 s: does this stream exist?",
        )
    ]


def test_a_product_that_is_refused_by_name_takes_no_other_down():
    wire = Wire("matches", insts=(BTC, ETH, XYZ))
    wire.asks.clear()
    wire.say(type="error", message="Failed to subscribe", reason="XYZ-USD is not a valid product")
    reason = "Failed to subscribe: XYZ-USD is not a valid product"
    assert wire.asked(Refused) == [Refused(subs("matches", insts=(XYZ,)), reason)]
    assert [message["product_ids"] for message in wire.sent()] == [["BTC-USD", "ETH-USD"]]


def test_a_channel_that_is_refused_by_name_leaves_the_others():
    wire = Wire("level2_batch", "matches")
    wire.asks.clear()
    wire.say(type="error", message="Failed to subscribe", reason="level2_batch requires a key")
    assert [each.subscriptions for each in wire.asked(Refused)] == [subs("level2_batch")]
    assert wire.sent() == []
    wire.say(type="subscriptions", channels=[{"name": "matches", "product_ids": ["BTC-USD"]}])
    assert [each.subscriptions for each in wire.asked(Accepted)] == [subs("matches")]


def test_a_refusal_without_a_name_is_searched_for_by_halves():
    insts = [f"coinbase:C{number}/USD" for number in range(10)]
    listed = [Instrument("coinbase", f"C{n}", "USD", f"C{n}-USD") for n in range(10)]
    wire = Wire("matches", insts=insts, streams=Streams(Catalogue(listed)))
    carried, answered = set(), 0
    while answered < len(wire.sent()):
        wanted = set(wire.sent()[answered]["product_ids"])
        answered += 1
        if wanted & {"C3-USD", "C8-USD"}:
            wire.say(type="error", message="Failed to subscribe")
        else:
            carried |= wanted
            wire.say(
                type="subscriptions",
                channels=[{"name": "matches", "product_ids": sorted(carried)}],
            )
    refused = {sub.inst for each in wire.asked(Refused) for sub in each.subscriptions}
    accepted = {sub.inst for each in wire.asked(Accepted) for sub in each.subscriptions}
    assert refused == {"coinbase:C3/USD", "coinbase:C8/USD"}
    assert accepted == set(insts) - refused
    assert wire.tick(30).asked(Refused) == wire.asked(Refused)[:2]


def test_an_error_that_answers_nothing_is_a_bad_frame():
    wire = Wire("matches")
    with pytest.raises(BadFrame, match="ErrSlowConsume"):
        wire.say(type="error", message="ErrSlowConsume")
    assert wire.asked(Refused) == []
    wire.say(type="subscriptions", channels=[{"name": "matches", "product_ids": ["BTC-USD"]}])
    with pytest.raises(BadFrame, match="the venue reports strange"):
        wire.say(type="error", message="strange")


def test_heartbeats_go_with_the_last_channel_of_a_product():
    wire = Wire("matches", "ticker")
    wire.asks = list(wire.talk.want(frozenset(subs("matches")), wire.now, wire.out))
    assert [message["channels"] for message in wire.sent()] == [["ticker"]]
    wire.asks = list(wire.talk.want(frozenset(), wire.now, wire.out))
    assert [message["channels"] for message in wire.sent()] == [["matches"], ["heartbeat"]]
    wire.say(**match(7)).say(**heartbeat(7))
    assert wire.of(Trade) == []


def test_a_frame_that_nobody_asked_for_is_a_bad_frame_but_known_kinds_are_none():
    wire = Wire("matches")
    with pytest.raises(BadFrame, match="not asked for"):
        wire.frame(TICKER)
    with pytest.raises(BadFrame, match="unknown type 'riddle'"):
        wire.say(type="riddle", product_id="BTC-USD")
    wire.say(type="status", products=[], currencies=[]).say(type="received", product_id="BTC-USD")
    assert wire.out == []


def test_a_recording_needs_no_subscriptions_and_shows_its_last_match():
    wire = Wire(lenient=True).say(**match(7, "last_match")).say(**match(8)).frame(UPDATE)
    assert wire.ids() == [7, 8]
    assert len(wire.of(BookDelta)) == 1
    assert "no snapshot" in wire.of(Gap)[0].reason


# --- the dialect ---


@pytest.mark.parametrize(
    ("text", "channel"),
    [
        ("trades", "matches"), ("Trade", "matches"), ("MATCHES", "matches"),
        ("book", "level2_batch"), ("depth", "level2_batch"), ("level2", "level2_batch"),
        ("quote", "ticker"), ("bbo", "ticker"), ("ticker", "ticker"),
    ],
)  # fmt: skip
def test_common_words_name_channels(text, channel):
    assert dialect().channel(text) == channel


def test_there_are_no_candles_and_the_words_say_so():
    with pytest.raises(NotFound, match="candles are made of trades") as caught:
        dialect().channel("kline_1m")
    assert caught.value.suggestions == ("matches", "ticker", "level2_batch")


@pytest.mark.parametrize(
    ("text", "near"), [("matchs", "matches"), ("levle2_batch", "level2_batch")]
)
def test_an_unknown_channel_is_answered_with_the_nearest(text, near):
    with pytest.raises(NotFound) as caught:
        dialect().channel(text)
    assert caught.value.suggestions[0] == near


@pytest.mark.parametrize("text", ["liquidations", "mark_price", "funding"])
def test_a_spot_venue_has_no_derivatives_channels(text):
    with pytest.raises(NotFound):
        dialect().channel(text)


def test_a_listing_keeps_what_is_not_traded_and_says_why():
    pound, omg = dialect().instruments(LISTING)
    assert (pound.id, pound.native, pound.tick, pound.step) == (
        "coinbase:BTC/GBP", "BTC-GBP", 0.01, 1e-8,
    )  # fmt: skip
    assert pound.active
    assert (omg.active, omg.status) == (False, "trading disabled")


def test_a_listing_in_a_recording_is_recognised():
    venue = dialect()
    streams = Streams(Catalogue(), lenient=True)
    assert venue.recognise(LISTING, venue.catalogue(), streams) == venue.catalogue()[0]
    assert venue.recognise(SNAPSHOT.encode(), venue.catalogue(), streams) is None


def test_a_product_stays_on_one_connection():
    insts = [f"coinbase:C{number}/USD" for number in range(100)]
    routes = dialect().routes(subs("matches", "ticker", insts=insts))
    assert sum(len(route.subscriptions) for route in routes) == 200
    assert len(routes) == -(-200 // STREAMS_PER_LINK)
    assert all(len(route.subscriptions) <= LIMITS.subscriptions for route in routes)
    places = {sub.inst: route.name for route in routes for sub in route.subscriptions}
    assert all(places[s.inst] == r.name for r in routes for s in r.subscriptions)
