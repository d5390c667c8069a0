"""A budget within a sliding window: connects, weight of requests, frames that we send.

A sliding window that allows `limit` never exceeds it in any fixed window of the same length,
wherever the venue begins to count. Whoever comes first is served first.
"""

import asyncio
from collections import deque


class Window:
    """At most `limit` within any `secs`."""

    def __init__(self, limit: float, secs: float) -> None:
        self._limit = limit
        self._secs = secs
        self._spent: deque[tuple[float, float]] = deque()  # when, how much; within the window
        self._total = 0.0
        self._held_until = 0.0
        self._turn = asyncio.Lock()  # wakes waiters in the order in which they came

    async def take(self, amount: float = 1.0) -> None:
        """Wait until the budget allows it, then spend it."""
        timer = asyncio.get_running_loop().time
        async with self._turn:
            while (delay := self.delay(timer(), amount)) > 0:  # noqa: ASYNC110 - only time frees it
                await asyncio.sleep(delay)
            self.spend(timer(), amount)

    def delay(self, now: float, amount: float = 1.0) -> float:
        """Seconds until `amount` may be spent. More than the whole limit counts as the limit."""
        self._forget(now)
        missing = self._total + min(amount, self._limit) - self._limit
        free_at = self._held_until
        for at, spent in self._spent:
            if missing <= 0:
                break
            free_at = max(free_at, at + self._secs)
            missing -= spent
        return max(0.0, free_at - now)

    def spend(self, now: float, amount: float = 1.0) -> None:
        amount = min(amount, self._limit)
        self._spent.append((now, amount))
        self._total += amount

    def hold_off(self, now: float, secs: float) -> None:
        """Nobody spends anything for so long: the venue asked for it."""
        self._held_until = max(self._held_until, now + secs)

    def held(self, now: float) -> float:
        """Seconds that are left of a `hold_off`."""
        return max(0.0, self._held_until - now)

    def _forget(self, now: float) -> None:
        while self._spent and self._spent[0][0] + self._secs <= now:
            self._total -= self._spent.popleft()[1]
        if not self._spent:
            self._total = 0.0  # float sums drift
