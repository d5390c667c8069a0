import re

import pytest

from tapewatch.sim.binance import FAULT_TEXTS
from tapewatch.sim.faults import Fault, Faults, FaultTexts
from tapewatch.sim.messages import Message

TRADE = "btcusdt@trade"
SECOND = 1_000_000


def message(number, stream=TRADE):
    return Message(stream, lambda _: f'{{"e":"trade","t":{number},"p":"1.5"}}')


def run(faults, numbers, stream=TRADE, now=0):
    return [m.text() for n in numbers for m in faults.filter(message(n, stream), now)]


def texts(numbers):
    return [message(n).text() for n in numbers]


def faulty(now=0, **fields):
    faults = Faults(texts=FAULT_TEXTS)
    faults.add(Fault(**fields), now)
    return faults


def test_without_faults_everything_passes():
    assert run(Faults(), range(3)) == texts(range(3))


def test_dropped_frame_is_missing_and_listed():
    faults = faulty(kind="drop")
    assert run(faults, range(3)) == texts([1, 2])
    assert [a.text for a in faults.applied] == texts([0])
    assert faults.counts == {"drop": 1}


def test_duplicated_frame_comes_twice():
    assert run(faulty(kind="duplicate"), range(2)) == texts([0, 0, 1])


def test_reordered_frames_change_places_within_their_stream():
    faults = faulty(kind="reorder")
    assert run(faults, [0]) == []
    assert run(faults, [9], stream="ethusdt@trade") == texts([9])
    assert run(faults, [1, 2]) == texts([1, 0, 2])


def test_frame_held_back_is_released_when_faults_end():
    faults = faulty(kind="reorder")
    run(faults, [0])
    faults.clear()
    assert [m.text() for m in faults.due(0)] == texts([0])


def test_stall_silences_only_its_streams_for_its_time():
    faults = faulty(kind="stall", target="btc*", secs=2.0)
    assert run(faults, [0], now=10) == []
    assert run(faults, [1], now=SECOND) == []
    assert run(faults, [1], stream="ethusdt@trade", now=SECOND) == texts([1])
    assert run(faults, [2], now=10 + 2 * SECOND) == texts([2])
    assert faults.counts["stall"] == 2


def test_slow_frames_come_later_and_in_order():
    faults = faulty(kind="slow", count=None, secs=1.0)
    assert run(faults, [0, 1], now=0) == []
    assert faults.due(SECOND - 1) == []
    assert [m.text() for m in faults.due(SECOND)] == texts([0, 1])


def test_garbage_comes_before_the_true_frame_and_varies():
    faults = faulty(kind="garbage", count=None)
    sent = run(faults, range(3))
    assert sent[1::2] == texts(range(3))
    assert len(set(sent[0::2])) == 3


def test_wrong_sequence_moves_ids_and_nothing_else():
    assert run(faulty(kind="wrong_sequence", shift=5), [10]) == texts([15])
    depth = '{"e":"depthUpdate","E":5,"U":1,"u":2,"b":[["7","8"]],"a":[]}'
    faults = faulty(kind="wrong_sequence", shift=5)
    (sent,) = faults.filter(Message("x", lambda _: depth), 0)
    assert sent.text() == '{"e":"depthUpdate","E":5,"U":6,"u":7,"b":[["7","8"]],"a":[]}'
    kline = '{"e":"kline","k":{"t":60000,"f":1,"L":2,"l":"3"}}'
    faults = faulty(kind="wrong_sequence", shift=5)
    (sent,) = faults.filter(Message("x", lambda _: kline), 0)
    assert sent.text() == '{"e":"kline","k":{"t":60000,"f":6,"L":7,"l":"3"}}'


def test_wrong_checksum_waits_for_a_frame_that_has_one():
    texts = FaultTexts(
        ids=re.compile(r'("t":)(\d+)'),
        nonsense=("",),
        checksums=re.compile(r'("checksum":)(-?\d+)'),
    )
    faults = Faults(texts=texts)
    faults.add(Fault(kind="wrong_checksum", shift=9), 0)
    assert run(faults, [1]) == [message(1).text()]
    (sent,) = faults.filter(Message("x", lambda _: '{"checksum":-4}'), 0)
    assert sent.text() == '{"checksum":5}'
    assert faults.knows("wrong_checksum")
    assert not Faults(texts=FAULT_TEXTS).knows("wrong_checksum")


def test_close_names_the_stream_once():
    faults = faulty(kind="close")
    assert run(faults, range(2)) == texts(range(2))
    assert faults.take_cut() == {TRADE}
    assert faults.take_cut() == set()


def test_count_target_pause_and_window_limit_a_fault():
    faults = faulty(kind="drop", target="*@trade", count=2, every_secs=1.0, after_secs=1.0)
    assert run(faults, [0], now=0) == texts([0])
    assert run(faults, [1], stream="btcusdt@depth", now=SECOND) == texts([1])
    assert run(faults, [2, 3], now=SECOND) == texts([3])
    assert run(faults, [4], now=2 * SECOND) == []
    assert run(faults, [5], now=9 * SECOND) == texts([5])
    ended = faulty(kind="drop", count=None, for_secs=1.0)
    assert run(ended, [0], now=SECOND - 1) == []
    assert run(ended, [1], now=SECOND) == texts([1])


def test_chance_is_the_same_for_the_same_seed():
    def dropped(seed):
        faults = Faults(seed)
        faults.add(Fault(kind="drop", count=None, probability=0.3), 0)
        return run(faults, range(200))

    assert dropped(1) == dropped(1)
    assert dropped(1) != dropped(2)
    assert 100 < len(dropped(1)) < 180


def test_several_faults_work_together():
    faults = faulty(kind="duplicate")
    faults.add(Fault(kind="drop"), 0)
    assert run(faults, [0, 1]) == texts([0, 1])
    assert faults.counts == {"duplicate": 1, "drop": 1}


def test_http_faults_hit_paths_and_leave_frames_alone():
    faults = faulty(kind="http", status=451)
    assert run(faults, [0]) == texts([0])
    assert faults.http("/stream?streams=a", 0) == []
    assert [f.status for f in faults.http("/api/v3/depth?symbol=BTCUSDT", 0)] == [451]
    assert faults.http("/api/v3/depth", 0) == []


def test_delayed_frames_are_bounded(monkeypatch):
    monkeypatch.setattr("tapewatch.sim.faults._MOST_DELAYED", 2)
    faults = faulty(kind="slow", count=None)
    assert run(faults, range(4)) == texts([2, 3])
    assert faults.counts["delay_refused"] == 2


def test_unknown_fields_are_refused():
    with pytest.raises(TypeError):
        Fault(kind="drop", targt="x")
