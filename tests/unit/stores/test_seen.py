import sqlite3

import pytest

from tapewatch.model.errors import Unavailable
from tapewatch.stores.seen import Seen

URL = "https://a.example/rss"
TAG = ('"v1"', "Fri, 20 Nov 2026 10:00:00 GMT")


class Clock:
    now = 1_000

    def __call__(self):
        self.now += 1
        return self.now


def seen(tmp_path, **more) -> Seen:
    return Seen(tmp_path / "news.sqlite", clock=Clock(), **more)


async def test_what_was_seen_is_known_after_a_restart_with_its_version(tmp_path):
    before = seen(tmp_path)
    assert await before.recall("a", URL) == ("", "")
    await before.mark("a", [b"1", b"2"], URL, TAG)

    after = seen(tmp_path)
    assert await after.recall("a", URL) == TAG
    assert [after.has("a", key) for key in (b"1", b"2", b"3")] == [True, True, False]
    assert await after.recall("b", URL) == ("", "")
    assert not after.has("b", b"1")


async def test_a_source_that_moved_is_asked_for_a_whole_answer(tmp_path):
    before = seen(tmp_path)
    await before.mark("a", [b"1"], URL, TAG)
    after = seen(tmp_path)
    assert await after.recall("a", URL + "?token=secret") == ("", "")
    assert after.has("a", b"1")


async def test_an_address_with_a_key_is_not_written_down(tmp_path):
    await seen(tmp_path).mark("a", [b"1"], URL + "?token=secret", TAG)
    assert b"secret" not in (tmp_path / "news.sqlite").read_bytes()


async def test_the_number_is_bounded_and_what_is_still_listed_stays(tmp_path):
    kept = seen(tmp_path, max_keys=3)
    await kept.mark("a", [b"old"], URL, TAG)
    for number in range(5):
        await kept.mark("a", [b"old", b"%d" % number], URL, TAG)
    again = seen(tmp_path, max_keys=3)
    await again.recall("a", URL)
    for each in (kept, again):
        found = [key for key in (b"old", b"0", b"1", b"2", b"3", b"4") if each.has("a", key)]
        assert found == [b"old", b"3", b"4"]


async def test_a_damaged_file_is_moved_aside_and_a_new_one_begun(tmp_path):
    (tmp_path / "news.sqlite").write_bytes(b"no database at all" * 100)
    kept = seen(tmp_path)
    assert await kept.recall("a", URL) == ("", "")
    await kept.mark("a", [b"1"], URL, TAG)
    assert kept.counters.errors == {"damaged": 1}
    assert [path.name.rpartition("-")[0] for path in tmp_path.glob("*damaged*")] == [
        "news.sqlite.damaged"
    ]


async def test_what_the_file_does_not_take_is_remembered_and_saved_later(tmp_path):
    folder = tmp_path / "later"
    kept = Seen(folder / "news.sqlite", clock=Clock())
    with pytest.raises(Unavailable):
        await kept.recall("a", URL)
    await kept.mark("a", [b"1"], URL, TAG)
    assert kept.has("a", b"1")
    assert kept.counters.errors == {"not saved": 1}

    folder.mkdir()
    await kept.mark("a", [b"2"], URL, TAG)
    rows = sqlite3.connect(folder / "news.sqlite").execute("SELECT key FROM seen").fetchall()
    assert sorted(rows) == [(b"1",), (b"2",)]
