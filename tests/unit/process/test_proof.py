from hypothesis import given
from hypothesis import strategies as st

from tapewatch.model.events import Quality
from tapewatch.model.times import SECOND
from tapewatch.process._proof import MAX_STRETCHES, Proof


def vouched(since=10):
    proof = Proof(vouched=True)
    proof.resumed(since)
    return proof


def test_nothing_is_whole_before_somebody_vouches():
    proof = Proof()
    proof.resumed(10)
    assert proof.quality(1_000, 2_000) is Quality.PARTIAL


def test_from_the_first_trade_after_the_vow_on_it_is_whole():
    proof = vouched(10)
    assert proof.quality(10, 20) is Quality.PARTIAL
    assert proof.quality(11, 20) is Quality.COMPLETE


def test_a_hole_is_open_until_a_trade_comes():
    proof = vouched()
    proof.gap(100, 5, 6)
    assert proof.quality(90, 100) is Quality.COMPLETE
    assert proof.quality(90, 101) is Quality.PARTIAL
    assert proof.quality(10**9, 10**9 + 1) is Quality.PARTIAL
    proof.resumed(120)
    assert proof.quality(120, 130) is Quality.PARTIAL
    assert proof.quality(121, 130) is Quality.COMPLETE


def test_a_hole_whose_ids_all_came_is_a_mended_stretch():
    proof = vouched()
    proof.gap(100, 5, 9)
    proof.resumed(120)
    assert proof.mend(1, 6) == []
    assert proof.mend(8, 20) == []
    assert proof.quality(100, 130) is Quality.PARTIAL
    (whole,) = proof.mend(7, 7)
    assert (whole.since, whole.until) == (100, 120)
    assert proof.quality(100, 130) is Quality.REPAIRED
    assert proof.quality(121, 130) is Quality.COMPLETE


def test_a_hole_without_ids_is_never_mended():
    proof = vouched()
    proof.gap(100, 0, -1)
    proof.resumed(120)
    assert proof.mend(0, 10**9) == []
    assert proof.quality(100, 130) is Quality.PARTIAL


def test_repaired_trades_mark_where_they_are():
    proof = vouched()
    proof.repaired(50)
    proof.repaired(60)
    assert proof.quality(55, 56) is Quality.REPAIRED
    assert proof.quality(61, 70) is Quality.COMPLETE
    assert len(proof.mended) == 1


def test_too_many_holes_are_joined_and_only_get_worse():
    proof = vouched()
    for n in range(1, 200):
        proof.gap(n * 100, n, n)
        proof.resumed(n * 100 + 10)
    assert len(proof.holes) <= MAX_STRETCHES
    assert all(proof.quality(n * 100, n * 100 + 5) is Quality.PARTIAL for n in range(1, 200))


def test_too_many_repairs_are_joined():
    proof = vouched()
    for n in range(1, 200):
        proof.repaired(n * 10 * SECOND)
    assert len(proof.mended) <= MAX_STRETCHES
    assert proof.quality(990 * SECOND, 991 * SECOND) is Quality.REPAIRED


def test_a_hole_that_falls_into_too_many_pieces_cannot_be_mended_any_more():
    proof = vouched()
    proof.gap(100, 1, 1_000)
    proof.resumed(120)
    for n in range(2, 200, 2):
        proof.mend(n, n)
    assert proof.mend(1, 1_000) == []
    assert proof.quality(100, 110) is Quality.PARTIAL


def test_what_is_old_is_forgotten_but_not_what_is_open():
    proof = vouched(10)
    proof.repaired(50)
    proof.gap(100, 1, 1)
    proof.forget(200)
    assert proof.mended == []
    assert len(proof.holes) == 1
    assert proof.quality(300, 400) is Quality.PARTIAL


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=12))
def test_a_hole_is_mended_exactly_when_all_its_ids_came(pieces):
    proof = vouched()
    proof.gap(100, 10, 50)
    missing = set(range(10, 51))
    for first, length in pieces:
        whole = proof.mend(first, first + length)
        had = bool(missing)
        missing -= set(range(first, first + length + 1))
        assert bool(whole) is (had and not missing)
