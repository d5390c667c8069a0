"""What all streams of one CCXT venue share: its exchange object, its patience, its way out."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tapewatch.feeds.ccxt_config import CcxtConfig
from tapewatch.feeds.ccxt_errors import FINAL, Reaction, Verdict
from tapewatch.model.codec import dead_letter
from tapewatch.model.events import AnyEvent, Micros
from tapewatch.ports import Clock, Counters, Subscription
from tapewatch.venues._pulse import Pulse, Watermark
from tapewatch.wire.backoff import Backoff
from tapewatch.wire.outflow import Outflow

_SLOW_DOWN_SECS = 10.0  # when a venue says that we ask too often and not for how long

log = logging.getLogger("tapewatch.feeds.ccxt")


class Desk:
    def __init__(
        self,
        venue: str,
        config: CcxtConfig,
        exchange: Any,
        *,
        clock: Clock,
        flow: Outflow,
        counters: Counters,
        rng: random.Random,
    ) -> None:
        self.venue = venue
        self.config = config
        self.exchange = exchange
        self.clock = clock
        self.rng = rng
        self.frames: Counter[str] = Counter()  # by address
        self.losses: Counter[str] = Counter()
        self.watermark = Watermark(venue)
        self._flow = flow
        self._counters = counters
        self._pulses: dict[str, Pulse] = {}
        self._calm_at = 0.0

    def now(self) -> Micros:
        """The receive time of what is said next."""
        return self._flow.aside()

    def say(self, events: Sequence[AnyEvent], url: str = "") -> None:
        """Give events to the outlet. `url`: they show how far time has come there."""
        if not events:
            return
        self._flow.aside()
        self._flow.batch.extend(events)
        if url:
            pulse = self.pulse(url)
            newest = events[-1]
            pulse.ts, pulse.recv = Micros(max(pulse.ts, newest.ts)), newest.recv

    def pulse(self, url: str) -> Pulse:
        """The pulse of an address that is up."""
        pulse = self._pulses.get(url)
        if pulse is None:
            pulse = self._pulses[url] = Pulse()
            self.watermark.pulses.add(pulse)
        return pulse

    def stopped(self, url: str) -> None:
        """Nothing comes from there for now, so nobody waits for its time."""
        pulse = self._pulses.pop(url, None)
        if pulse is not None:
            self.watermark.pulses.discard(pulse)

    def tick(self) -> None:
        """Say how far time has come."""
        now = self.clock()
        if self.watermark.due(now):
            tick = self.watermark.tick((), now)
            if tick is not None:
                self.say([tick])

    def letter(self, why: str, raw: bytes) -> None:
        self._counters.error("unreadable")
        self.say([dead_letter(self.venue, "decode", why, raw, self.now())])

    async def calm(self) -> None:
        """Wait while the outlet is full, or while the venue wants to be left alone."""
        await self._flow.room()
        loop = asyncio.get_running_loop()
        while (left := self._calm_at - loop.time()) > 0:  # noqa: ASYNC110 - only time ends it
            await asyncio.sleep(left)

    def patience(self, verdict: Verdict, backoff: Backoff) -> float:
        """Seconds until the next try. A venue that wants to be left alone is, by all its streams."""
        if verdict.reaction is Reaction.BLOCKED:
            return max(backoff.next(), self.config.max_reconnect_delay)
        if verdict.reaction is not Reaction.SLOW_DOWN:
            return backoff.next(verdict.retry_after)
        secs = _SLOW_DOWN_SECS if verdict.retry_after is None else verdict.retry_after
        self._calm_at = max(self._calm_at, asyncio.get_running_loop().time() + secs)
        return backoff.next(secs)

    def failed(self, subscription: Subscription | None, verdict: Verdict) -> None:
        """Count an error and say it."""
        self._counters.error(verdict.kind)
        level = logging.ERROR if verdict.reaction in FINAL else logging.WARNING
        fields: dict[str, object] = {"venue": self.venue, "reason": verdict.reason}
        if subscription is not None:
            fields |= {"inst": subscription.inst, "channel": subscription.channel}
        name = "ccxt_given_up" if verdict.reaction in FINAL else "ccxt_failed"
        log.log(level, name, extra={"fields": fields})
