import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewatch.model.events import Micros
from tapewatch.serve.ask import Ask, Param, check_names
from tapewatch.serve.problem import BadParameters
from tests.serving import NOW

PARAMS = (Param("interval", ""), Param("limit", ""), Param("symbol", "", where="path"))


def ask(**query: str) -> Ask:
    return Ask({}, query, NOW)


def test_all_faults_are_told_at_once():
    question = ask(limit="many", start="yesterday", interval="7q")
    question.whole("limit", 1, 1, 10)
    question.moment("start", NOW)
    question.interval("interval", "1m")
    with pytest.raises(BadParameters) as refused:
        question.done()
    assert [fault.pointer for fault in refused.value.faults] == ["?limit", "?start", "?interval"]
    assert "7m" in refused.value.faults[2].hint


def test_what_is_absent_takes_the_default():
    question = ask()
    assert question.whole("limit", 5, 1, 10) == 5
    assert question.moment("start", Micros(3)) == 3
    assert question.interval("interval", "1m").name == "1m"
    question.done()


@pytest.mark.parametrize("text", ["0", "11", "-1", "1.5", "\u0661", "", "9" * 5_000])
def test_numbers_out_of_range_are_refused(text):
    question = ask(limit=text)
    question.whole("limit", 5, 1, 10)
    with pytest.raises(BadParameters):
        question.done()


@pytest.mark.parametrize(
    ("text", "moment"),
    [("-24h", NOW - 86_400_000_000), ("now", NOW), ("1795224600", NOW), ("1795224600000", NOW)],
)
def test_times_are_read_in_every_spelling(text, moment):
    assert ask(start=text).moment("start", Micros(0)) == moment


@pytest.mark.parametrize("text", ["-999999w", "9999-12-31T00:00Z", "²", "99999999999999999999"])
def test_times_that_are_no_times_of_a_market_are_refused(text):
    question = ask(start=text)
    question.moment("start", Micros(0))
    with pytest.raises(BadParameters):
        question.done()


def test_an_unknown_parameter_is_refused_with_the_nearest():
    with pytest.raises(BadParameters) as refused:
        check_names([("intervall", "7m")], PARAMS)
    assert refused.value.faults[0].hint == "valid here: interval"


def test_a_parameter_of_the_path_is_none_of_the_query():
    with pytest.raises(BadParameters):
        check_names([("symbol", "BTCUSDT")], PARAMS)


def test_a_repeated_parameter_is_refused():
    with pytest.raises(BadParameters, match="more than once"):
        check_names([("limit", "1"), ("limit", "2")], PARAMS)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text):
    question = ask(limit=text, start=text, interval=text)
    question.whole("limit", 1, 1, 10)
    question.moment("start", NOW)
    question.interval("interval", "1m")
    assert all(len(fault.detail) < 200 for fault in question.faults)
    assert len(question.faults) <= 3
