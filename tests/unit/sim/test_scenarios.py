import pytest

from tapewatch.sim.faults import Faults
from tapewatch.sim.market import open_market
from tapewatch.sim.messages import Message
from tapewatch.sim.scenarios import SCENARIOS, unleash

START = 1_790_000_000_000_000
SECOND = 1_000_000
STREAMS = ("btcusdt@trade", "btcusdt@aggTrade", "btcusdt@depth@100ms")


def test_the_names_people_know_are_there():
    assert set(SCENARIOS) == {
        "flash-crash", "gap", "dup", "reorder", "disconnect", "stall", "garbage",
        "arbitrage", "cascade", "depeg", "one-stall", "cycle",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("gap", "drop"),
        ("dup", "duplicate"),
        ("reorder", "reorder"),
        ("disconnect", "close"),
        ("stall", "stall"),
        ("one-stall", "stall"),
        ("garbage", "garbage"),
    ],
)
def test_trouble_comes_again_and_again_and_not_at_once(name, kind):
    market, faults = open_market(start=START, symbols=1), Faults()
    unleash(SCENARIOS[name], [(market, faults)])
    for second in range(180):
        now = START + second * SECOND
        for stream in STREAMS:
            list(faults.filter(Message(stream, lambda _: "{}"), now))
        if second < 9:
            assert not faults.counts
    assert faults.counts[kind] > 3


def test_flash_crash_comes_after_a_while():
    market = open_market(start=START, symbols=1)
    unleash(SCENARIOS["flash-crash"], [(market, Faults())])
    market.advance(START + 19 * SECOND)
    before = market.trades("BTCUSDT")[-1].price
    market.advance(START + 30 * SECOND)
    assert min(trade.price for trade in market.trades("BTCUSDT")) < before * 0.95
