"""Our own candles once more, from stored trades: after a backfill has filled what was missing.

A candle is given only if it is proven: no id is missing between the trades around it, or it lies in
the stretch of time of which a backfill got everything there is. The sums are those of `candles.py`.
"""

from collections.abc import Iterable
from itertools import groupby
from math import inf

from msgspec.structs import replace

from tapewatch.model.events import AnyEvent, Candle, InstrumentId, Micros, Trade
from tapewatch.model.times import Interval
from tapewatch.process._proof import Proof
from tapewatch.process._worth import Worth
from tapewatch.process.candles import Candles
from tapewatch.process.seconds import SecondsState


class Rebuild:
    """`[since, until)` is the stretch of which everything is there. Trades come by time, then id.

    `spans`: a trade has as many ids as it has fills.
    """

    def __init__(
        self, candles: Candles, inst: InstrumentId, since: Micros, until: Micros, *, spans: bool
    ) -> None:
        self._seconds = SecondsState(inst, Worth.of(inst), limit=inf)  # no orders
        self._state = candles.fresh(inst)
        # Holes are judged here, by the ids; the state is to say only what came by REST.
        self._state.proof = Proof(vouched=True, holes=[])
        self._since = since
        self._until = until
        self._spans = spans
        self._holes: list[tuple[Micros, Micros]] = []  # half open, ascending
        self._first: Micros | None = None
        self._last: Trade | None = None
        self._said: dict[tuple[str, Micros], Candle] = {}

    def take(self, trades: Iterable[Trade]) -> None:
        for trade in trades:
            if self._last is not None and int(trade.id) <= int(self._last.id):
                continue  # told twice, or out of its order by a venue that set its clock
            self._note(trade)
            self._hear(self._seconds.on_event(trade))
            self._last = trade

    def finish(self) -> list[Candle]:
        """Give the proven ones, by interval, ascending."""
        self._hear(self._seconds.on_timer(self._until))
        end = max(self._until, self._last.ts if self._last is not None else self._until)
        while (at := self._state.next_timer()) is not None and at <= end + self._state.grace:
            self._keep(self._state.on_timer(at))
            if self._state.next_timer() == at:
                break
        ordered = sorted(self._said.values(), key=lambda c: (Interval.parse(c.interval), c.ts))
        return [
            candle
            for _, row in groupby(ordered, key=lambda candle: candle.interval)
            for candle in self._proven(row, end)
        ]

    def _note(self, trade: Trade) -> None:
        before, ts = self._last, trade.ts
        if before is None:
            self._first = ts
            return
        size = trade.count if self._spans else 1
        if int(trade.id) - size == int(before.id):
            return
        # Where the backfill was nothing is missing, so a hole ends there and goes on behind it.
        if before.ts < self._since:
            self._holes.append((before.ts, min(Micros(ts + 1), self._since)))
        elif ts < self._until:
            self._holes.append((before.ts, Micros(ts + 1)))
        if ts >= self._until:
            self._holes.append((max(before.ts, self._until), Micros(ts + 1)))

    def _hear(self, said: Iterable[AnyEvent]) -> None:
        for second in said:
            self._keep(self._state.on_event(second))

    def _keep(self, said: Iterable[AnyEvent]) -> None:
        for event in said:
            if type(event) is Candle and event.closed:
                self._said[event.interval, event.ts] = event

    def _proven(self, row: Iterable[Candle], end: Micros) -> list[Candle]:
        found: list[Candle] = []
        holes = iter(self._holes)
        hole = next(holes, None)
        begin = self._since if self._first is None else min(self._since, self._first + 1)
        before: Candle | None = None
        for candle in row:
            width = Interval.parse(candle.interval).micros
            while hole is not None and hole[1] <= candle.ts:
                hole = next(holes, None)
            holed = hole is not None and hole[0] < candle.ts + width
            if holed or candle.ts < begin or candle.ts + width > end:
                before = None
            elif candle.trades or before is not None:
                joined = before is not None and before.ts + width == candle.ts
                before = candle if joined else replace(candle, prev_close=None)
                found.append(before)
        return found
