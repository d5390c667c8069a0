"""Of which stored trades the ledger is told at start, that ids prove something."""

import pytest

from tapewatch.model.events import Coverage, Holding
from tapewatch.runtime import recovery
from tapewatch.stores.parquet import Parquet
from tapewatch.stores.sqlite import Sqlite
from tests.contract.test_query import in_journals
from tests.rows import T0, trade


@pytest.fixture
async def ledger(tmp_path):
    """What the ledger says after a start, of three trades that lie on disk and what it knew."""
    opened = []

    async def ledger(inst, numbered, *, known):
        in_journals(tmp_path, [trade(n, n, inst=inst) for n in (3, 4, 5)]).close()
        sqlite = Sqlite(tmp_path / "tapewatch.sqlite", clock=lambda: T0)
        parquet = Parquet(tmp_path, clock=lambda: T0)
        opened.extend((sqlite, parquet))
        await sqlite.open()
        if known:
            await sqlite.write([Coverage(T0, T0, inst, "aggTrade", 1, 3, Holding.HAVE)])
        await sqlite.close()
        await recovery.recover(parquet, sqlite, numbered)
        return [(span.first, span.last) for span in await sqlite.coverage()]

    yield ledger
    for each in opened:
        await each.close()


@pytest.mark.parametrize(
    ("numbered", "known", "spans"),
    [
        ({"ccxt_x": True}, False, [(3, 5)]),
        ({"ccxt_x": True}, True, [(1, 5)]),
        ({"ccxt_x": False}, False, []),
        ({"ccxt_x": False}, True, []),  # an older version put it down
        ({}, False, []),  # the venue is not in the settings any more
        ({}, True, [(1, 5)]),
    ],
)
async def test_ids_on_disk_are_claimed_where_they_are_numbers(ledger, numbered, known, spans):
    assert await ledger("ccxt_x:BTC/USDT", numbered, known=known) == spans


async def test_a_venue_whose_name_begins_alike_keeps_its_ledger(ledger):
    assert await ledger("bybit_two:BTC/USDT", {"bybit": False}, known=True) == [(1, 5)]
