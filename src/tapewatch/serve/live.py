"""The hub: what happens reaches every live client, and no client can hold up another.

    bus --batch--> take: states are marked, events queued (bounded)
                     | ten times a second
                     v
                   flush: encode each message once, join once for each group of equal choices,
                          write the same bytes to every client of the group

A write never waits: it goes to the transport, and a client whose transport is full is skipped (see
`client`). With no client a batch costs one comparison. The order within one type is kept.

The hub knows types, instruments and bytes; it knows no protocol. `sockets` speaks with the clients.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable

from tapewatch.model.events import (
    Alert,
    AnyEvent,
    Batch,
    BookDelta,
    BookSnapshot,
    Candle,
    Event,
    Gap,
    InstrumentId,
    Liquidation,
    Metric,
    NewsItem,
    Ticker,
    Trade,
)
from tapewatch.ports import Counters, Reader
from tapewatch.serve.client import BOOK, CODE_TOO_SLOW, PRICE, Choice, Client, Message
from tapewatch.serve.context import Context
from tapewatch.serve.encode import Encoder, dropped
from tapewatch.serve.views import BASE_INTERVAL

MAX_EVENTS = 5_000  # of one type between two flushes
_WRITES_AT_ONCE = 64  # then the loop gets a turn: 1,000 clients must not delay a trade by 10 ms
_KINDS: dict[type[Event], str] = {
    Liquidation: "liquidation", NewsItem: "news", Alert: "alert", Metric: "metric",
}  # fmt: skip


class Hub:
    """A worker: reads the bus to its end, and serves the clients that joined."""

    name = "hub"
    wants: frozenset[type[Event]] = frozenset(
        {Trade, Ticker, Candle, BookSnapshot, BookDelta, Gap, Liquidation, NewsItem, Alert, Metric}
    )

    def __init__(
        self,
        reader: Reader,
        context: Context,
        *,
        flush_secs: float = 0.1,
        patience_secs: float = 5.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counters = Counters()
        self.stats = context.live
        self._reader = reader
        self._context = context
        self._encode = Encoder(context)
        self._flush_secs = flush_secs
        self._patience_secs = patience_secs
        self._monotonic = monotonic
        self._clients: dict[Client, None] = {}  # in the order in which they came
        self._wanted: frozenset[str] = frozenset()
        self._someone = asyncio.Event()
        self._events: dict[str, deque[AnyEvent]] = {}
        self._states: dict[tuple[str, InstrumentId], None] = {}
        self._overflow: Counter[str] = Counter()
        self._void: set[InstrumentId] = set()  # whose book was said to be void
        self._take_one: dict[type[Event], Callable[[AnyEvent], None]] = {
            Trade: self._take_trade,
            Ticker: self._take_ticker,
            Candle: self._take_candle,
            BookSnapshot: self._take_book,
            BookDelta: self._take_book,
            Gap: self._take_book,
            Liquidation: self._take_event,
            NewsItem: self._take_event,
            Alert: self._take_event,
            Metric: self._take_event,
        }

    # --- clients ---------------------------------------------------------------------------------

    @property
    def clients(self) -> int:
        return len(self._clients)

    def join(self, client: Client) -> None:
        """Serve this client from now on, beginning with the newest of each state it wants."""
        self._clients[client] = None
        self.stats.total_connections += 1
        self._count_clients()
        self.send_states(client)

    def leave(self, client: Client) -> None:
        self._clients.pop(client, None)
        self._count_clients()

    def choose(self, client: Client, choice: Choice) -> None:
        client.choice = choice
        client.owed = {(kind, inst) for kind, inst in client.owed if choice.takes(kind, inst)}
        self._count_clients()

    def send_states(self, client: Client, inst: InstrumentId | None = None) -> None:
        """Send the newest price, ticker and book of one instrument, or of all it wants."""
        insts = self._context.hot.get_all() if inst is None else (inst,)
        self._send(client, self._encode.states((k, i) for k in client.choice.types for i in insts))

    def close_all(self, code: int, reason: str) -> None:
        for client in tuple(self._clients):
            client.close(code, reason)

    def _count_clients(self) -> None:
        self.stats.clients = len(self._clients)
        self._wanted = frozenset().union(*(client.choice.types for client in self._clients))
        if self._clients:
            self._someone.set()
        else:
            self._someone.clear()
            self._events, self._states = {}, {}
            self._void.clear()

    # --- what comes in ---------------------------------------------------------------------------

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            flusher = group.create_task(self._keep_flushing(), name="hub flush")
            async for batch in self._reader:
                self.take(batch)
            flusher.cancel()
        await self.flush()

    async def _keep_flushing(self) -> None:
        while True:
            await self._someone.wait()
            await asyncio.sleep(self._flush_secs)
            await self.flush()

    def take(self, batch: Batch) -> None:
        self.counters.received += len(batch)
        if not self._clients:
            return
        take_one = self._take_one
        for event in batch:
            take_one[type(event)](event)
        self.counters.last_ts = batch[-1].ts

    def _take_trade(self, event: AnyEvent) -> None:
        assert isinstance(event, Trade)
        if event.echo:  # another channel tells the same fill
            return
        self._states[PRICE, event.inst] = None
        if "trade" in self._wanted:
            self._queue("trade", event)

    def _take_ticker(self, event: AnyEvent) -> None:
        assert isinstance(event, Ticker)
        self._states[PRICE, event.inst] = None
        self._states["ticker", event.inst] = None

    def _take_candle(self, event: AnyEvent) -> None:
        assert isinstance(event, Candle)
        if event.interval == BASE_INTERVAL:
            self._states[PRICE, event.inst] = None
        if "candle" in self._wanted:
            self._queue("candle", event)

    def _take_book(self, event: AnyEvent) -> None:
        assert isinstance(event, BookSnapshot | BookDelta | Gap)
        self._states[BOOK, event.inst] = None

    def _take_event(self, event: AnyEvent) -> None:
        kind = _KINDS[type(event)]
        if kind in self._wanted:
            self._queue(kind, event)

    def _queue(self, kind: str, event: AnyEvent) -> None:
        queue = self._events.get(kind)
        if queue is None:
            queue = self._events[kind] = deque(maxlen=MAX_EVENTS)
        if len(queue) == MAX_EVENTS:
            self._overflow[kind] += 1
            self.counters.drop("window full")
        queue.append(event)

    # --- what goes out ---------------------------------------------------------------------------

    async def flush(self) -> None:
        """Write what came since the last time. Gives the loop a turn now and then."""
        messages = self._messages()
        if not messages:
            return
        shares: dict[Choice, tuple[list[Message], bytes]] = {}
        for number, client in enumerate(tuple(self._clients), start=1):
            share = shares.get(client.choice)
            if share is None:
                takes = client.choice.takes
                mine = [m for m in messages if takes(m.kind, m.inst)]
                share = shares[client.choice] = (mine, b"".join([m.frame for m in mine]))
            if client in self._clients:  # it may have left while others were served
                self._send(client, *share)
            if number % _WRITES_AT_ONCE == 0:
                await asyncio.sleep(0)

    def _send(self, client: Client, messages: list[Message], blob: bytes | None = None) -> None:
        stats = self.stats
        if client.wire.is_closing():
            stats.failed_sends += len(messages)
        elif client.is_full():
            self._hold(client, messages)
        else:
            if client.behind_since is not None:
                self._catch_up(client)
            if messages:
                blob = b"".join([m.frame for m in messages]) if blob is None else blob
                client.wire.write(blob)
                stats.messages_sent += len(messages)
                stats.bytes_sent += len(blob)
                self.counters.sent += len(messages)

    def _hold(self, client: Client, messages: list[Message]) -> None:
        now = self._monotonic()
        client.hold(messages, now)
        self.stats.dropped += len(messages)
        self.counters.drop("client behind", len(messages))
        assert client.behind_since is not None
        if now - client.behind_since > self._patience_secs:
            self.stats.closed_slow += 1
            self.leave(client)
            client.close(CODE_TOO_SLOW, "you read more slowly than the data comes")

    def _catch_up(self, client: Client) -> None:
        owed, missed = client.catch_up()
        messages = self._encode.states((k, i) for k, i in owed if i is not None)
        if missed:
            messages.append(dropped(missed))
        self._send(client, messages)

    def _messages(self) -> list[Message]:
        events, self._events = self._events, {}
        states, self._states = self._states, {}
        overflow, self._overflow = self._overflow, Counter()
        messages: list[Message] = []
        for kind, queue in events.items():
            messages += self._encode.events(kind, queue)
        wanted = self._wanted
        messages += self._encode.states((k for k in states if k[0] in wanted), self._void)
        messages += [dropped({kind: count}, kind) for kind, count in overflow.items()]
        return messages
