"""What all conversations have in common, by a venue of words: `NAME NUMBER`, `ack N`, `no N`.

`one` is a stream of its own, `book` one with snapshots (`NAME snapshot N`), `all` has one key for
all instruments, as some venues send their liquidations.
"""

import pytest

from tapewatch.model.errors import BadFrame
from tapewatch.model.events import BookDelta, BookSnapshot, Gap, Micros, Side, Trade
from tapewatch.model.instrument import Catalogue, Instrument
from tapewatch.ports import (
    Accepted,
    Answer,
    Fetch,
    Flowing,
    Refused,
    Renew,
    Route,
    Send,
    Stalled,
    Streams,
    Subscription,
)
from tapewatch.venues import _talk
from tapewatch.venues._batches import Batches
from tapewatch.venues._book import Step
from tapewatch.venues._talk import Talk
from tapewatch.venues._trades import History

SECOND = 1_000_000
NOW = 1_790_000_000 * SECOND
NAMES = ("a", "b", "c")


def instrument(name, *, active=True):
    return Instrument("words", name.upper(), "X", name, active=active)


def sub(name, channel="one"):
    return Subscription(f"words:{name.upper()}/X", channel)


def follows(seq, delta):
    return Step.NEXT if delta.first_seq == seq + 1 else Step.GAP


class Words(Talk):
    beat = b"beat"

    def key(self, sub, instrument):
        return b"all" if sub.channel == "all" else f"{instrument.native}.{sub.channel}".encode()

    def speaks_always(self, sub):
        return True

    def never_rests(self, sub):
        return sub.channel == "book"

    def changed(self, sub):
        if sub.channel == "all" and sub in self.wanted:
            flow = Batches(sub.inst, "all", lenient=self.streams.lenient)
            self.flows[sub] = self.streams.state.setdefault(sub, flow)

    def handler(self, sub, instrument):
        if sub.channel == "all":
            return lambda data, recv, out: ()
        if sub.channel == "book":
            return self._reader(sub)
        history = History(
            10, lambda key, first, _: Fetch(key, f"x/{first}"), lambda body, recv, echo: ()
        )
        chain = self.chain(sub, history)

        def handle(data, recv, out):
            number = int(data.split()[1])
            trade = Trade(recv, recv, sub.inst, str(number), Side.BUY, 1.0, 1.0, sub.channel)
            return chain.take(number, trade, recv, out)

        return handle

    def _reader(self, sub):
        book = self.pushed(sub, follows)

        def handle(data, recv, out):
            words = data.split()
            levels = ((100.0, 1.0),)
            if words[1] == b"snapshot":
                snapshot = BookSnapshot(recv, recv, sub.inst, int(words[2]), levels, ())
                book.snapshot(snapshot, self, recv, out)
            else:
                number = int(words[1])
                delta = BookDelta(recv, recv, sub.inst, number, number, levels, ())
                book.take(delta, self, recv, out)
            return ()

        return handle

    def say(self, named, now, *, subscribe):
        number = self.acks.ask(tuple(each.sub for each in named) if subscribe else (), now)
        word = "SUB" if subscribe else "UNSUB"
        yield f"{word} {number} {' '.join(each.key.decode() for each in named)}".encode()

    def decode(self, frame, recv, out):
        word = frame.split()[0]
        if word == b"ack":
            return self.accept(self.acks.answered(int(frame.split()[1])), recv)
        if word == b"no":
            return self.refuse(self.acks.answered(int(frame.split()[1])), "no")
        handle = self.handlers.get(word)
        if handle is not None:
            return self.noted(handle(frame, recv, out))
        name, _, channel = word.decode().partition(".")
        found = self.streams.catalogue.get(sub(name, channel).inst)
        if found is None:
            raise BadFrame("what?")
        return self.noted(self.deliver(sub(name, channel), found, frame, recv, out))


class Wire:
    def __init__(self, *subs, streams=None, lenient=False):
        listed = [*map(instrument, NAMES), instrument("off", active=False)]
        self.streams = streams or Streams(Catalogue(listed), lenient=lenient)
        self.talk = Words("words", Route("r", "", subs), self.streams)
        self.now = NOW
        self.out = []
        self.asks = list(self.talk.open(self.now))

    def hear(self, *frames):
        for frame in frames:
            self.asks.extend(self.talk.decode(frame.encode(), self.now, self.out))
        return self

    def want(self, *subs):
        self.asks.extend(self.talk.want(frozenset(subs), self.now, self.out))
        return self

    def tick(self, secs):
        self.now += int(secs * SECOND)
        self.asks.extend(self.talk.tick(self.now, self.out))
        return self

    def lose(self):
        self.talk.lost("cut", self.now, self.out)
        return self

    def sent(self):
        return [ask.frame.decode() for ask in self.of(Send) if ask.frame != b"beat"]

    def of(self, kind):
        return [ask for ask in self.asks if isinstance(ask, kind)]

    def accepted(self):
        return [each for ask in self.of(Accepted) for each in ask.subscriptions]

    def refused(self):
        return [(each, ask.reason) for ask in self.of(Refused) for each in ask.subscriptions]

    def silent(self):
        return [each for ask in self.of(Stalled) for each in ask.subscriptions]

    def gaps(self):
        return [(e.inst[6], e.channel, e.reason) for e in self.out if isinstance(e, Gap)]


A, B, C = (sub(name) for name in NAMES)
ALL_A, ALL_B, ALL_C = (sub(name, "all") for name in NAMES)
BOOK = sub("a", "book")


# --- several subscriptions under one key ---


def test_a_key_is_subscribed_to_once_and_its_answer_is_for_all():
    wire = Wire(ALL_A, ALL_B, A)
    assert wire.sent() == ["SUB 1 all a.one"]
    assert wire.hear("ack 1").accepted() == [ALL_A, ALL_B, A]


def test_who_joins_a_key_that_was_accepted_is_accepted_at_once():
    wire = Wire(ALL_A).hear("ack 1").want(ALL_A, ALL_B)
    assert wire.sent() == ["SUB 1 all"]
    assert wire.accepted() == [ALL_A, ALL_B]


def test_who_joins_a_key_that_waits_is_accepted_with_it():
    wire = Wire(ALL_A).want(ALL_A, ALL_B)
    assert not wire.accepted()
    assert wire.hear("ack 1").accepted() == [ALL_A, ALL_B]


def test_who_joins_a_key_is_carried_so_its_loss_is_said():
    wire = Wire(ALL_A).hear("ack 1").want(ALL_A, ALL_B).lose()
    assert wire.gaps() == [("A", "all", "cut"), ("B", "all", "cut")]


def test_a_refusal_is_for_all_of_the_key():
    wire = Wire(ALL_A, ALL_B, A).hear("no 1")
    assert wire.refused() == [(ALL_A, "no"), (ALL_B, "no"), (A, "no")]


def test_a_key_is_left_when_the_last_one_leaves():
    wire = Wire(ALL_A, ALL_B).hear("ack 1").want(ALL_B)
    assert wire.sent() == ["SUB 1 all"]
    wire.want()
    assert wire.sent() == ["SUB 1 all", "UNSUB 2 all"]
    assert wire.gaps() == [("A", "all", "unsubscribed"), ("B", "all", "unsubscribed")]


def test_a_key_still_speaks_when_the_one_who_began_it_has_left():
    wire = Wire(ALL_A, ALL_B).hear("ack 1").want(ALL_B).hear("all 1").tick(61)
    assert not wire.silent()


def test_who_leaves_and_joins_again_is_one_of_them():
    wire = Wire(ALL_A, ALL_B).hear("ack 1").want(ALL_B).want(ALL_A, ALL_B).want(ALL_A).want()
    assert wire.sent() == ["SUB 1 all", "UNSUB 2 all"]


def test_one_frame_shows_that_all_of_the_key_speak():
    wire = Wire(ALL_A, ALL_B, A).hear("ack 1", "all 1").tick(61)
    assert wire.silent() == [A]


# --- answers that come late, or not ---


def test_what_is_not_listed_is_refused_and_the_others_are_subscribed():
    wire = Wire(A, sub("ghost"))
    assert wire.refused() == [(sub("ghost"), "words does not list GHOST/X")]
    assert wire.sent() == ["SUB 1 a.one"]


def test_a_request_that_is_forgotten_among_others_is_refused_once():
    wire = Wire(A).hear("ack 1").want(A, B).tick(10).tick(100)
    assert wire.refused()[0] == (B, "no answer to the subscription within 10 s")
    assert [each for each, _ in wire.refused()].count(B) == 1


def test_where_nothing_is_ever_answered_no_name_is_to_blame():
    assert not Wire(A, B).tick(10).tick(100).refused()


def test_what_speaks_is_accepted_though_its_answer_is_lost():
    wire = Wire(A, B).hear("a.one 1").tick(10)
    assert wire.accepted() == [A]
    assert wire.refused() == [(B, "no answer to the subscription within 10 s")]


def test_what_was_accepted_stays_so_when_it_is_asked_for_anew_and_nobody_answers():
    wire = Wire(BOOK).hear("ack 1", "a.book snapshot 7").tick(1)
    wire.hear("a.book 9").tick(1)  # a hole: a new snapshot is wanted
    assert wire.sent() == ["SUB 1 a.book", "UNSUB 2 a.book", "SUB 3 a.book"]
    assert not wire.tick(12).refused()


def test_who_has_left_before_the_answer_hears_no_refusal():
    assert not Wire(A, B).want(A).hear("no 1").tick(100).refused()[1:]
    wire = Wire(A).hear("ack 1").want(A, B).want(A).tick(11)
    assert B not in [each for each, _ in wire.refused()]


def test_who_comes_back_after_an_answer_is_asked_for_again():
    wire = Wire(A).hear("ack 1").want().want(A).hear("ack 3")
    assert wire.sent() == ["SUB 1 a.one", "UNSUB 2 a.one", "SUB 3 a.one"]
    assert wire.accepted() == [A, A]


def test_data_may_come_before_its_answer():
    wire = Wire(A).hear("a.one 1", "ack 1").tick(61)
    assert not wire.silent()


def test_what_never_speaks_is_named_once_and_stays_subscribed():
    wire = Wire(A, B).hear("ack 1", "a.one 1").tick(59)
    assert not wire.silent()
    assert wire.tick(2).tick(100).silent() == [B]
    assert "nothing came within 60 s" in wire.of(Stalled)[0].reason
    assert not wire.refused()


def test_what_speaks_after_all_flows():
    wire = Wire(ALL_A, ALL_B, A).hear("ack 1").tick(61)
    assert wire.silent() == [ALL_A, ALL_B, A]
    assert wire.hear("all 1", "all 2").of(Flowing) == [Flowing((ALL_A, ALL_B))]


def test_what_does_not_trade_may_be_silent():
    wire = Wire(A, sub("off")).hear("ack 1", "a.one 1").tick(61)
    assert not wire.silent()


# --- frames that nobody asked for, and recordings ---


def test_a_frame_that_was_not_asked_for_is_refused():
    with pytest.raises(BadFrame, match="not asked for"):
        Wire(A).hear("b.one 1")


def test_frames_that_still_come_after_unsubscribing_are_ignored():
    assert not Wire(A).hear("ack 1").want().hear("a.one 1").out


def test_a_recording_begins_a_stream_with_its_first_good_frame():
    wire = Wire(lenient=True).hear("a.one 5", "a.one 6")
    assert [event.id for event in wire.out] == ["5", "6"]
    assert wire.talk.wanted == {A}


def test_a_bad_first_frame_begins_nothing():
    wire = Wire(lenient=True)
    with pytest.raises(ValueError, match="invalid literal"):
        wire.hear("a.one nonsense")
    assert not wire.talk.wanted
    assert A not in wire.streams.state
    assert [event.id for event in wire.hear("a.one 5").out] == ["5"]


def test_a_bad_frame_later_leaves_the_stream():
    wire = Wire(lenient=True).hear("a.one 5")
    with pytest.raises(ValueError, match="invalid literal"):
        wire.hear("a.one nonsense")
    assert [event.id for event in wire.hear("a.one 6").out] == ["5", "6"]


def test_streams_of_one_recording_are_bounded(monkeypatch):
    monkeypatch.setattr(_talk, "_MAX_ADOPTED", 2)
    wire = Wire(lenient=True).hear("a.one 1", "b.one 1")
    with pytest.raises(BadFrame, match="more than 2 streams"):
        wire.hear("c.one 1")
    wire.hear("a.one 2")


# --- time, and the end ---


def test_we_beat_in_time_also_when_the_clock_goes_back():
    wire = Wire(A)
    beats = []
    for secs in (19, 1, 19, 1, -3_600, 19, 1):
        wire.asks.clear()
        beats.append(Send(b"beat") in wire.tick(secs).asks)
    assert beats == [False, True, False, True, True, False, True]


def test_a_successor_is_wanted_once():
    wire = Wire(A)
    assert [*wire.talk.renew("old"), *wire.talk.renew("older")] == [Renew("old")]


def test_a_connection_never_rests_while_such_a_stream_is_wanted():
    wire = Wire(A, BOOK)
    assert wire.talk.pulse.never_rests
    wire.want(A)
    assert not wire.talk.pulse.never_rests


def test_an_answer_for_nobody_is_dropped():
    wire = Wire(A)
    fetch = Fetch("nobody's", "x")
    assert not wire.talk.answer(fetch, Answer(200, b""), wire.now, wire.out)


def test_what_a_lost_connection_has_asked_for_another_asks_again():
    old = Wire(A).hear("ack 1", "a.one 1", "a.one 3")
    new = Wire(A, streams=old.streams).hear("ack 1", "a.one 4")
    assert len(old.of(Fetch)) == 1
    assert not new.of(Fetch)
    old.lose()
    new.tick(0.25)
    assert [fetch.url for fetch in new.of(Fetch)] == ["x/2"]


def test_a_loss_is_said_when_nobody_else_carries_the_stream():
    old = Wire(BOOK).hear("ack 1", "a.book snapshot 7")
    new = Wire(BOOK, streams=old.streams).hear("ack 1", "a.book snapshot 8")
    assert not old.lose().gaps()
    assert new.lose().gaps() == [("A", "book", "cut")]


def test_nothing_new_is_told_when_no_time_has_passed():
    wire = Wire(A).hear("ack 1", "a.one 1")
    wire.talk.pulse.ts, wire.talk.pulse.recv = Micros(NOW), Micros(NOW)
    told = list(wire.tick(1).out)
    assert told
    assert wire.tick(0).out == told
