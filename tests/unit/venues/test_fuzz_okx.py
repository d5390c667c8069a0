"""Mutated frames of OKX: good events or an exception, never anything else. As `test_fuzz`."""

import random
from collections import Counter
from math import inf, isfinite

import msgspec
import pytest

from tapewatch.model.codec import dead_letter, encode_json
from tapewatch.model.events import (
    BookDelta,
    BookSnapshot,
    Candle,
    Liquidation,
    MarkPrice,
    Metric,
    Quote,
    Ticker,
    Trade,
)
from tapewatch.model.instrument import Catalogue, Instrument
from tapewatch.ports import Answer, Fetch, Route, Streams, Subscription
from tapewatch.venues._talk import _MAX_ADOPTED
from tapewatch.venues._trades import MAX_HELD, MAX_HOLES, TradeChain
from tapewatch.venues.okx import Okx, OkxConfig
from tests.unit.venues.test_fuzz import FRAMES, NOW, is_sane, mutate

SWAP = "okx:BTC/USDT:USDT"
INVERSE = "okx:BTC/USD:BTC"
LISTED = (
    Instrument("okx", "BTC", "USDT", "BTC-USDT-SWAP", "USDT", contract_size=0.01),
    Instrument("okx", "BTC", "USD", "BTC-USD-SWAP", "BTC", contract_size=100.0),
)
CHANNELS = (
    "trades", "trades-all", "books", "books5", "bbo-tbt", "tickers", "candle1m", "mark-price",
    "index-tickers", "funding-rate", "open-interest", "liquidation-orders",
)  # fmt: skip
LEVELS = [["100", "5", "0", "1"], ["99.5", "4.25", "0", "3"], ["99", "0", "0", "0"]]


def frame(channel, row, native="BTC-USDT-SWAP", **more):
    arg = {"channel": channel, "instId": native}
    return msgspec.json.encode({"arg": arg, **more, "data": [row]})


def templates(n, before):
    """Frames of every kind as the venue would send them now; `n` counts up."""
    ms = str(NOW // 1000 + n)
    trade = {"instId": "x", "tradeId": str(n), "px": "84093.5", "sz": "24.31", "side": "buy",
             "ts": ms, "count": "1", "source": "0", "seqId": n}  # fmt: skip
    book = {"asks": LEVELS, "bids": LEVELS, "ts": ms, "checksum": 0, "seqId": n}
    ticker = {"last": "110", "askPx": "111", "bidPx": "", "open24h": "100", "high24h": "120",
              "low24h": "90", "volCcy24h": "5", "vol24h": "500", "ts": ms}  # fmt: skip
    funding = {"fundingRate": "0.00002", "fundingTime": ms, "nextFundingRate": "", "ts": ms}
    forced = {"details": [{"bkPx": "82655.7", "posSide": "long", "side": "sell", "sz": "8.55",
                           "ts": ms}], "instId": "BTC-USDT-SWAP"}  # fmt: skip
    return [
        frame("trades", trade),
        frame("trades", trade, "BTC-USD-SWAP"),
        frame("trades-all", trade),
        frame("books", {**book, "prevSeqId": -1}, action="snapshot"),
        frame("books", {**book, "seqId": n + 1, "prevSeqId": n}, action="update"),
        frame("books", {**book, "prevSeqId": before}, "BTC-USD-SWAP", action="update"),
        frame("books5", book),
        frame("bbo-tbt", book),
        frame("tickers", ticker),
        frame("candle1m", [ms, "100", "120", "90", "110", "5", "6", "7", "0"]),
        frame("mark-price", {"instId": "x", "markPx": "83003.8", "ts": ms}),
        frame("index-tickers", {"idxPx": "83043.9", "ts": ms}, "BTC-USDT"),
        frame("funding-rate", funding),
        frame("open-interest", {"oi": "1", "oiCcy": "28744.8699", "ts": ms}),
        msgspec.json.encode(
            {"arg": {"channel": "liquidation-orders", "instType": "SWAP"}, "data": [forced]}
        ),
        b'{"id":"1","event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT-SWAP"}}',
        b'{"event":"error","code":"60018","msg":"channel:books,instId:NO-USDT does not exist"}',
        b"pong",
    ]


def is_good(event):
    if isinstance(event, Liquidation):
        return 0 < event.price < inf and 0 < event.size < inf
    if isinstance(event, MarkPrice):
        return 0 < event.mark < inf and isfinite(event.funding_rate or 0.0)
    if isinstance(event, Metric):
        return isfinite(event.value)
    if isinstance(event, Ticker):
        return isfinite(event.change_pct) and 0 < event.last < inf and isfinite(event.quote_volume)
    return is_sane(event)


class Target:
    def __init__(self, *, lenient):
        self.streams = Streams(Catalogue(() if lenient else LISTED), lenient=lenient)
        subs = [Subscription(inst, channel) for inst in (SWAP, INVERSE) for channel in CHANNELS]
        dialect = Okx("okx", OkxConfig())
        self.talk = dialect.converse(Route("r", "", () if lenient else tuple(subs)), self.streams)
        self.talk.open(NOW)
        self.results = Counter()

    def feed(self, raw, now, rng):
        out, asks = [], ()
        try:
            asks = self.talk.decode(raw, now, out)
        except Exception as error:
            out.append(dead_letter("okx", "decode", str(error), raw, now))
            self.results["dead letter"] += 1
        if rng.random() < 0.02:
            asks = (*asks, *self.talk.tick(now, out))
        self.answer(asks, now, out, rng)
        for event in out:
            assert is_good(event), (raw, event)
            encode_json(event)
        self.results["events"] += len(out)

    def answer(self, asks, now, out, rng):
        for fetch in (ask for ask in asks if isinstance(ask, Fetch)):
            body = mutate(ANSWER, rng) if rng.random() < 0.8 else b'{"code":"0","data":[]}'
            status = rng.choice((200, 200, 200, 0, 429, 500))
            self.answer(self.talk.answer(fetch, Answer(status, body), now, out), now, out, rng)

    def check_bounds(self):
        assert len(self.streams.state) <= _MAX_ADOPTED + 10
        assert len(self.talk.flows) <= _MAX_ADOPTED
        for flow in self.streams.state.values():
            if isinstance(flow, TradeChain):
                assert len(flow._held) <= MAX_HELD + 1
                assert len(flow.holes) + len(flow._late) <= MAX_HOLES + 3


ANSWER = (
    b'{"code":"0","msg":"","data":[{"instId":"BTC-USDT-SWAP","side":"sell","sz":"2","px":"84000.1",'
    b'"source":"0","tradeId":"5","ts":"1723161255000"}]}'
)


@pytest.mark.parametrize("lenient", [False, True])
def test_mutated_frames_make_good_events_or_dead_letters_and_leave_the_decoder_well(lenient):
    rng = random.Random(20261124)
    target = Target(lenient=lenient)
    now, before = NOW, 0
    for n in range(FRAMES // 2):
        now += 1_000
        if n % 20 == 0:
            fresh = templates(1_000 + n, before)
            before = 1_000 + n
        raw = rng.choice(fresh)
        target.feed(raw if rng.random() < 0.1 else mutate(raw, rng), now, rng)
        if n % 5_000 == 0:
            target.check_bounds()
    target.check_bounds()
    assert target.results["dead letter"] > FRAMES // 8
    assert target.results["events"] > target.results["dead letter"]
    recover(target, now)


def recover(target, now):
    """Good frames make events of every kind again: after a hold, a reset, an outage of a book."""
    wanted = {
        (Trade, "trades"), (Trade, "trades-all"), (BookSnapshot, ""), (BookDelta, ""), (Quote, ""),
        (Ticker, ""), (Candle, ""), (MarkPrice, ""), (Metric, ""), (Liquidation, ""),
    }  # fmt: skip
    for n in range(5_000_000, 5_001_000):
        now += 100_000
        out = []
        for raw in templates(n, n - 1):
            try:
                asks = target.talk.decode(raw, now, out)
            except Exception:  # an error that is for nobody
                assert b'"event"' in raw
                continue
            asks = (*asks, *target.talk.tick(now, out))
            for fetch in (ask for ask in asks if isinstance(ask, Fetch)):
                target.talk.answer(fetch, Answer(0, b"down"), now, out)
        assert all(is_good(event) for event in out)
        wanted -= {(type(event), getattr(event, "channel", "")) for event in out}
        if not wanted:
            return
    assert not wanted
