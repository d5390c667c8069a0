"""Each stage alone, in this process, fed by the one before it: us of processor time a message.

The parts are used as the product uses them, with the batches that a wake-up of the loop brings.
A stage that cannot be measured says why and the others go on. Prints one JSON object.
"""

import asyncio
import contextlib
import os
import resource
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import client
from benchmarks.client import Plan
from benchmarks.frames import Prepared, prepare
from tapewatch.bus.local import LocalBus
from tapewatch.model.events import Batch, BookDelta, BookSnapshot, Event, Micros
from tapewatch.model.instrument import Catalogue
from tapewatch.ports import Answer, Buffer, Fetch, Reader, Subscription

_BATCH = 256  # frames that one wake-up brings when much is coming
_STORE_BATCH = 4096  # rows of one write, as the pump gathers them
_ROUNDS = 5
_BATCHES_A_FLUSH = 60  # a tenth of a second at 150,000 messages a second


class Bench:
    """The same load for every stage, decoded once."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.prepared = prepare(plan.case, plan.symbols, plan.count, time.time_ns() // 1_000_000)
        self.events: Batch = []

    def batches(self, size: int = _BATCH) -> list[Batch]:
        return [self.events[at : at + size] for at in range(0, len(self.events), size)]

    def cost(self, work: Callable[[], object]) -> float:
        """The best of some rounds: what it costs when nothing disturbs it."""
        best = float("inf")
        for _ in range(_ROUNDS):
            began = time.process_time()
            work()
            best = min(best, time.process_time() - began)
        return best / self.plan.count * 1e6

    async def cost_of(self, work: Callable[[], Awaitable[object]]) -> float:
        best = float("inf")
        for _ in range(_ROUNDS):
            began = time.process_time()
            await work()
            best = min(best, time.process_time() - began)
        return best / self.plan.count * 1e6


async def decode(bench: Bench) -> float:
    """Frame to event: a conversation whose books are in step."""
    best = float("inf")
    for _ in range(_ROUNDS):
        readers, _ = _open_conversations(bench.prepared)
        frames = [(readers[frame.stream], frame.payload) for frame in bench.prepared.frames]
        recv = Micros(time.time_ns() // 1000)
        all_events: Batch = []
        spent = 0.0
        for at in range(0, len(frames), _BATCH):
            out: Batch = []
            began = time.process_time()
            for read, payload in frames[at : at + _BATCH]:
                read(payload, recv, out)
            spent += time.process_time() - began
            all_events += out
        best = min(best, spent)
        bench.events = all_events
    if len(bench.events) < bench.plan.count:
        raise LookupError(f"{len(bench.events)} events of {bench.plan.count} frames")
    return best / bench.plan.count * 1e6


def _open_conversations(prepared: Prepared) -> tuple[list[Any], Batch]:
    """Conversations after the warm-up: subscribed, every book snapshot answered.

    Gives for each stream the `decode` that reads it, and the events of the warm-up.
    """
    from benchmarks.frames import depth_snapshot, exchange_info
    from tapewatch.ports import Streams
    from tapewatch.runtime import plugins

    plugin = plugins.load("venues", "binance")
    dialect = plugin.build("binance", plugin.config())
    catalogue = Catalogue(dialect.instruments(exchange_info(prepared.natives)))
    wanted = [
        Subscription(catalogue.native("binance", native).id, dialect.channel(channel))  # type: ignore[union-attr]
        for native in prepared.natives
        for channel in prepared.case.channels
    ]
    streams, now, out = Streams(catalogue), Micros(time.time_ns() // 1000), []  # type: ignore[var-annotated]
    owner: dict[Subscription, Any] = {}
    for route in dialect.routes(wanted):
        conversation = dialect.converse(route, streams)
        conversation.open(now)
        owner.update(dict.fromkeys(route.subscriptions, conversation))
    for frame in prepared.warm_up:
        conversation = owner[wanted[frame.stream]]
        asks = conversation.decode(frame.payload, now, out)
        for ask in [*asks, *conversation.tick(now, out)]:
            if isinstance(ask, Fetch):
                native = next(n for n in prepared.natives if n in ask.url)
                body = depth_snapshot(prepared.natives, native)
                conversation.answer(ask, Answer(200, body), now, out)
    return [owner[subscription].decode for subscription in wanted], out


async def validate(bench: Bench) -> float:
    from tapewatch.process.validate import validate as check

    batches = bench.batches()
    return bench.cost(lambda: [check(batch) for batch in batches])


async def bus(bench: Bench) -> float:
    """Handed to three readers that want all of it: processors, store, screen."""
    batches = bench.batches()

    async def once() -> None:
        local = LocalBus()
        wants = frozenset[type[Event]](map(type, bench.events))
        readers = [local.subscribe(name, wants, Buffer()) for name in ("a", "b", "c")]
        tasks = [asyncio.create_task(_drain(reader)) for reader in readers]
        for batch in batches:
            await local.publish(batch)
            await asyncio.sleep(0)  # one wake-up of the loop a batch
        await local.close()
        await asyncio.gather(*tasks)

    return await bench.cost_of(once)


async def _drain(reader: Reader) -> None:
    async for _ in reader:
        pass


async def processors(bench: Bench) -> float:
    """All that are there, with their usual settings."""
    from tapewatch.runtime import plugins
    from tapewatch.stream.pipeline import Pipeline

    loaded = plugins.loadable("process")
    batches = bench.batches()

    def once() -> None:
        pipeline = Pipeline([p.build(name, p.config()) for name, p in loaded.items()])
        for batch in batches:
            pipeline.process(batch)

    return bench.cost(once)


async def hot(bench: Bench) -> float:
    from tapewatch.runtime import plugins

    plugin = plugins.load("stores", "memory")
    store = plugin.build("memory", plugin.config())
    batches = bench.batches()
    return bench.cost(lambda: [store.update(batch) for batch in batches])


class _Wire:
    """A live client's socket that takes everything at once."""

    def write(self, data: bytes, /) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False


def _gone(_code: int, _reason: str) -> None:
    raise LookupError("the hub closed a client that takes everything")


async def hub(bench: Bench) -> float:
    """Ten clients at ten flushes a second: five want prices, five want all events."""
    from tapewatch.runtime import plugins
    from tapewatch.runtime.books import PipelineBooks
    from tapewatch.serve.client import EVENTS, PRICE, STATES, Choice, Client
    from tapewatch.serve.context import Context
    from tapewatch.serve.live import Hub
    from tapewatch.stream.pipeline import Pipeline

    plugin = plugins.load("stores", "memory")
    memory = plugin.build("memory", plugin.config())
    nobody: Any = None
    context = Context(
        hot=memory, books=PipelineBooks(Pipeline([])), query=nobody, ledger=nobody, catalogue=Catalogue(), control=nobody,
        links=list, workers=list, counters=dict, settings_view=dict, metrics=bytes,
        clock=lambda: Micros(time.time_ns() // 1000), started=Micros(0), version="",
    )  # fmt: skip
    bus = LocalBus()
    live = Hub(bus.subscribe("hub", Hub.wants, Buffer()), context)
    for number in range(10):
        types = frozenset({PRICE}) if number % 2 else EVENTS | STATES - {PRICE}
        live.join(Client(_Wire(), Choice(types), _gone))
    batches = [[event for event in batch if type(event) in Hub.wants] for batch in bench.batches()]
    memory.update(bench.events)

    async def once() -> None:
        for number, batch in enumerate(batches):
            if batch:
                live.take(batch)
            if number % _BATCHES_A_FLUSH == 0:
                await live.flush()
        await live.flush()

    return await bench.cost_of(once)


async def journal(bench: Bench) -> float:
    """Rows into the journal of the open hour, writing thread included."""
    from tapewatch.stores.parquet import Parquet

    folder = Path(os.environ["TAPEWATCH_BENCH_DIR"]) / "journal"
    folder.mkdir(exist_ok=True)
    sink = Parquet(folder, clock=lambda: Micros(time.time_ns() // 1000))
    await sink.open()
    batches = bench.batches(_STORE_BATCH)

    async def once() -> None:
        for batch in batches:
            await sink.write(batch)

    try:
        return await bench.cost_of(once)
    finally:
        await sink.close()


async def parquet(bench: Bench) -> float:
    """The journal of an hour that is over, into Parquet: in a child, on another core.

    What starting the child costs, once an hour, is taken off: it does not grow with the rows.
    """
    from tapewatch.ports import Counters
    from tapewatch.stores._compactor import Compactor
    from tapewatch.stores._folder import list_files
    from tapewatch.stores._kinds import KINDS
    from tapewatch.stores.parquet import Parquet

    folder = Path(os.environ["TAPEWATCH_BENCH_DIR"]) / "parquet"
    folder.mkdir(exist_ok=True)
    sink = Parquet(folder, clock=lambda: Micros(time.time_ns() // 1000))
    await sink.open()
    await sink.write(bench.events)
    await sink.close()
    compactor = Compactor(folder, Counters())
    for kind in KINDS:
        for hour, journals in list_files(folder, kind).journals.items():
            for path in journals:
                compactor.add(kind, hour, path)
    began = _children_secs()
    idle = partial(
        subprocess.run,
        [sys.executable, "-P", "-m", "tapewatch.stores._compact"],
        input=b"",
        check=True,
        capture_output=True,
    )
    await asyncio.to_thread(idle)
    started = _children_secs()
    if not await asyncio.to_thread(compactor.run):
        raise LookupError("the compacting child failed")
    return (_children_secs() - started - (started - began)) / bench.plan.count * 1e6


def _children_secs() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def book(bench: Bench) -> float:
    """Differences applied to as many books as there are symbols."""
    from tapewatch.stream.book import Book

    deltas = [event for event in bench.events if isinstance(event, BookDelta)]
    _, warm = _open_conversations(bench.prepared)
    snapshots = [event for event in warm if isinstance(event, BookSnapshot)]

    def once() -> None:
        books = {}
        for snapshot in snapshots:
            books[snapshot.inst] = Book()
            books[snapshot.inst].apply(snapshot)
        for delta in deltas:
            books[delta.inst].apply(delta)
        for one in books.values():  # changes are applied when somebody reads
            one.top(20)

    def empty() -> None:
        for snapshot in snapshots:
            Book().apply(snapshot)

    return bench.cost(once) - bench.cost(empty)


STAGES: dict[str, Callable[[Bench], Awaitable[float]]] = {
    "decode": decode,
    "validate": validate,
    "bus": bus,
    "processors": processors,
    "hot": hot,
    "hub": hub,
    "journal": journal,
    "parquet": parquet,
    "book": book,
}


async def measure(plan: Plan) -> dict[str, Any]:
    bench = Bench(plan)
    found: dict[str, float] = {}
    why: dict[str, str] = {}
    for name, stage in STAGES.items():
        if name == "book" and plan.case.name != "depth":
            continue
        if name != "decode" and not bench.events:
            why[name] = "there are no events, because nothing was decoded"
            continue
        try:
            found[name] = await stage(bench)
        except Exception as error:  # noqa: BLE001 - a broken part must not hide the others
            why[name] = f"{type(error).__name__}: {error}"
    return {"messages": plan.count, "us": found, "not_measured_stages": why}


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        client.report(measure)
