"""The product as a user runs it, against the simulated exchange, killed and troubled."""

import json
import socket
import sqlite3
import subprocess
from collections import defaultdict
from urllib.request import Request, urlopen

import pytest

from tests.e2e.product import command, fetch, until

INST = "binance:BTC/USDT"


def write_settings(folder, exchange, **more) -> None:
    settings = {
        "exchanges": {
            "binance": {
                "symbols": exchange.symbols(),
                "streams": ["aggTrade", "depth", "bookTicker", "ticker"],
                "ws_url": exchange.ws_url,
                "rest_url": exchange.rest_url,
                "reconnect_delay": 0.2,
            }
        },
        "storage": {"data_dir": str(folder / "data")},
        "detectors": {"candles": {"intervals": ["1s", "5s", "1m"]}},
        "server": {"port": 0},
        **more,
    }
    (folder / "tapewatch.yaml").write_text(json.dumps(settings))


def ask_faults(exchange, *faults) -> None:
    body = json.dumps(list(faults)).encode()
    with urlopen(
        Request(f"{exchange.rest_url}/sim/faults", body, method="POST"), timeout=60
    ) as got:
        assert got.status in {200, 201}


def stored_trades(folder) -> dict[str, list[dict]]:
    answer = subprocess.run(
        command("query", "sql", "select inst, id, price, size, ts from trades", "--format",
                "ndjson", "--data-dir", str(folder / "data")),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    rows = defaultdict(list)
    for line in answer.stdout.splitlines():
        row = json.loads(line)
        rows[row["inst"]].append(row)
    return rows


def ledger(folder) -> dict[str, list[tuple[int, int, str]]]:
    base = sqlite3.connect(folder / "data" / "tapewatch.sqlite")
    spans = defaultdict(list)
    for inst, first, last, holding in base.execute(
        "SELECT inst, first, last, holding FROM spans WHERE channel = 'aggTrade' ORDER BY first"
    ):
        spans[inst].append((first, last, holding))
    base.close()
    return spans


def assert_complete_and_true(folder, exchange) -> None:
    """No hole, no double, every trade as the venue has it, and the ledger says exactly that."""
    trades, spans = stored_trades(folder), ledger(folder)
    assert set(trades) == set(spans)
    for inst, rows in trades.items():
        ids = sorted(int(row["id"]) for row in rows)
        assert ids == list(range(ids[0], ids[-1] + 1)), f"{inst} has a hole or a double"
        assert spans[inst][0][0] == ids[0]
        covered = [n for first, last, _ in spans[inst] for n in range(first, last + 1)]
        assert covered == ids, f"{inst}: the ledger says something else than the store"
        assert {holding for *_, holding in spans[inst]} <= {"have", "repaired"}
    symbol = INST.partition(":")[2].replace("/", "")
    own = {int(row["id"]): (row["price"], row["size"]) for row in trades[INST]}
    first = min(own)
    truth = fetch(
        f"{exchange.rest_url}/sim/truth/aggTrades?symbol={symbol}&fromId={first}&limit=1000"
    )
    compared = [row for row in truth if row["a"] in own]
    assert len(compared) == min(len(own), 1000)
    for row in compared:
        assert own[row["a"]] == (float(row["p"]), float(row["q"]))


def btc_trades(product) -> int:
    rows = product.get("/coverage?symbol=BTCUSDT")
    return json.dumps(rows).count('"have"')


def test_killed_at_any_moment_nothing_is_lost_that_the_venue_still_has(tmp_path, exchange, start):
    write_settings(tmp_path, exchange)
    for _ in range(2):
        product = start("run")
        until(lambda p=product: btc_trades(p), "trades in the ledger")
        product.kill()
    before = {inst: spans[-1][1] for inst, spans in ledger(tmp_path).items()}
    product = start("run")

    def gone_on() -> bool:
        now = ledger(tmp_path)
        return all(now[inst][-1][1] > before[inst] for inst in before)

    until(gone_on, "the ledger goes on")
    assert product.stop() == 0
    assert_complete_and_true(tmp_path, exchange)
    assert any(h == "repaired" for spans in ledger(tmp_path).values() for *_, h in spans)


def test_dropped_duplicated_and_reordered_trades_are_repaired(tmp_path, exchange, start):
    write_settings(tmp_path, exchange)
    product = start("run")
    until(lambda: btc_trades(product), "trades in the ledger")
    ask_faults(
        exchange,
        {"kind": "drop", "target": "*@aggTrade", "probability": 0.2, "count": 20},
        {"kind": "duplicate", "target": "*@aggTrade", "probability": 0.2, "count": 20},
        {"kind": "reorder", "target": "*@aggTrade", "probability": 0.2, "count": 20},
    )

    def repaired() -> bool:
        spans = ledger(tmp_path)
        return sum(h == "repaired" for rows in spans.values() for *_, h in rows) >= 3

    until(repaired, "repairs in the ledger")
    assert product.stop() == 0
    assert_complete_and_true(tmp_path, exchange)


def test_a_closed_connection_and_garbage_cost_nothing_but_a_dead_letter(tmp_path, exchange, start):
    write_settings(tmp_path, exchange)
    product = start("run")
    until(lambda: btc_trades(product), "trades in the ledger")
    ask_faults(exchange, {"kind": "garbage", "target": "*@bookTicker", "count": 3})
    letters = tmp_path / "data" / "dlq"
    until(
        lambda: sum(len(f.read_text().splitlines()) for f in letters.glob("*.jsonl")) >= 3,
        "dead letters",
    )
    ask_faults(exchange, {"kind": "close", "target": "*", "count": 1})
    until(lambda: any(link["reconnects"] for link in links(product)), "a reconnection")
    mark = ledger(tmp_path)[INST][-1][1]
    until(lambda: ledger(tmp_path)[INST][-1][1] > mark, "trades again")
    assert product.stop() == 0
    assert_complete_and_true(tmp_path, exchange)
    line = json.loads(next(letters.glob("*.jsonl")).read_text().splitlines()[0])
    assert {"raw_payload", "error", "ingestion_time_ms"} <= set(line)


def links(product) -> list[dict]:
    return product.get("/health/detailed")["components"]["links"]


def test_candles_say_what_the_trades_say(tmp_path, exchange, start):
    write_settings(tmp_path, exchange)
    product = start("run")

    def closed() -> list[dict]:
        rows = product.get("/historical/BTCUSDT?interval=1s&limit=500")["data"]
        return rows if sum(row["trade_count"] > 0 for row in rows) >= 5 else []

    candles = until(closed, "closed candles")
    assert product.stop() == 0
    trades = stored_trades(tmp_path)[INST]
    checked = 0
    for candle in candles[1:]:
        begin = candle["timestamp"][:19]
        mine = sorted(
            (row for row in trades if str(row["ts"]).replace(" ", "T")[:19] == begin),
            key=lambda row: int(row["id"]),
        )
        assert candle["volume"] == pytest.approx(sum(row["size"] for row in mine))
        if mine:
            prices = [row["price"] for row in mine]
            assert (candle["open"], candle["close"]) == (prices[0], prices[-1])
            assert (candle["high"], candle["low"]) == (max(prices), min(prices))
            checked += 1
    assert checked >= 4


def test_demo_needs_nothing_and_shows_live_prices(tmp_path, start):
    product = start("demo", "--port", "0", "--symbols", "5")
    prices = until(lambda: product.get("/prices"), "live prices")
    until(lambda: "BTCUSDT" in product.get("/prices"), "a price of BTCUSDT")
    assert prices
    assert product.get("/health")["status"] in {"healthy", "degraded"}
    assert product.stop() == 0
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_symbol_starts_nothing(tmp_path, exchange):
    write_settings(tmp_path, exchange)
    text = (tmp_path / "tapewatch.yaml").read_text().replace('"BTCUSDT"', '"BTCUSTD"')
    (tmp_path / "tapewatch.yaml").write_text(text)
    answer = subprocess.run(
        command("run"), cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert answer.returncode == 2
    assert "BTCUSTD" in answer.stderr
    assert "BTC/USDT" in answer.stderr
    assert "tapewatch.yaml:1:" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_taken_port_is_told_before_anything_runs(tmp_path, exchange):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        write_settings(tmp_path, exchange, server={"port": taken.getsockname()[1]})
        answer = subprocess.run(
            command("run"), cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
    assert answer.returncode == 2
    assert "server.port" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_it_drains_although_nobody_reads_its_words_any_more(tmp_path, exchange):
    write_settings(tmp_path, exchange)
    with subprocess.Popen(
        command("run"), cwd=tmp_path, text=True, stderr=subprocess.PIPE
    ) as process:
        assert any(line.startswith("→ ") for line in iter(process.stderr.readline, ""))
        until(lambda: ledger(tmp_path), "trades in the ledger")
        process.stderr.close()  # as when the terminal is gone
        process.terminate()
        assert process.wait(timeout=60) == 0
    assert_complete_and_true(tmp_path, exchange)


def test_debug_shows_raw_frames_and_every_stored_tick(tmp_path, exchange, start):
    write_settings(tmp_path, exchange)
    product = start("run", "--log-level", "debug")
    until(lambda: btc_trades(product), "trades in the ledger")
    assert product.stop() == 0
    frames = [line for line in product.lines if "[DEBUG] tapewatch.wire.life: frame " in line]
    stored = [line for line in product.lines if ": stored type=trade " in line]
    assert any('"stream":"btcusdt@aggTrade"' in line for line in frames)
    assert any(f"inst={INST} " in line for line in stored)
