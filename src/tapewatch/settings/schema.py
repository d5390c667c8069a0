"""Every setting of the core, its type, its default and its range. Plug-ins bring their own.

The keys under `exchanges`, `alerts` and `storage` are those of the first of our earlier systems,
so its file loads as it is. New numbers carry their unit in the name. A contradiction is raised by
`__post_init__` as `ValueError("field: sentence")`; the loader finds the line.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from tapewatch.model.secret import Secret
from tapewatch.rules.rule import Rule

Port = Annotated[int, Meta(ge=0, le=65_535)]
Fraction = Annotated[float, Meta(gt=0, le=10)]
Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(gt=0)]
Name = Annotated[str, Meta(min_length=1)]
Store = Annotated[str, Meta(extra={"plugin": "stores"})]


class Thresholds(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pct_24h: Fraction = 0.05  # as a fraction: 0.05 is 5 %
    pct_short: Fraction = 0.02
    window_short_ms: Annotated[int, Meta(ge=1_000, le=86_400_000)] = 3_600_000
    cooldown_ms: int = 3_600_000


class Email(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    smtp_host: Name
    smtp_port: Annotated[int, Meta(ge=1, le=65_535)] = 465  # 465: implicit TLS; 587: STARTTLS
    username: str = ""
    password: Secret | None = None
    from_addr: Name
    to_addrs: tuple[Name, ...]


class Alerts(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    defaults: bool = True  # the ready-made rules
    rules: tuple[Rule, ...] = ()
    thresholds: Thresholds | None = None
    email: Email | None = None


class Storage(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    backend: Store = "memory"  # of the hot window
    redis_url: Name = "redis://localhost:6379/0"
    max_memory_gb: Positive = 8.0
    hot_window_hours: Annotated[float, Meta(gt=0, le=24 * 31)] = 24.0
    data_dir: Name = "data"
    sinks: tuple[Store, ...] = ("parquet",)
    query: Store = "duckdb"
    batch_max_events: Count = 10_000  # what is written to a store at once
    batch_max_bytes: Annotated[int, Meta(ge=1024)] = 8 * 1024 * 1024
    batch_max_age_secs: Annotated[float, Meta(gt=0, le=60)] = 0.5
    spill_max_bytes: Annotated[int, Meta(ge=1 << 20)] = 1 << 30  # for each store that is down
    sections: Annotated[dict[str, Any], Meta(extra={"sections": "stores", "rest": True})] = field(
        default_factory=dict
    )


class News(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    enabled: bool = False
    sources: tuple[Name, ...] = ("cryptopanic",)  # names, addresses, or name=address
    poll_day_secs: Annotated[float, Meta(ge=5, le=86_400)] = 30.0
    poll_night_secs: Annotated[float, Meta(ge=5, le=86_400)] = 90.0
    day_from_hour: Annotated[int, Meta(ge=0, le=23)] = 7
    day_until_hour: Annotated[int, Meta(ge=1, le=24)] = 23
    zone: Name = "UTC"  # of these hours, such as Europe/Berlin
    user_agent: str = ""  # empty: tapewatch and its version

    def __post_init__(self) -> None:
        if self.enabled and not self.sources:
            raise ValueError("sources: is empty, so there is nothing to poll; name cryptopanic")


class Kafka(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    bootstrap_servers: Name = "localhost:9092"
    topic: Name = "binance-trades"
    dlq_topic: Name = "binance-trades-dlq"


class BusSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    max_events: Annotated[int, Meta(ge=1_000)] = 65_536  # that may wait for one reader
    kafka: Kafka | None = None


class ServerSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    enabled: bool = True
    host: Name = "127.0.0.1"
    port: Port = 8000
    cors_origins: tuple[Name, ...] = ()  # `*`: everybody
    health_port: Annotated[int, Meta(ge=1, le=65_535)] | None = None  # the same, for probes
    query_secs: Positive = 10.0  # what one question about stored data may take
    max_queries: Count = 4  # of them at a time; others wait
    max_clients: Count = 2_000  # live WebSocket clients

    def __post_init__(self) -> None:
        if self.health_port == self.port:
            raise ValueError("health_port: is the same as server.port; give it another number")


class Inhibit(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """While an alert that fits `source` fires, those that fit `target` are held."""

    source: tuple[Name, ...]  # matchers: rule=stale_feed
    target: tuple[Name, ...]
    equal: tuple[Name, ...] = ()  # fields that must be the same: venue


class Notify(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Beside these keys stand the channels, by their names: `desk: {type: slack, ...}`."""

    channels: tuple[Name, ...] = ()  # told by rules that name none; empty: all
    group_wait_secs: Annotated[float, Meta(ge=0, le=60)] = 2.0  # for others of the same rule
    group_interval_secs: Annotated[float, Meta(ge=0, le=86_400)] = 30.0  # between two notices
    inhibitions: tuple[Inhibit, ...] = ()  # beside the one of a silent feed
    site: str = ""  # where people reach this server, for links: https://watch.example.com
    sections: Annotated[dict[str, Any], Meta(extra={"sections": "notify", "rest": True})] = field(
        default_factory=dict
    )

    def __post_init__(self) -> None:
        if self.site and not self.site.startswith(("http://", "https://")):
            raise ValueError("site: must begin with https:// or http://")


class Retention(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Days that stored files are kept; without a number they are kept for ever."""

    trades_days: Positive | None = None
    quotes_days: Positive | None = None
    tickers_days: Positive | None = None
    orderbook_days: Positive | None = None
    candles_days: Positive | None = None
    metrics_days: Positive | None = None
    liquidations_days: Positive | None = None
    mark_prices_days: Positive | None = None
    gaps_days: Positive | None = None
    alerts_days: Positive | None = None
    news_days: Positive | None = None

    def by_kind(self) -> dict[str, float]:
        """`{"trades": 30.0}`: only what was given."""
        days = {name.removesuffix("_days"): getattr(self, name) for name in self.__struct_fields__}
        return {kind: value for kind, value in days.items() if value is not None}


class Log(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    format: Literal["console", "json"] = "console"


class Settings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file. Sections of plug-ins are instances of the plug-ins' own types."""

    exchanges: Annotated[dict[str, Any], Meta(extra={"sections": "venues"})] = field(
        default_factory=dict
    )
    alerts: Alerts = field(default_factory=Alerts)
    storage: Storage = field(default_factory=Storage)
    detectors: Annotated[dict[str, Any], Meta(extra={"sections": "process"})] = field(
        default_factory=dict
    )
    news: News = field(default_factory=News)
    bus: BusSettings = field(default_factory=BusSettings)
    server: ServerSettings = field(default_factory=ServerSettings)
    notify: Notify = field(default_factory=Notify)
    retention: Retention = field(default_factory=Retention)
    log: Log = field(default_factory=Log)
