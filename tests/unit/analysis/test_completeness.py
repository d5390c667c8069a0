"""Rows in real files, a ledger in real SQLite, and what both together say."""

import asyncio
import json

import pytest

from tapewatch.analysis import completeness as module
from tapewatch.cli import verify as command
from tapewatch.model.events import Coverage, Gap, Holding
from tapewatch.model.times import HOUR
from tapewatch.runtime.verification import verify
from tapewatch.stores.sqlite import Sqlite
from tests.contract.test_query import in_journals
from tests.rows import INST, T0, at, trade

CHANNEL = "aggTrade"


def span(first, last, holding=Holding.HAVE, reason="", channel=CHANNEL):
    return Coverage(T0, T0, INST, channel, first, last, holding, reason)


@pytest.fixture
def heard(tmp_path):
    """Store rows and spans, and give what is said of the first day."""

    def hear(rows, spans):
        in_journals(tmp_path, rows).close()

        async def keep():
            ledger = Sqlite(tmp_path / "tapewatch.sqlite", clock=lambda: T0)
            await ledger.open()
            await ledger.write(list(spans))
            await ledger.close()

        if spans:
            asyncio.run(keep())
        return verify(tmp_path, None, T0, T0 + 24 * HOUR)

    return hear


def test_ids_without_a_hole_are_complete_in_every_hour(heard):
    (stream,) = heard([trade(n, 600 * n) for n in range(18)], [span(0, 17)])
    assert (stream.inst, stream.channel, stream.complete) == (INST, CHANNEL, True)
    assert [(hour.trades, hour.first, hour.last) for hour in stream.hours] == [
        (6, 0, 5), (6, 6, 11), (6, 12, 17),
    ]  # fmt: skip
    assert {hour.share for hour in stream.hours} == {1.0}


def test_a_hole_is_named_with_the_ledgers_reason_and_the_time_around_it(heard):
    rows = [trade(n, 60 * n) for n in range(20) if not 5 <= n <= 7]
    lost = span(5, 7, Holding.LOST, "the venue's history ends before them")
    (stream,) = heard(rows, [span(0, 4), lost, span(8, 19)])
    (hole,) = stream.hours[0].absent
    assert (hole.first, hole.last, hole.reason) == (5, 7, "the venue's history ends before them")
    assert (hole.after, hole.before) == (at(240), at(480))
    assert stream.hours[0].share == 17 / 20
    assert not stream.damaged


def test_more_holes_than_one_question_gives_are_all_told(heard, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("tapewatch.analysis.completeness.PAGE", 10)
    rows = [trade(2 * n, n) for n in range(51)]
    spans = [span(n, n, Holding.LOST if n % 2 else Holding.HAVE, "gone") for n in range(101)]
    (stream,) = heard(rows, spans)
    (hour,) = stream.hours
    assert [(each.first, each.last) for each in hour.absent] == [(n, n) for n in range(1, 101, 2)]
    command.command(from_=str(T0 // 1_000_000), data_dir=tmp_path)
    told = capsys.readouterr().out
    assert "id 39 (1)" in told
    assert "id 41 (1)" not in told
    assert "and 30 more ranges, 30 ids: --json tells each" in told


def test_a_hole_across_the_end_of_an_hour_is_in_both(heard):
    rows = [trade(1, 3_500), trade(4, 3_700)]
    (stream,) = heard(rows, [span(1, 1), span(2, 3, Holding.MISSING), span(4, 4)])
    assert [hour.missing for hour in stream.hours] == [2, 2]
    assert all(hour.share < 1 for hour in stream.hours)


def test_ids_that_the_ledger_claims_and_the_disk_does_not_have_are_damage(heard):
    (stream,) = heard([trade(1), trade(3, 1)], [span(1, 3)])
    assert stream.damaged
    assert stream.hours[0].absent[0].claimed


def test_ids_without_a_trade_are_not_absent_where_the_ledger_says_that_there_are_such(heard):
    rows = [trade(1), trade(3, 1), trade(7, 2)]
    whole = span(1, 5, reason="some ids are no trades of the market")
    (stream,) = heard(rows, [whole, span(6, 6, Holding.LOST, "why"), span(7, 7)])
    assert [(each.first, each.last) for each in stream.hours[0].absent] == [(6, 6)]
    assert not stream.damaged


def test_a_hole_that_the_ledger_does_not_know_is_not_called_complete(heard):
    (stream,) = heard([trade(1), trade(9, 1)], [span(1, 1), span(4, 5, Holding.LOST, "why")])
    told = [(each.first, each.last, each.reason) for each in stream.hours[0].absent]
    assert told == [
        (2, 3, "the ledger knows nothing"), (4, 5, "why"), (6, 8, "the ledger knows nothing"),
    ]  # fmt: skip


def test_where_ids_count_fills_a_trade_of_several_is_no_hole(heard):
    ids, rows = 0, []
    for n, fills in enumerate([1, 3, 1, 1, 5, 2, 1]):
        ids += fills
        rows.append(trade(ids, n, channel="trades", count=fills))
    (stream,) = heard(rows, [span(1, ids, channel="trades")])
    assert stream.complete
    assert (stream.hours[0].trades, stream.hours[0].missing) == (7, 0)


def test_aggregates_of_several_fills_do_not_hide_a_hole(heard):
    rows = [trade(n, n, count=3) for n in range(10) if n != 4]
    (stream,) = heard(rows, [span(0, 3), span(4, 4, Holding.LOST, "why"), span(5, 9)])
    assert stream.hours[0].missing == 1


def test_ids_without_order_prove_nothing_and_the_gaps_that_were_told_are_counted(heard):
    rows = [trade(n, n, channel="publicTrade", id=f"{n}-uuid") for n in range(5)]
    gap = Gap(at(3), at(3), INST, "publicTrade", "reconnected")
    (stream,) = heard([*rows, gap], [])
    assert (stream.numbered, stream.complete) == (False, False)
    assert (stream.hours[0].share, stream.hours[0].gaps) == (None, 1)


def test_repaired_trades_are_counted(heard):
    rows = [trade(1), trade(2, 1, repaired=True), trade(3, 2)]
    (stream,) = heard(rows, [span(1, 1), span(2, 2, Holding.REPAIRED), span(3, 3)])
    assert (stream.complete, stream.hours[0].repaired) == (True, 1)


def test_the_command_says_it_in_words_and_by_its_exit_code(heard, tmp_path, capsys):
    rows = [trade(n, 60 * n) for n in range(20) if n != 5]
    heard(rows, [span(0, 4), span(5, 5, Holding.LOST, "gone"), span(6, 19)])
    call = {"from_": "2025-08-25", "to": "2025-08-26", "data_dir": tmp_path}
    assert command.command(**call) == 1
    out = capsys.readouterr().out
    assert "2025-08-25T00h" in out
    assert "95.00% by trade id, 1 absent" in out
    assert "id 5 (1), 00:04:00.000 to 00:06:00.000: gone" in out
    assert command.command(**call, json=True) == 1
    assert json.loads(capsys.readouterr().out)[0]["hours"][0]["absent"][0]["first"] == 5
    assert command.command(**(call | {"from_": "2025-08-20", "to": "2025-08-21"})) == 5


def test_holes_of_ids_without_order_are_not_even_read(heard, monkeypatch):
    monkeypatch.setattr(module, "explain", lambda first, *_: pytest.fail(f"hole at {first}"))
    unordered = [trade(10 * n, n, channel="publicTrade") for n in range(50)]
    streams = heard(unordered + [trade(n, n) for n in range(9)], [span(0, 8)])
    assert [(s.channel, s.numbered) for s in streams] == [(CHANNEL, True), ("publicTrade", False)]
