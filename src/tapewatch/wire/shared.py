"""What all connections of one venue share: budgets, the way out, the fetcher, the numbers."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from tapewatch.ports import Conversation, Counters, FeedConfig, Limits, Route
from tapewatch.wire.crew import Crew
from tapewatch.wire.fetcher import Fetcher
from tapewatch.wire.limiter import Window
from tapewatch.wire.outflow import Outflow


@dataclass(frozen=True, slots=True)
class Shared:
    venue: str
    limits: Limits
    config: FeedConfig
    connects: Window
    converse: Callable[[Route], Conversation]
    flow: Outflow
    fetcher: Fetcher
    crew: Crew
    counters: Counters
    rng: random.Random

    @property
    def idle_secs(self) -> float:
        return self.config.idle_secs or self.limits.idle_secs

    @property
    def max_age_secs(self) -> float:
        return self.config.max_age_secs or self.limits.max_age_secs
