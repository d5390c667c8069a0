"""Mutated frames into both decoders of Coinbase: good events or an exception, nothing else."""

import random

import pytest

from tapewatch.model.codec import dead_letter, encode_json
from tapewatch.model.events import BookDelta, Candle, Coverage, Holding, Quote, Tick, Ticker, Trade
from tapewatch.model.instrument import Catalogue, Instrument
from tapewatch.ports import Answer, Fetch, Route, Streams, Subscription
from tapewatch.runtime import plugins
from tapewatch.venues._talk import _MAX_ADOPTED
from tapewatch.venues._trades import MAX_HELD, MAX_HOLES, TradeChain
from tests.unit.venues.test_fuzz import FRAMES, is_sane, mutate

NOW = 1_790_733_800_000_000  # 2026-09-30T02:03:20Z
CHANNELS = {
    "coinbase": ("matches", "ticker", "level2_batch"),
    "coinbase_advanced": ("market_trades", "ticker", "level2", "candles"),
}
ANSWERS = (
    b'[{"trade_id":7,"side":"buy","size":"0.01","price":"10.0","time":"2026-09-30T02:03:20.5Z"}]',
    b'{"message":"NotFound"}',
)


def exchange(n, time):
    """Frames of every kind as the Exchange feed sends them; `n` counts up."""
    match = (
        f'{{"type":"match","trade_id":{n},"maker_order_id":"e28c","taker_order_id":"b5bb",'
        f'"side":"buy","size":"0.00000014","price":"83425.97","product_id":"BTC-USD",'
        f'"sequence":{n},"time":"{time}"}}'
    )
    update = (
        f'{{"type":"l2update","product_id":"BTC-USD","changes":[["buy","83394.64","0.07"],'
        f'["sell","83444.60","0.00000000"]],"time":"{time}"}}'
    )
    snapshot = (
        '{"type":"snapshot","product_id":"BTC-USD","asks":[["14.8024","12.77"]],'
        f'"bids":[["14.5","3"],["14.6","2.5"]],"time":"{time}"}}'
    )
    ticker = (
        f'{{"type":"ticker","sequence":{n},"product_id":"BTC-USD","price":"17165.16",'
        '"open_24h":"16437.94","volume_24h":"42492.05","low_24h":"16423.37",'
        '"high_24h":"17259.37","best_bid":"17165.15","best_bid_size":"0.6",'
        f'"best_ask":"17167.76","best_ask_size":"0.1","side":"sell","time":"{time}"}}'
    )
    heartbeat = (
        f'{{"type":"heartbeat","last_trade_id":{n},"product_id":"BTC-USD","sequence":{n},'
        f'"time":"{time}"}}'
    )
    others = (
        match.replace("match", "last_match", 1), heartbeat,
        '{"type":"error","message":"Failed to subscribe","reason":"XYZ-USD is not valid"}',
        '{"type":"subscriptions","channels":[{"name":"matches","product_ids":["BTC-USD"]}]}',
    )  # fmt: skip
    return (snapshot, match, update, ticker, *others)


def advanced(n, time):
    """Frames of every kind as the Advanced feed sends them; each has the next number."""
    level = f'{{"side":"bid","event_time":"{time}","price_level":"7.05","new_quantity":"0.04"}}'
    trade = (
        f'{{"product_id":"BTC-USD","trade_id":"{n}","price":"2667.2","size":"0.67",'
        f'"time":"{time}","side":"SELL"}}'
    )
    ticker = (
        '{"type":"ticker","product_id":"BTC-USD","price":"66799.88","volume_24_h":"338.5",'
        '"low_24_h":"64515.5","high_24_h":"67236.34","price_percent_chg_24_h":"3.22",'
        '"best_bid":"66799.88","best_bid_quantity":"0.1","best_ask":"66818.68",'
        '"best_ask_quantity":"0.003"}'
    )
    candle = (
        '{"start":"1775521800","high":"68950.00","low":"68850.00","open":"68900.00",'
        '"close":"68920.50","volume":"42.15","product_id":"BTC-USD"}'
    )
    book = '"product_id":"BTC-USD","updates":'
    events = (
        ("l2_data", f'{{"type":"snapshot",{book}[{level}]}}'),
        ("market_trades", f'{{"type":"update","trades":[{trade}]}}'),
        ("l2_data", f'{{"type":"update",{book}[{level},{level.replace("bid", "offer")}]}}'),
        ("ticker", f'{{"type":"update","tickers":[{ticker}]}}'),
        ("candles", f'{{"type":"update","candles":[{candle}]}}'),
        ("heartbeats", '{"current_time":"2026-04-07 14:30:10","heartbeat_counter":42}'),
        ("subscriptions", '{"subscriptions":{"level2":["BTC-USD"]}}'),
        ("market_trades", f'{{"type":"snapshot","trades":[{trade}]}}'),
    )
    return tuple(
        f'{{"channel":"{channel}","timestamp":"{time}","sequence_num":{10 * n + at},'
        f'"events":[{event}]}}'
        for at, (channel, event) in enumerate(events)
    )


TEMPLATES = {"coinbase": exchange, "coinbase_advanced": advanced}


def frames(name, n, now):
    secs, micros = divmod(now - NOW, 1_000_000)
    minute, second = divmod(20 + secs, 60)
    hour, minute = divmod(3 + minute, 60)
    time = f"2026-09-30T{(2 + hour) % 24:02d}:{minute:02d}:{second:02d}.{micros:06d}Z"
    return [text.encode() for text in TEMPLATES[name](n, time)]


def sane(event):
    if isinstance(event, Tick):
        return event.ts <= NOW + 2 * 86_400 * 1_000_000
    return is_sane(event)


class Target:
    def __init__(self, name, *, lenient):
        self.name = name
        listed = [Instrument(name, "BTC", "USD", "BTC-USD")]
        self.streams = Streams(Catalogue(listed), lenient=lenient)
        wanted = () if lenient else tuple(
            Subscription(f"{name}:BTC/USD", channel) for channel in CHANNELS[name]
        )  # fmt: skip
        plugin = plugins.load("venues", name)
        dialect = plugin.build(name, plugin.config())
        self.talk = dialect.converse(Route("r", "", wanted), self.streams)
        self.talk.open(NOW)
        self.letters = self.events = 0

    def feed(self, raw, now, rng):
        out, asks = [], ()
        try:
            asks = self.talk.decode(raw, now, out)
        except Exception as error:
            out.append(dead_letter(self.name, "decode", str(error), raw, now))
            self.letters += 1
        if rng.random() < 0.02:
            asks = (*asks, *self.talk.tick(now, out))
        self.answer(asks, now, out, rng)
        for event in out:
            assert sane(event), (raw, event)
            encode_json(event)
        self.events += len(out)
        return out

    def answer(self, asks, now, out, rng):
        for fetch in (ask for ask in asks if isinstance(ask, Fetch)):
            body = mutate(rng.choice(ANSWERS), rng) if rng.random() < 0.8 else b"[]"
            status = rng.choice((200, 200, 200, 0, 404, 429, 500))
            self.answer(self.talk.answer(fetch, Answer(status, body), now, out), now, out, rng)

    def check_bounds(self):
        assert len(self.streams.state) <= _MAX_ADOPTED + 1
        for flow in self.streams.state.values():
            if isinstance(flow, TradeChain):
                assert len(flow._held) <= MAX_HELD + 1
                assert len(flow.holes) + len(flow._late) <= MAX_HOLES + 3


@pytest.mark.parametrize("name", CHANNELS)
@pytest.mark.parametrize("lenient", [False, True])
def test_mutated_frames_make_good_events_or_dead_letters_and_leave_the_decoder_well(name, lenient):
    rng = random.Random(20261124)
    target = Target(name, lenient=lenient)
    now = NOW
    for n in range(FRAMES // 4):
        now += 1_000
        if n % 20 == 0:
            fresh = frames(name, 1_000 + n, now)
        raw = rng.choice(fresh)
        target.feed(raw if rng.random() < 0.1 else mutate(raw, rng), now, rng)
        if n % 5_000 == 0:
            target.check_bounds()
    target.check_bounds()
    assert target.letters > FRAMES // 16
    assert target.events > 100
    recover(target, now)


def recover(target, now):
    """Good frames make events of every kind again."""
    wanted = {Trade, BookDelta, Ticker, Quote} | ({Candle} & set(kinds(target.name)))
    for n in range(5_000_000, 5_000_600):
        now += 100_000
        out = []
        for raw in frames(target.name, n, now):
            asks = []
            if b'"error"' not in raw:
                asks = [*target.talk.decode(raw, now, out), *target.talk.tick(now, out)]
            for fetch in (ask for ask in asks if isinstance(ask, Fetch)):
                target.talk.answer(fetch, Answer(404, b"gone"), now, out)
        assert all(sane(event) for event in out)
        wanted -= {type(event) for event in out}
        if not wanted:
            return
    assert not wanted


def kinds(name):
    return (Candle,) if name == "coinbase_advanced" else ()


@pytest.mark.parametrize("name", CHANNELS)
def test_no_id_is_told_twice_whatever_comes(name):
    rng = random.Random(7)
    target = Target(name, lenient=False)
    told, now = [], NOW
    for n in range(3_000):
        now += 5_000
        for raw in frames(name, 1_000 + n, now):
            for event in target.feed(raw if rng.random() < 0.9 else raw[:-9], now, rng):
                if isinstance(event, Coverage) and event.holding is not Holding.MISSING:
                    told.extend(range(event.first, event.last + 1))
    assert len(told) > 1_000
    assert len(told) == len(set(told))
