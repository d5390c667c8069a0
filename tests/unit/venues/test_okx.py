import zlib

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
    Metric,
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
    Refused,
    Renew,
    Route,
    Send,
    Streams,
    Subscription,
)
from tapewatch.venues.okx import MOST_BOOKS, REQUESTS, Okx, OkxConfig

SECOND = 1_000_000
NOW = 1_790_439_596_600_000
MS = 1_790_439_596_521
SPOT = "okx:BTC/USDT"
SWAP = "okx:BTC/USDT:USDT"
INVERSE = "okx:BTC/USD:BTC"
DATED = "okx:BTC/USDT:USDT-261225"
LISTED = (
    Instrument("okx", "BTC", "USDT", "BTC-USDT"),
    Instrument("okx", "ETH", "USDT", "ETH-USDT"),
    Instrument("okx", "BTC", "USDT", "BTC-USDT-SWAP", "USDT", contract_size=0.01),
    Instrument("okx", "ETH", "USDT", "ETH-USDT-SWAP", "USDT", contract_size=0.1),
    Instrument("okx", "BTC", "USD", "BTC-USD-SWAP", "BTC", contract_size=100.0),
    Instrument(
        "okx", "BTC", "USDT", "BTC-USDT-261225", "USDT", contract_size=0.01, expiry="261225"
    ),
)


def subs(*channels, inst=SPOT):
    return tuple(Subscription(inst, channel) for channel in channels)


def dialect():
    return Okx("okx", OkxConfig())


class Wire:
    """One connection, with its clock and its output."""

    def __init__(self, *wanted, streams=None, lenient=False, resume=None):
        listed = Catalogue(() if lenient else LISTED)
        self.streams = streams or Streams(listed, resume=resume or {}, lenient=lenient)
        route = Route("okx-public-0", "wss://x/ws/v5/public", wanted)
        self.talk = dialect().converse(route, self.streams)
        self.now = NOW
        self.out = []
        self.asks = list(self.talk.open(self.now))

    def frame(self, text):
        raw = text if isinstance(text, bytes) else text.encode()
        self.asks.extend(self.talk.decode(raw, self.now, self.out))
        return self

    def data(self, channel, row, native="BTC-USDT", **more):
        text = msgspec.json.encode(
            {"arg": {"channel": channel, "instId": native}, **more, "data": [row]}
        )
        return self.frame(text)

    def ack(self, channel, native="BTC-USDT"):
        return self.frame(
            f'{{"id":"1","event":"subscribe","arg":{{"channel":"{channel}","instId":"{native}"}},'
            f'"connId":"73220c7f"}}'
        )

    def tick(self, secs):
        self.now += int(secs * SECOND)
        self.asks.extend(self.talk.tick(self.now, self.out))
        return self

    def answer(self, body, status=200):
        fetch = next(ask for ask in reversed(self.asks) if isinstance(ask, Fetch))
        self.asks.remove(fetch)
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
        self.asks.extend(self.talk.answer(fetch, Answer(status, raw), self.now, self.out))
        return self

    def of(self, *kinds):
        return [event for event in self.out if isinstance(event, kinds)]

    def asked(self, kind):
        return [ask for ask in self.asks if isinstance(ask, kind)]

    def sent(self):
        return [msgspec.json.decode(ask.frame) for ask in self.asked(Send) if ask.frame != b"ping"]


def trade(last, count=1, *, side="buy", px="84093.5", sz="24.31", **more):
    return {
        "instId": "BTC-USDT-SWAP", "tradeId": str(last), "px": px, "sz": sz, "side": side,
        "ts": str(MS + last), "count": str(count), "source": "0", "seqId": 342177339042, **more,
    }  # fmt: skip


def book(seq, before, *, asks=(), bids=(), checksum=0, ms=None):
    rows = [[[price, size, "0", "1"] for price, size in side] for side in (asks, bids)]
    return {
        "asks": rows[0], "bids": rows[1], "ts": str(MS + seq if ms is None else ms),
        "checksum": checksum, "seqId": seq, "prevSeqId": before,
    }  # fmt: skip


# --- subscribing ---


def test_all_of_one_connection_is_asked_for_in_one_request():
    wire = Wire(*subs("books", "trades"), *subs("mark-price", "index-tickers", inst=SWAP))
    assert wire.sent() == [
        {
            "id": "1",
            "op": "subscribe",
            "args": [
                {"channel": "books", "instId": "BTC-USDT"},
                {"channel": "trades", "instId": "BTC-USDT"},
                {"channel": "mark-price", "instId": "BTC-USDT-SWAP"},
                {"channel": "index-tickers", "instId": "BTC-USDT"},
            ],
        }
    ]


def test_each_ack_accepts_its_own_subscription_once():
    wire = Wire(*subs("books", "trades")).ack("trades").ack("trades").ack("books")
    assert [ask.subscriptions for ask in wire.asked(Accepted)] == [subs("trades"), subs("books")]


def test_data_may_come_before_its_ack():
    wire = Wire(*subs("trades")).data("trades", trade(5)).ack("trades")
    assert [event.id for event in wire.of(Trade)] == ["5"]
    assert wire.asked(Accepted)


def test_a_refusal_that_names_its_channel_takes_no_other_down():
    wire = Wire(*subs("books", "trades")).frame(
        b'{"event":"error","msg":"Subscribe failed, wrong URL or channel:trades,instId:BTC-USDT '
        b"doesn't exist. Please use the correct URL, channel and parameters referring to API "
        b'document.","code":"60018","connId":"25ebf8bb"}'
    )
    wire.ack("books").tick(11)
    (refused,) = wire.asked(Refused)
    assert refused.subscriptions == subs("trades")
    assert refused.reason.startswith("code 60018: Subscribe failed, wrong URL or channel:trades")
    assert [ask.subscriptions for ask in wire.asked(Accepted)] == [subs("books")]


def fail(number, code="60012", msg="Invalid request: {}"):
    return msgspec.json.encode({"id": str(number), "event": "error", "code": code, "msg": msg})


def test_a_refusal_that_names_nothing_is_narrowed_down_to_one():
    wire = Wire(*subs("books", "tickers", "trades")).frame(fail(1))
    assert [[arg["channel"] for arg in each["args"]] for each in wire.sent()] == [
        ["books", "tickers", "trades"],
        ["books"],
        ["tickers", "trades"],
    ]
    wire.ack("books").frame(fail(3)).frame(fail(5)).ack("tickers")
    assert [ask.subscriptions for ask in wire.asked(Refused)] == [subs("trades")]
    assert wire.asked(Refused)[0].reason == "code 60012: Invalid request: {}"
    assert [ask.subscriptions for ask in wire.asked(Accepted)] == [subs("books"), subs("tickers")]


def test_what_was_too_much_at_once_is_asked_for_again_later_and_then_given_up():
    wire = Wire(*subs("books", "trades")).frame(fail(1, "60014", "Requests too frequent"))
    assert len(wire.sent()) == 1
    wire.tick(1).tick(1.1)
    assert len(wire.sent()) == 2
    wire.frame(fail(2, "60014")).tick(4.1).frame(fail(3, "60014")).tick(8.1).frame(fail(4, "60014"))
    assert {sub for ask in wire.asked(Refused) for sub in ask.subscriptions} == set(
        subs("books", "trades")
    )


def test_an_error_that_nobody_asked_for_is_a_bad_frame():
    with pytest.raises(BadFrame, match="code 60012"):
        Wire(*subs("books")).ack("books").frame(fail(7))


def test_no_answer_is_a_refusal():
    wire = Wire(*subs("books", "trades")).ack("trades").tick(11)
    assert [ask.subscriptions for ask in wire.asked(Refused)] == [subs("books")]


def test_the_notice_of_an_upgrade_asks_for_a_successor_once():
    notice = (
        b'{"event":"notice","code":"64008","msg":"The connection will soon be closed for a '
        b'service upgrade. Please reconnect.","connId":"a4d3ae55"}'
    )
    wire = Wire(*subs("books")).frame(notice).frame(notice)
    assert len(wire.asked(Renew)) == 1


def test_the_heartbeat_is_a_word_and_its_answer_no_event():
    wire = Wire(*subs("trades")).tick(19)
    assert Send(b"ping") not in wire.asks
    wire.tick(1.1).frame(b"pong")
    assert wire.asks.count(Send(b"ping")) == 1
    assert not wire.of(Trade)


@pytest.mark.parametrize("event", ["unsubscribe", "channel-conn-count"])
def test_what_tells_nothing_new_is_no_dead_letter(event):
    wire = Wire(*subs("trades")).frame(f'{{"event":"{event}","channel":"trades","connCount":"2"}}')
    assert not wire.out


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"[]",
        b"ping",
        b"<html>",
        b'{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"px":"1"}]}',
        b'{"arg":{"channel":"trades","instId":"ETH-USDT"},"data":[{}]}',
        b'{"arg":{"channel":"rumours","instId":"BTC-USDT"},"data":[{}]}',
        b'{"event":"notice","code":"1","msg":"?"}',
        b'{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[',
    ],
)
def test_what_cannot_be_read_is_said(frame):
    wire = Wire(*subs("trades"))
    with pytest.raises((BadFrame, ValueError)):
        wire.frame(frame)
    assert wire.data("trades", trade(5)).of(Trade)


def test_a_connection_that_has_used_up_its_requests_is_renewed():
    wire = Wire(*subs("trades"))
    for _ in range(REQUESTS // 2 + 1):
        wire.asks.extend(wire.talk.want(frozenset(), wire.now, wire.out))
        wire.asks.extend(wire.talk.want(frozenset(subs("trades")), wire.now, wire.out))
    assert len(wire.tick(1).tick(1).asked(Renew)) == 1


def test_unsubscribing_stops_events_without_dead_letters():
    wire = Wire(*subs("trades")).data("trades", trade(5))
    wire.asks.extend(wire.talk.want(frozenset(), wire.now, wire.out))
    assert wire.sent()[-1] == {
        "op": "unsubscribe",
        "args": [{"channel": "trades", "instId": "BTC-USDT"}],
    }
    assert [event.id for event in wire.data("trades", trade(6)).of(Trade)] == ["5"]


# --- trades ---


def test_a_trade_is_of_the_taker_and_covers_as_many_ids_as_fills():
    wire = Wire(*subs("trades", inst=SWAP))
    wire.data("trades", trade(59, 59), "BTC-USDT-SWAP").data("trades", trade(60), "BTC-USDT-SWAP")
    first, second = wire.of(Trade)
    assert first == Trade(
        (MS + 59) * 1000, NOW, SWAP, "59", Side.BUY, 84093.5, 24.31 * 0.01, "trades", 59
    )
    assert second.count == 1
    assert [(e.first, e.last) for e in wire.tick(1).of(Coverage)] == [(1, 60)]
    assert not wire.asked(Fetch)


def test_contracts_of_an_inverse_swap_are_quote_money():
    wire = Wire(*subs("trades", inst=INVERSE))
    wire.data("trades", trade(5, px="50000", sz="7"), "BTC-USD-SWAP")
    assert wire.of(Trade)[0].size == pytest.approx(7 * 100 / 50_000)


def rows(*numbers):
    fills = [
        {"instId": "BTC-USDT-SWAP", "side": "sell", "sz": "2", "px": "84000.1",
         "source": "0", "tradeId": str(n), "ts": str(MS + n)}
        for n in numbers
    ]  # fmt: skip
    return {"code": "0", "msg": "", "data": fills}


def test_missing_aggregates_are_fetched_as_single_fills_and_told_in_order():
    wire = Wire(*subs("trades", inst=SWAP)).data("trades", trade(10, 3), "BTC-USDT-SWAP")
    wire.data("trades", trade(16, 3), "BTC-USDT-SWAP")
    (fetch,) = wire.asked(Fetch)
    assert fetch.url == (
        "https://www.okx.com/api/v5/market/history-trades"
        "?instId=BTC-USDT-SWAP&type=1&after=14&limit=3"
    )
    wire.answer(rows(13, 12, 11)).tick(1)
    assert [(e.id, e.count, e.repaired) for e in wire.of(Trade)] == [
        ("10", 3, False), ("11", 1, True), ("12", 1, True), ("13", 1, True), ("16", 3, False),
    ]  # fmt: skip
    assert wire.of(Trade)[1].size == 0.02
    assert not wire.of(Gap)
    found = {(e.first, e.last, e.holding) for e in wire.of(Coverage)}
    assert found == {
        (11, 13, Holding.MISSING), (11, 13, Holding.REPAIRED), (8, 10, Holding.HAVE),
        (14, 16, Holding.HAVE),
    }  # fmt: skip


def test_a_failure_with_status_200_is_tried_again():
    wire = Wire(*subs("trades", inst=SWAP)).data("trades", trade(10), "BTC-USDT-SWAP")
    wire.data("trades", trade(12), "BTC-USDT-SWAP")
    wire.answer({"code": "50011", "msg": "Too Many Requests", "data": []}).tick(2.1)
    wire.answer(rows(11)).tick(1)
    assert [e.id for e in wire.of(Trade)] == ["10", "12", "11"]
    assert Holding.LOST not in {e.holding for e in wire.of(Coverage)}


def test_a_second_connection_repeats_nothing():
    one = Wire(*subs("trades")).data("trades", trade(10, 3))
    two = Wire(*subs("trades"), streams=one.streams).data("trades", trade(10, 3))
    two.data("trades", trade(11))
    one.data("trades", trade(11))
    assert [e.id for e in one.of(Trade)] + [e.id for e in two.of(Trade)] == ["10", "11"]


def test_aggregates_are_echoes_where_single_fills_are_carried_by_another_connection():
    public = Wire(*subs("trades")).data("trades", trade(10))
    business = Wire(*subs("trades-all"), streams=public.streams)
    business.data("trades-all", trade(10))
    public.data("trades", trade(11))
    business.asks.extend(business.talk.want(frozenset(), NOW, []))
    public.data("trades", trade(12))
    assert [e.echo for e in public.of(Trade)] == [False, True, False]
    assert [(e.echo, e.channel) for e in business.of(Trade)] == [(False, "trades-all")]


def test_a_trade_that_ends_before_it_begins_is_refused():
    with pytest.raises(BadFrame, match="cannot be the last of 9"):
        Wire(*subs("trades")).data("trades", trade(5, 9))


# --- books ---


def test_changes_follow_a_snapshot_by_the_id_before_them():
    wire = Wire(*subs("books", inst=SWAP))

    def say(action, row):
        wire.data("books", row, "BTC-USDT-SWAP", action=action)

    say("snapshot", book(10, -1, asks=[("101", "5")], bids=[("100", "4")]))
    say("update", book(15, 10, asks=[("101", "0")]))
    say("update", book(16, 15, bids=[("100", "3")]))
    snapshot, first, second = wire.out
    assert snapshot.seq == 10
    assert snapshot.asks == ((101.0, 0.05),)
    assert (first.first_seq, first.seq, first.asks) == (11, 15, ((101.0, 0.0),))
    assert (second.first_seq, second.seq, second.bids) == (16, 16, ((100.0, 0.03),))


def lived(*rows, streams=None):
    wire = Wire(*subs("books"), streams=streams).ack("books")
    wire.data("books", book(10, -1, asks=[("101", "5")], bids=[("100", "4")]), action="snapshot")
    for row in rows:
        wire.data("books", row, action="update")
    return wire


def seqs(wire):
    return [getattr(event, "seq", "gap") for event in wire.of(BookSnapshot, BookDelta, Gap)]


def change(seq, before, **more):
    return book(seq, before, bids=[("100", "3")], **more)


def test_a_hole_voids_the_book_and_subscribes_anew():
    wire = lived(change(11, 10), change(15, 13), change(16, 15)).tick(0.3)
    assert seqs(wire) == [10, 11, "gap"]
    assert [each["op"] for each in wire.sent()] == ["subscribe", "unsubscribe", "subscribe"]
    wire.data("books", book(20, -1, asks=[("101", "5")]), action="snapshot")
    wire.data("books", change(21, 20), action="update")
    assert seqs(wire) == [10, 11, "gap", 20, 21]


def test_a_frame_that_comes_twice_is_dropped():
    assert seqs(lived(change(11, 10), change(11, 10), change(12, 11))) == [10, 11, 12]


def test_the_sequence_may_be_set_back_while_the_chain_holds():
    rows = change(11, 10), change(3, 11, ms=MS + 20), change(4, 3, ms=MS + 21)
    assert seqs(lived(*rows)) == [10, 11, 3, 4]


def test_a_lost_reset_of_the_sequence_is_a_hole():
    assert seqs(lived(change(11, 10), change(4, 3, ms=MS + 21))) == [10, 11, "gap"]


def test_a_sign_of_life_is_no_change():
    assert seqs(lived(change(11, 10), book(11, 11, ms=MS + 60_000), change(12, 11))) == [10, 11, 12]


def test_a_sign_of_life_after_a_loss_shows_it():
    assert seqs(lived(change(11, 10), book(12, 12, ms=MS + 60_000))) == [10, 11, "gap"]


def test_a_renewed_connection_takes_the_book_over():
    old = lived(change(11, 10))
    new = Wire(*subs("books"), streams=old.streams).ack("books")
    new.data("books", change(12, 11), action="update")
    assert not seqs(new)
    new.data("books", book(12, -1, asks=[("101", "5")]), action="snapshot")
    old.data("books", change(12, 11), action="update")
    assert seqs(old) == [10, 11]
    old.talk.lost("renewed", NOW, old.out)
    new.data("books", change(13, 12), action="update")
    assert seqs(old) == [10, 11]
    assert seqs(new) == [12, 13]


def crc(text):
    total = zlib.crc32(text.encode())
    return total - 2**32 if total >= 2**31 else total


def test_a_checksum_is_over_the_texts_as_they_were_sent():
    wire = Wire(*subs("books"))
    first = crc("100.0:4.10:101.0:5:99:1")
    snapshot = book(10, -1, asks=[("101.0", "5")], bids=[("100.0", "4.10"), ("99", "1")])
    wire.data("books", snapshot | {"checksum": first}, action="snapshot")
    second = book(11, 10, asks=[("101.0", "0"), ("102.50", "7")])
    second["checksum"] = crc("100.0:4.10:102.50:7:99:1")
    wire.data("books", second, action="update")
    assert seqs(wire) == [10, 11]
    wire.data("books", change(12, 11, checksum=5), action="update")
    assert seqs(wire) == [10, 11, "gap"]
    assert "checksum" in wire.of(Gap)[0].reason


def test_a_snapshot_that_contradicts_its_checksum_is_no_book():
    wire = Wire(*subs("books"))
    row = book(10, -1, asks=[("101", "5")], checksum=7)
    with pytest.raises(BadFrame, match="checksum"):
        wire.data("books", row, action="snapshot")
    assert not wire.of(BookSnapshot)


def test_changes_without_any_proof_void_the_book():
    row = change(11, 10)
    del row["seqId"], row["prevSeqId"]
    assert seqs(lived(row)) == [10, "gap"]


@pytest.mark.parametrize(
    "level", [("-1", "1"), ("0", "1"), ("nan", "1"), ("1", "-1"), ("1", "inf")]
)
def test_an_impossible_level_is_refused(level):
    with pytest.raises(msgspec.ValidationError):
        lived(book(11, 10, bids=[("100", "3"), level, ("99", "1")]))


def test_five_levels_are_a_book_only_where_the_whole_is_not_carried():
    row = {"asks": [["101", "5", "0", "1"]], "bids": [], "instId": "BTC-USDT", "ts": str(MS)}
    alone = Wire(*subs("books5")).data("books5", row)
    assert [(e.asks, e.bids) for e in alone.of(BookSnapshot)] == [(((101.0, 5.0),), ())]
    both = Wire(*subs("books", "books5")).ack("books").data("books5", row)
    assert not both.of(BookSnapshot)


# --- the rest ---


def test_the_best_prices_are_a_quote_and_a_side_may_be_empty():
    row = {
        "asks": [["84093.5", "667.19", "0", "70"]], "bids": [["84093.4", "570.27", "0", "83"]],
        "ts": str(MS), "seqId": 342177336945,
    }  # fmt: skip
    wire = Wire(*subs("bbo-tbt", inst=SWAP)).data("bbo-tbt", row, "BTC-USDT-SWAP")
    wire.data("bbo-tbt", row, "BTC-USDT-SWAP")
    wire.data("bbo-tbt", row | {"bids": [], "ts": str(MS + 10)}, "BTC-USDT-SWAP")
    full, half = wire.of(Quote)
    assert full == Quote(
        MS * 1000, NOW, SWAP, 84093.4, 570.27 * 0.01, 84093.5, 667.19 * 0.01, 342177336945
    )
    assert (half.bid, half.bid_size) == (0.0, 0.0)


def ticker(**changes):
    return {
        "instType": "SWAP", "instId": "BTC-USDT", "last": "30218.8", "lastSz": "1",
        "askPx": "30220.1", "askSz": "3", "bidPx": "30210.4", "bidSz": "4", "open24h": "29571.4",
        "high24h": "31003.3", "low24h": "27930.8", "sodUtc0": "28935.3", "sodUtc8": "30320.5",
        "volCcy24h": "2620.289", "vol24h": "779573", "ts": str(MS),
    } | changes  # fmt: skip


def test_a_ticker_of_a_contract_counts_base_in_another_field_than_one_of_spot():
    wire = Wire(*(Subscription(inst, "tickers") for inst in (SPOT, SWAP, INVERSE)))
    for native in ("BTC-USDT", "BTC-USDT-SWAP", "BTC-USD-SWAP"):
        wire.data("tickers", ticker(), native)
    spot, swap, inverse = wire.of(Ticker)
    assert (spot.volume, spot.quote_volume) == (779573.0, 2620.289)
    assert (swap.volume, swap.quote_volume) == (2620.289, 0.0)
    assert (inverse.volume, inverse.quote_volume) == (2620.289, 77957300.0)
    assert swap.change == pytest.approx(647.4)
    assert swap.change_pct == pytest.approx(647.4 / 29571.4)
    assert (swap.bid, swap.ask) == (30210.4, 30220.1)


def test_an_instrument_that_never_traded_has_no_ticker_and_an_empty_side_no_price():
    empty = dict.fromkeys(("last", "open24h", "high24h", "low24h", "vol24h", "volCcy24h"), "")
    wire = Wire(*subs("tickers")).data("tickers", ticker(**empty))
    assert not wire.of(Ticker)
    wire.data("tickers", ticker(bidPx="", ts=str(MS + 1)))
    assert wire.of(Ticker)[0].bid is None


BAR = ["1789470120000", "77082.7", "77116.6", "77082.6", "77100", "1.5", "1219.29", "9.25", "0"]


def test_bars_are_the_venues_own_and_close_by_its_word():
    wire = Wire(*subs("candle1m"), *subs("candle1m", inst=SWAP))
    wire.data("candle1m", BAR).data("candle1m", BAR).data("candle1m", [*BAR[:-1], "1"])
    wire.data("candle1m", BAR, "BTC-USDT-SWAP")
    running, closed, swap = wire.of(Candle)
    assert running == Candle(
        1789470120000000, NOW, SPOT, "1m", 77082.7, 77116.6, 77082.6, 77100.0, 1.5, 0.0, 0,
        closed=False, quote_volume=1219.29, origin=Origin.VENUE,
    )  # fmt: skip
    assert (closed.closed, closed.quality) == (True, Quality.COMPLETE)
    assert (swap.volume, swap.quote_volume) == (1219.29, 9.25)


def test_an_older_state_of_a_bar_from_a_second_connection_is_dropped():
    later = [*BAR[:5], "1.7", *BAR[6:]]
    one = Wire(*subs("candle1m")).data("candle1m", later)
    two = Wire(*subs("candle1m"), streams=one.streams).data("candle1m", BAR)
    assert not two.of(Candle)


def funding(ms=MS, rate="0.0000252378080097"):
    return {
        "formulaType": "withRate", "fundingRate": rate, "fundingTime": "1790784000000",
        "instId": "BTC-USDT-SWAP", "instType": "SWAP", "nextFundingRate": "",
        "nextFundingTime": "1790812800000", "settState": "settled", "ts": str(ms),
    }  # fmt: skip


def test_mark_index_and_funding_make_one_picture():
    wire = Wire(*subs("mark-price", "funding-rate", "index-tickers", inst=SWAP))
    wire.data("mark-price", {"instId": "x", "markPx": "83003.8", "ts": str(MS)}, "BTC-USDT-SWAP")
    wire.data("index-tickers", {"idxPx": "83043.9", "ts": str(MS + 5)})
    wire.data("funding-rate", funding(MS + 7), "BTC-USDT-SWAP")
    first, second, third = wire.of(MarkPrice)
    assert first == MarkPrice(MS * 1000, NOW, SWAP, 83003.8)
    assert second == MarkPrice((MS + 5) * 1000, NOW, SWAP, 83003.8, 83043.9)
    assert third == MarkPrice(
        (MS + 7) * 1000, NOW, SWAP, 83003.8, 83043.9, 0.0000252378080097, 1790784000000000
    )


def test_without_a_mark_price_funding_index_and_interest_are_numbers_of_their_own():
    wire = Wire(*subs("funding-rate", "index-tickers", "open-interest", inst=SWAP))
    wire.data("funding-rate", funding(), "BTC-USDT-SWAP")
    wire.data("index-tickers", {"idxPx": "83043.9", "ts": str(MS)})
    row = {"oi": "2874486.99", "oiCcy": "28744.8699000000925", "oiUsd": "1", "ts": str(MS)}
    wire.data("open-interest", row, "BTC-USDT-SWAP")
    assert [(e.name, e.value, e.window) for e in wire.of(Metric)] == [
        ("funding_rate", 0.0000252378080097, "now"),
        ("index_price", 83043.9, "now"),
        ("open_interest", 28744.8699000000925, "now"),
    ]


def test_one_index_is_told_of_every_instrument_of_its_pair():
    wire = Wire(*(Subscription(inst, "index-tickers") for inst in (SPOT, SWAP, DATED)))
    assert [each["args"] for each in wire.sent()] == [
        [{"channel": "index-tickers", "instId": "BTC-USDT"}]
    ]
    wire.ack("index-tickers").data("index-tickers", {"idxPx": "83043.9", "ts": str(MS)})
    assert {sub.inst for ask in wire.asked(Accepted) for sub in ask.subscriptions} == {
        SPOT, SWAP, DATED,
    }  # fmt: skip
    assert {event.inst for event in wire.of(Metric)} == {SPOT, SWAP, DATED}


def forced(native="BTC-USDT-SWAP", *, sz="8.55", ms=MS, side="sell"):
    detail = {"bkLoss": "0", "bkPx": "82655.7", "ccy": "", "posSide": "long", "side": side,
              "sz": sz, "ts": str(ms)}  # fmt: skip
    row = {"details": [detail], "instFamily": "x", "instId": native, "instType": "SWAP", "uly": "x"}
    return msgspec.json.encode(
        {"arg": {"channel": "liquidation-orders", "instType": "SWAP"}, "data": [row]}
    )


def test_forced_orders_of_all_swaps_come_in_one_stream_and_only_the_wanted_are_told():
    wire = Wire(*subs("liquidation-orders", inst=SWAP), *subs("liquidation-orders", inst=INVERSE))
    assert wire.sent()[0]["args"] == [{"channel": "liquidation-orders", "instType": "SWAP"}]
    wire.frame(
        b'{"id":"1","event":"subscribe","arg":{"channel":"liquidation-orders","instType":"SWAP"}}'
    )
    (accepted,) = wire.asked(Accepted)
    assert {sub.inst for sub in accepted.subscriptions} == {SWAP, INVERSE}
    wire.frame(forced()).frame(forced()).frame(forced("ETH-USDT-SWAP")).frame(
        forced("BTC-USD-SWAP")
    )
    first, second = wire.of(Liquidation)
    assert first == Liquidation(MS * 1000, NOW, SWAP, Side.SELL, 82655.7, 0.0855)
    assert first.coverage is Quality.SAMPLED
    assert second.inst == INVERSE
    assert second.size == pytest.approx(855 / 82655.7)


def test_forced_orders_that_an_outage_may_have_cost_are_said():
    wire = Wire(*subs("liquidation-orders", inst=SWAP)).frame(forced())
    wire.talk.lost("cut", NOW, wire.out)
    assert [(gap.inst, gap.channel) for gap in wire.of(Gap)] == [(SWAP, "liquidation-orders")]


def test_a_data_frame_without_rows_is_a_sign_of_life():
    wire = Wire(*subs("liquidation-orders", inst=SWAP))
    wire.frame(b'{"arg":{"channel":"liquidation-orders","instType":"SWAP"},"data":[]}')
    assert not wire.out


def test_time_is_told_a_little_behind_because_other_channels_run_ahead_of_trades():
    wire = Wire(*subs("trades")).data("trades", trade(5)).tick(0.2)
    assert [tick.ts for tick in wire.of(Tick)] == [(MS + 5) * 1000 - SECOND - 1]


# --- recordings ---


def test_a_recording_tells_its_instruments_by_their_names():
    wire = Wire(lenient=True)
    for native in (
        "BTC-USDT",
        "BTC-USD-SWAP",
        "BTC-USDC-SWAP",
        "BTC-USD_UM-SWAP",
        "BTC-USD-261225",
    ):
        wire.data("trades", trade(5), native)
    assert [event.inst for event in wire.of(Trade)] == [
        "okx:BTC/USDT", "okx:BTC/USD:BTC", "okx:BTC/USDC:USDC", "okx:BTC/USD:USD",
        "okx:BTC/USD:BTC-261225",
    ]  # fmt: skip


@pytest.mark.parametrize("channel", ["candle1D", "candle1M", "mark-price-candle1m", "price-limit"])
def test_known_frames_that_are_no_event_of_ours_are_no_dead_letters(channel):
    assert not Wire(lenient=True).data(channel, BAR).out


# --- the dialect ---


@pytest.mark.parametrize(
    ("text", "channel"),
    [
        ("trades", "trades"), ("trade", "trades"), ("Trades-All", "trades-all"),
        ("ticker", "tickers"), ("book", "books"), ("depth", "books"), ("books5", "books5"),
        ("quote", "bbo-tbt"), ("bbo", "bbo-tbt"), ("klines", "candle1m"),
        ("kline_1m", "candle1m"), ("candle_1d", "candle1Dutc"), ("candle1D", "candle1Dutc"),
        ("candle1h", "candle1H"), ("CANDLE1M", "candle1m"), ("liquidations", "liquidation-orders"),
        ("mark_price", "mark-price"), ("funding", "funding-rate"),
        ("open_interest", "open-interest"),
    ],
)  # fmt: skip
def test_a_channel_is_found_by_its_own_and_by_common_words(text, channel):
    assert dialect().channel(text) == channel


@pytest.mark.parametrize(
    ("text", "near"), [("trads", "trades"), ("candle1M", "candle1m"), ("books-l2-tbt", "books")]
)
def test_an_unknown_channel_is_told_with_the_nearest(text, near):
    with pytest.raises(NotFound) as caught:
        dialect().channel(text)
    assert near in caught.value.suggestions


def test_books_candles_and_the_rest_have_links_of_their_own():
    channels = "trades", "trades-all", "books", "tickers", "candle1m", "bbo-tbt"
    routes = {route.name: route for route in dialect().routes(subs(*channels))}
    found = {
        name: (route.url, {sub.channel for sub in route.subscriptions})
        for name, route in routes.items()
    }
    host = "wss://ws.okx.com:8443/ws/v5"
    assert found == {
        "okx-public-0": (f"{host}/public", {"trades", "tickers", "bbo-tbt"}),
        "okx-books-0": (f"{host}/public", {"books"}),
        "okx-business-0": (f"{host}/business", {"trades-all", "candle1m"}),
    }


def test_no_link_carries_more_books_than_the_venue_advises():
    wanted = [Subscription(f"okx:C{number}/USDT", "books") for number in range(200)]
    routes = dialect().routes(wanted)
    assert max(len(route.subscriptions) for route in routes) <= MOST_BOOKS
    assert {sub for route in routes for sub in route.subscriptions} == set(wanted)


LISTING = msgspec.json.encode(
    {
        "code": "0",
        "msg": "",
        "data": [
            {"baseCcy": "BTC", "ctMult": "", "ctVal": "", "instId": "BTC-USDT", "instType": "SPOT",
             "lotSz": "0.00000001", "quoteCcy": "USDT", "settleCcy": "", "state": "live",
             "tickSz": "0.1", "uly": ""},
            {"baseCcy": "", "ctMult": "1", "ctVal": "0.01", "instId": "BTC-USDT-SWAP",
             "instType": "SWAP", "lotSz": "0.01", "quoteCcy": "", "settleCcy": "USDT",
             "state": "live", "tickSz": "0.1", "uly": "BTC-USDT"},
            {"baseCcy": "", "ctMult": "1", "ctVal": "100", "instId": "BTC-USD-261225",
             "instType": "FUTURES", "lotSz": "1", "quoteCcy": "", "settleCcy": "BTC",
             "state": "suspend", "tickSz": "0.1", "uly": "BTC-USD"},
            {"baseCcy": "", "ctMult": "0.1", "ctVal": "1", "instId": "BTC-USD-220514-22000-C",
             "instType": "OPTION", "settleCcy": "BTC", "state": "live", "uly": "BTC-USD"},
            {"baseCcy": "", "ctMult": "1", "ctVal": "", "instId": "ODD-USDT-SWAP",
             "instType": "SWAP", "settleCcy": "USDT", "state": "preopen", "uly": "ODD-USDT"},
        ],
    }
)  # fmt: skip


def test_a_listing_gives_spot_swaps_and_dated_contracts():
    spot, swap, dated = dialect().instruments(LISTING)
    assert (spot.id, spot.tick, spot.step, spot.contract_size) == (SPOT, 0.1, 1e-8, 1.0)
    assert (swap.id, swap.contract_size, swap.active) == (SWAP, 0.01, True)
    assert (dated.id, dated.contract_size) == ("okx:BTC/USD:BTC-261225", 100.0)
    assert (dated.active, dated.status) == (False, "suspend")


def test_several_listings_may_stand_in_one_file():
    assert len(dialect().instruments(LISTING + b"\n" + LISTING)) == 3


def test_a_listing_that_is_a_failure_says_why():
    with pytest.raises(ValueError, match="code 50011: Too Many"):
        dialect().instruments(b'{"code":"50011","msg":"Too Many Requests","data":[]}')


def test_the_catalogue_is_asked_for_by_kind_and_found_again_in_a_recording():
    pending = dialect().catalogue()
    assert [fetch.url.rpartition("=")[2] for fetch in pending] == ["SPOT", "SWAP", "FUTURES"]
    streams = Streams(Catalogue(), lenient=True)
    assert dialect().recognise(LISTING, pending, streams) in pending
    frame = b'{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[]}'
    assert dialect().recognise(frame, pending, streams) is None
