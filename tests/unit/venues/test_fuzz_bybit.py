"""Mutated frames and answers into both Bybit dialects: good events or an exception, nothing else.

TAPEWATCH_FUZZ_FRAMES=1000000 runs a million; the usual run is bounded.
"""

import os
import random
from collections import Counter

import pytest

from tapewatch.model.codec import dead_letter, encode_json
from tapewatch.model.events import (
    BookDelta,
    BookSnapshot,
    Candle,
    Liquidation,
    MarkPrice,
    Quote,
    Tick,
    Ticker,
    Trade,
)
from tapewatch.model.instrument import Catalogue, Instrument
from tapewatch.model.times import DAY
from tapewatch.ports import Answer, Fetch, Route, Streams, Subscription
from tapewatch.runtime import plugins
from tapewatch.venues._unnumbered import MAX_HELD, Unnumbered
from tests.unit.venues.test_fuzz import is_sane, mutate, not_negative, positive

FRAMES = int(os.environ.get("TAPEWATCH_FUZZ_FRAMES", "100000"))
MS = 1_789_299_670_000
NOW = MS * 1000
SPOT = ("publicTrade", "orderbook.50", "orderbook.1", "tickers", "kline.1")
CHANNELS = {"bybit": SPOT, "bybit_linear": (*SPOT, "allLiquidation")}
SETTLE = {"bybit": "", "bybit_linear": "USDT"}
KINDS = {Trade, BookDelta, BookSnapshot, Quote, Ticker, Candle}
ONLY_LINEAR = {MarkPrice, Liquidation}


def templates(n):
    """Frames of every kind as the venue would send them now; `n` counts up."""
    ms = MS + n
    levels = '"b":[["77140.5","0.1"],["77140.4","0"]],"a":[["77140.6","0.3"]]'
    data = f'{{"s":"BTCUSDT",{levels},"u":{n},"seq":{n}}}'
    book = f'{{"topic":"orderbook.DEPTH.BTCUSDT","ts":{ms},"type":"KIND","data":{data},"cts":{ms}}}'
    trade = f'{{"i":"{n}","T":{ms},"p":"77140.5","v":"0.1","S":"Sell","seq":{n},"s":"BTCUSDT"}}'
    numbers = (
        '"lastPrice":"1.5","prevPrice24h":"1","highPrice24h":"2","lowPrice24h":"1",'
        '"volume24h":"5","turnover24h":"7","price24hPcnt":"0.5","bid1Price":"","ask1Price":"2",'
        '"markPrice":"1.5","indexPrice":"1.4","fundingRate":"-0.1","nextFundingTime":"17"'
    )
    ticker = f'{{"topic":"tickers.BTCUSDT","type":"KIND","data":{{{numbers}}},"cs":1,"ts":{ms}}}'
    kline = (
        f'{{"start":{ms},"interval":"1","open":"2","close":"2","high":"3","low":"1","volume":"5",'
        f'"turnover":"9","confirm":false}}'
    )
    forced = f'{{"T":{ms},"s":"BTCUSDT","S":"Buy","v":"0.006","p":"82396.90"}}'
    return [
        f'{{"topic":"publicTrade.BTCUSDT","ts":{ms},"type":"snapshot","data":[{trade}]}}',
        book.replace("DEPTH", "50").replace("KIND", "delta"),
        book.replace("DEPTH", "50").replace("KIND", "snapshot"),
        book.replace("DEPTH", "1").replace("KIND", "snapshot"),
        ticker.replace("KIND", "snapshot"),
        ticker.replace("KIND", "delta"),
        f'{{"topic":"kline.1.BTCUSDT","data":[{kline}],"ts":{ms},"type":"snapshot"}}',
        f'{{"topic":"allLiquidation.BTCUSDT","type":"snapshot","ts":{ms},"data":[{forced}]}}',
        '{"success":true,"ret_msg":"","conn_id":"d","req_id":"1","op":"subscribe"}',
        '{"success":false,"ret_msg":"Invalid symbol :[tickers.BTCUSDT]","op":"subscribe"}',
        '{"success":true,"ret_msg":"pong","conn_id":"d","req_id":"","op":"ping"}',
    ]


def page(n):
    row = f'{{"execId":"{n}","price":"1.5","size":"2","side":"Buy","time":"{MS + n}","seq":"{n}"}}'
    return f'{{"retCode":0,"retMsg":"OK","result":{{"category":"linear","list":[{row}]}}}}'.encode()


def is_good(event):
    if isinstance(event, Liquidation):
        return positive(event.price, event.size)
    if isinstance(event, MarkPrice):
        return positive(event.mark) and not_negative(event.index)
    if isinstance(event, Tick):
        return event.ts <= NOW + 3 * DAY
    return is_sane(event)


class Target:
    """A connection that is lost now and then, and one that follows."""

    def __init__(self, name, *, lenient):
        self.name = name
        listed = Instrument(name, "BTC", "USDT", "BTCUSDT", settle=SETTLE[name])
        self.streams = Streams(Catalogue([listed]), lenient=lenient)
        channels = () if lenient else CHANNELS[name]
        wanted = tuple(Subscription(listed.id, channel) for channel in channels)
        self.route = Route("r", "", wanted)
        plugin = plugins.load("venues", name)
        self.dialect = plugin.build(name, plugin.config())
        self.results = Counter()
        self.begin(NOW)

    def begin(self, now):
        self.talk = self.dialect.converse(self.route, self.streams)
        self.talk.open(now)

    def feed(self, raw, n, rng):
        now, out, asks = NOW + n * 1_000, [], ()
        try:
            asks = self.talk.decode(raw, now, out)
        except Exception as error:
            out.append(dead_letter(self.name, "decode", str(error), raw, now))
            self.results["dead letter"] += 1
        if rng.random() < 0.02:
            asks = (*asks, *self.talk.tick(now, out))
        if rng.random() < 0.001:
            self.talk.lost("reset", now, out)
            self.begin(now)
        for fetch in (ask for ask in asks if isinstance(ask, Fetch)):
            body = mutate(page(n), rng) if rng.random() < 0.6 else page(n - rng.randrange(9))
            status = rng.choice((200, 200, 200, 0, 403, 500))
            self.talk.answer(fetch, Answer(status, body), now, out)
        for event in out:
            assert is_good(event), (raw, event)
            encode_json(event)
            self.results[type(event)] += 1

    def check_bounds(self):
        for flow in self.streams.state.values():
            if isinstance(flow, Unnumbered):
                assert len(flow._held) <= MAX_HELD
                assert len(flow._new) + len(flow._old) <= 110_000


@pytest.mark.parametrize("name", CHANNELS)
@pytest.mark.parametrize("lenient", [False, True])
def test_mutated_frames_make_good_events_or_dead_letters_and_leave_the_decoder_well(name, lenient):
    rng = random.Random(20261121)
    target = Target(name, lenient=lenient)
    for n in range(1_000, 1_000 + FRAMES // 4):
        if n % 20 == 0:
            fresh = [text.encode() for text in templates(n)]
            target.check_bounds()
        raw = rng.choice(fresh)
        target.feed(raw if rng.random() < 0.1 else mutate(raw, rng), n, rng)
    kinds = KINDS | (ONLY_LINEAR if name == "bybit_linear" else set())
    assert all(target.results[kind] for kind in kinds)
    assert target.results["dead letter"] > FRAMES // 16
    recover(target, NOW + FRAMES * 1_000, kinds)


def recover(target, now, kinds):
    """Good frames make events of every kind again, once a hold is over."""
    target.begin(now)
    wanted = set(kinds)
    for n in range(20 * FRAMES, 20 * FRAMES + 20):
        out = []
        texts = templates(n)
        for text in (
            texts[2],
            templates(n + 1)[1],
            *texts[:1],
            *texts[3 : 2 + len(CHANNELS[target.name])],
        ):
            target.talk.decode(text.encode(), NOW + n * 1_000, out)
        asks = target.talk.tick(NOW + n * 1_000_000, out)
        for fetch in (ask for ask in asks if isinstance(ask, Fetch)):
            target.talk.answer(fetch, Answer(404, b"gone"), NOW + n * 1_000_000, out)
        said = [event for event in out if type(event) is not Tick]  # their time runs ahead here
        assert all(map(is_good, said))
        wanted -= {type(event) for event in out}
    assert not wanted
