from tapewatch.sim.limits import Rules, Weights, Window


def test_window_allows_so_many_in_any_second():
    window = Window(5, 1.0)
    assert all(window.allows(t / 10) for t in range(5))
    assert not window.allows(0.9)
    slow = Window(5, 1.0)
    assert all(slow.allows(t * 0.25) for t in range(100))


def test_weight_is_counted_by_the_minute():
    weights = Weights(Rules(weight=100))
    assert weights.spend(60, 0.0).used == 60
    assert weights.spend(40, 59.0).used == 100
    assert weights.spend(1, 60.0).used == 1


def test_too_much_is_429_until_the_minute_is_over():
    weights = Weights(Rules(weight=100))
    weights.spend(100, 10.0)
    refused = weights.spend(1, 45.5)
    assert (refused.status, refused.used, refused.retry_secs) == (429, 100, 15)
    assert weights.spend(1, 60.0).status == 200


def test_who_goes_on_is_banned_and_longer_each_time():
    weights = Weights(Rules(weight=10, ban_after=2, ban_secs=100.0))
    assert [weights.spend(11, 1.0).status for _ in range(3)] == [429, 429, 418]
    assert weights.spend(1, 61.0).status == 418
    assert weights.spend(1, 61.0).retry_secs == 40
    assert weights.spend(1, 102.0).status == 200
    statuses = [weights.spend(11, 130.0) for _ in range(3)]
    assert (statuses[-1].status, statuses[-1].retry_secs) == (418, 200)
