import gc

from tapewatch.runtime.garbage import seldom_collected


def test_the_collector_is_as_it_was_once_the_work_is_over():
    before = gc.get_threshold()
    with seldom_collected():
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold() > before
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
