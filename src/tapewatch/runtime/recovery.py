"""Start and recovery are one path: what is on disk decides what is known.

1. The store takes its folder, cuts torn journal ends, turns hours that are over into Parquet.
2. The ledger is trimmed to the trades that are truly stored. Ids of venues that do not number their
   trades look like any others on disk, and are kept out of it.
3. The processors get their last checkpoint, and the trades that were stored after it.
4. Trade chains are told the last stored id of each stream: the outage shows as a jump of ids,
   which is repaired by REST and written into the ledger like any other.
"""

import logging
from collections.abc import AsyncIterator, Mapping

from msgspec import Struct

from tapewatch.model.events import Batch, Micros
from tapewatch.model.instrument import split_id
from tapewatch.model.times import HOUR
from tapewatch.ports import Clock, Subscription
from tapewatch.runtime.checkpoint import Checkpoint
from tapewatch.stores.parquet import Parquet
from tapewatch.stores.sqlite import Sqlite
from tapewatch.stream.pipeline import Pipeline

log = logging.getLogger("tapewatch.runtime.recovery")

MAX_AGE = 6 * HOUR


class Found(Struct, frozen=True):
    """What a former run left."""

    resume: dict[Subscription, int]
    kept: list[tuple[Subscription, bool]]  # subscriptions made at run time


async def recover(parquet: Parquet, sqlite: Sqlite, numbered: Mapping[str, bool]) -> Found:
    """Steps 1 and 2. Raise ConfigError if the data folder cannot be used.

    `numbered`: by venue, whether its trades are. Of a venue that is not there only the ledger knows.
    """
    await parquet.open()
    await sqlite.open()
    for venue, is_numbered in numbered.items():
        if not is_numbered:
            await sqlite.forget(venue)
    known = await sqlite.resume()
    stored = await parquet.stored()
    await sqlite.trim(
        {
            stream: found
            for stream, found in stored.items()
            if numbered.get(split_id(stream.inst)[0], stream in known)
        }
    )
    return Found(await sqlite.resume(), await sqlite.load())


async def catch_up(
    checkpoint: Checkpoint, pipeline: Pipeline, parquet: Parquet, clock: Clock
) -> AsyncIterator[Batch]:
    """Step 3: give what the processors say about the trades stored since the checkpoint.

    It is given out again: stores write by natural key, so what they had already does no harm.
    """
    mark = checkpoint.load(Micros(clock() - MAX_AGE))
    if mark is None:
        return
    played = 0
    for batch in await parquet.received_since(mark):
        played += len(batch)
        derived = pipeline.process(batch)
        if derived:
            yield derived
    if played:
        log.info("processors_caught_up", extra={"fields": {"events": played}})
