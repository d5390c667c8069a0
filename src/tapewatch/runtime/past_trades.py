"""Would it have fired, by metrics that are computed anew from stored trades.

    stored trades, gaps, ... --> the processors that the rule needs --> the rules --> alerts

For metrics that were not stored then: a new detector, other settings. Takes longer than asking for
stored ones, and begins earlier than asked, so that the detectors are warm. Instruments are shared
out over the processors of the machine where no number is about several of them.
"""

import asyncio
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from msgspec import Struct

from tapewatch.model.events import Alert, Candle, Event, InstrumentId, Micros, Ticker
from tapewatch.model.times import DAY, HOUR, Interval
from tapewatch.ports import Processor
from tapewatch.rules.past import Past, Span
from tapewatch.rules.preview import Question, Report, begin, from_trades, judge
from tapewatch.rules.rule import Compiled, Mistake, Rule, compile_rule
from tapewatch.rules.rulebook import Rulebook, measures_of, words_of
from tapewatch.rules.sweep import variants
from tapewatch.runtime import vitals
from tapewatch.runtime.past_events import KINDS, PastEvents
from tapewatch.stores.duckdb import DuckDb, DuckDbConfig
from tapewatch.stream.pipeline import Pipeline

_LEAD = 2 * HOUR  # what detectors need to be warm
_RULES = "rules"
_BOOKS = frozenset({"book_snapshot", "book_delta"})
_OF_ALL = frozenset({Candle, Ticker})  # every share reads these of every instrument, for rates
_MEMORY_MB = 1_024


class Part(Struct, frozen=True, kw_only=True):
    """What one process plays."""

    folder: Path
    processors: tuple[Processor[Any], ...]
    rules: tuple[Rule, ...]
    insts: tuple[InstrumentId, ...]
    since: Micros
    until: Micros


async def replay(
    folder: Path,
    question: Question,
    processors: Sequence[Processor[Any]],
    say: Callable[[str], None] = lambda _: None,
) -> Report:
    """Raises Mistake, also for metrics that come from what is not replayed: order books."""
    detectors = [each for each in processors if each.name != _RULES]
    measures = measures_of(detectors)
    words = words_of((*measures, *vitals.MEASURES))
    compiled = compile_rule(question.rule, words)
    others = variants(compiled, question.sweep) if question.sweep else []
    needed = _needed(compiled, words, detectors)
    store = _open(folder)
    try:
        span = Span(question.since, question.until)
        coverage = await Past(store, compiled, words, measures).trades(span)
        report = begin(question, coverage, [])
        from_trades(report)
        if report.share == 0:
            return report
        since = Micros(span.since - max(_LEAD, _longest(compiled, words)))
        insts = await _instruments(store, compiled, needed, Span(since, span.until))
    finally:
        store.close()
    part = Part(
        folder=folder, processors=tuple(needed), rules=(question.rule, *others), insts=insts,
        since=since, until=span.until,
    )  # fmt: skip
    shares = _shares(part)
    rows = sum(each.rows for each in coverage)
    say(f"replaying {rows:,} trades of {len(insts)} instruments in {len(shares)} processes")
    alerts = sorted(await _played(shares), key=lambda alert: (alert.ts, alert.id))
    return judge(report, alerts, others, question.policy)


async def _played(shares: Sequence[Part]) -> list[Alert]:
    if len(shares) == 1:
        return await _alerts(shares[0])
    # spawn: DuckDB's threads would not survive a fork
    with ProcessPoolExecutor(len(shares), multiprocessing.get_context("spawn")) as pool:
        loop = asyncio.get_running_loop()
        found = await asyncio.gather(*(loop.run_in_executor(pool, play, each) for each in shares))
    return [alert for alerts in found for alert in alerts]


def play(part: Part) -> list[Alert]:
    """In a process of its own."""
    return asyncio.run(_alerts(part))


async def _alerts(part: Part) -> list[Alert]:
    rulebook = Rulebook(part.rules, measures_of(part.processors))
    pipeline = Pipeline([*part.processors, rulebook])
    store = _open(part.folder)
    past = PastEvents(store, _kinds(part.processors), part.insts)
    alerts: list[Alert] = []
    try:
        async for batch in past.batches(part.since, part.until):
            alerts += [event for event in pipeline.process(batch) if type(event) is Alert]
    finally:
        store.close()
    return alerts


def _open(folder: Path) -> DuckDb:
    return DuckDb(folder, config=DuckDbConfig(timeout_secs=3_600.0, memory_mb=_MEMORY_MB))


def _needed(
    compiled: Compiled, words: dict[str, tuple[str, str]], detectors: Sequence[Processor[Any]]
) -> list[Processor[Any]]:
    """Who measures what the rule names, and who feeds them what is not stored."""
    names = {words[word][0] for word in compiled.names}
    live = sorted(names & {measure.name for measure in vitals.MEASURES})
    if live:
        raise Mistake("when", f"{live[0]} is measured while it runs: no trade tells it")
    found = [each for each in detectors if names & {m.name for m in each.measures}]
    for each in found:  # grows while it is walked through
        for kind in each.wants - KINDS.keys():
            if kind.__struct_config__.tag in _BOOKS:
                reason = f"{each.name} reads order books, which are not replayed here"
                raise Mistake("when", reason)
            found += [other for other in detectors if kind in other.gives and other not in found]
    return found


def _kinds(processors: Sequence[Processor[Any]]) -> set[type[Event]]:
    return {kind for each in processors for kind in each.wants if kind in KINDS}


async def _instruments(
    store: DuckDb, compiled: Compiled, needed: Sequence[Processor[Any]], span: Span
) -> tuple[InstrumentId, ...]:
    """Those that the rule is about and something is stored of, the busiest first.

    A rule about `all:BTC`, or of one venue against the others, needs what its numbers are made
    of: everything.
    """
    kinds = _kinds(needed)
    counts: dict[InstrumentId, int] = {}
    about_all = not _apart(needed) or any(
        pattern.startswith("all:") for pattern in compiled.rule.instruments
    )
    for kind in kinds - _OF_ALL:
        name, where = KINDS[kind]
        statement = (
            f"SELECT inst, count(*) FROM {name} WHERE {span.where} AND {where} GROUP BY inst"  # noqa: S608 - names of ours
        )
        _, rows = await store.sql(statement)
        for inst, count in rows:
            if about_all or compiled.fits(inst):
                counts[inst] = counts.get(inst, 0) + count
    return tuple(sorted(counts, key=lambda inst: (-counts[inst], inst)))


def _shares(part: Part) -> list[Part]:
    """Share the instruments out, unless one of the processors looks at several at once."""
    count = min(os.cpu_count() or 1, len(part.insts)) if _apart(part.processors) else 1
    fields = {name: getattr(part, name) for name in part.__struct_fields__ if name != "insts"}
    return [Part(**fields, insts=part.insts[number::count]) for number in range(max(1, count))]


def _apart(processors: Sequence[Processor[Any]]) -> bool:
    """Say whether each instrument is looked at by itself; rates, which are not, come of all."""
    probe = SimpleNamespace(inst="probe:A/B")
    return all(each.key(probe) == probe.inst for each in processors if each.wants - _OF_ALL)


def _longest(compiled: Compiled, words: dict[str, tuple[str, str]]) -> int:
    """The longest window that is named: so long ago begins what it sums up."""
    longest = 0
    for word in compiled.names:
        try:
            longest = max(longest, Interval.parse(words[word][1]).micros)
        except ValueError:  # "day", "10bps"
            longest = max(longest, DAY if words[word][1] == "day" else 0)
    return longest
