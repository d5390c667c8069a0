import pytest

from tapewatch.model.errors import NotFound, Rejected, Unavailable
from tapewatch.serve import problem
from tapewatch.serve.problem import BadParameters, Fault


def test_an_unknown_name_comes_with_the_nearest():
    told = problem.of_error(NotFound("symbol", "BTCUSD", ("BTC/USDT",)))
    assert (told.status, told.suggestions) == (404, ["BTC/USDT"])


def test_bad_parameters_are_each_named():
    told = problem.of_error(BadParameters(Fault("?limit", "too many", "at most 10")))
    assert told.status == 400
    assert told.errors[0].hint == "at most 10"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Unavailable("later", 3.0), 503),
        (TimeoutError(), 504),
        (Rejected("no", frozenset()), 400),
    ],
)
def test_each_reaction_has_its_status(error, status):
    assert problem.of_error(error).status == status


def test_a_bug_is_not_explained_away():
    assert problem.of_error(KeyError("x")) is None


@pytest.mark.parametrize(
    ("status", "slug"), [(404, "not-found"), (418, "bad-request"), (501, "internal")]
)
def test_the_frameworks_own_refusals_take_the_same_form(status, slug):
    told = problem.of_status(status, "why")
    assert (told.status, told.type) == (status, f"/problems/{slug}")
