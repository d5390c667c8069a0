import pytest

from tapewatch.serve.client import Choice, frame

ALL = Choice(frozenset({"price"}))


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, b"\x81\x00"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65_535, b"\x81\x7e\xff\xff"),
        (65_536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_frame_heads_are_those_of_rfc_6455(size, head):
    payload = b"x" * size
    assert frame(payload) == head + payload


def test_who_names_nothing_gets_all():
    assert ALL.takes("price", "binance:BTC/USDT")
    assert not ALL.takes("trade", "binance:BTC/USDT")


def test_naming_one_narrows_to_it_and_another_widens():
    named = ALL.add("a")
    assert named.takes("price", "a")
    assert not named.takes("price", "b")
    assert named.add("b").takes("price", "b")


def test_unsubscribing_from_all_leaves_the_others():
    without = ALL.remove("a")
    assert not without.takes("price", "a")
    assert without.takes("price", "b")


def test_unsubscribing_the_last_leaves_nothing():
    assert not ALL.add("a").remove("a").takes("price", "a")


def test_equal_choices_are_one_group():
    assert len({ALL.add("a").add("b"), ALL.add("b").add("a")}) == 1
