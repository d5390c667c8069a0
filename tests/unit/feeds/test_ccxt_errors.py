import pytest

from tapewatch.feeds.ccxt_errors import FINAL, Reaction, in_words, judge, note_answer

# The part of CCXT's tree that is sorted, by name: the real one is met in the integration tests.
_TREE = {
    "NetworkError": Exception,
    "RequestTimeout": "NetworkError",
    "ExchangeNotAvailable": "NetworkError",
    "OnMaintenance": "ExchangeNotAvailable",
    "InvalidNonce": "NetworkError",
    "ChecksumError": "InvalidNonce",
    "RateLimitExceeded": "NetworkError",
    "DDoSProtection": "NetworkError",
    "ExchangeError": Exception,
    "BadRequest": "ExchangeError",
    "BadSymbol": "BadRequest",
    "AuthenticationError": "ExchangeError",
    "PermissionDenied": "AuthenticationError",
    "OperationRejected": "ExchangeError",
    "RestrictedLocation": "OperationRejected",
    "NotSupported": "ExchangeError",
    "ExchangeClosedByUser": "ExchangeError",
}


def error(name, *args):
    above = _TREE[name]
    base = type(error(above)) if isinstance(above, str) else above
    return type(name, (base,), {})(*args)


@pytest.mark.parametrize(
    ("name", "reaction"),
    [
        ("NetworkError", Reaction.RETRY),
        ("RequestTimeout", Reaction.RETRY),
        ("OnMaintenance", Reaction.RETRY),
        ("ChecksumError", Reaction.RETRY),
        ("ExchangeError", Reaction.RETRY),
        ("BadRequest", Reaction.RETRY),
        ("RateLimitExceeded", Reaction.SLOW_DOWN),
        ("DDoSProtection", Reaction.SLOW_DOWN),
        ("RestrictedLocation", Reaction.BLOCKED),
        ("BadSymbol", Reaction.REFUSED),
        ("AuthenticationError", Reaction.GIVE_UP),
        ("PermissionDenied", Reaction.GIVE_UP),
        ("NotSupported", Reaction.GIVE_UP),
        ("ExchangeClosedByUser", Reaction.GIVE_UP),
    ],
)
def test_each_error_has_its_reaction(name, reaction):
    verdict = judge(error(name, "kraken says no"), "kraken")
    assert verdict.reaction is reaction
    assert "kraken says no" in verdict.reason
    assert verdict.kind == name


@pytest.mark.parametrize("status", [403, 451])
def test_a_status_that_forbids_blocks_whatever_the_error_is_called(status):
    made = error("AuthenticationError", "no")
    note_answer(made, "https://api.kraken.com/0/Ticker?pair=X", status, {})
    verdict = judge(made, "kraken")
    assert verdict.reaction is Reaction.BLOCKED
    assert "api.kraken.com" in verdict.reason
    assert "exchanges.kraken.urls" in verdict.reason


def test_what_a_venue_asks_to_wait_is_kept():
    made = error("ExchangeError", "slow down")
    note_answer(made, "https://api.kraken.com/", 429, {"Retry-After": "7"})
    verdict = judge(made, "kraken")
    assert (verdict.reaction, verdict.retry_after) == (Reaction.SLOW_DOWN, 7.0)


def test_a_refused_handshake_is_judged_by_its_status():
    class Handshake(Exception):
        status = 429
        headers = {"Retry-After": "30"}

    verdict = judge(error("NetworkError", Handshake("too many")), "kraken")
    assert (verdict.reaction, verdict.retry_after) == (Reaction.SLOW_DOWN, 30.0)
    assert "too many" in verdict.reason


def test_what_breaks_inside_ccxt_is_tried_again():
    assert judge(KeyError("price"), "kraken").reaction is Reaction.RETRY
    assert Reaction.RETRY not in FINAL


def test_the_cause_is_told_where_the_error_says_only_where():
    made = error("ExchangeNotAvailable", "kraken GET https://api.kraken.com/0")
    made.__cause__ = OSError("the name cannot be resolved")
    assert in_words(made).endswith("/0: the name cannot be resolved")


def test_a_web_page_becomes_one_short_line():
    page = "<html><style>body {a: b}</style><h1>502</h1>\n<p>Bad Gateway" + " x" * 500
    words = in_words(error("ExchangeNotAvailable", page))
    assert words.startswith("ExchangeNotAvailable: 502 Bad Gateway")
    assert len(words) < 260
    assert in_words(error("NetworkError")) == "NetworkError"
