"""Metrics as they are stored, for rules that are tried on the past: what there is, then the rows.

A metric is known from each of its rows until the next one, at most for the rule's `forget_secs`; so
coverage is the share of the time in which the rule would have known it. A sparse metric (told only
when there is something to tell) is known as well where a candle of that minute proves that trades
came in. Rows are read a few hundred thousand at a time, packed by instrument.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from msgspec import Struct, field

from tapewatch.model.events import InstrumentId, Metric, Micros, Quality
from tapewatch.model.times import HOUR, MINUTE, SECOND, iso
from tapewatch.ports import Measure, Query
from tapewatch.rules.rule import Compiled

MAX_ROWS = 300_000  # of one page
_QUALITIES = (Quality.COMPLETE, Quality.REPAIRED, Quality.SAMPLED, Quality.PARTIAL)  # best first
_RANK = (
    "CASE quality WHEN 'complete' THEN 1 WHEN 'repaired' THEN 2 WHEN 'sampled' THEN 3 ELSE 4 END"
)


class Covered(Struct, kw_only=True):
    """How much of the time one metric of one instrument was known."""

    inst: InstrumentId
    metric: str
    share: float
    by_quality: dict[str, float] = field(default_factory=dict)  # shares of the whole time
    rows: int = 0


class Span(Struct, frozen=True):
    since: Micros
    until: Micros

    @property
    def micros(self) -> int:
        return self.until - self.since

    @property
    def where(self) -> str:
        """With constants, so that files and row groups that cannot match are skipped."""
        return f"ts >= TIMESTAMPTZ '{iso(self.since)}' AND ts < TIMESTAMPTZ '{iso(self.until)}'"


class Past:
    """What is stored of the metrics that one rule names."""

    def __init__(
        self,
        query: Query,
        compiled: Compiled,
        words: Mapping[str, tuple[str, str]],
        measures: Collection[Measure],
    ) -> None:
        self._query = query
        self._compiled = compiled
        self._metrics = {word: words[word] for word in compiled.names}
        sparse = {measure.name for measure in measures if measure.sparse}
        self._sparse = {word for word, (name, _) in self._metrics.items() if name in sparse}

    async def coverage(self, span: Span) -> list[Covered]:
        """By metric and instrument. Empty: there is nothing of what the rule applies to."""
        _, rows = await self._query.sql(self._coverage_sql(span))
        word_of = {metric: word for word, metric in self._metrics.items()}
        found: dict[tuple[str, str], dict[str, float]] = defaultdict(lambda: defaultdict(float))
        counts: dict[tuple[str, str], int] = defaultdict(int)
        for inst, name, window, rank, micros, count in rows:
            if self._fits(inst):
                key = (inst, word_of[name, window])
                found[key][_QUALITIES[rank - 1].value] += micros / span.micros
                counts[key] += count
        if self._sparse:
            await self._add_silence(span, found)
        self._add_absent(found)
        return _as_list(found, counts)

    async def trades(self, span: Span) -> list[Covered]:
        """How much of the time trades of each instrument came, by the candles that prove it."""
        found: dict[tuple[str, str], dict[str, float]] = defaultdict(lambda: defaultdict(float))
        proven = await self._proven(span)
        _, rows = await self._query.sql(_TRADES_SQL.format(where=span.where, until=span.until))
        counts = {inst: count for inst, _, count in rows if self._fits(inst)}
        for inst, micros, _ in rows:
            if self._fits(inst):
                partial = {Quality.PARTIAL.value: micros / span.micros}
                found[inst, "trades"] = max(partial, proven.get(inst, {}), key=_total)
        return _as_list(found, {(inst, "trades"): count for inst, count in counts.items()})

    async def pages(self, span: Span, rows: int) -> AsyncIterator[dict[InstrumentId, list[Metric]]]:
        """Give all rows in order of time, by instrument; `rows` is about how many there are."""
        length = max(HOUR, span.micros * MAX_ROWS // max(rows, 1))
        since = span.since
        while since < span.until:
            page = Span(since, Micros(min(since + length, span.until)))
            _, packed = await self._query.sql(self._rows_sql(page))
            yield {inst: self._unpack(inst, lists) for inst, *lists in packed if self._fits(inst)}
            since = page.until

    def _fits(self, inst: InstrumentId) -> bool:
        return any(fnmatchcase(inst, each) for each in self._compiled.rule.instruments)

    async def _add_silence(
        self, span: Span, found: dict[tuple[str, str], dict[str, float]]
    ) -> None:
        """A sparse metric that is not told while trades come in: it had nothing to tell."""
        for inst, shares in (await self._proven(span)).items():
            for word in self._sparse:
                found[inst, word] = max(found[inst, word], shares, key=_total)

    async def _proven(self, span: Span) -> dict[InstrumentId, dict[str, float]]:
        """Shares of the time for which there are candles of a minute, by their quality."""
        _, rows = await self._query.sql(_CANDLES_SQL.format(where=span.where))
        proven: dict[InstrumentId, dict[str, float]] = defaultdict(dict)
        for inst, rank, minutes in rows:
            if self._fits(inst):
                proven[inst][_QUALITIES[rank - 1].value] = minutes * MINUTE / span.micros
        return proven

    def _add_absent(self, found: dict[tuple[str, str], dict[str, float]]) -> None:
        """Who has one of the metrics should have the others."""
        for inst in {inst for inst, _ in found}:
            for word in self._metrics:
                found[inst, word]  # the look makes it

    def _named(self) -> str:
        """Names come from measures, which are identifiers; none has a quote."""
        pairs = (f"('{name}', '{window}')" for name, window in self._metrics.values())
        return f'("name", "window") IN ({", ".join(pairs)})'

    def _coverage_sql(self, span: Span) -> str:
        forget = min(round(self._compiled.rule.forget_secs * SECOND), span.micros)
        return _COVERAGE_SQL.format(
            where=f"{span.where} AND {self._named()}", until=span.until, forget=forget
        )

    def _rows_sql(self, span: Span) -> str:
        cases = " ".join(
            f"WHEN \"name\" = '{name}' AND \"window\" = '{window}' THEN {number}"
            for number, (name, window) in enumerate(self._metrics.values())
        )
        return _ROWS_SQL.format(where=f"{span.where} AND {self._named()}", cases=cases)

    def _unpack(self, inst: InstrumentId, lists: Sequence[Sequence[Any]]) -> list[Metric]:
        rows = sorted(zip(*lists, strict=True))  # no two have one time and one name
        names = [name for name, _ in self._metrics.values()]
        windows = [window for _, window in self._metrics.values()]
        return [
            Metric(
                ts, recv, inst, names[number], value, windows[number], _QUALITIES[rank - 1],
                baseline, tuple(evidence or ()),
            )
            for ts, recv, number, value, rank, baseline, evidence in rows
        ]  # fmt: skip


def _total(shares: Mapping[str, float]) -> float:
    return sum(shares.values())


def _as_list(
    found: Mapping[tuple[str, str], Mapping[str, float]], counts: Mapping[tuple[str, str], int]
) -> list[Covered]:
    return [
        Covered(
            inst=inst, metric=word, share=min(1.0, _total(shares)), by_quality=dict(shares),
            rows=counts.get((inst, word), 0),
        )
        for (inst, word), shares in sorted(found.items())
    ]  # fmt: skip


# A minute counts from its first row on; its quality is the worst of its rows.
_COVERAGE_SQL = f"""
WITH minutes AS (
    SELECT inst, "name", "window", min(epoch_us(ts)) AS begins, max(epoch_us(ts)) AS ends,
           max({_RANK}) AS grade, count(*) AS told
    FROM metrics WHERE {{where}}
    GROUP BY inst, "name", "window", epoch_us(ts) // {MINUTE}
), spans AS (
    SELECT *, lead(begins, 1, {{until}}) OVER (
        PARTITION BY inst, "name", "window" ORDER BY begins
    ) AS following FROM minutes
)
SELECT inst, "name", "window", grade, sum(least(following, ends + {{forget}}) - begins)::BIGINT,
       sum(told)::BIGINT
FROM spans GROUP BY ALL ORDER BY ALL
"""  # noqa: S608 - times, and names of ours
# Without candles nothing proves that a minute without a trade is whole; five of them are too many.
_TRADES_SQL = f"""
WITH minutes AS (
    SELECT inst, min(epoch_us(ts)) AS begins, max(epoch_us(ts)) AS ends, count(*) AS told
    FROM trades WHERE {{where}} GROUP BY inst, epoch_us(ts) // {MINUTE}
), spans AS (
    SELECT *, lead(begins, 1, {{until}}) OVER (PARTITION BY inst ORDER BY begins) AS following
    FROM minutes
)
SELECT inst, sum(least(following, ends + {5 * MINUTE}) - begins)::BIGINT, sum(told)::BIGINT
FROM spans GROUP BY inst ORDER BY inst
"""  # noqa: S608 - as above
_CANDLES_SQL = f"""
SELECT inst, {_RANK} AS grade, count(*) FROM candles
WHERE {{where}} AND "interval" = '1m' AND origin = 'own' AND closed
GROUP BY ALL ORDER BY ALL
"""  # noqa: S608 - as above
# Lists of one group are filled row by row, so they have one order, though it is not that of time:
# sorting seven lists in SQL takes five times as long as sorting their rows afterwards.
_ROWS_SQL = f"""
SELECT inst, list(epoch_us(ts)), list(epoch_us(recv)), list(CASE {{cases}} END), list("value"),
       list({_RANK}), list(baseline), list(CASE WHEN len(evidence) > 0 THEN evidence END)
FROM metrics WHERE {{where}} GROUP BY inst ORDER BY inst
"""  # noqa: S608 - as above
