"""Mutated frames of Binance USD-M: good events or an exception, nothing else. As `test_fuzz`."""

import random
from collections import Counter
from math import inf, isfinite

import msgspec
import pytest

from tapewatch.model.codec import dead_letter, encode_json
from tapewatch.model.events import (
    BookDelta,
    Candle,
    Liquidation,
    MarkPrice,
    Quote,
    Ticker,
    Trade,
)
from tapewatch.model.instrument import Catalogue, Instrument
from tapewatch.ports import Answer, Fetch, Route, Streams, Subscription
from tapewatch.process.validate import validate
from tapewatch.venues._batches import MAX_KNOWN, Batches
from tapewatch.venues._book import MAX_HELD_LENIENT, BookSync
from tapewatch.venues._talk import _MAX_ADOPTED
from tapewatch.venues._trades import MAX_HELD, MAX_HOLES, TradeChain
from tapewatch.venues.binance_futures import BinanceFutures, FuturesConfig
from tests.unit.venues.test_fuzz import FRAMES, NOW, is_sane, mutate

VENUE = "binance_futures"
BTC = f"{VENUE}:BTC/USDT:USDT"
CHANNELS = (
    "trade", "aggTrade", "bookTicker", "depth", "depth5", "ticker", "miniTicker", "kline_1m",
    "markPrice", "forceOrder",
)  # fmt: skip
LEVELS = {
    "b": [["61837.63", "1.0"], ["61837.62", "0.5"], ["61837.61", "0"]],
    "a": [["61837.64", "0.000"], ["61837.65", "2"], ["61837.66", "3.5"]],
}


def data(n):
    """What each stream would say now; `n` counts up."""
    ms = NOW // 1000 + n
    same = {"E": ms, "T": ms, "s": "BTCUSDT"}
    row = {"p": "61800.30", "q": "0.006", "m": False}
    day = {"c": "110", "o": "100", "h": "120", "l": "90", "v": "5", "q": "500"}
    bar = {"t": ms, "i": "1m", **day, "n": 3, "x": False, "V": "2"}
    order = {"s": "BTCUSDT", "S": "SELL", "ap": "82651.90", "z": "0.190", "T": ms, "st": 1}
    depth = {"e": "depthUpdate", **same, "ps": "BTCUSDT", "U": n, "u": n, "pu": n - 1, **LEVELS}
    mark = {"p": "83003.1", "ap": "83003.1", "P": "83198.8", "i": "83045.6", "r": "-0.00001012"}
    return {
        "trade": {"e": "trade", **same, "t": n, **row, "X": "MARKET"},
        "aggTrade": {"e": "aggTrade", **same, "a": n, **row, "nq": "0.004", "f": n, "l": n},
        "bookTicker": {
            "e": "bookTicker", "u": n, **same, "b": "84788.20", "B": "5.923", "a": "84788.30",
            "A": "2.824", "st": 1,
        },
        "depth@100ms": depth,
        "depth5@100ms": depth,
        "ticker": {"e": "24hrTicker", **same, "p": "10", "P": "1.6", **day, "n": 552479},
        "miniTicker": {"e": "24hrMiniTicker", **same, **day},
        "kline_1m": {"e": "kline", **same, "k": bar},
        "markPrice@1s": {"e": "markPriceUpdate", **same, **mark, "st": 1},
        "forceOrder": {"e": "forceOrder", "E": ms, "o": order},
    }  # fmt: skip


def templates(n):
    """Frames of every kind: by stream, raw, of whole markets, and what is no data."""
    found = data(n)
    nothing = found["trade"] | {"p": "0", "q": "0", "X": "NA"}
    coin = found["markPrice@1s"] | {"s": "BTCUSD_PERP", "st": 2}
    wrapped = [{"stream": f"btcusdt@{kind}", "data": row} for kind, row in found.items()]
    others = [
        found["trade"], found["aggTrade"], found["bookTicker"], found["depth@100ms"],
        {"stream": "btcusdt@trade", "data": nothing},
        {"stream": "!markPrice@arr@1s", "data": [found["markPrice@1s"], coin]},
        {"stream": "!forceOrder@arr", "data": found["forceOrder"]},
        {"stream": "btcusdt_perpetual@continuousKline_1m", "data": {"e": "continuous_kline"}},
        {"lastUpdateId": n, "bids": LEVELS["b"], "asks": LEVELS["a"]},
        {"result": None, "id": 1}, {"error": {"code": 2, "msg": "Invalid"}, "id": 1},
    ]  # fmt: skip
    return [msgspec.json.encode(frame) for frame in (*wrapped, *others)]


ANSWERS = (
    b'[{"a":5,"p":"0.01","q":"4.7","nq":"4","f":27781,"l":27781,"T":1698793709153,"m":true}]',
    b'[{"id":5,"price":"4.0","qty":"12.0","time":1699865549590,"isBuyerMaker":true}]',
    b'[{"id":5,"price":"4","qty":"1","time":1699865549590,"isBuyerMaker":true},{"id":8}]',
    b'{"lastUpdateId":5,"E":5,"T":5,"bids":[["61837.63","1.0"]],"asks":[["61837.64","2.0"]]}',
)


def is_good(event):
    if isinstance(event, Liquidation):
        return 0 < event.price < inf and 0 < event.size < inf
    if isinstance(event, MarkPrice):
        return 0 < event.mark < inf and isfinite(event.funding_rate or 0.0)
    return is_sane(event)


class Target:
    def __init__(self, *, lenient):
        listed = [Instrument(VENUE, "BTC", "USDT", "BTCUSDT", "USDT")]
        self.streams = Streams(Catalogue(listed), lenient=lenient)
        wanted = () if lenient else tuple(Subscription(BTC, channel) for channel in CHANNELS)
        dialect = BinanceFutures(VENUE, FuturesConfig())
        self.talk = dialect.converse(Route("r", "", wanted), self.streams)
        self.talk.open(NOW)
        self.results = Counter()

    def feed(self, raw, now, rng):
        out, asks = [], ()
        try:
            asks = self.talk.decode(raw, now, out)
        except Exception as error:
            out.append(dead_letter(VENUE, "decode", str(error), raw, now))
            self.results["dead letter"] += 1
        if rng.random() < 0.02:
            asks = (*asks, *self.talk.tick(now, out))
        self.answer(asks, now, out, rng)
        for event in out:
            assert is_good(event), (raw, event)
            encode_json(event)
        assert len(validate(out)[0]) <= len(out)  # the gate behind stays well too
        self.results["events"] += len(out)

    def answer(self, asks, now, out, rng):
        for fetch in (ask for ask in asks if isinstance(ask, Fetch)):
            body = mutate(rng.choice(ANSWERS), rng) if rng.random() < 0.8 else b"[]"
            status = rng.choice((200, 200, 200, 0, 429, 500))
            self.answer(self.talk.answer(fetch, Answer(status, body), now, out), now, out, rng)

    def check_bounds(self):
        assert len(self.streams.state) <= _MAX_ADOPTED + 10
        for flow in self.streams.state.values():
            if isinstance(flow, TradeChain):
                assert len(flow._held) <= MAX_HELD + 1
                # a late trade may part a hole; the next hole makes up for it
                assert len(flow.holes) + len(flow._late) <= MAX_HOLES + 10
            elif isinstance(flow, BookSync):
                assert len(flow.held) <= MAX_HELD_LENIENT + 1
            elif isinstance(flow, Batches):
                assert len(flow._known) <= MAX_KNOWN


@pytest.mark.parametrize("lenient", [False, True])
def test_mutated_frames_make_good_events_or_dead_letters_and_leave_the_decoder_well(lenient):
    rng = random.Random(20261124)
    target = Target(lenient=lenient)
    now = NOW
    for n in range(FRAMES // 2):
        now += 1_000
        if n % 20 == 0:
            fresh = templates(1_000 + n)
        raw = rng.choice(fresh)
        target.feed(raw if rng.random() < 0.1 else mutate(raw, rng), now, rng)
        if n % 5_000 == 0:
            target.check_bounds()
    target.check_bounds()
    assert target.results["dead letter"] > FRAMES // 8
    assert target.results["events"] > FRAMES // 8
    recover(target, now)


def recover(target, now):
    """Good frames make events of every kind again: after a hold, a resync, a reset at most."""
    wanted = {
        (Trade, "trade"), (Trade, "aggTrade"), (Quote, ""), (BookDelta, ""), (Ticker, ""),
        (Candle, ""), (MarkPrice, ""), (Liquidation, ""),
    }  # fmt: skip
    for n in range(5_000_000, 5_000_000 + MAX_HELD_LENIENT + 100):
        now += 100_000
        out = []
        for raw in templates(n)[: len(CHANNELS)]:
            asks = target.talk.decode(raw, now, out)
            asks = (*asks, *target.talk.tick(now, out))
            body = b'{"lastUpdateId":%d,"bids":[],"asks":[]}' % n
            for fetch in (ask for ask in asks if isinstance(ask, Fetch)):
                answer = Answer(200, body) if "/depth" in fetch.url else Answer(0, b"down")
                target.talk.answer(fetch, answer, now, out)
        assert all(is_good(event) for event in out)
        wanted -= {(type(event), getattr(event, "channel", "")) for event in out}
        if not wanted:
            return
    assert not wanted


def test_without_mutations_nothing_is_refused():
    target, rng = Target(lenient=True), random.Random(1)
    for n in range(1_000, 1_200):
        for raw in templates(n)[: len(CHANNELS)]:
            target.feed(raw, NOW + n, rng)
    assert not target.results["dead letter"]
    assert target.results["events"] > 200 * (len(CHANNELS) - 2)
