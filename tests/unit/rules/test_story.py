import pytest

from tapewatch.model.events import AlertState, Micros
from tapewatch.rules.story import Attempt, NotTold, Story, Told, duration, tell
from tests.notices import SECOND, START, alert

LATER = Micros(START + 300 * SECOND)


def at(secs):
    return Micros(START + int(secs * SECOND))


def test_a_story_is_told_in_the_order_in_which_it_happened():
    attempts = (
        Attempt(at(13), False, "451 greylisted", 31.0),
        Attempt(at(15), True, "mail: 250 taken", 42.0),
    )
    story = Story(
        alert().id,
        (alert(ts=at(10)), alert(AlertState.RESOLVED, ts=LATER, text="it is over")),
        (Told("mail-12", "mail", at(12), "sent", "7 symbols: surge", 7, attempts),),
        (NotTold("desk", at(10), "silenced by s1: planned work"),),
    )
    assert tell(story) == [
        "surge on binance:BTC/USDT (warning)",
        "  2026-11-21 01:30:10.000  fired: 5.2 times the usual volume in 5m",
        "                 5.2 over 5m, limit 4, usual 1; its data are partial",
        "                 rests on: trade 4711 sell 3.2 @ 61837.63",
        "  2026-11-21 01:30:10.000  desk was not told: silenced by s1: planned work",
        "  2026-11-21 01:30:12.000  for mail: notice mail-12 with 6 others: sent",
        "                 2026-11-21 01:30:13.000 attempt 1 failed after 31 ms: 451 greylisted",
        "                 2026-11-21 01:30:15.000 attempt 2 delivered after 42 ms: mail: 250 taken",
        "  2026-11-21 01:35:00.000  resolved: it is over",
        "  over after 5m; it reached mail",
    ]


def test_what_was_pending_only_is_told_as_that():
    over = alert(AlertState.WITHDRAWN, ts=at(20), text="5.2 times the usual: it did not hold")
    lines = tell(Story(over.id, (alert(AlertState.PENDING), over)))
    assert lines[-2:] == [
        "  2026-11-21 01:30:20.000  withdrawn, never fired: 5.2 times the usual: it did not hold",
        "  it held no more after 20s; it reached nobody",
    ]
    assert not any("resolved" in line for line in lines)


def test_an_alert_that_still_fires_and_reached_nobody_says_so():
    lines = tell(Story(alert().id, (alert(),)))
    assert lines[-1] == "  it is firing since 2026-11-21T01:30:00.000000Z; it reached nobody so far"


def test_an_alert_of_which_only_the_notices_are_kept_is_told_as_far_as_that_goes():
    assert "nothing is kept" in tell(Story("x", ()))[0]


@pytest.mark.parametrize(
    ("secs", "text"),
    [(0, "0s"), (59, "59s"), (60, "1m"), (299, "4m 59s"), (7_380, "2h 3m"), (90_061, "1d 1h"), (-5, "0s")],
)  # fmt: skip
def test_a_duration_has_two_units_at_most(secs, text):
    assert duration(secs * SECOND) == text
