from pathlib import Path

import pytest

from tapewatch.settings.environment import LISTED, example, from_file
from tapewatch.settings.problems import InvalidSettings

ROOT = Path(__file__).parents[3]

# As it stands in the README of the system that it comes from.
DATAHUB = """\
# Core symbols (comma-separated)
SYMBOLS=BTCUSDT,ETHUSDT,SOLUSDT,ADAUSDT

# Exchange toggles
BINANCE_SPOT=true
BINANCE_FUTURES=true
OKX_ENABLED=true
BYBIT_ENABLED=true
COINBASE_ENABLED=true

# News configuration
CRYPTOPANIC_ENABLED=true
NEWS_POLL_SECONDS_DAY=30
NEWS_POLL_SECONDS_NIGHT=90

# Detection thresholds
BIG_TRADE_USD_MIN=250000
LIQ_SPIKE_SIGMA=3.0

# Storage
DATA_DIR=./data
USE_TIMESCALE=false
DATABASE_URL=postgresql+asyncpg://user:pass@localhost:5432/sofia

# Server
HOST=0.0.0.0
PORT=8000
"""


def test_the_env_file_of_the_datahub_loads_unchanged(read):
    loaded = read(dotenv=DATAHUB)

    settings = loaded.settings
    assert settings.exchanges["binance"].symbols == ("BTCUSDT", "ETHUSDT", "SOLUSDT", "ADAUSDT")
    assert (settings.storage.data_dir, settings.server.host) == ("./data", "0.0.0.0")
    assert (settings.news.enabled, settings.news.poll_night_secs) == (True, 90.0)
    told = {notice.path for notice in loaded.notices}
    assert told == {
        "exchanges.binance_futures",
        "exchanges.okx",
        "exchanges.bybit",
        "exchanges.coinbase",
        "detectors.big_trade",
        "detectors.liquidation_spike",
        "server.host",
    }


def test_the_variables_of_the_market_monitor_work(read):
    loaded = read(
        environ={
            "KAFKA_BOOTSTRAP_SERVERS": "kafka:9092",
            "KAFKA_TOPIC": "binance-trades",
            "KAFKA_DLQ_TOPIC": "binance-trades-dlq",
            "SYMBOLS": "BTCUSDT",
            "RECONNECT_DELAY_S": "2.5",
            "MAX_RECONNECT_DELAY_S": "30",
            "HEALTH_PORT": "8080",
        }
    )

    binance = loaded.settings.exchanges["binance"]
    assert (binance.symbols, binance.reconnect_delay) == (("BTCUSDT",), 2.5)
    assert binance.max_reconnect_delay == 30.0
    assert loaded.settings.server.health_port == 8080
    assert loaded.settings.bus.kafka.bootstrap_servers == "kafka:9092"
    assert [notice.path for notice in loaded.notices] == ["bus.kafka"]


def test_the_variables_of_the_supervision_chain_work(read):
    environ = {"SYMBOL": "BTC/USDT", "POLL_INTERVAL": "5", "PGHOST": "db", "PGPASSWORD": "x"}
    loaded = read(environ=environ)

    assert loaded.settings.exchanges["binance"].symbols == ("BTC/USDT",)
    assert {notice.code for notice in loaded.notices} == {"CFG101"}
    assert {str(notice.place) for notice in loaded.notices} == {
        "environment variable POLL_INTERVAL",
        "environment variable PGHOST",
    }


def test_symbols_go_to_every_exchange_that_is_written(read):
    text = "exchanges:\n  binance: {symbols: [X/Y]}\n"
    loaded = read(text, environ={"SYMBOLS": "a,b", "SYMBOL": "c"})
    assert loaded.settings.exchanges["binance"].symbols == ("a", "b")


def test_a_switch_turns_an_exchange_off(read):
    with pytest.raises(InvalidSettings, match="nothing to collect"):
        read(environ={"BINANCE_SPOT": "false"})


def test_a_switch_that_is_neither_is_refused_also_for_what_is_not_built(read):
    with pytest.raises(InvalidSettings) as caught:
        read(environ={"OKX_ENABLED": "perhaps"})
    assert str(caught.value.problems[0].place) == "environment variable OKX_ENABLED"


def test_a_variable_set_to_nothing_was_not_set(read):
    settings = read("server: {port: 1}\n", environ={"PORT": "", "SYMBOLS": " "}).settings
    assert settings.server.port == 1
    assert settings.exchanges["binance"].symbols == ("BTC/USDT", "ETH/USDT")


def test_a_mail_password_is_of_use_only_where_mail_is_configured(read):
    assert read(environ={"TAPEWATCH_SMTP_PASSWORD": "x"}).settings.alerts.email is None

    text = "alerts: {email: {smtp_host: a, from_addr: b, to_addrs: c}}\n"
    loaded = read(text, environ={"TAPEWATCH_SMTP_PASSWORD": "geheim"})
    assert loaded.settings.alerts.email.password.reveal() == "geheim"


def test_paths_reach_settings_of_plug_ins_and_lists(read):
    environ = {
        "TAPEWATCH__EXCHANGES__BINANCE__WS_URL": "ws://127.0.0.1:9010",
        "TAPEWATCH__EXCHANGES__BINANCE__STREAMS": "[trade, depth]",
        "TAPEWATCH__SERVER__CORS_ORIGINS": "http://a, http://b",
    }
    settings = read(environ=environ).settings

    binance = settings.exchanges["binance"]
    assert (binance.ws_url, binance.streams) == ("ws://127.0.0.1:9010", ("trade", "depth"))
    assert settings.server.cors_origins == ("http://a", "http://b")


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("server.port", "takes a.path=value"),
        ("server..port=1", "not a path"),
        ("server.port.x=1", "not a section"),
        ("exchanges.binance.symbols.0=X", "give the whole list"),
    ],
)
def test_an_option_that_sets_nothing_is_refused(read, option, words):
    text = "server: {port: 1}\nexchanges: {binance: {symbols: [a]}}\n"
    with pytest.raises(InvalidSettings, match=words):
        read(text, options=[option])


def test_yaml_sees_variables_of_the_process_and_of_the_file(read):
    text = "server: {host: '${BIND:-127.0.0.1}', port: '${WEB_PORT}'}\n"
    settings = read(text, dotenv="WEB_PORT=8001\n", environ={"BIND": "::1"}).settings
    assert (settings.server.host, settings.server.port) == ("::1", 8001)


def test_an_env_file_may_quote_export_and_comment():
    given, problems = from_file(
        ".env", "export A=1\nB='x # y'\nC=\"z\"  # why\nD=v # why\n\n# E=1\nF=a#b\nG=\n H = 2 \n"
    )
    assert problems == []
    assert {one.name: one.value for one in given} == {
        "A": "1", "B": "x # y", "C": "z", "D": "v", "F": "a#b", "H": "2",
    }  # fmt: skip


@pytest.mark.parametrize("line", ["PORT", "PORT='1", "1A=2", "=x"])
def test_a_bad_line_of_an_env_file_is_told(line):
    _, problems = from_file(".env", f"A=1\n{line}\n")
    assert [(p.place.source, p.place.line) for p in problems] == [(".env", 2)]


def test_a_name_that_is_nearly_ours_is_told(read):
    loaded = read(dotenv="KAFKA_TOPIK=x\nGRAFANA_PORT=3000\nMY_HOST=x\nINFLUXDB_ORG=x\n")
    assert [notice.hint for notice in loaded.notices] == ["did you mean `KAFKA_TOPIC`?"]


def test_every_listed_name_reaches_a_setting_or_says_why_not(read):
    for listed in LISTED:
        value = "true" if listed.switch else (listed.example or "x")
        loaded = read(environ={listed.name: value})
        told = {str(notice.place) for notice in loaded.notices}
        origins = {value.origin for value in loaded.values()}
        source = f"environment variable {listed.name}"
        assert source in told | origins or listed.within, listed.name


def test_the_example_in_the_repository_is_the_table():
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == example()
