"""A hundred random faults in one run; at the end all is complete, or said to be lost.

The seed decides which fault comes when. What the sockets make of it differs from run to run, and
what is asserted holds for every run. The tape of a storm gives the same events again.
"""

import contextlib
import random

import pytest

from tapewatch.feeds.replay import events
from tapewatch.model.codec import json_lines
from tapewatch.model.events import Gap
from tapewatch.sim.binance import FAULT_TEXTS
from tapewatch.sim.faults import KINDS
from tapewatch.venues.binance import PLUGIN
from tapewatch.wire.tape import TapeReader, TapeWriter
from tests.integration import fault_bench
from tests.integration.fault_bench import inst_of, rigs, subs
from tests.integration.truth import wrongly_numbered

pytestmark = pytest.mark.long

FAULTS = 100
SHIFT = 1
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "PEPEUSDT")
CHANNELS = ("trade", "aggTrade", "depth", "bookTicker", "ticker", "kline_1m")
STREAMS = ("trade", "aggTrade", "depth@100ms", "*")
PATHS = ("/*", "/api/v3/*", "/api/v3/depth*", "/stream*")
STATUSES = (500, 503, 502, 429, 451, 403, 0)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    fault_bench.quick(monkeypatch)


def random_fault(kind, rng):
    """A target, and how it is hit."""
    match kind:
        case "http":
            body = rng.choice(("json", "html", "empty"))
            more = {"status": rng.choice(STATUSES), "body": body, "retry_after": 0}
            return rng.choice(PATHS), {**more, "count": rng.randint(1, 6)}
        case "stale_snapshot":
            return "", {"count": rng.randint(1, 3)}
        case "wrong_sequence":
            # Of trades only where many come: on a slow stream a wrong id looks like a numbering
            # that was restarted, which the connector says and which is not what is tried here.
            wrong = (
                ("btcusdt@*rade", SHIFT),
                (f"{rng.choice(SYMBOLS).lower()}@depth@100ms", rng.choice((-7, 7))),
            )
            target, shift = rng.choice(wrong)
            return target, {"shift": shift}
    target = f"{rng.choice(SYMBOLS).lower()}@{rng.choice(STREAMS)}"
    count = 1 if kind in ("close", "stall") else rng.randint(1, 10)
    return target, {"count": count, "secs": rng.uniform(0.1, 1.5)}


async def rage(rig, rng, faults):
    """Add faults, one after the other, while time goes on; sometimes everything settles."""
    kinds = [KINDS[number % len(KINDS)] for number in range(faults)]
    rng.shuffle(kinds)
    for number, kind in enumerate(kinds):
        target, more = random_fault(kind, rng)
        rig.add(kind, target, **more)
        if kind == "stale_snapshot":
            await rig.feed.resync(inst_of(rng.choice(SYMBOLS)), "somebody doubts it")
        await rig.rush(rng.uniform(0.1, 1.0))
        if number % 10 == 9:
            await rig.heal()
            await rig.advance(0.5)
        if number % 25 == 24:
            await rig.exchange.stop()
            await rig.rush(1)
            await rig.exchange.start()


@pytest.mark.parametrize("seed", [1])
async def test_after_a_storm_everything_is_complete_or_said_to_be_lost(seed, tmp_path):
    wanted = subs(SYMBOLS, CHANNELS)
    with contextlib.closing(TapeWriter(tmp_path / "storm.tape")) as tape:
        async with rigs(wanted, symbols=4, rate=1.5, seed=seed, tape=tape) as rig:
            await rage(rig, random.Random(seed), FAULTS)
            await rig.heal()
            await rig.advance(2)
            await rig.stop()
    assert_complete_or_told(rig)
    assert_replays(tape, rig)


def assert_complete_or_told(rig):
    of_frames = {*KINDS} - {"http", "stale_snapshot"}  # of these it depends on what is asked
    assert of_frames <= rig.exchange.faults.counts.keys(), "a kind of fault was not tried"
    assert rig.letters
    assert {letter.raw for letter in rig.letters} <= {*FAULT_TEXTS.nonsense}
    lost = rig.judge(altered=wrongly_numbered(rig.exchange.faults, SHIFT))
    for (native, channel), ids in lost.items():
        told = rig.ledger(native, channel).gaps
        assert all(any(gap.first <= each <= gap.last for gap in told) for each in ids)
    assert rig.basket.of(Gap)


def assert_replays(tape, rig):
    with TapeReader(tape.path) as reader:
        dialect = PLUGIN.build("binance", PLUGIN.config(**reader.header.config))
        again = b"".join(map(json_lines, events(reader, dialect)))
        assert reader.torn == ""
    assert again.splitlines() == json_lines(rig.events).splitlines()
