"""The parts of the benchmark program that can be wrong without anybody noticing."""

import itertools
import json

import pytest

from benchmarks import alerts, soak, table
from benchmarks.flood import client_frames, server_frame
from benchmarks.frames import CASES, depth_snapshot, prepare
from benchmarks.table import Figure, Report, Row, Section
from tapewatch.model.events import AlertState
from tapewatch.notify import _words
from tests.notices import alert, notice

END_MS = 1_790_000_000_000


def payloads(prepared, channel):
    found = {}
    for frame in [*prepared.warm_up, *prepared.frames]:
        stream = prepared.streams[frame.stream]
        message = json.loads(frame.payload)
        assert message["stream"] == stream
        if stream.endswith(channel):
            found.setdefault(stream, []).append(message["data"])
    return found


def test_the_same_arguments_give_the_same_bytes():
    assert prepare(CASES["mix"], 4, 300, END_MS) == prepare(CASES["mix"], 4, 300, END_MS)


def test_the_mix_is_exact():
    prepared = prepare(CASES["mix"], 4, 1000, END_MS)
    channels = [prepared.streams[frame.stream].partition("@")[2] for frame in prepared.frames]
    assert {channel: channels.count(channel) for channel in set(channels)} == {
        "aggTrade": 300,
        "bookTicker": 400,
        "depth@100ms": 280,
        "kline_1m": 20,
    }


def test_trade_ids_have_no_hole():
    for trades in payloads(prepare(CASES["aggTrade"], 3, 500, END_MS), "aggTrade").values():
        for before, after in itertools.pairwise(trades):
            assert after["a"] == before["a"] + 1
            assert after["f"] == before["l"] + 1
            assert before["T"] <= after["T"] <= END_MS


def test_books_are_in_step_with_their_snapshot_and_never_cross():
    prepared = prepare(CASES["mix"], 3, 900, END_MS)
    for stream, frames in payloads(prepared, "depth@100ms").items():
        snapshot = json.loads(depth_snapshot(prepared.natives, stream.partition("@")[0].upper()))
        assert frames[0]["U"] <= snapshot["lastUpdateId"] + 1 <= frames[0]["u"]
        bids = {float(price): float(size) for price, size in snapshot["bids"]}
        asks = {float(price): float(size) for price, size in snapshot["asks"]}
        last = frames[0]["U"] - 1
        for frame in frames:
            assert frame["U"] == last + 1
            assert len(frame["b"]) == len(frame["a"]) == 20
            last = frame["u"]
            for side, levels in ((bids, frame["b"]), (asks, frame["a"])):
                for price, size in levels:
                    side[float(price)] = float(size)
            assert max(p for p, s in bids.items() if s) < min(p for p, s in asks.items() if s)


def test_quote_ids_rise():
    for quotes in payloads(prepare(CASES["mix"], 2, 400, END_MS), "bookTicker").values():
        ids = [quote["u"] for quote in quotes]
        assert ids == sorted(set(ids))


def test_no_two_frames_of_one_bar_have_one_time():
    for bars in payloads(prepare(CASES["mix"], 2, 4000, END_MS), "kline_1m").values():
        times = [bar["E"] for bar in bars]
        assert times == sorted(set(times))


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_server_frames_tell_their_length(size):
    frame = server_frame(b"x" * size)
    head = {126: 4, 127: 10}.get(frame[1], 2)
    length = frame[1] if head == 2 else int.from_bytes(frame[2:head], "big")
    assert (length, len(frame) - head) == (size, size)


def test_client_frames_are_unmasked_and_torn_ones_wait():
    frame = bytes([0x81, 0x80 | 5, 1, 2, 3, 4]) + bytes(
        byte ^ (1, 2, 3, 4)[i % 4] for i, byte in enumerate(b"hello")
    )
    buffer = bytearray(frame + frame[:7])
    assert client_frames(buffer) == [(1, b"hello")]
    assert bytes(buffer) == frame[:7]


def report(*rows):
    return Report("2026-11-21", {"": "a processor", "cores": "2"}, [Section("Title", list(rows))])


def test_the_table_shows_what_was_measured_and_leaves_empty_columns_out():
    text = table.markdown(
        report(
            Row("one", budget=0.3, ours=Figure.of([2.0, 1.0, 6.0])),
            Row("two", peer=Figure.of([1234.5]), note="no luck"),
        )
    )
    assert "| one | us   | 0.30   | 2.00 (1.00-6.00) |" in text
    assert "1,234" in text
    assert "ratio" not in text
    assert "two: no luck" in text


def test_a_target_that_was_missed_is_shown_as_missed():
    text = table.markdown(report(Row("one", ours=Figure.of([1.0]), target="fast", met=False)))
    assert "fast: **not met**" in text


def test_a_row_without_figures_says_so():
    assert "not measured" in table.markdown(report(Row("one", note="why")))


def test_the_readme_keeps_everything_outside_the_markers():
    readme = f"before\n{table.BEGIN}\nold\n{table.END}\nafter"
    assert table.insert(readme, "new\n") == f"before\n{table.BEGIN}\nnew\n{table.END}\nafter"


def test_a_readme_without_markers_is_refused():
    with pytest.raises(ValueError, match="no <!-- benchmark:begin"):
        table.insert("text", "new")


def test_the_slope_is_megabytes_an_hour():
    assert soak.slope([(0.0, 100.0), (1800.0, 101.0), (3600.0, 102.0)]) == pytest.approx(2.0)


class Sent:
    sent = [1_000_000 * n for n in range(1, 20)]


def mail(*numbers):
    fired = [alert(number=n, id=f"beacon/a:A0/USDT/{n * 1_000_000}") for n in numbers]
    over = alert(AlertState.RESOLVED, id="beacon/a:A0/USDT/19000000")
    return _words.plain(notice(*fired, over, site="http://127.0.0.1"))


def test_an_alert_is_timed_by_its_own_mail_however_late_that_is():
    """The next alert was long under way: the mail is not taken for that one's."""
    mails = [(n * 1_000_000 + 7_000_000, mail(n, n + 1)) for n in range(1, 18, 2)]
    found = alerts.outcome(Sent(), mails, 5_000.0)
    assert (found.alerts, found.lost) == (19, 1)
    assert found.delays == [6_000.0] * 5 + [7_000.0] * 5
    assert found.p99 == 7_000.0


def test_without_mails_nothing_is_measured():
    assert "19 of them in no mail" in str(alerts.outcome(Sent(), [], 5_000.0))


def test_the_product_that_is_measured_has_the_rule_that_is_told(tmp_path):
    app = alerts.app_of(tmp_path, 25, "", 0.0)
    assert [rule.name for rule in app.plan.rules.rules] == ["beacon"]
    assert app.plan.telling.policy.group_wait_secs == 0
