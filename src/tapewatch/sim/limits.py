"""What the simulated venue allows, and the counters that say when it was too much.

Time is an argument, in seconds of any steady clock.
"""

from collections import deque

from msgspec import Struct


class Rules(Struct, frozen=True):
    """Defaults are Binance spot's; tests scale them. `math.inf` secs: never."""

    ping_secs: float = 20.0
    pong_secs: float = 60.0
    max_age_secs: float = 86_400.0
    notice_secs: float | None = None  # warn so long before the cut; None: no warning
    inbound_per_sec: int = 5  # messages from the client, pings and pongs included
    inbound_secs: float = 1.0  # the window in which that many are allowed
    max_streams: int = 1_024  # on one connection
    connects: int = 300
    connects_secs: float = 300.0
    weight: int = 6_000
    weight_secs: float = 60.0
    ban_after: int = 10  # refused requests in one window, then 418
    ban_secs: float = 120.0  # the first time
    ban_growth: float = 2.0  # each next one is so many times as long
    ban_status: int = 418
    max_backlog_bytes: int = 4_000_000  # a client that reads slower is dropped
    snapshot_age_micros: int = 60_000  # a REST book is so old


class Window:
    """At most `most` in `secs`, sliding."""

    def __init__(self, most: int, secs: float) -> None:
        self._most = most
        self._secs = secs
        self._times: deque[float] = deque(maxlen=most)

    def allows(self, now: float) -> bool:
        """Count one; False if it is one too many."""
        full = len(self._times) == self._most and now - self._times[0] < self._secs
        self._times.append(now)
        return not full


class Spent(Struct, frozen=True):
    """The answer to a request's weight: 200 go on, 429 wait, `ban_status` banned."""

    status: int
    used: int
    retry_secs: int = 0


class Weights:
    """Request weight in fixed windows; who goes on after 429 is banned, each time for longer."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._window = -1
        self._refused = 0
        self._banned_until = 0.0
        self._bans = 0
        self.used = 0

    def spend(self, weight: int, now: float) -> Spent:
        """Count a request."""
        rules = self._rules
        window = int(now // rules.weight_secs)
        if window != self._window:
            self._window, self.used, self._refused = window, 0, 0
        if now < self._banned_until:
            return Spent(rules.ban_status, self.used, _whole(self._banned_until - now))
        if self.used + weight <= rules.weight:
            self.used += weight
            return Spent(200, self.used)
        self._refused += 1
        if self._refused > rules.ban_after:
            self._banned_until = now + rules.ban_secs * rules.ban_growth**self._bans
            self._bans += 1
            return Spent(rules.ban_status, self.used, _whole(self._banned_until - now))
        return Spent(429, self.used, _whole((window + 1) * rules.weight_secs - now))


def _whole(secs: float) -> int:
    return max(1, int(secs + 0.999))
