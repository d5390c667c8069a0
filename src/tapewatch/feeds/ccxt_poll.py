"""Tickers asked for by REST, again and again: where a venue streams none, or where it was wished.

All symbols in one request where the venue can do that, one request for each kind of market; else
one after the other, as fast as CCXT's own limiter allows.
"""

import asyncio
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from tapewatch.feeds.ccxt_config import POLL_SECS, TICKER
from tapewatch.feeds.ccxt_desk import Desk
from tapewatch.feeds.ccxt_errors import FINAL, Reaction
from tapewatch.feeds.ccxt_events import Row, Units, to_quote, to_ticker
from tapewatch.feeds.ccxt_streams import attempt
from tapewatch.model.events import AnyEvent, Micros
from tapewatch.model.times import SECOND
from tapewatch.ports import LinkState, LinkStatus, Subscription
from tapewatch.wire.backoff import Backoff

_JITTER = 0.1  # of the interval, so that many venues are not asked in one moment for ever
_MOST = 100  # symbols of one request: they stand in its address


class Poller:
    """`symbols` may change while it runs."""

    def __init__(self, desk: Desk) -> None:
        self.symbols: set[str] = set()
        self.refused: dict[str, str] = {}  # symbol: why it is not asked for again
        self.status = LinkStatus(desk.venue, TICKER, since=desk.clock())
        self._desk = desk
        self._secs = desk.config.poll_secs or POLL_SECS
        self._key = f"poll {desk.venue}"
        self._got = 0
        self._complaint = ""
        self._wake = asyncio.Event()
        config = desk.config
        self._backoff = Backoff(config.reconnect_delay, config.max_reconnect_delay, desk.rng)

    def want(self, symbols: Iterable[str]) -> None:
        """Ask for exactly these from now on. New ones are asked for at once."""
        before, self.symbols = self.symbols, set(symbols)
        self.refused = {each: why for each, why in self.refused.items() if each in self.symbols}
        if self.symbols - before:
            self._wake.set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            began = loop.time()
            if self.symbols - self.refused.keys():
                delay = await self._round()
            else:
                delay = None
            if delay is None:
                spread = self._desk.rng.uniform(1.0 - _JITTER, 1.0 + _JITTER)
                delay = max(0.0, began + self._secs * spread - loop.time())
            try:
                async with asyncio.timeout(delay):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _round(self) -> float | None:
        """Ask for all once. Seconds to wait if nothing came of it, else None."""
        self._got, self._complaint = 0, ""
        worst: float | None = None
        for group in self._groups(sorted(self.symbols - self.refused.keys())):
            delay = await self._ask(group)
            if delay is not None:
                worst = max(worst or 0.0, delay)
                break  # the next one would hear the same
        status = self.status
        status.subscriptions = len(self.symbols)
        status.accepted = self._got
        status.error = "; ".join([*self.refused.values(), self._complaint]).strip("; ")
        if worst is None and self._got:
            self._backoff.reset()
            self._enter(LinkState.STREAMING)
            status.retry_at = None
        elif worst is not None:
            status.retry_at = Micros(self._desk.clock() + int(worst * SECOND))
        elif self.symbols and not self.symbols - self.refused.keys():
            self._enter(LinkState.CLOSED)
        return worst

    async def _ask(self, group: list[str]) -> float | None:
        await self._desk.calm()
        verdict = await attempt(lambda: self._fetch(group), self._desk.venue)
        if verdict.kind == "Ended":
            return None
        if verdict.reaction is Reaction.REFUSED and len(group) > 1:
            for symbol in group:  # one of them is to blame, and not the others
                delay = await self._ask([symbol])
                if delay is not None:
                    return delay
            return None
        self.status.reconnects += 1
        self._desk.stopped(self._key)
        final = verdict.reaction in FINAL
        subscription = Subscription(f"{self._desk.venue}:{group[0]}", TICKER) if final else None
        self._desk.failed(subscription, verdict)
        if final:
            self.refused |= {symbol: f"{symbol}: {verdict.reason}" for symbol in group}
            return None
        self._complaint = verdict.reason
        blocked = verdict.reaction is Reaction.BLOCKED
        self._enter(LinkState.BLOCKED if blocked else LinkState.BACKOFF)
        return self._desk.patience(verdict, self._backoff)

    async def _fetch(self, group: list[str]) -> None:
        exchange = self._desk.exchange
        if len(group) == 1 and exchange.has.get("fetchTicker"):
            rows = {group[0]: await exchange.fetch_ticker(group[0])}
        else:
            rows = await exchange.fetch_tickers(group)
        self._take(group, rows)

    def _take(self, group: list[str], rows: dict[str, Row]) -> None:
        desk = self._desk
        recv = desk.now()
        events: list[AnyEvent] = []
        silent = []
        for symbol in group:
            row = rows.get(symbol) or {}
            units = Units.of(desk.venue, desk.exchange.markets[symbol])
            ticker, quote = to_ticker(row, units, recv), to_quote(row, units, recv)
            found = [event for event in (ticker, quote) if event is not None]
            events += found
            self._got += bool(found)
            if not found:
                silent.append(symbol)
        if silent:
            self._complaint = f"no ticker for {', '.join(silent[:5])}"
        self.status.frames += 1
        host = urlsplit(desk.exchange.last_request_url or "").hostname
        self.status.url = host or self.status.url
        if events:
            self.status.last_data = recv
            # Tickers of a venue are of different ages, up to a round behind one another.
            desk.pulse(self._key).lag = int(self._secs * SECOND)
            desk.say(events, self._key)

    def _groups(self, symbols: list[str]) -> list[list[str]]:
        """What can be asked for together."""
        exchange = self._desk.exchange
        if not exchange.has.get("fetchTickers"):
            return [[symbol] for symbol in symbols]
        kinds: dict[tuple[Any, ...], list[str]] = {}
        for symbol in symbols:
            market = exchange.markets[symbol]
            kind = (market.get("type"), market.get("linear"), market.get("settle"))
            kinds.setdefault(kind, []).append(symbol)
        return [
            group[at : at + _MOST] for group in kinds.values() for at in range(0, len(group), _MOST)
        ]

    def _enter(self, state: LinkState) -> None:
        if self.status.state is not state:
            self.status.state, self.status.since = state, self._desk.clock()
