"""Environment variables and `.env`: which names there are, and what they set.

Three sorts of names, weaker first: the listed names below, taken over from the earlier systems;
`TAPEWATCH__SERVER__PORT`, which reaches every setting; and above both the option `--set`. What the
process has in its environment beats `.env`. A variable that is set to nothing was not set.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import NamedTuple

from msgspec import Struct

from tapewatch.settings.node import Items, Path, Section, Text, find, put
from tapewatch.settings.planned import not_yet
from tapewatch.settings.problems import Place, Problem
from tapewatch.settings.scalars import ABSENT, truth

PREFIX = "TAPEWATCH__"
Takes = Callable[[str, str], bool]  # has the section of this exchange that setting?


class Listed(Struct, frozen=True):
    """A name and the setting it stands for. `*`: every exchange."""

    name: str
    path: str
    example: str
    about: str
    secret: bool = False
    switch: bool = False  # `false` alone makes no section
    within: str = ""  # only where this section was written
    nobody: str = ""  # only for exchanges that have the setting; said if there is none


LISTED = (
    Listed(
        "BINANCE_SPOT", "exchanges.binance.enabled", "true", "Binance spot on or off", switch=True
    ),
    Listed(
        "BINANCE_FUTURES",
        "exchanges.binance_futures.enabled",
        "false",
        "Binance USD-M futures on or off",
        switch=True,
    ),
    Listed("OKX_ENABLED", "exchanges.okx.enabled", "false", "OKX on or off", switch=True),
    Listed("BYBIT_ENABLED", "exchanges.bybit.enabled", "false", "Bybit on or off", switch=True),
    Listed(
        "COINBASE_ENABLED", "exchanges.coinbase.enabled", "false", "Coinbase on or off", switch=True
    ),
    Listed("SYMBOL", "exchanges.*.symbols", "BTC/USDT", "one pair, if SYMBOLS is not set"),
    Listed(
        "SYMBOLS", "exchanges.*.symbols", "BTCUSDT,ETHUSDT", "pairs in any spelling, with commas"
    ),
    Listed(
        "POLL_INTERVAL",
        "exchanges.*.poll_secs",
        "5",
        "seconds between polls of the tickers of a CCXT venue",
        nobody="no exchange here is a CCXT venue, so none is polled: native ones stream",
    ),
    Listed(
        "RECONNECT_DELAY_S",
        "exchanges.*.reconnect_delay",
        "5.0",
        "first delay after a lost connection, seconds",
    ),
    Listed(
        "MAX_RECONNECT_DELAY_S",
        "exchanges.*.max_reconnect_delay",
        "60.0",
        "longest delay between attempts, seconds",
    ),
    Listed("DATA_DIR", "storage.data_dir", "./data", "folder of the stored data"),
    Listed("HOST", "server.host", "127.0.0.1", "address the server listens on"),
    Listed("PORT", "server.port", "8000", "port of the server"),
    Listed("HEALTH_PORT", "server.health_port", "8080", "health on a second port, for probes"),
    Listed("BIG_TRADE_USD_MIN", "detectors.big_trade.usd_min", "250000", "a big trade, in USD"),
    Listed(
        "LIQ_SPIKE_SIGMA",
        "detectors.liquidation_spike.sigma",
        "3.0",
        "a spike of liquidations, in standard deviations",
    ),
    Listed(
        "CRYPTOPANIC_ENABLED", "news.enabled", "false", "CryptoPanic news on or off", switch=True
    ),
    Listed("NEWS_POLL_SECONDS_DAY", "news.poll_day_secs", "30", "between polls by day"),
    Listed("NEWS_POLL_SECONDS_NIGHT", "news.poll_night_secs", "90", "between polls by night"),
    Listed(
        "KAFKA_BOOTSTRAP_SERVERS", "bus.kafka.bootstrap_servers", "localhost:9092", "Kafka brokers"
    ),
    Listed("KAFKA_TOPIC", "bus.kafka.topic", "binance-trades", "topic of the trades"),
    Listed("KAFKA_DLQ_TOPIC", "bus.kafka.dlq_topic", "binance-trades-dlq", "topic of dead letters"),
    Listed("PGHOST", "storage.postgres.host", "localhost", "PostgreSQL server"),
    Listed("PGPORT", "storage.postgres.port", "5432", "its port"),
    Listed("PGUSER", "storage.postgres.user", "crypto", "its user"),
    Listed("PGPASSWORD", "storage.postgres.password", "", "its password", secret=True),
    Listed("PGDATABASE", "storage.postgres.database", "crypto", "its database"),
    Listed(
        "USE_TIMESCALE", "storage.timescale.enabled", "false", "TimescaleDB on or off", switch=True
    ),
    Listed(
        "DATABASE_URL",
        "storage.timescale.url",
        "",
        "TimescaleDB, postgresql://user:password@host:5432/database",
        secret=True,
    ),
    Listed("INFLUXDB_HOST", "storage.influx3.host", "http://localhost:8181", "InfluxDB 3 server"),
    Listed("INFLUXDB_TOKEN", "storage.influx3.token", "", "its token", secret=True),
    Listed("INFLUXDB_DATABASE", "storage.influx3.database", "crypto", "its database"),
    Listed("SLACK_WEBHOOK_URL", "notify.slack.webhook_url", "", "Slack webhook", secret=True),
    Listed(
        "TAPEWATCH_SMTP_PASSWORD",
        "alerts.email.password",
        "",
        "password of the mail server in alerts.email",
        secret=True,
        within="alerts.email",
    ),
)


class Given(NamedTuple):
    """One variable with a value, and where it was set."""

    name: str
    value: str
    place: Place  # of the value
    key: Place  # of the name


class Assigned(NamedTuple):
    problems: list[Problem]
    notices: list[Problem]


def from_process(environ: Mapping[str, str]) -> list[Given]:
    """The variables of the process that are ours."""
    names = {listed.name for listed in LISTED}
    found = []
    for name in sorted(environ):
        value = environ[name]
        if value.strip() and (name in names or name.upper().startswith(PREFIX)):
            found.append(_inline(f"environment variable {name}", name, value))
    return found


def from_file(source: str, text: str) -> tuple[list[Given], list[Problem]]:
    """Read `.env`: `NAME=value`, `export NAME=value`, quotes, comments."""
    found: dict[str, Given] = {}
    problems: list[Problem] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        value = match and _unquoted(match["value"])
        if match is None or value is None:
            message = "this is not `NAME=value`" if match is None else "a quote is not closed"
            problems.append(Problem("CFG007", message, Place(source, number, 1, len(line), line)))
        elif value.strip():
            start = match.start("value")
            place = Place(source, number, start + 1, max(1, len(line) - start), line)
            key = Place(source, number, match.start("name") + 1, len(match["name"]), line)
            found[match["name"]] = Given(match["name"], value, place, key)
    return list(found.values()), problems


def from_options(options: Sequence[str]) -> tuple[list[Given], list[Problem]]:
    """Read `--set a.b=c`. The name of what is given is the path."""
    found = []
    problems = []
    for option in options:
        path, equals, value = option.partition("=")
        if equals and path.strip():
            found.append(_inline("--set", path.strip(), value))
        else:
            place = Place("--set", column=1, width=len(option), text=option)
            problems.append(Problem("CFG007", "--set takes a.path=value", place))
    return found, problems


def assign(root: Section, given: list[Given], takes: Takes) -> Assigned:
    """Write one source of variables into the tree: listed names, then exact paths."""
    result = Assigned([], [])
    values = {one.name: one for one in given}
    switches = [listed for listed in LISTED if listed.switch]
    for listed in (*LISTED, *switches):  # again, for sections that came in between
        if listed.name in values:
            _assign_listed(root, listed, values[listed.name], result, takes)
    for one in given:
        if one.name.upper().startswith(PREFIX):
            path = one.name[len(PREFIX) :].lower().split("__")
            _assign_path(root, tuple(path), one, result)
    return result


def assign_options(root: Section, given: list[Given]) -> list[Problem]:
    """Write what `--set` gave into the tree."""
    result = Assigned([], [])
    for one in given:
        _assign_path(root, tuple(one.name.split(".")), one, result)
    return result.problems


def misspelt(given: list[Given]) -> list[Problem]:
    """Notices for names in `.env` that are nearly ours: others may use the same file."""
    names = [listed.name for listed in LISTED]
    notices = []
    for one in given:
        if one.name in names or one.name.startswith(PREFIX):
            continue
        near = get_close_matches(one.name, names, n=1, cutoff=_NEAR)
        if near:
            message = f"{one.name} is not a name of ours and has no effect"
            hint = f"did you mean `{near[0]}`?"
            notices.append(Problem("CFG102", message, one.key, hint=hint))
    return notices


def example() -> str:
    """The text of `.env.example`."""
    lines = [
        "# Variables that tapewatch reads, from the environment or from a file named .env in the",
        "# folder where it is started. They beat tapewatch.yaml; the environment beats .env.",
        "# Every other setting can be reached too: TAPEWATCH__SERVER__CORS_ORIGINS is",
        "# server.cors_origins. `tapewatch check --show` tells where each value came from.",
    ]
    for listed in LISTED:
        says = f"{listed.about[0].upper()}{listed.about[1:]}."
        target = f" ({listed.path})" if listed.path else ""
        lines += ["", f"# {says}{target}", f"#{listed.name}={listed.example}"]
    return "\n".join(lines) + "\n"


_LINE = re.compile(r"\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?P<value>.*?)\s*")
_COMMENT = re.compile(r"\s+#.*$")
_NEAR = 0.85  # so that one wrong letter counts and INFLUXDB_ORG does not


def _unquoted(text: str) -> str | None:
    """The value without its quotes or comment; None if a quote is not closed."""
    if text[:1] in {'"', "'"}:
        end = text.find(text[0], 1)
        return None if end < 0 else text[1:end]
    return "" if text.startswith("#") else _COMMENT.sub("", text)


def _inline(source: str, name: str, value: str) -> Given:
    text = f"{name}={value}"
    key = Place(source, column=1, width=len(name), text=text)
    place = Place(source, column=len(name) + 2, width=max(1, len(value)), text=text)
    return Given(name, value, place, key)


def _assign_listed(
    root: Section, listed: Listed, one: Given, result: Assigned, takes: Takes
) -> None:
    if listed.switch:
        on = truth(one.value)
        if on is ABSENT:
            message = f"expected true or false, got '{one.value}'"
            result.problems.append(Problem("CFG003", message, one.place, listed.path))
            return
        section = tuple(listed.path.split(".")[:-1])
        if not on and not isinstance(find(root, section), Section):
            return
    if listed.within and find(root, tuple(listed.within.split("."))) is None:
        return
    paths = _paths(root, listed.path)
    if listed.nobody:
        paths = [path for path in paths if takes(path[1], path[2])]
        if not paths:
            result.notices.append(Problem("CFG101", listed.nobody, one.place))
    for path in paths:
        _assign_path(root, path, one, result)


def _paths(root: Section, path: str) -> list[Path]:
    head, star, tail = path.partition(".*.")
    if not star:
        return [tuple(path.split("."))]
    exchanges = root.fields.get(head)
    names = exchanges.fields if isinstance(exchanges, Section) else ()
    return [(head, name, tail) for name in names if not not_yet("venues", name)]


def _assign_path(root: Section, path: Path, one: Given, result: Assigned) -> None:
    if not all(path):
        message = f"`{'.'.join(path)}` is not a path of settings"
        result.problems.append(Problem("CFG002", message, one.place))
    elif path[-1].isdigit() and isinstance(find(root, path[:-1]), Items):
        message = "an item of a list cannot be set alone; give the whole list, with commas"
        result.problems.append(Problem("CFG002", message, one.place, ".".join(path)))
    elif not put(root, path, Text(one.value, one.place, plain=False), one.key):
        message = f"`{'.'.join(path[:-1])}` is not a section"
        result.problems.append(Problem("CFG003", message, one.place, ".".join(path)))
