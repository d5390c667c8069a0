"""A part of a venue's past into the data folder, a page at a time, so that a kill costs a page.

    ask ──> read ──> leave out what is on disk ──> Parquet ──> ledger ──> cursor ──> ask
     ^                                                                                |
     +--------------------------------------------------------------------------------+
    done: hours that are over become Parquet, our own candles are made of the trades once more

The folder is taken as `run` takes it, so no tapewatch may write there meanwhile. Hours that the
checkpoint of the processors may not have seen stay journals: at the next start they are played.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from msgspec import Struct

from tapewatch.model.errors import ConfigError, NotFound, TapewatchError
from tapewatch.model.events import Batch, Coverage, Micros
from tapewatch.model.instrument import Instrument
from tapewatch.model.times import HOUR, MINUTE, SECOND, Interval, iso
from tapewatch.ports import Clock, Subscription
from tapewatch.process.candles import Candles
from tapewatch.process.validate import validate
from tapewatch.runtime import recovery
from tapewatch.runtime.behind import Behind
from tapewatch.runtime.own_candles import make_again
from tapewatch.runtime.past_reader import PastReader, Stopped
from tapewatch.runtime.plan import Venue
from tapewatch.runtime.stored_ids import StoredIds
from tapewatch.runtime.trade_shelf import TradeShelf
from tapewatch.stores.cursors import Cursors, Job
from tapewatch.stores.dead_letters import DeadLetters
from tapewatch.stores.parquet import Parquet, ParquetConfig
from tapewatch.stores.sqlite import Sqlite
from tapewatch.venues._past import Part, Past, Walk

_NEVER_SECS = 1e10  # hours that a former process left are the next start's business, not ours
_SETTLE = 5 * SECOND  # what ended just now may still change, and our clock may be ahead


class Wanted(Struct, frozen=True, kw_only=True):
    """What a person asked for."""

    venue: Venue
    symbol: str
    since: Micros
    until: Micros
    asked: str  # the range as it was written
    interval: str = ""  # of candles; empty: trades
    resume: bool = True


class Outcome(Struct):
    """How it goes, and how it went."""

    job: Job
    resumed: bool = False
    written: int = 0  # rows by this run
    seen: int = 0  # rows that the venue gave this run, stored ones included
    requests: int = 0
    weight: int = 0
    weight_each: int = 0  # of the last request
    own_candles: int = 0
    stopped: bool = False
    left: int | None = None  # of a dry run: how many requests the rest would be, about

    @property
    def fraction(self) -> float:
        job = self.job
        return min(1.0, max(0, job.reached - job.since) / max(1, job.until - job.since))

    @property
    def problems(self) -> list[str]:
        lost = f"{self.job.lost:,} ids that the venue does not have" if self.job.lost else ""
        return [text for text in (self.job.absent, lost) if text]


class Backfill:
    """One run. `tell` is called after each page. Errors are sentences for people."""

    def __init__(
        self,
        wanted: Wanted,
        data_dir: Path,
        *,
        clock: Clock,
        candles: Candles,
        stop: asyncio.Event,
        tell: Callable[[Outcome], None],
    ) -> None:
        self._wanted = wanted
        self._dir = data_dir
        self._clock = clock
        self._candles = candles
        self._tell = tell
        self._past = past_of(wanted)
        self._reader = PastReader(wanted.venue.dialect, clock, stop)
        self._cursors = Cursors(data_dir / "backfill.sqlite")
        self._letters = DeadLetters(data_dir)

    async def run(self) -> Outcome:
        try:
            instrument = await self._reader.resolve(self._wanted.symbol)
            if self._wanted.interval:
                return await self._run_candles(instrument)
            return await self._run_trades(instrument)
        finally:
            await self._reader.close()

    async def rehearse(self) -> Outcome:
        """Ask for the first page only, write nothing, and judge what the whole would cost."""
        try:
            instrument = await self._reader.resolve(self._wanted.symbol)
            outcome = Outcome(self._new_job(instrument))
            job = outcome.job
            walk = self._walk(instrument, job, self._channel_and_echo(())[0], echo=False)
            began = job.since
            while not outcome.seen:
                page = await self._reader.page(walk, job.cursor)
                outcome.seen += sum(type(event) is not Coverage for event in page.events)
                began = max(job.reached, job.since)
                self._advance(outcome, page.cursor, page.reached, page.absent)
                if not page.cursor:
                    break
            rest = job.until - job.reached if job.cursor else 0
            outcome.left = -(-rest // max(1, job.reached - began))
        finally:
            await self._reader.close()
        return outcome

    # --- candles ---------------------------------------------------------------------------------

    async def _run_candles(self, instrument: Instrument) -> Outcome:
        parquet = self._store()
        await parquet.open()
        try:
            outcome = self._begin(instrument)
            walk = self._walk(instrument, outcome.job, "", echo=False)

            async def write(events: Batch) -> int:
                good = await self._sane(events)
                if good:
                    await parquet.write(good)
                return len(good)

            await self._through(walk, outcome, write)
            await parquet.convert(self._clock())
        finally:
            await parquet.close()
        return self._done(outcome)

    # --- trades ----------------------------------------------------------------------------------

    async def _run_trades(self, instrument: Instrument) -> Outcome:
        parquet = self._store()
        sqlite = Sqlite(self._dir / "tapewatch.sqlite", clock=self._clock)
        sink = Behind(parquet, sqlite)
        try:
            dialect = self._wanted.venue.dialect
            await recovery.recover(parquet, sqlite, {dialect.name: dialect.numbered})
            known = await sqlite.coverage(instrument.id)
            channel, echo = self._channel_and_echo([span.channel for span in known])
            stream = Subscription(instrument.id, channel)
            outcome = self._begin(instrument)
            walk = self._walk(instrument, outcome.job, channel, echo=echo)
            ids = StoredIds(self._dir, stream, spans=self._past.spans)
            mine = [span for span in known if span.channel == channel]
            shelf = TradeShelf(sink, ids, stream, mine, self._clock)
            try:

                async def write(events: Batch) -> int:
                    count = await shelf.write(await self._sane(events))
                    outcome.job.lost, shelf.lost = outcome.job.lost + shelf.lost, 0
                    return count

                await self._through(walk, outcome, write)
                if not outcome.stopped:
                    await shelf.finish()
            finally:
                ids.close()
            await parquet.convert(Micros(self._clock() - recovery.MAX_AGE - HOUR))
        finally:
            await sink.close()
        if not (outcome.stopped or echo):
            outcome.own_candles = await self._own_candles(stream, outcome.job)
        return self._done(outcome)

    async def _own_candles(self, stream: Subscription, job: Job) -> int:
        """In a store opened anew: hours of candles must not push journals of trades out."""
        if job.first is None:
            return 0
        since = Micros(job.first + 1) if job.absent else job.since
        parquet = self._store()
        await parquet.open()
        try:
            made = await make_again(
                parquet, self._dir, self._candles, stream, (since, job.until),
                spans=self._past.spans,
            )  # fmt: skip
            await parquet.convert(self._clock())
        finally:
            await parquet.close()
        return made

    def _channel_and_echo(self, stored: Sequence[str]) -> tuple[str, bool]:
        """Take the stream that is stored, the finest of several: sums are made of that one."""
        channels = self._past.channels
        if not channels:
            return "", False
        found = next((channel for channel in channels if channel in stored), channels[-1])
        return found, any(channel in stored for channel in self._past.finer)

    # --- both ------------------------------------------------------------------------------------

    async def _through(
        self, walk: Walk, outcome: Outcome, write: Callable[[Batch], Awaitable[int]]
    ) -> None:
        """Page after page to the end, or until somebody says stop."""
        job = outcome.job
        while True:
            try:
                page = await self._reader.page(walk, job.cursor)
            except Stopped:
                outcome.stopped = True
                return
            rows = [event for event in page.events if type(event) is not Coverage]
            outcome.written += await write(page.events)
            outcome.seen += len(rows)
            job.rows += len(rows)
            if rows and job.first is None:
                job.first = rows[0].ts
            self._advance(outcome, page.cursor, page.reached, page.absent)
            if not page.cursor:
                return
            self._cursors.keep(job)

    def _advance(self, outcome: Outcome, cursor: str, reached: Micros, absent: str) -> None:
        job = outcome.job
        job.cursor, job.absent = cursor, job.absent or absent
        job.reached = max(job.reached, reached)
        outcome.weight_each = self._reader.weight - outcome.weight
        outcome.requests, outcome.weight = self._reader.requests, self._reader.weight
        self._tell(outcome)

    def _begin(self, instrument: Instrument) -> Outcome:
        job = self._new_job(instrument)
        found = self._cursors.find(job.inst, job.what, job.asked)
        if found is not None and self._wanted.resume:
            return Outcome(found, resumed=True)
        return Outcome(job)

    def _done(self, outcome: Outcome) -> Outcome:
        if not outcome.stopped:
            self._cursors.forget(outcome.job)
        return outcome

    def _new_job(self, instrument: Instrument) -> Job:
        wanted, now = self._wanted, self._clock()
        until = Micros(min(wanted.until, now - _SETTLE))
        width = MINUTE
        what = "trades"
        if wanted.interval:
            interval = Interval.parse(wanted.interval)
            what, width = f"candles {interval.name}", interval.micros
            since = interval.floor(wanted.since)
            until = min(until, interval.floor(Micros(now - _SETTLE)))
        else:
            since = Micros(wanted.since - wanted.since % MINUTE)  # so that candles are whole
        if since >= until:
            raise ConfigError(
                f"nothing has ended between {iso(since)} and {iso(until)}: begin earlier"
                f" (a part of {width // SECOND} s at least)"
            )
        return Job(instrument.id, what, wanted.asked, since, until, now)

    def _walk(self, instrument: Instrument, job: Job, channel: str, *, echo: bool) -> Walk:
        part = Part(instrument, job.since, job.until, self._clock())
        if self._wanted.interval:
            return self._past.candles(part, Interval.parse(self._wanted.interval))
        return self._past.trades(part, channel, echo=echo)

    async def _sane(self, events: Batch) -> Batch:
        """Keep what makes no sense as dead letters. Of trades that ends the backfill: each id counts."""
        good, letters = validate(events)
        if letters:
            await self._letters.open()
            await self._letters.write([*letters])
            await self._letters.close()
            if not self._wanted.interval:
                raise TapewatchError(
                    f"{letters[0].source} gives trades that make no sense ({letters[0].error});"
                    " they are kept: `tapewatch dlq ls`"
                )
        return good

    def _store(self) -> Parquet:
        self._dir.mkdir(parents=True, exist_ok=True)
        config = ParquetConfig(grace_secs=_NEVER_SECS)
        return Parquet(self._dir, clock=self._clock, config=config)


def past_of(wanted: Wanted) -> Past:
    """Raises ConfigError or NotFound if the venue has no such past."""
    name = wanted.venue.dialect.name
    past: Past | None = getattr(wanted.venue.dialect, "past", None)
    if past is None:
        raise ConfigError(f"the past of {name} cannot be asked for in this version")
    if not wanted.interval:
        if not past.channels:
            raise ConfigError(past.no_trades)
        return past
    try:
        interval = Interval.parse(wanted.interval).name
    except ValueError as error:
        raise ConfigError(str(error)) from None
    if interval not in past.intervals:
        raise NotFound(f"interval of {name}", wanted.interval, past.intervals)
    return past
