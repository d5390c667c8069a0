"""From loaded settings to a running app: what `run` and `demo` share.

First Ctrl-C or SIGTERM drains; a second one ends at once. The loop is uvloop where there is one.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import structs

from tapewatch.feeds.ccxt_config import CcxtConfig, CcxtWords
from tapewatch.model.errors import ConfigError
from tapewatch.ports import FeedConfig, Hot, Processor, Sink
from tapewatch.rules.rulebook import measures_of
from tapewatch.runtime import ccxt_venues, heap, plugins, selftest, vitals
from tapewatch.runtime.aside import Aside
from tapewatch.runtime.clock import wall_clock
from tapewatch.runtime.delivery import Pace
from tapewatch.runtime.news_settings import news_of
from tapewatch.runtime.notify_settings import telling_of
from tapewatch.runtime.plan import CcxtVenue, Plan, Venue
from tapewatch.runtime.rules_settings import detectors_of, rules_of, usual_in_force, with_rules
from tapewatch.serve.context import Options
from tapewatch.settings import loader, origin
from tapewatch.settings.schema import ServerSettings, Settings, Storage
from tapewatch.settings.venue_words import Words, check_streams

log = logging.getLogger("tapewatch.runtime.launch")

_FORCED = 130
# `timeout`, npm and some shells pass one signal on twice: to us, and to our group.
_SAME_WISH_SECS = 0.5


def config_of(kind: str, name: str) -> type:
    """Give the settings type of a plug-in; raises NotFound with the nearest."""
    if kind == "venues" and name not in plugins.names(kind):
        return ccxt_venues.config_of(name)
    return plugins.load(kind, name).config


def load(
    path: Path | None,
    options: tuple[str, ...] = (),
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> loader.Loaded:
    """Load settings; `folder` is where `tapewatch.yaml` and `.env` are looked for."""
    return loader.load(
        path,
        config_of=config_of,
        environ=os.environ if environ is None else environ,
        options=options,
        folder=folder,
    )


def plan_of(loaded: loader.Loaded, *, serve: bool = True, demo: bool = False) -> Plan:
    """Build dialects and processors; the plug-ins' own objections become ConfigError."""
    settings = loaded.settings
    folder = Path(settings.storage.data_dir)
    venues = venues_of(settings)
    ccxt = ccxt_venues_of(settings)
    dialects: dict[str, Words] = {venue.name: venue.dialect for venue in venues}
    check_streams(loaded, dialects | {venue.name: venue.dialect for venue in ccxt})
    news = news_of(loaded)
    sections = detectors_of(loaded)
    processors = processors_of(sections)
    rules = rules_of(loaded, (*measures_of(processors), *vitals.MEASURES))
    telling = telling_of(loaded, rules)
    loaded.refuse()  # before anything touches disk or network
    stored = partial(_store, settings.storage, settings.storage.query, data_dir=folder)
    return Plan(
        venues=venues,
        ccxt=ccxt,
        processors=with_rules(processors, rules),
        rules=rules,
        detectors=selftest.detectors_of(processors, sections, usual_in_force(settings, rules)),
        telling=telling,
        data_dir=folder,
        hot=_hot(settings.storage),
        query=Aside(stored),
        previews=Aside(stored),  # one of their own, so that no other question waits for them
        news=news,
        parquet=_section(settings.storage, "parquet"),
        sinks=_sinks(settings.storage, folder),
        pace=Pace(
            max_events=settings.storage.batch_max_events,
            max_bytes=settings.storage.batch_max_bytes,
            max_age_secs=settings.storage.batch_max_age_secs,
        ),
        spill_max_bytes=settings.storage.spill_max_bytes,
        max_events=settings.bus.max_events,
        keep_days=settings.retention.by_kind(),
        options=_options(settings.server),
        serve=serve and settings.server.enabled,
        settings_view=lambda: origin.view(settings),
        complain=loaded.complain,
        demo=demo,
    )


def deriving_of(loaded: loader.Loaded) -> tuple[Processor[Any], ...]:
    """All that works on events, with the settings' detectors and rules: for a replay."""
    processors = processors_of(detectors_of(loaded))
    rules = rules_of(loaded, (*measures_of(processors), *vitals.MEASURES))
    loaded.refuse()
    return with_rules(processors, rules)


def venues_of(settings: Settings) -> tuple[Venue, ...]:
    return tuple(
        Venue(name, plugins.load("venues", name).build(name, config), config)
        for name, config in settings.exchanges.items()
        if isinstance(config, FeedConfig) and config.enabled and not isinstance(config, CcxtConfig)
    )


def ccxt_venues_of(settings: Settings) -> tuple[CcxtVenue, ...]:
    return tuple(
        CcxtVenue(name, CcxtWords(name), config)
        for name, config in settings.exchanges.items()
        if isinstance(config, CcxtConfig) and config.enabled
    )


def processors_of(sections: Mapping[str, Any]) -> tuple[Processor[Any], ...]:
    """All built-in processors, each with its section or with its defaults."""
    return tuple(
        plugin.build(name, sections.get(name) or plugin.config())
        for name, plugin in plugins.loadable("process").items()
    )


def _section(storage: Storage, name: str) -> Any:
    """What `storage: NAME:` says, or the plug-in's defaults."""
    return storage.sections.get(name) or plugins.load("stores", name).config()


def _store(storage: Storage, name: str, **runtime: Any) -> Any:
    return plugins.load("stores", name).build(name, _section(storage, name), **runtime)


def _hot(storage: Storage) -> Hot:
    """The backend of the hot window. One that is planned only was told: memory stands in."""
    name = storage.backend if storage.backend in plugins.names("stores") else "memory"
    config = _section(storage, name)
    if "hot_window_hours" in config.__struct_fields__ and name not in storage.sections:
        config = structs.replace(config, hot_window_hours=storage.hot_window_hours)
    hot: Hot = plugins.load("stores", name).build(name, config)
    return hot


def _sinks(storage: Storage, folder: Path) -> tuple[Sink, ...]:
    """The stores beside Parquet. Each is built as `build(name, section, data_dir=, clock=)`."""
    if "parquet" not in storage.sinks:
        raise ConfigError(
            "storage.sinks must name parquet: the ledger and recovery rest on it in this version"
        )
    built = plugins.names("stores")
    return tuple(
        _store(storage, name, data_dir=folder, clock=wall_clock)
        for name in storage.sinks
        if name != "parquet" and name in built  # what is only planned was told
    )


def _options(server: ServerSettings) -> Options:
    names = set(Options.__struct_fields__) & set(ServerSettings.__struct_fields__)
    return Options(**{name: getattr(server, name) for name in names})


def run(main: Callable[[asyncio.Event], Awaitable[int]]) -> int:
    """Run `main` with an event that signals set. Give its exit code."""
    heap.keep_little()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_with_signals(main))


async def _with_signals(main: Callable[[asyncio.Event], Awaitable[int]]) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    asked_at = 0.0

    def ask() -> None:
        nonlocal asked_at
        if not stop.is_set():
            asked_at = loop.time()
            stop.set()
            _say("draining... Ctrl-C again to force")
        elif loop.time() - asked_at > _SAME_WISH_SECS:
            _say("forced: what was not written is lost")
            os._exit(_FORCED)

    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, ask)
        except NotImplementedError:  # Windows: handlers run between bytecodes, so hop to the loop
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(ask))
    return await main(stop)


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # whoever read our stderr may be gone; we drain all the same
        print(text, file=sys.stderr, flush=True)  # noqa: T201


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        if sys.platform == "win32":
            import winloop as fast
        else:
            import uvloop as fast
    except ImportError:
        log.warning("fast_loop_missing", extra={"fields": {"advice": "install uvloop"}})
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = fast.new_event_loop
    return factory


async def serve(loaded: loader.Loaded, plan: Plan, stop: asyncio.Event, ready: Any = None) -> int:
    """Build the app, refuse if somebody complained, run until `stop`."""
    from tapewatch.runtime.wiring import App

    plan.data_dir.mkdir(parents=True, exist_ok=True)
    app = App(plan, wall_clock)
    await app.start()
    loaded.refuse()
    if ready is not None:
        ready(app)
    return await app.run(stop)


def with_address(config: FeedConfig, ws_url: str, rest_url: str) -> FeedConfig:
    """Point a venue's section at other addresses: a simulated exchange, a proxy."""
    fields = {"ws_url": ws_url, "rest_url": rest_url}
    missing = fields.keys() - set(config.__struct_fields__)
    if missing:
        raise ConfigError(f"{type(config).__name__} has no {', '.join(sorted(missing))}")
    return structs.replace(config, **fields)
