"""A product without a product: the context of a server, with doubles that a test can set."""

from collections.abc import Iterable, Sequence
from typing import Any

from tapewatch.model.channel import ChannelStatus
from tapewatch.model.errors import NotFound
from tapewatch.model.events import (
    Alert,
    AnyEvent,
    BookSnapshot,
    Candle,
    Coverage,
    Micros,
    Quality,
    Side,
    Ticker,
    Trade,
)
from tapewatch.model.instrument import Catalogue, Instrument
from tapewatch.ports import (
    Counters,
    LinkState,
    LinkStatus,
    Stage,
    Subscription,
    WorkerHealth,
)
from tapewatch.process.book_stats import BookStats, BookStatsConfig
from tapewatch.process.cross_venue import CrossVenue, CrossVenueConfig
from tapewatch.rules.notices import Notices, Policy, Silence
from tapewatch.rules.story import Line, Story
from tapewatch.runtime.across import PipelineAcross
from tapewatch.runtime.books import PipelineBooks
from tapewatch.serve.context import Context
from tapewatch.stores.memory import Memory
from tapewatch.stream.pipeline import Pipeline

NOW = Micros(1_795_224_600_000_000)
BTC = "binance:BTC/USDT"
ETH = "binance:ETH/USDT"
SOL = "binance:SOL/USDT"
MINUTE = 60_000_000


def catalogue() -> Catalogue:
    return Catalogue(
        Instrument("binance", base, "USDT", f"{base}USDT") for base in ("BTC", "ETH", "SOL")
    )


def trade(inst: str = BTC, price: float = 50_000.5, number: int = 1, **more: Any) -> Trade:
    return Trade(
        NOW, Micros(NOW + 1000), inst, id=str(number), side=Side.BUY, price=price, size=0.25, **more
    )


def ticker(inst: str = BTC, last: float = 50_001.0) -> Ticker:
    return Ticker(
        NOW, NOW, inst, last, 49_000.0, 51_000.0, 48_000.0, 1_234.5, 6e7, 2_001.0, 0.04,
        bid=50_000.0, ask=50_001.0, trades=77,
    )  # fmt: skip


def candle(ts: int = NOW - MINUTE, inst: str = BTC, interval: str = "1m", **more: Any) -> Candle:
    fields: dict[str, Any] = {
        "open": 49_990.0, "high": 50_010.0, "low": 49_980.0, "close": 50_000.0, "volume": 12.5,
        "buy_volume": 7.5, "trades": 42, "closed": True, "prev_close": 49_900.0,
        "quality": Quality.COMPLETE,
    }  # fmt: skip
    return Candle(Micros(ts), Micros(ts + MINUTE), inst, interval, **(fields | more))


def book(inst: str = BTC, levels: int = 30) -> BookSnapshot:
    bids = tuple((50_000.0 - i, 1.0 + i) for i in range(levels))
    asks = tuple((50_001.0 + i, 1.0 + i) for i in range(levels))
    return BookSnapshot(NOW, NOW, inst, 7, bids, asks)


def link(state: LinkState = LinkState.STREAMING, **more: Any) -> LinkStatus:
    fields: dict[str, Any] = {
        "state": state, "since": Micros(NOW - 60_000_000), "url": "ws://venue", "subscriptions": 2,
        "accepted": 2, "frames": 1_000, "last_data": Micros(NOW - 200_000), "latency_ms": 12.5,
    }  # fmt: skip
    return LinkStatus("binance", "spot-1", **(fields | more))


def worker(name: str, stage: Stage, state: str = "running", **more: Any) -> WorkerHealth:
    return WorkerHealth(name, stage, state, Micros(NOW - 60_000_000), **more)


class Candles:
    """A `Query` over a list; notes what it was asked, and fails or waits on request."""

    def __init__(self) -> None:
        self.rows: list[Candle] = []
        self.asked: list[tuple[Any, ...]] = []
        self.error: Exception | None = None
        self.gate: Any = None  # an Event to wait for

    async def candles(
        self, inst, interval, since, until, limit, *, offset=0, newest=False
    ) -> list[Candle]:
        self.asked.append((inst, interval, since, until, limit, offset, newest))
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        rows = [row for row in self.rows if row.inst == inst and since <= row.ts < until]
        if newest:
            rows = rows[: len(rows) - offset]
            return rows[max(0, len(rows) - limit) :]
        return rows[offset : offset + limit]

    async def trades(self, inst, since, until, limit, *, offset=0, newest=False) -> list[Trade]:
        return []

    async def sql(self, statement: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        if self.error is not None:
            raise self.error
        return [], []


class Entries:
    """A `Ledger` over a list."""

    def __init__(self) -> None:
        self.entries: list[Coverage] = []

    async def resume(self) -> dict[Subscription, int]:
        return {}

    async def coverage(self, inst=None, channel=None) -> list[Coverage]:
        return [
            entry
            for entry in self.entries
            if inst in (None, entry.inst) and channel in (None, entry.channel)
        ]


class Control:
    """Subscriptions in a set."""

    def __init__(self, known: Catalogue) -> None:
        self.wanted = {Subscription(BTC, "ticker"), Subscription(BTC, "aggTrade")}
        self._known = known

    async def subscribe(
        self, symbol: str, streams: Iterable[str] | None = None
    ) -> list[Subscription]:
        inst = self._known.resolve(symbol).id
        channels = tuple(streams or ("ticker",))
        for channel in channels:
            if channel not in {"ticker", "aggTrade", "depth"}:
                raise NotFound("stream", channel, ("ticker", "aggTrade", "depth"))
        added = [Subscription(inst, channel) for channel in channels]
        self.wanted.update(added)
        return added

    async def unsubscribe(self, symbol: str) -> list[Subscription]:
        inst = self._known.resolve(symbol).id
        removed = sorted(s for s in self.wanted if s.inst == inst)
        if not removed:
            raise NotFound("subscription", symbol, (BTC,))
        self.wanted.difference_update(removed)
        return removed

    def subscriptions(self) -> frozenset[Subscription]:
        return frozenset(self.wanted)


class Told:
    """What an alerting worker is asked, over lists."""

    def __init__(self) -> None:
        self.notices = Notices(Policy({}, ("mail",)))
        self.lines: list[Line] = []
        self.stories: dict[str, Story] = {}
        self.statuses = [ChannelStatus("mail", "email", sent=3, last_sent=NOW)]

    def firing(self) -> list[Alert]:
        return [opened.alert for opened in self.notices.state.open.values()]

    def held(self) -> dict[str, dict[str, str]]:
        return {key: opened.held for key, opened in self.notices.state.open.items()}

    def channels(self) -> list[ChannelStatus]:
        return self.statuses

    def silences(self) -> list[Silence]:
        return list(self.notices.state.silences.values())

    async def silence(self, matchers, starts, ends, comment) -> Silence:
        return self.notices.silence(matchers, starts, ends, comment)

    async def unsilence(self, silence_id: str) -> bool:
        return self.notices.unsilence(silence_id)

    async def history(self, since, until, limit, channel="") -> list[Line]:
        return [line for line in self.lines if since <= line.at < until][:limit]

    async def story(self, alert_id: str) -> Story:
        return self.stories.get(alert_id, Story(alert_id, ()))

    async def newest_ids(self, limit: int) -> list[str]:
        return list(self.stories)[:limit]


class Shown(Memory):
    """The hot window and the books, fed by one call."""

    def __init__(self) -> None:
        super().__init__()
        self.pipeline = Pipeline(
            [
                BookStats("book_stats", BookStatsConfig()),
                CrossVenue("cross_venue", CrossVenueConfig()),
            ]
        )

    def update(self, events: Sequence[AnyEvent]) -> None:
        super().update(events)
        self.pipeline.process(list(events))


class World:
    """Everything a server may ask, to be set by the test; `context` is what the server gets."""

    def __init__(self) -> None:
        known = catalogue()
        self.now = NOW
        self.hot = Shown()
        self.query = Candles()
        self.ledger = Entries()
        self.control = Control(known)
        self.told = Told()
        self.links = [link()]
        self.news: list[LinkStatus] = []
        self.workers = [
            worker("feed-binance", Stage.INGEST),
            worker("pump-parquet", Stage.STORE),
            worker("hub", Stage.SERVE),
        ]
        self.counters = {
            "feed-binance": Counters(received=1_000, sent=990, errors={"bad frame": 10}),
            "pump-parquet": Counters(received=990, sent=980, buffered=10, last_ts=NOW),
        }
        self.settings: dict[str, Any] = {
            "exchanges": {"binance": {"enabled": True}, "okx": {"enabled": False}},
            "storage": {"backend": "memory"},
            "alerts": {"email": {"password": "***"}},
        }
        self.context = Context(
            hot=self.hot,
            books=PipelineBooks(self.hot.pipeline),
            across=PipelineAcross(self.hot.pipeline),
            query=self.query,
            ledger=self.ledger,
            catalogue=known,
            control=self.control,
            alerting=self.told,
            links=lambda: self.links,
            news=lambda: self.news,
            workers=lambda: self.workers,
            counters=lambda: self.counters,
            settings_view=lambda: self.settings,
            metrics=lambda: b"# HELP up x\nup 1\n",
            clock=lambda: self.now,
            started=Micros(NOW - 3_600_000_000),
            version="0.1.0",
        )


class Feeder:
    """A bus reader that gives what the test feeds it."""

    def __init__(self) -> None:
        import asyncio

        self.counters = Counters()
        self._queue: asyncio.Queue[Any] = asyncio.Queue()

    def feed(self, *events: Any) -> None:
        self._queue.put_nowait(list(events))

    def end(self) -> None:
        self._queue.put_nowait(None)

    async def __aiter__(self):
        while (batch := await self._queue.get()) is not None:
            yield batch

    async def commit(self) -> None: ...

    async def close(self) -> None: ...
