"""Would it have fired? A week of stored metrics, and a week of raw trades, through `alerts test`.

    a week made by a rule, in the layout of the store --> the installed `tapewatch alerts test`

Times are by the clock of the whole command, its start included. Trades are shared out over the
instruments as markets are: the busiest of the 50 has 17 % of them, the last half a per cent; their
times are spread evenly, which is the dear case: few of them share a second.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from benchmarks.children import NotMeasured
from benchmarks.product import tapewatch
from benchmarks.table import Figure, Row
from tapewatch.model.events import Micros
from tapewatch.model.times import DAY, HOUR, MINUTE
from tapewatch.stores._folder import parquet_path

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_SYMBOLS = 50
_TRADES = 20_000_000
_FROM = 1_700_006_400_000_000 // DAY * DAY  # a midnight

_TIME = "make_timestamp({us})::TIMESTAMPTZ"
_METRICS = """
    SELECT {time} AS ts, {time} AS recv, 'binance:C' || k || '/USDT' AS inst,
        'change_short' AS name,
        0.03 * sin(i / 97.0 + k) AS value, '1h' AS "window",
        'complete' AS quality, NULL::DOUBLE AS baseline, []::VARCHAR[] AS evidence
    FROM range({first}, {last}) minutes(i), range({symbols}) symbols(k)
    ORDER BY inst, ts
"""
_TRADED = """
    SELECT {time} AS ts, {time} AS recv,
        'binance:C' || (floor(pow({symbols} + 1, u)) - 1)::INT || '/USDT' AS inst, i::VARCHAR AS id,
        CASE WHEN w < 0.5 THEN 'buy' ELSE 'sell' END AS side,
        100 + sin(i / 1e5) AS price, exp(2.6 * sqrt(-2 * ln(v)) * cos(6.2832 * w)) * 0.41 AS size,
        'aggTrade' AS channel, 1::BIGINT AS count, false AS repaired, false AS echo
    FROM (
        SELECT i, (hash(i) % 1000003 + 1) / 1000004.0 AS u,
            (hash(i + 7919) % 1000003 + 1) / 1000004.0 AS v,
            (hash(i * 31 + 5) % 1000003 + 1) / 1000004.0 AS w
        FROM range({first}, {last}) numbers(i)
    )
    ORDER BY inst, ts, i
"""


def rows(*, quick: bool) -> list[Row]:
    days = 1 if quick else 7
    trades = _TRADES // 7 * days
    with tempfile.TemporaryDirectory(prefix="tapewatch-past-") as name:
        folder = Path(name)
        print(f"a past of {days} days: {trades:,} trades", file=sys.stderr)
        _make(folder, days, trades)
        stored = f"{days * 24 * 60 * _SYMBOLS:,} rows"
        raw = f"{trades:,} trades"
        return [
            _asked(folder, days, stored, 5.0, "change_short > 2.9%"),
            _asked(folder, days, f"{stored}, five thresholds", 5.0, "change_short > 2.9%",
                   "--sweep", "2.5%,2.6%,2.7%,2.8%,2.95%"),
            _asked(folder, days, raw, 120.0, "big_trade > 3", "--from-trades"),
            _asked(folder, days, raw, 120.0, "volume_surge_5m > 4", "--from-trades"),
        ]  # fmt: skip


def _make(folder: Path, days: int, trades: int) -> None:
    """One file an hour, as the store leaves them."""
    import duckdb

    hours = days * 24
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        for number in range(hours):
            begin = _FROM + number * HOUR
            first, last = (trades * each // hours for each in (number, number + 1))
            us = f"{begin} + (i - {first}) * {HOUR} // {last - first}"
            query = _TRADED.format(
                time=_TIME.format(us=us), symbols=_SYMBOLS, first=first, last=last
            )
            _write(db, query, folder, "trades", begin)
            first, last = number * 60, number * 60 + 60
            us = f"{_FROM} + i * {MINUTE}"
            query = _METRICS.format(
                time=_TIME.format(us=us), symbols=_SYMBOLS, first=first, last=last
            )
            _write(db, query, folder, "metrics", begin)


def _write(db: "DuckDBPyConnection", query: str, folder: Path, kind: str, begin: int) -> None:
    path = parquet_path(folder, kind, begin // HOUR)
    path.parent.mkdir(exist_ok=True)
    db.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")


def _asked(folder: Path, days: int, what: str, least: float, when: str, *more: str) -> Row:
    title = f"`{when}` over {what}"
    since, until = Micros(_FROM), Micros(_FROM + days * DAY)
    command = tapewatch(
        "alerts", "test", "asked", "--when", when, "--from", str(since), "--to", str(until),
        "--data-dir", str(folder), "--json", *more,
    )  # fmt: skip
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    took = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        report = msgspec.json.decode(done.stdout)
        firings = len(report["firings"])
    except (msgspec.DecodeError, TypeError, KeyError):
        why = NotMeasured(done.stderr.decode(errors="replace").strip()[-300:])
        return Row(title, "s", least, note=str(why))
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Row(
        title, "s", least, Figure.of([took]), target=f"under {least:g} s", met=took < least,
        note=f"{firings} firings; {busy:.1f} s of processor time",
    )  # fmt: skip
