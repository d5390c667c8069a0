"""How far backfills are, over the death of the process."""

import pytest

from tapewatch.model.errors import Unavailable
from tapewatch.model.events import Micros
from tapewatch.stores.cursors import Cursors, Job


def job(**fields):
    return Job("x:BTC/USDT", "trades", "-24h now", Micros(1), Micros(9), Micros(9), **fields)


def test_a_job_is_found_again_by_the_words_it_was_asked_by(tmp_path):
    cursors = Cursors(tmp_path / "backfill.sqlite")
    kept = job(cursor="from 7 -1", reached=Micros(5), rows=3, first=Micros(2), lost=1, absent="a")
    cursors.keep(job())
    cursors.keep(kept)
    again = Cursors(tmp_path / "backfill.sqlite")
    assert again.find("x:BTC/USDT", "trades", "-24h now") == kept
    assert again.find("x:BTC/USDT", "trades", "-25h now") is None
    assert again.find("x:BTC/USDT", "candles 1m", "-24h now") is None
    again.forget(kept)
    assert again.find("x:BTC/USDT", "trades", "-24h now") is None


def test_a_file_that_is_none_of_ours_is_told_with_what_helps(tmp_path):
    path = tmp_path / "backfill.sqlite"
    path.write_bytes(b"not a database at all, but long enough to be taken for one" * 20)
    with pytest.raises(Unavailable, match="delete it, and they begin anew"):
        Cursors(path).find("x:BTC/USDT", "trades", "a")
