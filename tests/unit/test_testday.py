"""A small test day: forty minutes, seven instruments, one event of each kind; and the judge himself."""

import pytest

from benchmarks.testday import page
from benchmarks.testday.day import Day, Scene, Spell, run
from benchmarks.testday.floor import SECOND, START, Order, Truth
from benchmarks.testday.judge import judge
from benchmarks.testday.plants import Expected, Plant
from benchmarks.testday.truth import usual_volume
from tapewatch.model.events import Side
from tapewatch.process.volume_surge import VolumeSurgeConfig

pytestmark = pytest.mark.long

SWAP = "okx:BTC/USDT:USDT"
FUTURE = "binance_futures:BTC/USDT:USDT"


def at(minutes):
    return START + int(minutes * 60) * SECOND


SCENE = Scene(
    seed=3,
    rate=0.07,
    hours=0.68,
    venues={
        "binance": ("BTCUSDT", "BTCUSDC"),
        "okx": ("BTC-USDT", "BTC-USDT-SWAP"),
        "bybit": ("spot/BTCUSDT",),
        "binance_futures": ("BTCUSDT",),
        "coinbase": ("BTC-USD",),
    },
    sections={"volume_surge": VolumeSurgeConfig(warmup=3)},  # 15 minutes, not 100
    plants=(
        Plant("whale", at(17), FUTURE, 900_000.0),
        Plant("large liquidations", at(18), SWAP),
        Plant("many liquidations", at(21), FUTURE),
        Plant("surge", at(20), "bybit:BTC/USDT"),
        Plant("silence", at(27), "coinbase"),
        Plant("astray", at(31), "okx"),
        Plant("depeg", at(33), "USDC"),
        Plant("cascade", at(38), ""),
    ),
)


@pytest.fixture(scope="module")
def quiet():
    return run(SCENE, planted=False)


@pytest.fixture(scope="module")
def tallies(quiet):
    return judge(run(SCENE, planted=True), usual_volume(quiet.truths))


@pytest.mark.parametrize(
    "rule", ["big_trade", "whale", "liq_spike", "volume_surge", "depeg", "divergence", "stale_feed"]
)
def test_what_is_planted_is_told_and_nothing_wrong(tallies, rule):
    tally = tallies[rule]
    assert tally.planted
    assert (tally.missed, tally.wrong) == ([], [])


def test_without_events_only_the_markets_own_are_told(quiet):
    calm = judge(quiet, usual_volume(quiet.truths))
    assert [spell for tally in calm.values() for spell in tally.wrong] == []


# --- the judge ---


def day(*spells, expected=(), truth=None):
    truths = {SWAP: truth or Truth(500.0, [100.0] * 3_600, [1.0] * 3_600)}
    plants = [(Plant("whale", at(30), SWAP), list(expected))]
    return Day(plants, truths, list(spells), ["big_trade"], [])


def judged(*spells, **more):
    return judge(day(*spells, **more), {SWAP: 30_000.0})["big_trade"]


def spell(minutes, secs=60.0, inst=SWAP):
    since = at(minutes)
    return Spell("big_trade", inst, since, since + int(secs * SECOND), 5.0)


WANTED = Expected("big_trade", SWAP, at(30), at(31))


def test_a_firing_in_time_on_the_same_instrument_finds_it():
    tally = judged(spell(30.5), expected=[WANTED])
    assert (tally.recall, tally.precision) == (1.0, 1.0)


def test_one_that_fires_already_finds_it_too():
    assert judged(spell(29.5), expected=[WANTED]).recall == 1.0


@pytest.mark.parametrize("told", [spell(40), spell(28), spell(30.5, inst=FUTURE)])
def test_too_late_too_early_or_elsewhere_finds_nothing_and_is_wrong(told):
    tally = judged(told, expected=[WANTED])
    assert (tally.recall, tally.precision) == (0.0, 0.0)


def test_what_the_market_did_by_itself_is_right_and_at_the_border_counts_neither_way():
    own = Truth(500.0, [100.0] * 3_600, [1.0] * 3_600)
    own.orders = [Order(at(10), Side.BUY, 400_000.0), Order(at(20), Side.BUY, 230_000.0)]
    tally = judged(spell(10), spell(20), spell(50), truth=own)
    assert (tally.right, tally.border, len(tally.wrong)) == (1, 1, 1)


def test_the_page_keeps_everything_outside_the_markers():
    old = f"a\n{page.BEGIN}\nold\n{page.END}\nb"
    assert page.insert(old, "new\n") == f"a\n{page.BEGIN}\nnew\n{page.END}\nb"
    with pytest.raises(ValueError, match="testday:begin"):
        page.insert("nothing", "new")
