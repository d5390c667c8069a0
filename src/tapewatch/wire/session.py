"""Drives one route life after life, for ever.

                 ┌────────────────────── BACKOFF or BLOCKED <──────────────┐
                 v        delay                                            | lost, refused,
    CLOSED ──> CONNECTING ──> SUBSCRIBING ──> STREAMING ──────────────────>┘ silent, deadline
    (nothing                                   |     ^
     to carry)                   due (age,     v     | overlap is over: the old life is closed
                                 Renew)   a second life goes the same way beside it

Never gives up: the delay is capped and the state is told. If a successor cannot be had, the old
life goes on as long as it lives.
"""

import asyncio
import logging

from tapewatch.model.address import shown
from tapewatch.model.errors import Disconnected
from tapewatch.model.events import Micros
from tapewatch.model.times import SECOND
from tapewatch.ports import Clock, LinkState, LinkStatus, Route, Subscription
from tapewatch.wire.backoff import Backoff
from tapewatch.wire.life import STOPPING, Life
from tapewatch.wire.refusal import Blocked
from tapewatch.wire.shared import Shared

GOOD_SECS = 60.0  # of streaming, after which the next failure counts as the first
OVERLAP_SECS = 2.0

log = logging.getLogger("tapewatch.wire.session")


class Session:
    def __init__(self, route: Route, shared: Shared, clock: Clock) -> None:
        self.route = route
        self.subscriptions = frozenset(route.subscriptions)
        self.farewell = STOPPING  # the reason that is told when `run` is cancelled
        self._shared = shared
        self._clock = clock
        self._backoff = Backoff(
            shared.config.reconnect_delay, shared.config.max_reconnect_delay, shared.rng
        )
        self._lives: list[Life] = []  # the first one is the one that is shown
        self._refused: dict[Subscription, str] = {}
        self._changed = asyncio.Event()  # of what is wanted
        self._waiting = LinkState.CONNECTING  # the state while there is no life
        self._error = ""
        self._retry_at: Micros | None = None
        self._reconnects = 0
        self._frames = 0  # of the lives that are over
        self._last_data = Micros(0)
        self._since = clock()
        self._shown = LinkState.CONNECTING

    async def run(self) -> None:
        try:
            while True:
                await self._needed()
                try:
                    life = await self._begin()
                    await self._keep(life)
                except Disconnected as failure:
                    await self._back_off(failure)
        finally:
            for life in tuple(self._lives):
                await life.close(self.farewell)

    def want(self, subscriptions: frozenset[Subscription]) -> None:
        """Carry exactly these from now on. What was refused and is wanted anew is asked again."""
        self.subscriptions = subscriptions
        for gone in self._refused.keys() - subscriptions:
            del self._refused[gone]
        for life in self._lives:
            life.want(self._asked())
        self._changed.set()

    def resync(self, subscription: Subscription, reason: str) -> None:
        for life in self._lives[:1]:  # the book is shared: one conversation builds it anew
            life.resync(subscription, reason)

    def status(self) -> LinkStatus:
        life = self._lives[0] if self._lives else None
        state = life.state if life else self._waiting
        if state is not self._shown:
            self._shown, self._since = state, self._clock()
        return LinkStatus(
            venue=self._shared.venue,
            route=self.route.name,
            state=state,
            since=self._since,
            url=shown(self.route.url),
            subscriptions=len(self.subscriptions),
            accepted=len(life.accepted) if life else 0,
            frames=self._frames + sum(each.frames for each in self._lives),
            last_data=max([self._last_data, *(each.last_data for each in self._lives)]),
            latency_ms=life.latency_ms if life else None,
            reconnects=self._reconnects,
            error=self._error or self._refusals(),
            retry_at=self._retry_at,
            stalled=_in_words(life.stalled) if life else (),
        )

    def _asked(self) -> frozenset[Subscription]:
        return self.subscriptions - self._refused.keys()

    async def _needed(self) -> None:
        """Wait while there is nothing to carry."""
        while not self._asked():
            self._waiting = LinkState.CLOSED
            self._changed.clear()
            await self._changed.wait()
        self._waiting = LinkState.CONNECTING

    async def _begin(self) -> Life:
        """Connect, subscribe, and be accepted. Raises Disconnected."""
        await self._shared.connects.take()
        route = Route(self.route.name, self.route.url, tuple(sorted(self._asked())))
        setting = f"exchanges.{self._shared.venue}.ws_url"
        life = Life(route, self._shared, self._refused, setting=setting)
        self._lives.append(life)
        self._shared.crew.spawn(self._live(life))
        await life.settled.wait()
        if life.failure is not None:
            raise life.failure
        return life

    async def _live(self, life: Life) -> None:
        """Run a life and keep its numbers when it is over."""
        try:
            await life.run()
        finally:
            self._lives.remove(life)
            self._frames += life.frames
            self._last_data = max(self._last_data, life.last_data)

    async def _keep(self, life: Life) -> None:
        """Stream, renewing, until nothing lives. Raises Disconnected with the reason."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._log_opened(life)
        self._error, self._retry_at = "", None
        if not self._asked():
            await life.close("the venue refused all subscriptions")
            return
        while not life.ended.is_set():
            await life.due.wait()
            life = await self._renew(life)
        if loop.time() - began >= GOOD_SECS:
            self._backoff.reset()
        assert life.failure is not None
        raise life.failure

    async def _renew(self, old: Life) -> Life:
        """Give the successor once the old life is closed, or the old one once it has ended."""
        while not old.ended.is_set():
            try:
                new = await self._begin()
                await _ended_within(old, OVERLAP_SECS)
                if new.failure is not None and not old.ended.is_set():
                    raise new.failure
            except Disconnected as failure:
                if old.ended.is_set():
                    break
                delay = self._delay(failure)
                self._log(logging.WARNING, "renewal_failed", failure.reason, delay)
                await _ended_within(old, delay)
                continue
            await old.close(f"renewed: {old.renewal}")
            self._log(logging.INFO, "link_renewed", old.renewal)
            return new
        return old

    async def _back_off(self, failure: Disconnected) -> None:
        delay = self._delay(failure)
        blocked = isinstance(failure, Blocked)
        if not blocked:
            self._log(logging.WARNING, "link_lost", failure.reason, delay)
        elif failure.reason != self._error:  # once, not with each attempt
            self._log(logging.ERROR, "link_blocked", failure.reason, delay)
        self._waiting = LinkState.BLOCKED if blocked else LinkState.BACKOFF
        self._error = failure.reason
        self._retry_at = Micros(self._clock() + int(delay * SECOND))
        self._reconnects += 1
        await asyncio.sleep(delay)
        self._retry_at = None

    def _delay(self, failure: Disconnected) -> float:
        if failure.retry_after is not None:
            now = asyncio.get_running_loop().time()
            self._shared.connects.hold_off(now, failure.retry_after)
        delay = self._backoff.next(failure.retry_after)
        most = self._shared.config.max_reconnect_delay
        return max(delay, most) if isinstance(failure, Blocked) else delay

    def _refusals(self) -> str:
        """What the venue will not carry, in its own words, shortened."""
        told = [f"{s.inst} {s.channel} refused: {why}" for s, why in self._refused.items()]
        more = f" (and {len(told) - 1} more)" if len(told) > 1 else ""
        return f"{told[0]}{more}" if told else ""

    def _log_opened(self, life: Life) -> None:
        fields = {
            "venue": self._shared.venue,
            "route": self.route.name,
            "subscriptions": len(life.accepted),
        }
        log.info("link_opened", extra={"fields": fields})

    def _log(self, level: int, event: str, reason: str, delay: float | None = None) -> None:
        fields: dict[str, object] = {
            "venue": self._shared.venue,
            "route": self.route.name,
            "reason": reason,
        }
        if delay is not None:
            fields["retry_secs"] = round(delay, 1)
        log.log(level, event, extra={"fields": fields})


def _in_words(stalled: dict[Subscription, str]) -> tuple[str, ...]:
    return tuple(f"{sub.inst} {sub.channel}: {why}" for sub, why in sorted(stalled.items()))


async def _ended_within(life: Life, secs: float) -> None:
    try:
        async with asyncio.timeout(secs):
            await life.ended.wait()
    except TimeoutError:
        pass
