"""A detector that cannot speak is told from one whose settings keep it silent."""

import pytest
from msgspec import Struct

from tapewatch.analysis.selftest import SLICE, Detector, Outcome, Setting, examine, finish
from tapewatch.model.events import Metric, Micros, Tick
from tapewatch.ports import Measure, Proof
from tapewatch.rules.rule import Rule
from tapewatch.rules.rulebook import Rulebook
from tests.streams import trade


class Config(Struct, frozen=True):
    least: float = 10.0


class State(Struct):
    least: float
    mends: str

    def on_event(self, event):
        if self.mends == "raises":
            raise ValueError("what is a trade?")
        loud = self.mends == "cries" or (event.size >= self.least and self.mends != "is deaf")
        return [Metric(event.ts, event.recv, event.inst, "size", event.size * loud, "1m")]

    def next_timer(self):
        return None

    def on_timer(self, at):
        return ()


class Sizes:
    """Tells sizes of trades from `least` on; `mends` is what is wrong with it."""

    def __init__(self, name, config, mends=""):
        self.name = name
        self.wants, self.gives = frozenset({type(trade())}), frozenset({Metric})
        self.state = State
        self.measures = (Measure("size", ("1m",), "base", "size"),)
        self._config, self._mends = config, mends

    def key(self, event):
        return event.inst

    def fresh(self, key):
        return State(self._config.least, self._mends)

    def adopt(self, state):
        return state


def sized(*sizes):
    return [trade(secs=n, id_=n, size=size) for n, size in enumerate(sizes)]


PROOF = Proof("size", 50.0, lambda: sized(1.0, 60.0), lambda: sized(1.0, 2.0))


def setting(least, rule_level=None):
    config = Config(least)
    if rule_level is None:
        return Setting(config=config)
    rule = Rule(name="large", when=f"size > {rule_level}")
    measures = Sizes("sizes", config).measures
    return Setting(config=config, rules=("large",), rulebook=lambda: Rulebook((rule,), measures))


def detector(here=None, mends="", proof=PROOF, usual=None):
    return Detector(
        processor=Sizes("sizes", Config(), mends),
        here=here or setting(10.0),
        usual=usual or setting(10.0),
        build=lambda name, config: Sizes(name, config, mends),
        proof=proof,
    )


def test_one_that_fires_and_keeps_quiet_is_proven():
    result = finish(examine(detector()))
    assert result.outcome is Outcome.PROVEN
    assert result.words == "size reached 60 (must: 50), in a quiet market 0"


@pytest.mark.parametrize(
    ("mends", "words"),
    [("is deaf", "size reached 0"), ("raises", "what is a trade?")],
)
def test_one_that_cannot_speak_is_broken(mends, words):
    result = finish(examine(detector(mends=mends)))
    assert result.outcome is Outcome.BROKEN
    assert words in result.words


def test_one_that_cries_in_a_quiet_market_is_broken():
    loud = Proof("size", 50.0, lambda: sized(60.0), lambda: sized(70.0))
    result = finish(examine(detector(mends="cries", proof=loud)))
    assert (result.outcome, result.words[-2:]) == (Outcome.BROKEN, "70")


def test_settings_that_keep_it_silent_are_named_and_are_no_defect():
    result = finish(examine(detector(here=setting(1_000.0))))
    assert result.outcome is Outcome.SETTINGS
    assert result.words.endswith("here is least 1000.0 (usually 10.0)")


def test_settings_are_no_excuse_for_one_that_cannot_speak_without_them():
    result = finish(examine(detector(here=setting(1_000.0), mends="is deaf")))
    assert result.outcome is Outcome.BROKEN
    assert "nor does it pass with its usual settings" in result.words


def test_a_detector_whose_rule_is_out_of_reach_says_so():
    here = setting(11.0, rule_level=99.0)
    result = finish(examine(detector(here=here, usual=setting(10.0, rule_level=50.0))))
    assert result.outcome is Outcome.SETTINGS
    assert "the rule large did not speak" in result.words


def test_a_rule_that_speaks_in_a_quiet_market_is_told():
    here = setting(0.5, rule_level=1.5)
    result = finish(examine(detector(here=here, usual=setting(10.0, rule_level=50.0))))
    assert result.outcome is Outcome.SETTINGS
    assert "the rule large spoke in a quiet market" in result.words


def test_a_proof_that_raises_costs_its_detector_the_verdict_and_nothing_more():
    def positive():
        yield Tick(Micros(1), Micros(1), "proof")
        raise OSError("no such stream")

    result = finish(examine(detector(proof=Proof("size", 1.0, positive, PROOF.quiet))))
    assert (result.outcome, result.words) == (Outcome.BROKEN, "OSError: no such stream")


def test_others_get_a_turn_after_each_slice():
    many = Proof("size", 50.0, lambda: sized(*[60.0] * SLICE * 5), PROOF.quiet)
    assert sum(1 for _ in examine(detector(proof=many))) == 5 + 1
