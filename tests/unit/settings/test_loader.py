import pytest

from tapewatch.model.errors import ConfigError
from tapewatch.model.secret import Secret
from tapewatch.settings.problems import InvalidSettings

# As it stands in the README of the system that this file comes from.
SUPERVISOR = """\
exchanges:
  binance:
    symbols: [BTC/USDT, ETH/USDT]
    streams: [ticker, aggTrade, depth]   # any subset; omit for ticker\u2011only
    reconnect_delay: 5                   # base seconds for back\u2011off

alerts:
  thresholds:
    pct_24h: 0.05            # 5\u00a0% over 24\u00a0h
    pct_short: 0.02          # 2\u00a0% inside short window
    window_short_ms: 3600000 # 1\u00a0h
    cooldown_ms: 3600000     # suppress repeat alerts for 1\u00a0h
  email:
    smtp_host: smtp.example.com
    smtp_port: 465           # 465 = implicit TLS, 587 = STARTTLS
    username: user@example.com
    password: hunter2
    from_addr: alerts@example.com
    to_addrs: [user@example.com]

storage:
  backend: redis                       # "memory" (default) or "redis"
  redis_url: redis://localhost:6379/0
  max_memory_gb: 8                     # spill to Redis after this
  hot_window_hours: 24                 # keep last 24\u00a0h in RAM
"""


def faults(problems):
    return {(p.code, p.path, p.place.line if p.place else 0) for p in problems}


def test_the_file_of_the_first_system_loads_unchanged(read):
    settings = read(SUPERVISOR).settings

    binance = settings.exchanges["binance"]
    assert binance.symbols == ("BTC/USDT", "ETH/USDT")
    assert binance.streams == ("ticker", "aggTrade", "depth")
    assert binance.reconnect_delay == 5.0
    assert settings.alerts.thresholds.pct_short == 0.02
    assert settings.alerts.email.password == Secret("hunter2")
    assert settings.alerts.email.to_addrs == ("user@example.com",)
    assert settings.storage.redis_url == "redis://localhost:6379/0"
    assert settings.storage.hot_window_hours == 24.0


def test_what_is_not_built_yet_is_told_once_and_memory_is_used(read):
    loaded = read(SUPERVISOR)

    assert loaded.settings.storage.backend == "memory"
    assert faults(loaded.notices) == {("CFG101", "storage.backend", 22)}


def test_without_any_file_the_live_product_has_something_to_show(read):
    loaded = read()

    assert loaded.settings.exchanges["binance"].symbols == ("BTC/USDT", "ETH/USDT")
    assert loaded.origin("exchanges.binance.symbols") == "default"
    assert loaded.notices == ()


def test_all_faults_are_told_at_once_each_with_its_line(read):
    text = """\
exchanges:
  binance:
    symbols: [BTC/USDT]
    stream: [ticker]
    reconnect_delay: -5
  binanse: {}
server:
  port: 99999
  host:
log:
  level: verbose
alerts:
  email:
    smtp_host: a
"""
    with pytest.raises(InvalidSettings) as caught:
        read(text)

    assert faults(caught.value.problems) == {
        ("CFG002", "exchanges.binance.stream", 4),
        ("CFG004", "exchanges.binance.reconnect_delay", 5),
        ("CFG001", "exchanges.binanse", 6),
        ("CFG004", "server.port", 8),
        ("CFG001", "log.level", 11),
        ("CFG005", "alerts.email.from_addr", 13),
        ("CFG005", "alerts.email.to_addrs", 13),
    }
    assert isinstance(caught.value, ConfigError)


def test_the_text_of_an_error_shows_line_caret_and_the_nearest_name(read, tmp_path):
    with pytest.raises(InvalidSettings) as caught:
        read("exchanges:\n  binance:\n    symbols: []\n    stream: [ticker]\n")

    file = tmp_path / "tapewatch.yaml"
    assert str(caught.value) == (
        "error[CFG002]: unknown field `stream`\n"
        f"  --> {file}:4:5  (at exchanges.binance.stream)\n"
        "   |\n"
        " 4 |     stream: [ticker]\n"
        "   |     ^^^^^^ did you mean `streams`?\n"
        "\n"
        "1 problem found. Nothing was started."
    )


def test_no_message_shows_a_secret(read):
    text = "alerts: {email: {smtp_host: a, password: hunter2, from_addr: b, to_addrs: {}}}\n"
    with pytest.raises(InvalidSettings) as caught:
        read(text)

    assert "hunter2" not in str(caught.value)
    assert "*******, from_addr" in str(caught.value)


def test_each_source_beats_the_one_below(read):
    text = "server: {port: 1, host: a, max_clients: 1, query_secs: 1}\n"
    dotenv = "PORT=2\nHOST=b\nTAPEWATCH__SERVER__MAX_CLIENTS=2\n"
    environ = {"PORT": "3", "TAPEWATCH__SERVER__HOST": "c"}

    loaded = read(text, dotenv=dotenv, environ=environ, options=["server.port=4"])

    server = loaded.settings.server
    assert (server.port, server.host, server.max_clients, server.query_secs) == (4, "c", 2, 1.0)
    assert loaded.origin("server.port") == "--set"
    assert loaded.origin("server.host") == "environment variable TAPEWATCH__SERVER__HOST"
    assert loaded.origin("server.max_clients").endswith(".env:3")
    assert loaded.origin("server.query_secs").endswith("tapewatch.yaml:1")
    assert loaded.origin("server.max_queries") == "default"


def test_a_variable_is_named_as_the_place_of_its_fault(read):
    with pytest.raises(InvalidSettings) as caught:
        read(environ={"PORT": "abc", "TAPEWATCH__SERVER__PROT": "1"}, options=["sever.port=1"])

    places = {str(p.place): p.path for p in caught.value.problems}
    assert places == {
        "environment variable PORT": "server.port",
        "environment variable TAPEWATCH__SERVER__PROT": "server.prot",
        "--set": "sever",
    }
    assert "did you mean `port`?" in str(caught.value)
    assert "did you mean `server`?" in str(caught.value)


def test_values_that_contradict_each_other_are_refused_where_one_was_written(read):
    text = """\
exchanges: {binance: {symbols: [BTC/USDT], reconnect_delay: 90}}
"""
    with pytest.raises(InvalidSettings) as caught:
        read(text)
    assert faults(caught.value.problems) == {("CFG006", "exchanges.binance.reconnect_delay", 1)}

    with pytest.raises(InvalidSettings) as caught:
        read("server:\n  port: 8000\n  health_port: 8000\n")
    assert faults(caught.value.problems) == {("CFG006", "server.health_port", 3)}


def test_settings_with_nothing_to_collect_are_refused(read):
    for text in ("exchanges: {}\n", "exchanges: {binance: {enabled: no}}\n"):
        with pytest.raises(InvalidSettings, match="nothing to collect"):
            read(text)
    with pytest.raises(InvalidSettings, match="nothing to collect"):
        read("exchanges: {okx: {symbols: [BTC/USDT]}}\n")


def test_a_section_left_empty_was_not_given(read):
    settings = read("alerts:\nserver:\n  port:\nexchanges:\n").settings

    assert settings.server.port == 8000
    assert settings.exchanges["binance"].symbols


def test_a_later_complaint_points_at_the_value(read):
    loaded = read("exchanges:\n  binance:\n    streams: [ticker, depht]\n")
    loaded.complain(
        "exchanges.binance.streams.1", "unknown stream 'depht'", "did you mean `depth`?"
    )

    with pytest.raises(InvalidSettings) as caught:
        loaded.refuse()

    place = caught.value.problems[0].place
    assert (place.line, place.column, place.width) == (3, 23, 5)


def test_without_complaints_nothing_is_refused(read):
    read().refuse()


def test_a_complaint_about_what_nobody_wrote_points_at_the_section_above(read):
    loaded = read("exchanges:\n  binance: {symbols: [x]}\n")
    loaded.complain("exchanges.binance.streams.0", "unknown stream")

    with pytest.raises(InvalidSettings) as caught:
        loaded.refuse()
    assert caught.value.problems[0].place.line == 2


def test_a_missing_file_is_an_error_that_says_how_to_make_one(tmp_path):
    from tapewatch.settings.loader import load

    with pytest.raises(InvalidSettings, match="tapewatch init"):
        load(tmp_path / "no.yaml", config_of=lambda kind, name: None, environ={}, folder=tmp_path)


def test_listening_for_everybody_deserves_a_second_look(read):
    assert faults(read(environ={"HOST": "0.0.0.0"}).notices) == {("CFG102", "server.host", 0)}


def test_an_exchange_without_symbols_deserves_a_second_look(read):
    notices = read("exchanges:\n  binance: {streams: [ticker]}\n").notices
    assert faults(notices) == {("CFG102", "exchanges.binance", 2)}


def test_sections_of_stores_stand_beside_the_other_keys_of_storage(read):
    loaded = read("storage:\n  backend: mine\n  mine: {intervals: [5m]}\n")

    assert loaded.settings.storage.backend == "mine"
    assert loaded.settings.storage.sections["mine"].intervals == ("5m",)
    shown = {value.path: value.value for value in loaded.values()}
    assert shown["storage.mine.intervals"] == '["5m"]'


def test_a_wrong_key_in_storage_is_compared_with_keys_and_stores(read):
    with pytest.raises(InvalidSettings, match="did you mean `hot_window_hours`"):
        read("storage: {hot_window_hour: 24}\n")
    with pytest.raises(InvalidSettings, match="did you mean `parquet`"):
        read("storage: {sinks: [parket]}\n")


def test_shown_values_hide_secrets_and_passwords_in_addresses(read):
    loaded = read(SUPERVISOR, environ={"TAPEWATCH__STORAGE__REDIS_URL": "redis://u:geheim@h/0"})

    shown = {value.path: value for value in loaded.values()}
    assert shown["alerts.email.password"].value == "***"
    assert shown["alerts.email.password"].origin.endswith("tapewatch.yaml:17")
    assert shown["storage.redis_url"].value == '"redis://***@h/0"'
    assert not any("geheim" in value.value or "hunter2" in value.value for value in loaded.values())
