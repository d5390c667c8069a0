"""What is to be built, in the product's own words: settings after all checks.

`cli/run.py` makes a plan of the settings file, `cli/demo.py` of the simulated exchange, tests of
what they need. Wiring reads a plan and nothing else.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from tapewatch.analysis.selftest import Detector
from tapewatch.feeds.ccxt_config import CcxtConfig, CcxtWords
from tapewatch.news.schedule import Hours
from tapewatch.news.sources import Source
from tapewatch.ports import Dialect, FeedConfig, Hot, Notifier, Processor, Query, Sink
from tapewatch.rules.defaults import RuleSet
from tapewatch.rules.notices import Policy
from tapewatch.runtime.aside import Aside
from tapewatch.runtime.delivery import Pace
from tapewatch.serve.context import Options
from tapewatch.stores.parquet import ParquetConfig


class Venue(Struct, frozen=True):
    """One section under `exchanges:`."""

    name: str
    dialect: Dialect
    config: FeedConfig


class CcxtVenue(Struct, frozen=True):
    """A section under `exchanges:` that names no venue of ours but one that CCXT serves."""

    name: str
    dialect: CcxtWords
    config: CcxtConfig


class News(Struct, frozen=True, kw_only=True):
    """The section `news:`."""

    sources: tuple[Source, ...]
    hours: Hours = field(default_factory=Hours)
    user_agent: str = ""  # empty: our own


class Channel(Struct, frozen=True):
    """One section under `notify:`, or `alerts.email`."""

    notifier: Notifier
    type: str
    send_secs: float = 30.0


class Telling(Struct, frozen=True, kw_only=True):
    """How people are told of alerts."""

    channels: tuple[Channel, ...] = ()
    policy: Policy = field(default_factory=lambda: Policy({}, ()))
    site: str = ""


class Plan(Struct, frozen=True, kw_only=True):
    venues: tuple[Venue, ...]
    processors: tuple[Processor[Any], ...]  # the rules are one of them
    data_dir: Path
    hot: Hot
    query: Query
    parquet: ParquetConfig = field(default_factory=ParquetConfig)
    ccxt: tuple[CcxtVenue, ...] = ()
    news: News | None = None
    previews: Aside | None = None  # where rules are tried on the past
    rules: RuleSet = field(default_factory=lambda: RuleSet(()))
    detectors: tuple[Detector, ...] = ()  # the processors but for the rules, to be tried at start
    telling: Telling = field(default_factory=Telling)
    sinks: tuple[Sink, ...] = ()  # beside Parquet, the ledger and the dead letters
    pace: Pace = field(default_factory=Pace)  # of writing to stores
    spill_max_bytes: int = 1 << 30  # for each store that is down
    max_events: int = 65_536  # that may wait for one reader of the bus
    keep_days: dict[str, float] = field(default_factory=dict)  # by kind; absent: for ever
    options: Options = field(default_factory=Options)
    serve: bool = True
    drain_secs: float = 20.0
    checkpoint_secs: float = 10.0
    settings_view: Callable[[], dict[str, Any]] = dict  # secrets are *** already
    complain: Callable[[str, str, str], None] | None = None  # path, message, hint
    demo: bool = False
