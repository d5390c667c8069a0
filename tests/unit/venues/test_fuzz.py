"""Mutated frames into the decoder: good events or an exception, never anything else.

TAPEWATCH_FUZZ_FRAMES=1000000 runs a million; the usual run is bounded.
"""

import os
import random
from collections import Counter
from math import inf

import pytest

from tapewatch.model.codec import dead_letter, encode_json
from tapewatch.model.events import (
    BookDelta,
    BookSnapshot,
    Candle,
    Quote,
    Tick,
    Ticker,
    Trade,
)
from tapewatch.model.instrument import Catalogue, Instrument
from tapewatch.ports import Answer, Fetch, Route, Streams, Subscription
from tapewatch.venues._book import MAX_HELD_LENIENT, BookSync
from tapewatch.venues._talk import _MAX_ADOPTED
from tapewatch.venues._trades import MAX_HELD, MAX_HOLES, TradeChain
from tapewatch.venues.binance import Binance, BinanceConfig

FRAMES = int(os.environ.get("TAPEWATCH_FUZZ_FRAMES", "100000"))
BTC = "binance:BTC/USDT"
NOW = 1_723_161_255_000_000
CHANNELS = (
    "trade", "aggTrade", "bookTicker", "depth", "depth5", "ticker", "miniTicker", "kline_1m",
)  # fmt: skip


def templates(n):
    """Frames of every kind as the venue would send them now; `n` counts up."""
    ms = NOW // 1000 + n
    wrap = '{{"stream":"btcusdt@{}","data":{}}}'.format
    trade = (
        f'{{"e":"trade","E":{ms},"s":"BTCUSDT","t":{n},"p":"61837.63000000","q":"0.02000000",'
        f'"T":{ms},"m":true,"M":true}}'
    )
    agg = (
        f'{{"e":"aggTrade","E":{ms},"s":"BTCUSDT","a":{n},"p":"61837.63000000",'
        f'"q":"0.02000000","f":{n},"l":{n},"T":{ms},"m":false,"M":true}}'
    )
    quote = f'{{"u":{n},"s":"BTCUSDT","b":"61837.63","B":"3.78","a":"61837.64","A":"1.54"}}'
    depth = (
        f'{{"e":"depthUpdate","E":{ms},"s":"BTCUSDT","U":{n},"u":{n},'
        f'"b":[["61837.63000000","1.00000000"],["61837.62","0.5"],["61837.61","0"]],'
        f'"a":[["61837.64000000","0.00000000"],["61837.65","2"],["61837.66","3.5"]]}}'
    )
    top = f'{{"lastUpdateId":{n},"bids":[["61837.63","1.0"]],"asks":[["61837.64","2.0"]]}}'
    ticker = (
        f'{{"e":"24hrTicker","E":{ms},"s":"BTCUSDT","p":"28.23","P":"1.600","c":"1792.84",'
        f'"b":"1792.83","a":"1792.84","o":"1764.61","h":"1808.98","l":"1748.94","v":"471703.5",'
        f'"q":"840180761.5","n":552479}}'
    )
    mini = (
        f'{{"e":"24hrMiniTicker","E":{ms},"s":"BTCUSDT","c":"110","o":"100","h":"120","l":"90",'
        f'"v":"5","q":"500"}}'
    )
    kline = (
        f'{{"e":"kline","E":{ms},"s":"BTCUSDT","k":{{"t":{ms},"i":"1m","o":"0.35","c":"0.36",'
        f'"h":"0.37","l":"0.34","v":"25877.0","n":30,"x":false,"q":"9116.0","V":"58.0"}}}}'
    )
    return [
        wrap("trade", trade), wrap("aggTrade", agg), wrap("bookTicker", quote),
        wrap("depth@100ms", depth), wrap("depth5@100ms", top), wrap("ticker", ticker),
        wrap("miniTicker", mini), wrap("kline_1m", kline), trade, agg, quote, depth, top,
        f"[{mini},{ticker}]", '{"result":null,"id":1}', '{"code":2,"msg":"Invalid","id":1}',
        '{"e":"serverShutdown","E":1770123456789}',
    ]  # fmt: skip


POISON = (
    b"NaN", b'"NaN"', b'"Infinity"', b'"-Infinity"', b"-1", b'"-1"', b"0", b'"0"', b"null",
    b"true", b"[]", b"{}", b'""', b"1e999", b'"1e999"', b"9" * 400, b'"' + b"9" * 400 + b'"',
    b"[" * 5_000, b'{"a":' * 3_000, b"\xff\xfe", b"\xc3\x28", b"\x00", b'"\\ud800"', b"1.5",
    b"-9223372036854775809", b"18446744073709551616", b"[[[]]]", b'[["1","2","3"]]',
)  # fmt: skip


def mutate(raw, rng):
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(raw) + 1)
        end = min(len(raw), at + rng.randrange(1, 20))
        kind = rng.randrange(7)
        if kind == 0 and at < len(raw):
            raw = raw[:at] + bytes((raw[at] ^ (1 << rng.randrange(8)),)) + raw[at + 1 :]
        elif kind == 1:
            raw = raw[:at]
        elif kind == 2:
            raw = raw[:at] + raw[end:]
        elif kind == 3:
            raw = raw[:at] + raw[at:end] * 2 + raw[end:]
        elif kind == 4:
            raw = raw[:at] + rng.randbytes(rng.randrange(1, 8)) + raw[at:]
        else:
            raw = swap_value(raw, rng)
    return raw


def swap_value(raw, rng):
    """Put something else where a value stands."""
    colon = raw.find(b":", rng.randrange(len(raw) + 1))
    if colon < 0:
        return raw
    end = min((e for e in (raw.find(b",", colon), raw.find(b"}", colon)) if e > 0), default=-1)
    return raw[: colon + 1] + rng.choice(POISON) + (raw[end:] if end > 0 else b"")


def positive(*numbers):
    return all(0 < number < inf for number in numbers)


def not_negative(*numbers):
    return all(number is None or 0 <= number < inf for number in numbers)


def is_sane(event):
    if isinstance(event, Trade):
        return positive(event.price, event.size, event.count)
    if isinstance(event, Quote):
        return not_negative(event.bid, event.ask, event.bid_size, event.ask_size)
    if isinstance(event, (BookDelta, BookSnapshot)):
        levels = (*event.bids, *event.asks)
        return all(positive(price) and not_negative(size) for price, size in levels)
    if isinstance(event, Candle):
        return not_negative(event.open, event.high, event.low, event.close, event.volume)
    if isinstance(event, Ticker):
        finite = -inf < event.change < inf and -inf < event.change_pct < inf
        return finite and not_negative(event.last, event.open, event.high, event.low, event.bid)
    return not isinstance(event, Tick) or event.ts <= NOW + 86_400 * 1_000_000 * 2


class Target:
    def __init__(self, *, lenient):
        listed = [Instrument("binance", "BTC", "USDT", "BTCUSDT")]
        self.streams = Streams(Catalogue(listed), lenient=lenient)
        wanted = () if lenient else tuple(Subscription(BTC, channel) for channel in CHANNELS)
        dialect = Binance("binance", BinanceConfig())
        self.talk = dialect.converse(Route("r", "", wanted), self.streams)
        self.talk.open(NOW)
        self.results = Counter()

    def feed(self, raw, now, rng):
        out, asks = [], ()
        try:
            asks = self.talk.decode(raw, now, out)
        except Exception as error:
            out.append(dead_letter("binance", "decode", str(error), raw, now))
            self.results["dead letter"] += 1
        if rng.random() < 0.02:
            asks = (*asks, *self.talk.tick(now, out))
        self.answer(asks, now, out, rng)
        for event in out:
            assert is_sane(event), (raw, event)
            encode_json(event)
        self.results["events"] += len(out)
        return out

    def answer(self, asks, now, out, rng):
        for fetch in (ask for ask in asks if isinstance(ask, Fetch)):
            body = mutate(rng.choice(ANSWERS), rng) if rng.random() < 0.8 else b"[]"
            status = rng.choice((200, 200, 200, 0, 429, 500))
            self.answer(self.talk.answer(fetch, Answer(status, body), now, out), now, out, rng)

    def check_bounds(self):
        assert len(self.streams.state) <= _MAX_ADOPTED + 1
        for flow in self.streams.state.values():
            if isinstance(flow, TradeChain):
                assert len(flow._held) <= MAX_HELD + 1
                assert len(flow.holes) + len(flow._late) <= MAX_HOLES + 3
            elif isinstance(flow, BookSync):
                assert len(flow._held) <= MAX_HELD_LENIENT + 1


ANSWERS = (
    b'[{"a":5,"p":"0.01","q":"4.7","f":27781,"l":27781,"T":1698793709153,"m":true,"M":true}]',
    b'[{"id":5,"price":"4.0","qty":"12.0","time":1699865549590,"isBuyerMaker":true}]',
    b'{"lastUpdateId":5,"bids":[["61837.63","1.0"]],"asks":[["61837.64","2.0"]]}',
)


@pytest.mark.parametrize("lenient", [False, True])
def test_mutated_frames_make_good_events_or_dead_letters_and_leave_the_decoder_well(lenient):
    rng = random.Random(20261121)
    target = Target(lenient=lenient)
    now = NOW
    for n in range(FRAMES // 2):
        now += 1_000
        if n % 20 == 0:
            fresh = [text.encode() for text in templates(1_000 + n)]
        raw = rng.choice(fresh)
        target.feed(raw if rng.random() < 0.1 else mutate(raw, rng), now, rng)
        if n % 5_000 == 0:
            target.check_bounds()
    target.check_bounds()
    assert target.results["dead letter"] > FRAMES // 8
    assert target.results["events"] > target.results["dead letter"]
    recover(target, now)


def recover(target, now):
    """Good frames make events of every kind again: after a hold, a resync, a reset at most."""
    wanted = {
        (Trade, "trade"), (Trade, "aggTrade"), (Quote, ""), (BookDelta, ""), (Ticker, ""),
        (Candle, ""),
    }  # fmt: skip
    for n in range(5_000_000, 5_000_000 + MAX_HELD_LENIENT + 100):
        now += 100_000
        out = []
        for raw in templates(n)[:8]:
            asks = target.talk.decode(raw.encode(), now, out)
            asks = (*asks, *target.talk.tick(now, out))
            body = b'{"lastUpdateId":%d,"bids":[],"asks":[]}' % n
            for fetch in (ask for ask in asks if isinstance(ask, Fetch)):
                answer = Answer(200, body) if "/depth" in fetch.url else Answer(0, b"down")
                target.talk.answer(fetch, answer, now, out)
        assert all(is_sane(event) for event in out)
        wanted -= {(type(event), getattr(event, "channel", "")) for event in out}
        if not wanted:
            return
    assert not wanted
