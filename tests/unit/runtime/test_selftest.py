import asyncio
import logging

import pytest

from tapewatch.analysis.selftest import Outcome, Result
from tapewatch.runtime import checkup, launch, selftest


@pytest.fixture
def plan(tmp_path):
    def plan(text=""):
        path = tmp_path / "tapewatch.yaml"
        path.write_text(f"storage: {{data_dir: {tmp_path}}}\n{text}")
        return launch.plan_of(launch.load(path, environ={}, folder=tmp_path))

    return plan


class Kept(logging.Handler):
    def __init__(self):
        super().__init__(logging.INFO)
        self.records = []

    def emit(self, record):
        self.records.append(record)


@pytest.fixture
def told():
    """Log records of the self-test, whatever a command has done to the loggers above."""
    logger, kept = logging.getLogger("tapewatch.runtime.selftest"), Kept()
    logger.addHandler(kept)
    logger.setLevel(logging.INFO)
    yield kept
    logger.removeHandler(kept)
    logger.setLevel(logging.NOTSET)


def outcomes(plan):
    return {result.name: result.outcome for result in selftest.at_once(plan.detectors)}


def test_every_detector_passes_as_it_comes_with_the_rules_in_force(plan):
    found = plan()
    assert set(outcomes(found).values()) == {Outcome.PROVEN}
    watched = {name for d in found.detectors if d.proof for name in d.here.rules}
    assert {"big_trade", "liq_spike", "volume_surge"} <= watched


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("big_trade", "usd_min: 50000000"),
        ("liquidation_spike", "sigma: 500"),
        ("volume_surge", "warmup: 60"),
        ("whale", "usd_min: 50000000"),
    ],
)
def test_a_threshold_out_of_reach_is_told_as_a_setting_and_only_of_its_detector(
    plan, name, setting
):
    found = outcomes(plan(f"detectors: {{{name}: {{{setting}}}}}"))
    assert found.pop(name) is Outcome.SETTINGS
    assert set(found.values()) == {Outcome.PROVEN}


def test_without_ready_made_rules_the_numbers_alone_are_tried(plan):
    found = plan("alerts: {defaults: false}")
    assert set(outcomes(found).values()) == {Outcome.PROVEN}
    assert all(d.here.rules == () for d in found.detectors)


def test_a_written_rule_of_the_same_name_is_its_writers_own_matter(plan):
    mine = "alerts: {rules: [{name: volume_surge, when: volume_surge_5m > 900}]}"
    assert outcomes(plan(mine))["volume_surge"] is Outcome.PROVEN


async def test_the_worker_tries_all_and_tells_once(plan, told):
    worker = selftest.SelfTest(plan().detectors, after_secs=0.0)
    await worker.run()
    assert set(worker.results) == {d.name for d in worker._detectors if d.proof}
    (record,) = told.records
    assert record.getMessage() == "detectors_proved"
    assert record.fields == {"proven": len(worker.results), "settings": 0, "broken": 0}


async def test_others_work_meanwhile(plan):
    worker = selftest.SelfTest(plan().detectors, after_secs=0.0)
    task = asyncio.create_task(worker.run())
    turns = 0
    while not task.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 100


def test_what_did_not_pass_is_told_by_name_and_what_it_means(told):
    selftest.tell(
        [
            Result("a", Outcome.PROVEN, "fine"),
            Result("b", Outcome.SETTINGS, "usd_min 9"),
            Result("c", Outcome.BROKEN, "reached 0"),
        ]
    )
    line, silenced, broken = told.records
    assert line.fields == {"proven": 1, "settings": 1, "broken": 1}
    assert (silenced.levelname, silenced.fields["detector"]) == ("WARNING", "b")
    assert (broken.levelname, broken.fields["detector"]) == ("ERROR", "c")
    assert "its silence means nothing" in broken.fields["means"]


def test_the_doctor_tells_each_with_its_verdict(plan):
    found = checkup.detectors(plan("detectors: {whale: {usd_min: 50000000}}").detectors)
    verdicts = {finding.what: finding.verdict for finding in found}
    assert verdicts.pop("whale") == checkup.WARNING
    assert set(verdicts.values()) == {checkup.GOOD}
