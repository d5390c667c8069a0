import csv
import io
import subprocess
import sys

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tapewatch.cli.query import Output, Span, app, candles, sql, trades
from tapewatch.model.codec import encode_msgpack
from tapewatch.model.errors import ConfigError, NotFound
from tapewatch.stores._folder import journal_path
from tapewatch.stores._groups import groups
from tapewatch.stores._journal import Journal
from tests.rows import candle, snapshot, trade

DAY = Span(since="2025-08-25", until="2025-08-26")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    rows = [trade(1), trade(2, 60.5), trade(3, inst="okx:BTC/USDT")]
    rows += [candle(n) for n in range(20)] + [snapshot(1)]
    for group in groups(rows):
        (folder / group.kind).mkdir(exist_ok=True)
        journal = Journal.create(journal_path(folder, group.kind, group.hour, 0))
        journal.append(encode_msgpack(group.rows))
        journal.close()
    return folder


def binance(**more) -> Span:
    return Span(since="2025-08-25", until="2025-08-26", venue="binance", **more)


def test_trades_of_any_spelling_as_a_table(data, capsys):
    assert trades("btc-usdt", span=binance(), output=Output(data_dir=data)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["ts", "recv", "inst", "id"]
    assert [line.split()[5] for line in lines[1:]] == ["1", "2"]


def test_candles_of_a_custom_interval(data, capsys):
    output = Output(form="ndjson", data_dir=data)
    assert candles("binance:BTC/USDT", "10m", span=DAY, output=output) == 0
    rows = [msgspec.json.decode(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["interval"], row["ts"]) for row in rows] == [
        ("10m", "2025-08-25T00:00:00Z"),
        ("10m", "2025-08-25T00:10:00Z"),
    ]


def test_sql_as_json(data, capsys):
    statement = "SELECT inst, count(*) AS n FROM trades GROUP BY 1 ORDER BY 1"
    assert sql(statement, output=Output(form="json", data_dir=data)) == 0
    assert msgspec.json.decode(capsys.readouterr().out) == [
        {"inst": "binance:BTC/USDT", "n": 2},
        {"inst": "okx:BTC/USDT", "n": 1},
    ]


def test_csv_has_a_header_and_levels_as_json(data, capsys):
    sql("SELECT ts, inst, bids FROM orderbook", output=Output(form="csv", data_dir=data))
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert rows[0]["inst"] == "binance:BTC/USDT"
    assert rows[0]["ts"] == "2025-08-25 00:00:00.000000Z"
    assert msgspec.json.decode(rows[0]["bids"])[0] == {"price": 99.0, "size": 1.0}


def test_a_file_of_parquet_or_arrow(data, tmp_path, capsys):
    path = tmp_path / "out"
    output = Output(form="parquet", output=path, data_dir=data)
    trades("BTCUSDT", span=binance(), output=output)
    assert pq.read_table(path).column("id").to_pylist() == ["1", "2"]
    trades("BTCUSDT", span=binance(), output=Output(form="arrow", output=path, data_dir=data))
    assert pa.ipc.open_stream(path.read_bytes()).read_all().num_rows == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "2 rows" in captured.err


def test_an_empty_answer_can_be_told_by_the_exit_code(data, capsys):
    early = Span(since="2020-01-01", until="2020-01-02", venue="binance")
    assert trades("BTCUSDT", span=early, output=Output(data_dir=data)) == 0
    assert trades("BTCUSDT", span=early, output=Output(data_dir=data, fail_empty=True)) == 5
    assert "no rows" in capsys.readouterr().err


def test_a_limit_that_was_reached_is_said(data, capsys):
    trades("BTCUSDT", span=binance(limit=1), output=Output(data_dir=data))
    assert "--limit" in capsys.readouterr().err


def test_an_unknown_symbol_is_answered_with_the_nearest(data):
    with pytest.raises(NotFound, match="BTC/USDT"):
        trades("BTCUSD", span=binance(), output=Output(data_dir=data))


def test_a_symbol_of_several_venues_asks_which(data):
    with pytest.raises(NotFound, match=r"okx:BTC/USDT"):
        trades("BTCUSDT", span=DAY, output=Output(data_dir=data))


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (Span(since="yesterday"), "is no time"),
        (Span(since="2025-08-26", until="2025-08-25"), "is not before"),
    ],
)
def test_a_time_that_makes_no_sense_is_refused(data, span, words):
    with pytest.raises(ConfigError, match=words):
        trades("BTCUSDT", span=span, output=Output(data_dir=data))


def test_an_interval_that_makes_no_sense_is_refused(data):
    with pytest.raises(ConfigError, match="7m"):
        candles("binance:BTC/USDT", "soon", span=DAY, output=Output(data_dir=data))


def test_sql_that_is_wrong_is_refused_in_words(data):
    with pytest.raises(ConfigError, match="read-only"):
        sql("DROP VIEW trades", output=Output(data_dir=data))


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match="--data-dir"):
        sql("SELECT 1", output=Output(data_dir=tmp_path / "no"))


def test_a_folder_with_nothing_in_it_says_so(tmp_path):
    with pytest.raises(ConfigError, match="nothing is stored"):
        trades("BTCUSDT", span=DAY, output=Output(data_dir=tmp_path))


def test_an_output_that_cannot_be_written_is_named(data, tmp_path):
    output = Output(output=tmp_path / "no" / "file", data_dir=data)
    with pytest.raises(ConfigError, match="file"):
        trades("BTCUSDT", span=binance(), output=output)


def test_a_time_may_begin_with_a_hyphen(data, capsys):
    words = ["trades", "binance:BTC/USDT", "--from", "-24h", "--data-dir", str(data)]
    assert app(words, result_action="return_value") == 0
    assert "no rows" in capsys.readouterr().err


def test_nothing_heavy_is_imported_before_it_is_needed():
    code = "import sys, tapewatch.cli.query, tapewatch.stores.duckdb; sys.exit('pyarrow' in sys.modules or 'duckdb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
