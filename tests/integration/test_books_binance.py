"""Books: what is shown is the true book at its update id, or it is not shown.

A fault in one book leaves the others alone.
"""

import pytest

from tapewatch.model.events import Gap
from tests.integration import fault_bench
from tests.integration.fault_bench import exchanges, feeding, inst_of, rigs, subs

BTC, ETH, SOL = "BTCUSDT", "ETHUSDT", "SOLUSDT"
BTC_DEPTH = "btcusdt@depth*"


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    fault_bench.quick(monkeypatch)


def books(**more):
    return rigs(subs([BTC, ETH, SOL], ["depth"]), **more)


def assert_others_untouched(rig):
    for native in (ETH, SOL):
        shelf = rig.shelf(native)
        assert (shelf.snapshots, shelf.gaps, shelf.live) == (1, 0, True)
        assert shelf.compared > 20


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("drop", {}),
        ("reorder", {}),
        ("slow", {"secs": 0.45}),
        ("wrong_sequence", {"shift": 7}),
        ("wrong_sequence", {"shift": 1_000_000}),
        ("wrong_sequence", {"shift": -7}),
        ("stall", {"secs": 1.0}),
    ],
)
async def test_a_broken_book_is_void_and_built_anew_while_others_go_on(kind, more):
    async with books() as rig:
        for number in range(1, 4):
            rig.add(kind, BTC_DEPTH, **more)
            await rig.until(lambda n=number: rig.shelf(BTC).gaps >= n)
            await rig.heal()
            await rig.advance(1)
        shelf = rig.shelf(BTC)
        assert shelf.live
        assert shelf.gaps >= 3
        assert shelf.snapshots == shelf.gaps + 1
        assert_others_untouched(rig)
        await rig.stop()
        rig.judge()
        assert not rig.letters


async def test_a_repeated_change_disturbs_nothing():
    async with books() as rig:
        rig.add("duplicate", "*@depth*", count=None)
        await rig.advance(5)
        assert rig.shelf(BTC).gaps == 0
        assert_others_untouched(rig)


async def test_a_cut_voids_every_book_of_that_link_and_all_come_back():
    async with books() as rig:
        rig.add("close", BTC_DEPTH)
        await rig.until(lambda: rig.exchange.sockets.accepted == 2)
        await rig.heal()
        for native in (BTC, ETH, SOL):
            shelf = rig.shelf(native)
            assert (shelf.snapshots, shelf.gaps, shelf.live) == (2, 1, True)
        assert {gap.inst for gap in rig.basket.of(Gap)} == {inst_of(n) for n in (BTC, ETH, SOL)}
        await rig.advance(2)
        await rig.stop()
        rig.judge()


@pytest.mark.parametrize(
    "trouble",
    [
        {"kind": "stale_snapshot"},
        {"kind": "http", "status": 503},
        {"kind": "http", "status": 502, "body": "html"},
        {"kind": "http", "status": 200, "body": "html"},
        {"kind": "http", "status": 200, "body": "empty"},
        {"kind": "http", "status": 429, "retry_after": 0},
        {"kind": "http", "status": 451},
        {"kind": "http", "status": 0},
    ],
    ids=str,
)
async def test_a_book_is_not_shown_before_a_good_snapshot_proves_it(trouble):
    async with books() as rig:
        fault = {"target": "/api/v3/depth?symbol=BTCUSDT*", "count": None, **trouble}
        rig.add(**fault)
        rig.add("drop", BTC_DEPTH)
        await rig.until(lambda: rig.shelf(BTC).gaps)
        await rig.advance(10)
        shelf = rig.shelf(BTC)
        assert not shelf.live
        assert shelf.snapshots == 1
        asked = rig.exchange.faults.counts[trouble["kind"]]
        assert 2 <= asked <= 40  # again and again, but not in a hurry
        await rig.heal()
        assert_others_untouched(rig)
        await rig.advance(2)
        await rig.stop()
        rig.judge()
        assert rig.shelf(BTC).snapshots == 2


async def test_a_slow_snapshot_still_meets_the_changes_that_wait_for_it():
    async with exchanges() as exchange:
        async with feeding(exchange, subs([BTC], ["depth"])) as rig:
            rig.add("slow", "/api/v3/depth*", secs=0.1)
            await rig.standing(lambda: rig.lives)
            await rig.rush(5)
            await rig.heal()
            await rig.advance(2)
            await rig.stop()
            rig.judge()
        assert rig.shelf(BTC).snapshots == 1


async def test_a_book_that_somebody_doubts_is_built_anew():
    async with books() as rig:
        await rig.feed.resync(inst_of(BTC), "crossed")
        await rig.heal()
        await rig.advance(2)
        shelf = rig.shelf(BTC)
        assert (shelf.snapshots, shelf.gaps, shelf.live) == (2, 1, True)
        assert [gap.reason for gap in rig.basket.of(Gap)] == ["crossed"]
        assert_others_untouched(rig)
        rig.judge()
