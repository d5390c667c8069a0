from tapewatch.model.times import SECOND
from tapewatch.wire.steady import Steady


class Times:
    def __init__(self):
        self.wall, self.mono = 1_000 * SECOND, 0.0
        self.clock = Steady(lambda: self.wall, lambda: self.mono)

    def after(self, secs, wall_jump=0.0):
        self.mono += secs
        self.wall += int((secs + wall_jump) * SECOND)
        return self.clock()


def test_stamps_are_the_wall_clock_while_it_goes_forward():
    times = Times()
    assert times.after(1) == times.wall
    assert times.after(1, wall_jump=3600) == times.wall


def test_a_clock_that_was_set_back_makes_no_stamp_go_back_and_none_stand_still():
    times = Times()
    before = times.after(1)
    stamps = [times.after(1, wall_jump=-3600), *(times.after(10) for _ in range(5))]
    assert stamps[0] == before
    assert stamps == sorted(set(stamps))
    assert stamps[-1] == before + 25 * SECOND  # half the speed


def test_stamps_meet_the_wall_clock_again_and_then_follow_it():
    times = Times()
    times.after(1)
    times.after(0, wall_jump=-4)
    stamps = [times.after(2) for _ in range(4)]
    assert stamps == sorted(stamps)
    assert stamps[-1] == times.wall
    assert times.after(1) == times.wall


def test_the_jump_is_told_once(caplog):
    times = Times()
    times.after(1)
    times.after(1, wall_jump=-60)
    for _ in range(5):
        times.after(1)
    assert [record.message for record in caplog.records] == ["clock_went_back"]
