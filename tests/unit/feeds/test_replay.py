from pathlib import Path

import pytest

from tapewatch.feeds.replay import events, together
from tapewatch.model.codec import raw_of
from tapewatch.model.errors import ConfigError
from tapewatch.model.events import DeadLetter, Gap, Metric, Micros, Tick, Trade
from tapewatch.ports import Fetch, Route
from tapewatch.wire.tape import Header, Line
from tests.talk import Talk, instrument, sub


class Tape:
    """A TapeReader that is open and needs no disk."""

    path = Path("made-up.tape")
    torn = ""

    def __init__(self, *lines, marked=False):
        self._lines = lines
        self.header = Header(
            venue="talk",
            at=Micros(0),
            hold_secs=1.0,
            repair_max_ids=10,
            instruments=[instrument("a"), instrument("b")],
            marked=marked,
        )

    def __iter__(self):
        return iter(self._lines)


def begin(link=1, names="a"):
    route = Route("talk-0", "ws://x", tuple(map(sub, names)))
    return [Line(link, "link", Micros(1), route=route), Line(link, "open", Micros(1))]


def frame(at, text, link=1):
    return Line(link, "in", Micros(at), text)


def play(*lines):
    return [event for batch in events(Tape(*lines), Talk()) for event in batch]


def test_each_kind_of_line_is_the_call_that_it_stands_for():
    played = play(
        *begin(),
        frame(2, "OK a"),
        frame(3, "T a 1"),
        Line(1, "tick", Micros(4)),
        Line(1, "answer", Micros(5), "body", status=200, fetch=Fetch("key", "http://x")),
        Line(kind="know", at=Micros(6), instruments=(instrument("b"),)),
        Line(1, "want", Micros(6), subscriptions=(sub("a"), sub("b"))),
        Line(1, "resync", Micros(7), "crossed", subscriptions=(sub("b"),)),
        Line(1, "lost", Micros(8), "gone"),
    )
    assert [(type(event), event.recv) for event in played] == [
        (Trade, 3),
        (Tick, 4),
        (Metric, 5),
        (Gap, 7),
        (Gap, 8),
        (Gap, 8),
    ]
    assert played[3].reason == "crossed"
    assert played[2].window == "body"


def test_what_was_unreadable_is_unreadable_again():
    letters = play(
        *begin(),
        frame(2, "WHAT"),
        Line(1, "in", Micros(3), "//8=", base64=True),
        Line(1, "answer", Micros(4), "<html>", status=200, fetch=Fetch("key", "http://x")),
    )
    assert all(type(letter) is DeadLetter for letter in letters)
    assert [raw_of(letter) for letter in letters] == [b"WHAT", b"\xff\xff", b"<html>"]
    assert [letter.stage for letter in letters] == ["decode", "decode", "answer"]


def test_two_links_share_what_outlives_them():
    trades = play(*begin(1), *begin(2), frame(2, "T a 1", 1), frame(2, "T a 1", 2))
    assert len(trades) == 1


def test_batches_end_where_time_moves_on():
    lines = [*begin(), frame(5, "T a 1"), frame(5, "T a 2"), frame(6, "T a 3")]
    assert [len(batch) for batch in events(Tape(*lines), Talk())] == [2, 1]


def out(at, number):
    return Line(number, "out", Micros(at))


def test_a_marked_tape_ends_its_batches_where_they_were_handed_over():
    lines = [*begin(), frame(5, "T a 1"), frame(6, "T a 2"), out(7, 0), frame(8, "T a 3")]
    batches = list(events(Tape(*lines, marked=True), Talk()))
    assert [[trade.id for trade in batch] for batch in batches] == [["1", "2"], ["3"]]


def test_tapes_are_played_in_the_order_in_which_their_batches_were_handed_over():
    """Read at 5 and 7 here, at 6 there; but the first feed handed both of its reads over first."""
    one = [*begin(names="a"), frame(5, "T a 1"), frame(7, "T a 2"), out(8, 0)]
    other = [*begin(names="b"), frame(6, "T b 1"), out(8, 1), frame(9, "T b 2"), out(9, 2)]
    tapes = [(Tape(*other, marked=True), Talk()), (Tape(*one, marked=True), Talk())]
    played = [(trade.inst, trade.id) for _, batch in together(tapes) for trade in batch]
    a, b = played[0][0], played[-1][0]
    assert played == [(a, "1"), (a, "2"), (b, "1"), (b, "2")]
    assert a != b


@pytest.mark.parametrize(
    "line",
    [
        Line(7, "in", Micros(1), "T a 1"),
        Line(1, "dance", Micros(1)),
        Line(1, "link", Micros(1)),
    ],
)
def test_a_line_that_makes_no_sense_is_told(line):
    with pytest.raises(ConfigError, match="tape"):
        play(*begin(2), line) if line.link == 7 else play(*begin(1), line)
