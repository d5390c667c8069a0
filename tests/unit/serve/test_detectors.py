import pytest

from tapewatch.analysis.selftest import Detector, Outcome, Result, Setting
from tapewatch.ports import Proof
from tapewatch.process.book_stats import BookStats, BookStatsConfig
from tapewatch.process.whale import Whale, WhaleConfig
from tapewatch.serve import detectors, health
from tapewatch.serve.ask import Ask
from tests.serving import World

PROOF = Proof("whale_usd", 1.0, list, list)


def of(kind, name, config, proof=None):
    return Detector(
        processor=kind(name, config),
        here=Setting(config=config),
        usual=Setting(config=type(config)()),
        build=kind,
        proof=proof,
    )


@pytest.fixture
def world():
    world = World()
    known = [
        of(Whale, "whale", WhaleConfig(usd_min=7e6), PROOF),
        of(BookStats, "book_stats", BookStatsConfig()),
    ]
    world.context.processors = [each.processor for each in known]
    world.context.detectors = {each.name: each for each in known}
    world.context.proofs = {}
    return world


async def shown(world):
    found = await detectors.get_detectors(world.context, Ask({}, {}, world.now))
    return {each.name: each for each in found.detectors}


async def test_each_tells_numbers_settings_and_text(world):
    whale = (await shown(world))["whale"]
    assert [(m.name, m.words) for m in whale.measures] == [
        ("whale_usd", ["whale_usd"]),
        ("whale_share", ["whale_share"]),
    ]
    assert whale.settings == {"usd_min": 7e6, "share_min": 0.5, "share_floor_usd": 50_000.0}
    assert whale.text.startswith("Whales: taker orders that are large in dollars")


async def test_the_self_test_is_pending_then_told_and_none_where_nothing_is_judged(world):
    before = await shown(world)
    assert before["whale"].self_test.outcome == "pending"
    assert before["book_stats"].self_test.outcome == "none"
    world.context.proofs = {"whale": Result("whale", Outcome.PROVEN, "it reached 5")}
    after = (await shown(world))["whale"].self_test
    assert (after.outcome, after.words) == ("proven", "it reached 5")


def test_a_broken_detector_degrades_and_is_named(world):
    world.context.proofs = {"whale": Result("whale", Outcome.BROKEN, "it reached 0")}
    verdict = health.judge(world.context)
    assert verdict.status == "degraded"
    assert verdict.problems == [
        "the detector whale is broken, its silence means nothing: it reached 0"
    ]
    told = health.detailed(world.context, verdict)
    assert told.components.detectors == {"whale": "broken"}


def test_a_detector_that_settings_keep_silent_is_shown_and_is_no_trouble(world):
    world.context.proofs = {"whale": Result("whale", Outcome.SETTINGS, "usd_min 7e6")}
    verdict = health.judge(world.context)
    assert (verdict.status, verdict.problems) == ("healthy", [])
    assert health.detailed(world.context, verdict).components.detectors == {"whale": "settings"}
