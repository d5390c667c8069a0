import random

from tapewatch.venues._rhythm import ENOUGH_STEPS, Rhythm

SECOND = 1_000_000
START = 1_700_000_000 * SECOND
TICK = SECOND // 4


class Watch:
    """Streams that move at given times, looked at four times a second."""

    def __init__(self):
        self.rhythm = Rhythm()
        self.now = START
        self.places = {}
        self.told = []

    def run(self, secs, **moves):
        """`moves`: the stream moves each so many seconds; 0: it is silent."""
        until = self.now + int(secs * SECOND)
        while self.now < until:
            self.now += TICK
            for name, every in moves.items():
                steps = (self.now - START) // int(every * SECOND) if every else 0
                self.places[name] = steps if every else self.places.get(name, 0)
            for silence in self.rhythm.look(list(self.places.items()), self.now):
                self.told.append((silence.key, (self.now - START) / SECOND))
        return self

    def names(self):
        return [name for name, _ in self.told]


def test_a_busy_stream_that_dies_is_noticed_in_seconds_and_its_neighbour_is_not_blamed():
    watch = Watch().run(60, book=0.25, trades=0.5).run(10, book=0, trades=0.5)
    assert watch.names() == ["book"]
    assert 63 <= watch.told[0][1] <= 64


def test_a_quiet_market_is_left_alone_and_its_death_is_noticed_by_its_own_rhythm():
    watch = Watch().run(1_200, rare=20).run(100, rare=0)
    assert not watch.told
    assert watch.run(30, rare=0).names() == ["rare"]


def test_a_market_of_chance_is_not_called_dead_for_a_day():
    rng = random.Random(7)
    rhythm, now, place = Rhythm(), START, 0
    due = now
    for _ in range(4 * 86_400):
        now += TICK
        if now >= due:
            place += 1
            due = now + int(rng.expovariate(1 / 8) * SECOND)
        assert not rhythm.look([("pair", place)], now)


def test_nothing_is_said_before_enough_is_known():
    watch = Watch().run((ENOUGH_STEPS - 1) * 1.0, new=1).run(3_600, new=0)
    assert not watch.told


def test_a_stream_that_comes_back_is_well_and_its_outage_is_not_its_rhythm():
    watch = Watch().run(60, book=0.25).run(30, book=0).run(30, book=0.25)
    assert watch.names() == ["book"]
    assert not watch.rhythm.stalled
    watch.told.clear()
    assert watch.run(10, book=0).names() == ["book"]


def test_a_stream_that_stays_silent_is_told_once_a_minute():
    watch = Watch().run(60, book=0.25).run(183, book=0)
    assert len(watch.told) == 4


def test_our_own_sleep_and_a_clock_that_jumps_blame_nobody():
    watch = Watch().run(60, book=0.25)
    for jump in (600, -7_200, 3_600):
        watch.now += jump * SECOND
        assert not watch.rhythm.look(list(watch.places.items()), watch.now)
        assert not watch.rhythm.look(list(watch.places.items()), watch.now + TICK)


def test_what_is_not_carried_any_more_is_not_watched():
    watch = Watch().run(60, book=0.25)
    watch.rhythm.forget("book")
    assert not watch.run(30, book=0).told


def test_all_are_silent_only_when_each_whose_rhythm_is_known_is():
    watch = Watch().run(60, book=0.25, trades=0.5)
    watch.run(2, book=0, trades=0.5, new=1)
    assert not watch.run(4, book=0, trades=0.5, new=0).rhythm.all_stalled()
    assert watch.run(10, book=0, trades=0, new=0).rhythm.all_stalled()
    assert set(watch.names()) == {"book", "trades"}


def test_nothing_watched_is_not_all_silent():
    assert not Rhythm().all_stalled()
    watch = Watch().run(60, book=0.25).run(10, book=0)
    assert watch.rhythm.all_stalled()
    watch.rhythm.forget("book")
    assert not watch.rhythm.all_stalled()


def test_what_grows_slower_is_learned_and_not_called_dead():
    watch = Watch()
    for secs in (1, 2, 4, 8):
        watch.run(120, trades=secs)
    assert not watch.told
