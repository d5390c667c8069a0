"""Tapes on disk: what was recorded is replayed byte for byte, whatever happened meanwhile."""

import asyncio
import gzip
import random
import time

import pytest
from aiohttp import web

from tapewatch.feeds.exchange import ExchangeFeed
from tapewatch.feeds.replay import ReplayFeed, events
from tapewatch.model.codec import json_lines
from tapewatch.model.errors import ConfigError
from tapewatch.model.events import Coverage, DeadLetter, Gap, Holding, Metric, Trade
from tapewatch.model.instrument import Catalogue
from tapewatch.ports import FeedConfig, LinkState, Streams, Subscription
from tapewatch.sim.exchange import SimulatedExchange
from tapewatch.sim.faults import Fault
from tapewatch.sim.market import open_market
from tapewatch.venues.binance import PLUGIN
from tapewatch.wire import life, session
from tapewatch.wire.tape import Line, TapeReader, TapeWriter
from tests.talk import Basket, Server, Talk, catalogue, config, running, serving, sub, subs


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(life, "TICK_SECS", 0.01)
    monkeypatch.setattr(session, "OVERLAP_SECS", 0.05)


@pytest.fixture(params=["x.tape", "x.tape.gz"])
def path(request, tmp_path):
    return tmp_path / request.param


def now():
    return time.time_ns() // 1000


def replayed(path, dialect):
    with TapeReader(path) as tape:
        return list(events(tape, dialect)), tape


def as_lines(batches):
    return b"".join(map(json_lines, batches)).splitlines()


async def test_a_life_full_of_trouble_is_replayed_byte_for_byte(path):
    async def visit(each):
        await each.accept()
        number = each.number * 10
        await each.say(f"T a {number + 1}", f"T a {number + 1}", "GARBAGE", f"T b {number + 1}")
        await each.ws.send_bytes(b"\xff\x00")
        await each.say("FETCH one", "FETCH page", f"T a {number + 5}")
        if each.number == 0:
            each.cut()
        elif each.number == 1:
            await each.say("RENEW please")
        await each.stay()

    server = Server(visit)
    server.answers = {
        "one": [web.Response(text="more two")],
        "two": [web.Response(body=b"\xfe\xff")],
        "page": [web.Response(text="<html>")],
    }
    basket, tape = Basket(), TapeWriter(path)
    async with serving(server):
        feed = ExchangeFeed(
            Talk(server.url),
            config(),
            clock=now,
            catalogue=catalogue(),
            wanted=subs("ab"),
            resume={sub("a"): 7},
            tape=tape,
            rng=random.Random(1),
        )
        async with running(feed, basket):
            await basket.until(lambda b: 25 in b.ids())
            await feed.want(subs("abcd"))
            await basket.until(lambda b: b.of(Metric))
            await feed.resync("talk:A/X", "crossed")
            await basket.until(lambda b: any(gap.reason == "crossed" for gap in b.of(Gap)))
            await feed.want(subs("bcd"))
    tape.close()
    assert not tape.error
    assert basket.of(DeadLetter)
    batches, reader = replayed(path, Talk())
    assert reader.torn == ""
    assert as_lines(batches) == as_lines(basket.batches)


async def test_binance_with_losses_repairs_and_cuts_is_replayed_byte_for_byte(path):
    """The venue's real protocol, from the simulator, with a fault of every kind."""
    channels = ("aggTrade", "trade", "depth", "bookTicker", "ticker", "kline_1m")
    wanted = frozenset(
        Subscription(f"binance:{symbol}", channel)
        for symbol in ("BTC/USDT", "ETH/USDT")
        for channel in channels
    )
    basket, tape = Basket(), TapeWriter(path)
    market = open_market(start=now(), seed=3)
    async with SimulatedExchange(market, live=False) as exchange:
        urls = {"ws_url": exchange.ws_url, "rest_url": exchange.rest_url}
        settings = PLUGIN.config(**urls, reconnect_delay=0.01, hold_secs=0.3)
        feed = ExchangeFeed(
            PLUGIN.build("binance", settings),
            settings,
            clock=now,
            catalogue=Catalogue(),
            wanted=wanted,
            resume={},
            tape=tape,
            rng=random.Random(1),
        )

        async def live_until(condition):
            async with asyncio.timeout(60):
                while not condition():
                    await exchange.advance(50_000)
                    await asyncio.sleep(0)

        async with running(feed, basket):
            await live_until(lambda: len(basket.of(Trade)) > 50)
            kinds = [("drop", "*@aggTrade"), ("drop", "*@trade"), ("drop", "*@depth*")]
            kinds += [("reorder", "*@aggTrade"), ("duplicate", "*@depth*"), ("garbage", "*")]
            for kind, target in kinds:
                exchange.faults.add(Fault(kind=kind, target=target, count=3), market.now)
            await live_until(
                lambda: (
                    any(c.holding is Holding.REPAIRED for c in basket.of(Coverage))
                    and any(gap.channel == "depth" for gap in basket.of(Gap))
                    and basket.of(DeadLetter)
                )
            )
            exchange.faults.add(Fault(kind="close", target="btcusdt@trade"), market.now)
            await live_until(lambda: feed.status()[0].reconnects)
            seen = len(basket.of(Trade))
            await live_until(lambda: len(basket.of(Trade)) > seen + 50)
    tape.close()
    with TapeReader(path) as reader:
        header = reader.header
    assert {i.id for i in header.instruments} == {"binance:BTC/USDT", "binance:ETH/USDT"}
    again = PLUGIN.build("binance", PLUGIN.config(**header.config))
    batches, _ = replayed(path, again)
    assert as_lines(batches) == as_lines(basket.batches)


async def test_the_replay_feed_gives_the_same_and_ends_with_its_tape(path):
    basket, tape, again = Basket(), TapeWriter(path), Basket()
    async with serving(Server(_count)) as server:
        feed = _taped(server, tape)
        async with running(feed, basket):
            await basket.until(lambda b: b.ids() == list(range(1, 51)))
    tape.close()
    with TapeReader(path) as reader:
        replay = ReplayFeed(reader, Talk(), speed=1000.0)
        again.fill()
        task = asyncio.create_task(replay.run(again))
        await again.until(lambda b: b.refused)
        again.empty()
        async with asyncio.timeout(60):
            await task
    assert as_lines(again.batches) == as_lines(basket.batches)
    assert replay.status()[0].state is LinkState.CLOSED
    assert replay.counters.sent == len(basket.events)
    await replay.want(frozenset())
    await replay.resync("talk:A/X", "never mind")


async def test_a_torn_end_costs_only_what_is_behind_the_tear(path):
    basket, tape = Basket(), TapeWriter(path)
    async with serving(Server(_count)) as server, running(_taped(server, tape), basket):
        await basket.until(lambda b: len(b.ids()) == 50)
        tape.flush()
        whole = path.read_bytes()  # the machine loses power here
    tape.close()
    path.write_bytes(whole[:-7])
    batches, reader = replayed(path, Talk())
    assert reader.torn
    assert as_lines(batches) == as_lines(basket.batches)[: len(as_lines(batches))]
    assert len(as_lines(batches)) > 40


async def test_a_disk_that_fails_ends_the_tape_and_not_the_feed(tmp_path, caplog):
    class Full:
        def write(self, data):
            raise OSError(28, "No space left on device")

        def flush(self):
            pass

        close = flush

    basket, tape = Basket(), TapeWriter(tmp_path / "x.tape")
    async with serving(Server(_count)) as server, running(_taped(server, tape), basket):
        await basket.until(lambda b: b.ids())
        tape._file.close()
        tape._file = Full()
        tape.flush()
        assert "No space left on device" in tape.error
        await basket.until(lambda b: len(b.ids()) == 50)
    tape.close()
    assert "tape_ended" in caplog.messages
    assert tape.lost > 0


def test_an_existing_file_is_not_written_over(tmp_path):
    path = tmp_path / "x.tape"
    path.write_text("precious")
    with pytest.raises(FileExistsError):
        TapeWriter(path).begin(Talk(), config(), Streams(catalogue()), subs("a"), 0)
    assert path.read_text() == "precious"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no tape"),
        (b"hello\n", "no tape"),
        (b'{"type":"trade"}\n', "no tape"),
        (b'{"tape":99,"venue":"x","at":1,"hold_secs":1,"repair_max_ids":1}\n', "newer tapewatch"),
    ],
)
def test_a_file_that_is_no_tape_is_told_in_a_sentence(tmp_path, content, words):
    path = tmp_path / "x.tape"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=words), TapeReader(path):
        pass


def test_a_file_that_cannot_be_read_is_told_in_a_sentence(tmp_path):
    (tmp_path / "x.tape.gz").write_bytes(b"not gzip")
    for name in ("none.tape", "x.tape.gz"):
        with pytest.raises(ConfigError, match="cannot read"), TapeReader(tmp_path / name):
            pass


def test_secrets_do_not_come_onto_a_tape(tmp_path):
    from tapewatch.model.secret import Secret

    class Keyed(FeedConfig, frozen=True, kw_only=True):
        key: Secret
        url: str

    path = tmp_path / "x.tape"
    tape = TapeWriter(path)
    mine = Keyed(key=Secret("hush"), url="wss://x", symbols=("a",))
    tape.begin(Talk(), mine, Streams(catalogue()), subs("a"), 0)
    tape.close()
    with TapeReader(path) as reader:
        assert reader.header.config["url"] == "wss://x"
    assert "hush" not in path.read_text()


def test_the_whole_venue_on_one_tape_brings_all_its_instruments(tmp_path):
    path = tmp_path / "x.tape.gz"
    tape = TapeWriter(path)
    everything = Subscription("talk:*", "all")
    tape.begin(Talk(), config(), Streams(catalogue()), [everything], 0)
    tape.write(Line(1, "want", 5, subscriptions=(everything, sub("a"))))
    tape.close()
    lines = gzip.decompress(path.read_bytes()).splitlines()
    with TapeReader(path) as reader:
        assert len(reader.header.instruments) == 10
    assert len(lines) == 2


async def _count(each):
    await each.accept()
    for number in range(1, 51):
        await each.say(f"T a {number}")
        await asyncio.sleep(0)
    await each.stay()


def _taped(server, tape):
    return ExchangeFeed(
        Talk(server.url),
        config(),
        clock=now,
        catalogue=catalogue(),
        wanted=subs("a"),
        resume={},
        tape=tape,
        rng=random.Random(1),
    )
