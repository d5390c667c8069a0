"""A venue that CCXT serves, as one Feed. Thin: CCXT does the talking, this does the watching over.

    run: import ──> markets known? ──no──> ask for them, for ever ──> one Stream a subscription
                                                                      one Poller for the tickers
    hears of each lost connection (see `ccxt_library`) ──> Gap in every stream that it carried
    looks four times a second: which streams are silent beyond their rhythm, and how late it is

A native venue is better in everything but number: here ids prove nothing, a loss is not repaired,
and a book is CCXT's word for it. `docs/venues/ccxt.md` says what that means for the data.
"""

import asyncio
import logging
import random
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from msgspec import Struct

from tapewatch.feeds.ccxt_config import BOOK, TICKER, CcxtConfig
from tapewatch.feeds.ccxt_desk import Desk
from tapewatch.feeds.ccxt_errors import FINAL, Reaction, Verdict, in_words
from tapewatch.feeds.ccxt_events import to_instruments
from tapewatch.feeds.ccxt_library import library, make
from tapewatch.feeds.ccxt_links import link_of
from tapewatch.feeds.ccxt_poll import Poller
from tapewatch.feeds.ccxt_streams import Stream, attempt, can_stream
from tapewatch.feeds.exchange import add_all
from tapewatch.model.address import shown
from tapewatch.model.errors import Unavailable
from tapewatch.model.events import InstrumentId, Micros
from tapewatch.model.instrument import Catalogue, Instrument, split_id
from tapewatch.model.times import SECOND
from tapewatch.ports import (
    Clock,
    Counters,
    LinkState,
    LinkStatus,
    Outlet,
    Subscription,
)
from tapewatch.venues._rhythm import Rhythm
from tapewatch.wire.backoff import Backoff
from tapewatch.wire.calls import Calls
from tapewatch.wire.crew import Crew
from tapewatch.wire.outflow import Outflow
from tapewatch.wire.steady import Steady

_LOOK_SECS = 0.25
_IDLE_SECS = 60.0  # without any frame; CCXT's own pings find a dead link sooner where it has them
_RESYNC_SECS = 30.0  # a connection is not dropped more often for a book that cannot be true
_UNWATCH_SECS = 5.0
_KEPT_SECS = 2 * _UNWATCH_SECS
_NOTHING = -2  # frames of a connection that carries no stream
_CATALOGUE = "catalogue"

log = logging.getLogger("tapewatch.feeds.ccxt")


class Listing(Struct, frozen=True):
    """What a venue trades, and what CCXT can do there."""

    instruments: list[Instrument]
    markets: Mapping[str, Any]
    can: Mapping[str, bool]  # channel: does CCXT stream it there


async def fetch_listing(name: str, config: CcxtConfig) -> Listing:
    """Ask the venue for all its instruments. Raises Unavailable in words, ConfigError."""
    exchange = make(await library(), name, config)
    try:
        verdict = await attempt(exchange.load_markets, name)
        if verdict.kind != "Ended":
            raise Unavailable(f"no list of instruments of {name}: {verdict.reason}")
        return _listing(name, exchange)
    finally:
        await exchange.close()


def _listing(name: str, exchange: Any) -> Listing:
    rows = exchange.markets.values()
    instruments = to_instruments(name, rows, exchange.precisionMode)
    can = {channel: can_stream(exchange, channel) for channel in ("ticker", "trades", "orderbook")}
    return Listing(instruments, exchange.markets, can)


class CcxtFeed:
    """A Feed. `run` may be called again after it failed."""

    def __init__(
        self,
        name: str,
        config: CcxtConfig,
        *,
        clock: Clock,
        catalogue: Catalogue,
        wanted: frozenset[Subscription],
        listing: Listing | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.name = name
        self.counters = Counters()
        self.calls = Calls()
        self._config = config
        self._clock = clock
        self._catalogue = catalogue
        self._wanted = wanted
        self._listing = listing
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not secrets
        self._module: Any = None
        self._desk: Desk | None = None  # while it runs and knows the markets
        self._crew: Crew | None = None
        self._poller: Poller | None = None
        self._streams: dict[Subscription, Stream] = {}
        self._tasks: dict[asyncio.Task[None], Stream] = {}
        self._rhythms: dict[str, Rhythm[Subscription]] = {}
        self._moved: dict[str, tuple[int, float]] = {}  # frames of an address, and since when
        self._dropped_at: dict[str, float] = {}
        self._learning = LinkStatus(name, _CATALOGUE)

    async def run(self, outlet: Outlet) -> None:
        crew = Crew()
        clock = Steady(self._clock, asyncio.get_running_loop().time)
        flow = Outflow(outlet, clock, self.counters, crew.fail)
        self._module = await library()
        exchange = make(self._module, self.name, self._config, self)
        desk = Desk(
            self.name, self._config, exchange,
            clock=clock, flow=flow, counters=self.counters, rng=self._rng,
        )  # fmt: skip
        try:
            await self._learn(desk)
            self._crew, self._desk, self._poller = crew, desk, Poller(desk)
            crew.spawn(self._poller.run())
            self._allot(desk, crew)
            crew.spawn(self._watch_over(desk))
            await crew.wait()
        finally:
            self._desk = self._crew = self._poller = None
            await crew.disband()
            for stream in self._streams.values():
                stream.end()
            self._streams.clear()
            self._tasks.clear()
            self._rhythms.clear()
            self._moved.clear()
            await exchange.close()
            await flow.close()

    async def want(self, subscriptions: frozenset[Subscription]) -> None:
        self._wanted = subscriptions
        if self._desk is not None and self._crew is not None:
            self._allot(self._desk, self._crew)

    async def resync(self, inst: InstrumentId, reason: str) -> None:
        stream = self._streams.get(Subscription(inst, BOOK))
        if stream is None or self._desk is None:
            return
        now = asyncio.get_running_loop().time()
        if now - self._dropped_at.get(stream.url, -_RESYNC_SECS) >= _RESYNC_SECS:
            self._drop(stream.url, reason)

    def status(self) -> list[LinkStatus]:
        desk, poller = self._desk, self._poller
        statuses = []
        if desk is not None and poller is not None:
            if poller.symbols:
                statuses.append(poller.status)
            kinds: dict[str, list[Stream]] = {}
            for subscription, stream in self._streams.items():
                kinds.setdefault(subscription.channel, []).append(stream)
            statuses += [link_of(desk, kind, each, self._silent) for kind, each in kinds.items()]
        if self._learning.error or not statuses:
            statuses.append(self._learning)
        return statuses

    # --- what CCXT does meanwhile: see ccxt_library.Listener ---

    def carried(self, url: str) -> None:
        task = asyncio.current_task()
        stream = self._tasks.get(task) if task is not None else None
        if stream is not None:
            stream.url = url

    def frame(self, url: str) -> None:
        if self._desk is not None:
            self._desk.frames[url] += 1

    def unreadable(self, url: str, raw: bytes, error: Exception) -> None:
        if self._desk is None:
            return
        self._desk.letter(in_words(error), raw)
        # It may have been a change of a book, or have changed half of one.
        if any(each.channel == BOOK for each in self._carried_by(url)):
            self._drop(url, f"a frame could not be read: {in_words(error)}")

    def lost(self, url: str, error: object) -> None:
        if self._desk is None:
            return
        reason = f"connection closed ({error})"
        if isinstance(error, BaseException):
            reason = in_words(error)
        self._desk.losses[url] += 1
        self._desk.stopped(url)
        self._rhythms.pop(url, None)
        self._moved.pop(url, None)
        for subscription in self._carried_by(url):
            self._streams[subscription].lost(reason)

    def asked(self, secs: float) -> None:
        self.calls.note(secs)

    # --- what is wanted ---

    async def _learn(self, desk: Desk) -> None:
        """Know the markets: as they were listed at start, else ask, for ever."""
        exchange, status = desk.exchange, self._learning
        if self._listing is not None:
            exchange.set_markets(list(self._listing.markets.values()))
        backoff = Backoff(self._config.reconnect_delay, self._config.max_reconnect_delay, self._rng)
        while not exchange.markets:
            status.state, status.since = LinkState.CONNECTING, self._clock()
            verdict = await attempt(exchange.load_markets, self.name)
            if verdict.kind == "Ended":
                self._listing = _listing(self.name, exchange)
                add_all(self._catalogue, self._listing.instruments)
                break
            desk.failed(None, verdict)
            delay = desk.patience(verdict, backoff)
            if verdict.reaction in FINAL:  # nothing can be had without it, so patience it is
                delay = max(delay, self._config.max_reconnect_delay)
            blocked = verdict.reaction is Reaction.BLOCKED
            status.state = LinkState.BLOCKED if blocked else LinkState.BACKOFF
            status.error = verdict.reason
            status.retry_at = Micros(self._clock() + int(delay * SECOND))
            status.reconnects += 1
            await asyncio.sleep(delay)
        status.state, status.error, status.retry_at = LinkState.CLOSED, "", None

    def _allot(self, desk: Desk, crew: Crew) -> None:
        """Bring streams and polls in line with what is wanted."""
        assert self._poller is not None
        known = self._known(desk)
        polled = {s for s in known if s.channel == TICKER and self._is_polled(desk)}
        self._poller.want(split_id(each.inst)[1] for each in polled)
        for subscription in self._streams.keys() - known:
            self._let_go(subscription, desk, crew)
        for subscription in sorted(known - polled - self._streams.keys()):
            stream = self._streams[subscription] = Stream(subscription, desk)
            if not can_stream(desk.exchange, subscription.channel):
                stream.give_up(f"CCXT does not stream {subscription.channel} of {self.name}")
                continue
            self._tasks[crew.spawn(stream.run())] = stream

    def _is_polled(self, desk: Desk) -> bool:
        return self._config.poll_secs is not None or not can_stream(desk.exchange, TICKER)

    def _known(self, desk: Desk) -> frozenset[Subscription]:
        """Leave out what the venue does not trade, and say so with the nearest that it does."""
        markets = desk.exchange.markets
        unknown = [s for s in sorted(self._wanted) if split_id(s.inst)[1] not in markets]
        words = []
        for symbol in dict.fromkeys(split_id(each.inst)[1] for each in unknown):
            near = get_close_matches(symbol, markets, n=2)
            words.append(f"{symbol} (did you mean {' or '.join(near)}?)" if near else symbol)
        error = f"{self.name} does not list {', '.join(words[:5])}: not subscribed" if words else ""
        if error and error != self._learning.error:
            verdict = Verdict(Reaction.REFUSED, error, "BadSymbol")
            desk.failed(None, verdict)
        self._learning.error = error
        return self._wanted - frozenset(unknown)

    def _let_go(self, subscription: Subscription, desk: Desk, crew: Crew) -> None:
        stream = self._streams.pop(subscription)
        for task in [task for task, each in self._tasks.items() if each is stream]:
            del self._tasks[task]
            task.cancel()
        stream.end()
        if stream.url in self._rhythms:
            self._rhythms[stream.url].forget(subscription)
        crew.spawn(self._unwatch(stream, desk))

    async def _unwatch(self, stream: Stream, desk: Desk) -> None:
        """Tell the venue, if CCXT has words for it there; else frames come that nobody reads."""
        unwatch = stream.unwatch(desk.exchange)
        if unwatch is None:
            return

        async def within() -> None:
            async with asyncio.timeout(_UNWATCH_SECS):
                await unwatch()

        await attempt(within, self.name)

    # --- watching over ---

    async def _watch_over(self, desk: Desk) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECS)
            desk.tick()
            urls = {stream.url for stream in self._streams.values() if stream.url}
            for url in tuple(desk.exchange.clients or ()):
                if url in urls:
                    self._look(url, desk)
                else:
                    await self._close_idle(url, desk)

    def _look(self, url: str, desk: Desk) -> None:
        carried = self._carried_by(url)
        live = [s for s in carried if self._streams[s].state is LinkState.STREAMING]
        rhythm = self._rhythms.setdefault(url, Rhythm())
        found = rhythm.look(((s, self._streams[s].place) for s in live), desk.clock())
        stale = [each for each in found if each.key.channel == BOOK]
        if stale or (found and rhythm.all_stalled()):
            worst = (stale or found)[0]
            silent = f"silent for {worst.silent_secs:.1f} s, usually {worst.usual_secs:.1f} s"
            self._drop(url, f"{worst.key.channel} of {worst.key.inst} {silent}")
            return
        now = asyncio.get_running_loop().time()
        frames, since = self._moved.get(url, (-1, now))
        if desk.frames[url] != frames:
            self._moved[url] = (desk.frames[url], now)
        elif now - since > (self._config.idle_secs or _IDLE_SECS):
            self._drop(url, f"no frame for {now - since:.0f} s")

    async def _close_idle(self, url: str, desk: Desk) -> None:
        """A connection that carries nothing is kept for a moment: it may be wanted again."""
        now = asyncio.get_running_loop().time()
        frames, since = self._moved.get(url, (_NOTHING, now))
        if frames != _NOTHING or now - since < _KEPT_SECS:
            self._moved[url] = (_NOTHING, since if frames == _NOTHING else now)
            return
        del self._moved[url]
        desk.stopped(url)
        await desk.exchange.clients.pop(url).close()

    def _silent(self, stream: Stream) -> bool:
        rhythm = self._rhythms.get(stream.url)
        return rhythm is not None and stream.subscription in rhythm.stalled

    def _carried_by(self, url: str) -> list[Subscription]:
        return [each for each, stream in self._streams.items() if stream.url == url]

    def _drop(self, url: str, reason: str) -> None:
        """Let CCXT find out that this connection is gone: it makes a new one when asked again."""
        desk = self._desk
        client = (desk.exchange.clients or {}).get(url) if desk is not None else None
        if client is None:
            return
        self._dropped_at[url] = asyncio.get_running_loop().time()
        fields = {"venue": self.name, "url": shown(url), "reason": reason}
        log.warning("ccxt_dropped", extra={"fields": fields})
        client.on_error(self._module.NetworkError(reason))
