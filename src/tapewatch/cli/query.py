"""`tapewatch query`: read what is stored, also while tapewatch runs.

Data goes to stdout, everything else to stderr. Exit codes: 0, 2 for a question that cannot be
asked, 5 for an empty answer with --fail-empty.
"""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from cyclopts import App, Parameter

from tapewatch.cli._span import span as read_span
from tapewatch.model.errors import ConfigError
from tapewatch.model.events import InstrumentId
from tapewatch.model.instrument import Catalogue, Instrument, split_id

if TYPE_CHECKING:
    import pyarrow as pa

    from tapewatch.stores.duckdb import DuckDb

T = TypeVar("T")
Form = Literal["table", "csv", "ndjson", "json", "parquet", "arrow"]

_EMPTY = 5

app = App(name="query", help="Read what is stored: candles, trades, or any SQL.")


@Parameter(name="*")
@dataclass(frozen=True)
class Output:
    """Where the answer goes.

    Parameters
    ----------
    form
        How rows are written.
    output
        A file instead of stdout.
    data_dir
        Where tapewatch stores.
    fail_empty
        Exit with 5 if there are no rows.
    """

    form: Annotated[Form, Parameter(name="--format")] = "table"
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None
    data_dir: Annotated[Path, Parameter(env_var="DATA_DIR")] = Path("data")
    fail_empty: Annotated[bool, Parameter(negative="")] = False


@Parameter(name="*")
@dataclass(frozen=True)
class Span:
    """Which rows.

    Parameters
    ----------
    since
        From when on: -24h, 2026-11-20T14:00Z, or an epoch number.
    until
        Up to but not including.
    venue
        Of which venue, if several have the symbol.
    limit
        At most so many rows, the oldest first.
    """

    since: Annotated[str, Parameter(name="--from", allow_leading_hyphen=True)] = "-24h"
    until: Annotated[str, Parameter(name="--to", allow_leading_hyphen=True)] = "now"
    venue: str | None = None
    limit: int = 1_000_000


@app.command
def candles(
    symbol: str, interval: str = "1m", *, span: Span | None = None, output: Output | None = None
) -> int:
    """Candles of a symbol; an interval that is not stored (7m) is made of smaller ones.

    Parameters
    ----------
    symbol
        Any spelling: BTC-USDT, btcusdt, binance:BTC/USDT.
    interval
        A whole number and one of s, m, h, d, w.
    """
    return _events("candles", symbol, span, output, interval)


@app.command
def trades(symbol: str, *, span: Span | None = None, output: Output | None = None) -> int:
    """Trades of a symbol.

    Parameters
    ----------
    symbol
        Any spelling: BTC-USDT, btcusdt, binance:BTC/USDT.
    """
    return _events("trades", symbol, span, output)


@app.command
def sql(statement: str, *, output: Output | None = None) -> int:
    """Run one SELECT over the views trades, quotes, tickers, orderbook, candles, and so on.

    Parameters
    ----------
    statement
        SQL as DuckDB has it: "select inst, count(*) from trades group by inst".
    """
    output = output or Output()
    return _with(output.data_dir, lambda store: _put(store.table(statement, sys.maxsize), output))


def _events(
    kind: Literal["candles", "trades"],
    symbol: str,
    span: Span | None,
    output: Output | None,
    interval: str = "",
) -> int:
    span, output = span or Span(), output or Output()
    since, until = read_span(span.since, span.until)

    def answer(store: "DuckDb") -> int:
        async def ask() -> list[Any]:
            inst = await _resolve(store, symbol, span.venue)
            if kind == "candles":
                return await store.candles(inst, interval, since, until, span.limit)
            return list(await store.trades(inst, since, until, span.limit))

        rows = asyncio.run(ask())
        if len(rows) == span.limit:
            print(f"the first {span.limit:,} rows; ask for more with --limit", file=sys.stderr)
        return _put(_table(kind, rows), output)

    return _with(output.data_dir, answer)


def _with(data_dir: Path, ask: Callable[["DuckDb"], int]) -> int:
    """Open the store, turn a wrong question into an error for a person, close the store."""
    if not data_dir.is_dir():
        raise ConfigError(f"there is no data folder {data_dir}: name the right one with --data-dir")
    from tapewatch.stores.duckdb import DuckDb, DuckDbConfig

    store = DuckDb(data_dir, config=DuckDbConfig(timeout_secs=3600.0, memory_mb=2048))
    try:
        return ask(store)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    finally:
        store.close()


async def _resolve(store: "DuckDb", symbol: str, venue: str | None) -> InstrumentId:
    """Find the instrument among those of which something is stored."""
    known = Catalogue(_instrument(inst) for inst in await store.instruments())
    if not len(known):
        raise ConfigError("nothing is stored there yet: no candles and no trades")
    return known.resolve(symbol, venue).id


def _instrument(inst: InstrumentId) -> Instrument:
    venue, symbol = split_id(inst)
    pair, _, settle = symbol.partition(":")
    base, _, quote = pair.partition("/")
    return Instrument(venue, base, quote, symbol, settle)


def _table(kind: str, events: list[Any]) -> "pa.Table":
    import pyarrow as pa

    from tapewatch.stores._arrow import schema, to_batch

    return pa.Table.from_batches([to_batch(kind, events)], schema=schema(kind))


def _put(table: "pa.Table", output: Output) -> int:
    from tapewatch.cli._rows import write

    write(table, output.form, output.output)
    if output.output is not None:
        print(f"{table.num_rows:,} rows in {output.output}", file=sys.stderr)
    elif not table.num_rows:
        print("no rows", file=sys.stderr)
    return _EMPTY if output.fail_empty and not table.num_rows else 0
