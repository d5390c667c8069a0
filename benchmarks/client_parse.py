"""Receive and parse alone: the exchange feed as it is, into an outlet that only counts.

All that a feed does is done: acknowledgements, book snapshots, proof of every id, ledger entries.
This is the like-for-like of the peer's figure.
"""

import asyncio
import contextlib
import random
import time
from collections import Counter
from typing import Any

from benchmarks import client
from benchmarks.client import Goal, Plan, Stopwatch
from tapewatch.model.events import Batch, BookDelta, BookSnapshot, Candle, Micros, Quote, Trade
from tapewatch.model.instrument import Catalogue
from tapewatch.ports import Subscription

seen: Counter[type] = Counter()


class Counting:
    """An Outlet. A warm book shows as a snapshot, everything else as an event for each frame."""

    def __init__(self, plan: Plan) -> None:
        books = plan.symbols if "depth@100ms" in plan.case.channels else 0
        self.warm = Goal(plan.warm_up)  # one snapshot stands for the first depth frame
        self.books = Goal(books)
        self.done: Goal | None = None

    def offer(self, events: Batch) -> bool:
        seen.update(map(type, events))
        if self.done is not None:
            self.done.at(told())
        else:
            self.books.at(seen[BookSnapshot])
            self.warm.at(told() - seen[BookDelta] + seen[BookSnapshot])
        return True

    async def publish(self, events: Batch) -> None:
        self.offer(events)


def told() -> int:
    """Events that stand for one frame each."""
    return seen[Trade] + seen[Quote] + seen[BookDelta] + seen[Candle]


def clock() -> Micros:
    return Micros(time.time_ns() // 1000)


def make_feed(plan: Plan) -> Any:
    from tapewatch.feeds.exchange import ExchangeFeed
    from tapewatch.runtime import plugins

    plugin = plugins.load("venues", "binance")
    config = plugin.config(
        ws_url=f"ws://127.0.0.1:{plan.port}", rest_url=f"http://127.0.0.1:{plan.port}"
    )
    dialect = plugin.build("binance", config)
    channels = [dialect.channel(name) for name in plan.case.channels]
    wanted = frozenset(
        Subscription(f"binance:C{index:03d}/USDT", channel)
        for index in range(plan.symbols)
        for channel in channels
    )
    return ExchangeFeed(
        dialect,
        config,
        clock=clock,
        catalogue=Catalogue(),
        wanted=wanted,
        resume={},
        rng=random.Random(1),
    )


async def measure(plan: Plan) -> dict[str, Any]:
    feed, outlet = make_feed(plan), Counting(plan)
    running = asyncio.create_task(feed.run(outlet))
    await asyncio.gather(outlet.warm.reached, outlet.books.reached)
    outlet.done = Goal(told() + plan.count)
    watch = Stopwatch()
    await client.go(plan.port)
    await outlet.done.reached
    reading = watch.reading(plan.count, seen={kind.__name__: n for kind, n in seen.items()})
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    return reading


if __name__ == "__main__":
    client.report(measure, lambda: dict(seen))
