"""What the benchmarks of the venues count, time and compare."""

import json

from benchmarks import five, venue_frames
from benchmarks.client_five import HEARD
from benchmarks.fleet import LOADS, natives_of
from benchmarks.flood import server_frame
from benchmarks.gale import WRITE


def test_frames_are_late_until_the_bus_has_the_last_of_their_write(tmp_path):
    run = five.Run(tmp_path, 1.0, own_core=False)
    for name in LOADS:
        (tmp_path / f"{name}.log").write_bytes(b"")
    writes = [(7, 1_000, 3, 13), (7, 2_000, 1, 14), (8, 2_000, 5, 5), (7, 9_000, 2, 16)]
    (tmp_path / "okx.log").write_bytes(b"".join(WRITE.pack(*each) for each in writes))
    heard = [(7, 900, 10), (7, 1_100, 12), (7, 1_400, 13), (8, 2_200, 5), (7, 2_900, 14)]
    (tmp_path / "heard.log").write_bytes(b"".join(HEARD.pack(*each) for each in heard))
    late = run._lateness()
    # three after 0.4 ms, one after 0.9 ms, five after 0.2 ms; the last two never came
    assert {tenths: count for tenths, count in enumerate(late) if count} == {4: 3, 9: 1, 2: 5}
    assert (five.share(late, 0.5), five.share(late, 1.0)) == (0.3, 1.0)


def test_what_did_not_come_through_is_said():
    found = {
        "frames": {"okx": {"7": 15}}, "sent": {"okx": {"total": 16, "frames": 2}},
        "books": {"okx": (19, 20)}, "dropped": {"hub": {"full": 3}}, "errors": {},
        "gaps": {"okx:A/B lost": 1}, "events": {"DeadLetter": 4}, "holdings": {"have": 9, "lost": 1},
        "reconnects": 2, "late": [0, 1],
    }  # fmt: skip
    assert five._lost(found) == [
        "okx: 1 frames were not heard",
        "okx: 1 of 20 books are not in step",
        "hub: {'full': 3}",
        "1 gaps: okx:A/B lost",
        "4 dead letters",
        "1 ledger entries say lost",
        "2 reconnects",
        "1 frames were timed, and 2 sent",
    ]


def test_frames_of_a_read_are_told_apart():
    sent = server_frame(b"{}") + server_frame(b"x" * 200) + server_frame(b"", 9)
    assert venue_frames.payloads(sent + server_frame(b"y" * 70_000)) == [
        b"{}",
        b"x" * 200,
        b"y" * 70_000,
    ]


def test_frames_of_a_venue_are_the_same_each_time():
    case = next(each for each in venue_frames.CASES if (each.venue, each.kind) == ("okx", "book"))
    one, other = venue_frames.take(case, 30), venue_frames.take(case, 30)
    assert one == other
    assert len(one.frames) == 30
    assert {json.loads(text)["arg"]["channel"] for text in one.frames} == {"books"}


def test_bybits_spot_instruments_are_told_from_its_linear_ones():
    listed = ("spot/BTCUSDT", "linear/BTCUSDT", "spot/ETHUSDT")
    assert natives_of("bybit", listed, 5) == ["BTCUSDT", "ETHUSDT"]
    assert natives_of("okx", ("A", "B"), 1) == ["A"]
