"""The hub: what happens reaches every live client, and no client can hold up another.

    bus --batch--> take: kept as it is, see `gathered`
                     | ten times a second
                     v
                   flush: encode each message once, join once for each group of equal choices,
                          write the same bytes to every client of the group, see `portion`

A write never waits: it goes to the transport, and a client whose transport is full is skipped (see
`client`). With no client a batch costs one comparison. The order within one type is kept.

The hub knows types, instruments and bytes; it knows no protocol. `sockets` speaks with the clients.
"""

import asyncio
import time
from collections.abc import Callable

from tapewatch.model.events import Batch, Event, InstrumentId
from tapewatch.ports import Counters, Reader
from tapewatch.serve.client import CODE_TOO_SLOW, Choice, Client
from tapewatch.serve.context import Context
from tapewatch.serve.encode import Encoder, dropped
from tapewatch.serve.gathered import WANTS, Gathered
from tapewatch.serve.portion import Flush, Portion

_WRITES_AT_ONCE = 64  # then the loop gets a turn: 1,000 clients must not delay a trade by 10 ms


class Hub:
    """A worker: reads the bus to its end, and serves the clients that joined."""

    name = "hub"
    wants: frozenset[type[Event]] = WANTS

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
        self._gathered = Gathered()
        self._void: set[InstrumentId] = set()  # whose book was said to be void

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
        choice = client.choice
        keys = ((k, each) for k in choice.types for each in insts if choice.takes(k, each))
        self._send(client, Portion(self._encode.states(keys)))

    def close_all(self, code: int, reason: str) -> None:
        for client in tuple(self._clients):
            client.close(code, reason)

    def _count_clients(self) -> None:
        self.stats.clients = len(self._clients)
        self._gathered.sort(self._wanted)  # what came before is for those who were here
        self._wanted = frozenset().union(*(client.choice.types for client in self._clients))
        if self._clients:
            self._someone.set()
        else:
            self._someone.clear()
            self._gathered = Gathered()
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
        if self._clients:
            self._gathered.add(batch, self._wanted)
            self.counters.last_ts = batch[-1].ts

    # --- what goes out ---------------------------------------------------------------------------

    async def flush(self) -> None:
        """Write what came since the last time. Gives the loop a turn now and then."""
        flush = self._flush()
        if flush is None:
            return
        for number, client in enumerate(tuple(self._clients), start=1):
            portion = flush.portion(client.choice)
            if client in self._clients:  # it may have left while others were served
                self._send(client, portion)
            if number % _WRITES_AT_ONCE == 0:
                await asyncio.sleep(0)

    def _flush(self) -> Flush | None:
        gathered, self._gathered = self._gathered, Gathered()
        gathered.sort(self._wanted)
        changed = (key for key in gathered.states if key[0] in self._wanted)
        messages = self._encode.states(changed, self._void)
        for kind, count in gathered.overflow.items():
            self.counters.drop("window full", count)
            messages.append(dropped({kind: count}, kind))
        if not (gathered.events or messages):
            return None
        return Flush(self._encode.events, gathered.events, messages)

    def _send(self, client: Client, portion: Portion) -> None:
        stats = self.stats
        if client.wire.is_closing():
            stats.failed_sends += portion.count
        elif client.is_full():
            self._hold(client, portion)
        else:
            if client.behind_since is not None:
                self._catch_up(client)
            if portion.count:
                blob = portion.blob()
                client.wire.write(blob)
                stats.messages_sent += portion.count
                stats.bytes_sent += len(blob)
                self.counters.sent += portion.count

    def _hold(self, client: Client, portion: Portion) -> None:
        now = self._monotonic()
        client.hold(portion.messages, portion.events, now)
        self.stats.dropped += portion.count
        self.counters.drop("client behind", portion.count)
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
        self._send(client, Portion(messages))
