"""Our own candles, from trades: a base interval that seconds go into, larger ones made of it.

             trade or tick behind the end             a Gap, or too long without any trade
    (idle) --second--> GROWING --------------> closed ------------------------------> (idle)
                         ^                       |
                         +------- else ----------+     the next bar, without trades as yet

A minute without trades is a candle whose prices are all the close before it, as venues do it, so
that a chart has no hole; but not before the first trade, not after a Gap (then nobody knows), and
not more than `quiet_bars` in a row. The growing candle is shown (`closed=False`) when a second of
it is over, the larger ones when a base candle closes. A second that a trade of the next candle ends
closes its candle at once; one that time ends waits for stragglers (`grace_secs`).

A late trade corrects the candles it belongs to. Closed ones are given out again with the next
revision, as far as memory goes (`memory_minutes`, for larger intervals the bars that overlap it);
what is older is counted and told as the metric `late_trades`. `_proof.py` says how good a candle is.

Time is the trades' own and the ticks'. If the venue's clock steps back beyond the memory, a
hundred late trades in a row make everything begin anew. Repeated trades are not found here: a
feed gives each id once.
"""

from typing import Any

from msgspec import Struct, field

from tapewatch.model.errors import ConfigError
from tapewatch.model.events import (
    AnyEvent,
    Candle,
    Coverage,
    Event,
    Gap,
    Holding,
    InstrumentId,
    Metric,
    Micros,
    Second,
)
from tapewatch.model.times import MINUTE, SECOND, Interval
from tapewatch.ports import Measure, Plugin
from tapewatch.process._bars import Bar, Level, to_candle
from tapewatch.process._proof import Proof

_NEVER = Micros(0)
_STEPPED_BACK = 100  # late live trades in a row that mean that the venue's clock went back


class CandlesConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    intervals: tuple[str, ...] = ("1m", "5m", "15m", "1h", "4h", "1d")
    memory_minutes: int = 60  # how far back a late trade corrects closed candles
    quiet_bars: int = 120  # base candles without trades in a row, before we fall silent
    grace_secs: float = 1.0  # a tick closes a candle this long after its end


class CandleState(Struct):
    """All candles of one instrument."""

    inst: InstrumentId
    base: Level
    larger: list[Level]
    quiet_bars: int
    grace: int  # microseconds
    show_at: Micros = Micros(0)  # parts of a second that was shown wait until this
    shown: int = 0  # trades in it when it was shown last
    reached: Micros = Micros(0)  # what lies before this is closed
    newest: Micros = Micros(0)  # time of the last trade in the closed bars
    quiet: int = 0  # closed base bars without trades in a row
    interrupted: bool = False  # a Gap, and no trade since
    stale: bool = False  # closed candles wait to be given out again
    late: int = 0  # trades that no base candle could take, not yet told
    behind: int = 0  # of those the ones in a row that came live
    channel: str = ""  # whose trades these are
    proof: Proof = field(default_factory=Proof)

    def on_event(self, event: Any) -> list[AnyEvent] | tuple[()]:
        if type(event) is Second:
            return self._take(event)
        if event.channel != self.channel:
            return ()
        if type(event) is Gap:
            self._break(event.first, event.last)
            return ()
        return self._cover(event)

    def next_timer(self) -> Micros | None:
        waiting = self.stale or (self.base.live and self.base.bar.trades != self.shown)
        if waiting:
            return Micros(max(self.show_at, self.reached) + self.grace)
        ends = [level.end for level in (self.base, *self.larger) if level.live]
        return Micros(min(ends) + self.grace) if ends else None

    def on_timer(self, at: Micros) -> list[AnyEvent]:
        now = Micros(at - self.grace)
        said = self._correct(at) if self.stale else []
        said += self._advance(now, at)
        if self.base.live and self.base.bar.trades != self.shown:
            said.append(self._show(self.base, at))
            self.shown = self.base.bar.trades
        return said

    def _take(self, part: Second) -> list[AnyEvent] | tuple[()]:
        if part.channel != self.channel:
            self._switch(part.channel)
        if part.ts < self.reached:
            return self._take_late(part)
        # Corrections come first: closing a bar may push the oldest one out of memory.
        said = self._correct(part.recv) if self.stale and part.ts >= self.show_at else []
        base = self.base
        if not base.live or part.ts >= base.end:
            said += self._advance(part.ts, part.recv)
        self._resume(part)
        base.bar.insert(part)
        if part.reached >= base.end:
            return said + self._advance(part.reached, part.recv)
        if part.ts >= self.show_at:
            self.show_at = Micros(part.ts + SECOND)
            self.shown = base.bar.trades
            said.append(self._show(base, part.recv))
        return said

    def _take_late(self, part: Second) -> tuple[()]:
        """Correct closed candles; they are given out again within a second."""
        corrected = self.base.correct(part, self.reached)
        for level in self.larger:
            if level.live and part.ts >= level.bar.start:
                level.bar.insert(part)
            else:
                level.correct(part, self.reached)
        self.stale = True
        if part.repaired:
            self.proof.repaired(part.first)
        if not corrected:
            self.late += 1
            self.behind += not part.repaired
            if self.behind >= _STEPPED_BACK:
                self._restart(part.ts)
        return ()

    def _advance(self, now: Micros, recv: Micros) -> list[AnyEvent]:
        """Close whatever has ended by `now`."""
        said: list[AnyEvent] = []
        while self.base.live and now >= self.base.end:
            said += self._close_base(recv)
        if not self.base.live:
            for level in self.larger:
                if level.live and now >= level.end:
                    said.append(self._close(level, recv))
            self.reached = max(self.reached, self.base.interval.floor(now))
        return said

    def _close_base(self, recv: Micros) -> list[AnyEvent]:
        end = self.base.end
        said: list[AnyEvent] = [self._close(self.base, recv)]
        bar = self.base.past[-1]
        for level in self.larger:
            level.bar.absorb(bar)
            if end >= level.end:
                said.append(self._close(level, recv))
            elif end >= level.show_at:
                level.show_at = Micros(end + max(SECOND, min(MINUTE, level.interval.micros // 60)))
                said.append(self._show(level, recv))
        if bar.trades:
            self.newest, self.quiet = bar.last, 0
        else:
            self.quiet += 1
        self.reached = end
        if not self.interrupted and self.quiet < self.quiet_bars:
            self._begin(end, bar.close)
        self.proof.forget(self._horizon())
        return said

    def _begin(self, ts: Micros, price: float) -> None:
        for level in (self.base, *self.larger):
            if not level.live:
                level.begin(ts, price)
        self.reached = self.base.bar.start
        self.shown = 0

    def _resume(self, part: Second) -> None:
        if not self.base.live:
            self._begin(part.ts, part.open)
        self.interrupted = False
        self.quiet = self.behind = 0
        self.proof.resumed(part.first)
        if part.repaired:
            self.proof.repaired(part.first)

    def _break(self, first: int = 0, last: int = -1) -> None:
        """Trades are missing: from the last one that we have until the next that comes."""
        since = self._newest()
        self.proof.gap(since, first, last)
        self.interrupted = True
        for level in (self.base, *self.larger):
            self.stale |= level.touch(since, self.reached)

    def _cover(self, entry: Coverage) -> list[AnyEvent] | tuple[()]:
        """Read the ledger: it vouches for the stream, and it says when a hole is mended."""
        self.proof.vouched = True
        if entry.holding is not Holding.REPAIRED:
            return ()
        for hole in self.proof.mend(entry.first, entry.last):
            for level in (self.base, *self.larger):
                self.stale |= level.touch(hole.since, hole.until)
        return self._correct(entry.recv) if self.stale else ()

    def _correct(self, recv: Micros) -> list[AnyEvent]:
        """Give out again what has changed, and tell what came too late for it."""
        self.stale = False
        said: list[AnyEvent] = [
            self._candle(level, bar, recv, closed=True)
            for level in (self.base, *self.larger)
            for bar in level.changed()
        ]
        if self.late:
            ts = max(self._newest(), self.reached)
            said.append(Metric(ts, recv, self.inst, "late_trades", float(self.late), "1s"))
            self.late = 0
        return said

    def _switch(self, channel: str) -> None:
        """Another channel tells the trades from here on: nothing joins the two."""
        if self.channel:
            self._break()
        self.proof.vouched = False
        self.channel = channel

    def _restart(self, ts: Micros) -> None:
        """Follow a clock that went back: what was made of the wrong time is given up."""
        self.late += self.base.bar.trades if self.base.live else 0
        for level in (self.base, *self.larger):
            level.live = False
            level.past.clear()
            level.show_at = Micros(0)
        self.proof = Proof(self.proof.vouched)
        self.show_at = self.newest = _NEVER
        self.quiet = self.behind = self.shown = 0
        self.reached = self.base.interval.floor(ts)

    def _close(self, level: Level, recv: Micros) -> Candle:
        return self._candle(level, level.close(), recv, closed=True)

    def _show(self, level: Level, recv: Micros) -> Candle:
        return self._candle(level, level.bar, recv, closed=False)

    def _candle(self, level: Level, bar: Bar, recv: Micros, *, closed: bool) -> Candle:
        quality = self.proof.quality(bar.start, Micros(bar.start + level.interval.micros))
        return to_candle(self.inst, bar, level.interval.name, recv, quality, closed=closed)

    def _newest(self) -> Micros:
        growing = self.base.live and self.base.bar.trades
        return self.base.bar.last if growing else self.newest

    def _horizon(self) -> Micros:
        known = [old for level in (self.base, *self.larger) if (old := level.oldest) is not None]
        return min(known, default=Micros(0))


class Candles:
    """The processor. The smallest interval is the base; it must divide all the others."""

    def __init__(self, name: str, config: CandlesConfig, intervals: list[Interval]) -> None:
        self.name = name
        self.wants: frozenset[type[Event]] = frozenset({Second, Gap, Coverage})
        self.gives: frozenset[type[Event]] = frozenset({Candle, Metric})
        self.state = CandleState
        self.measures = (
            Measure("late_trades", ("1s",), "count", "trades that came after their candle closed"),
        )
        self._config = config
        self._intervals = intervals

    def key(self, event: Any) -> str:
        inst: InstrumentId = event.inst
        return inst

    def fresh(self, key: str) -> CandleState:
        base, *larger = [Level(interval, self._keep(interval)) for interval in self._intervals]
        grace = int(self._config.grace_secs * SECOND)
        return CandleState(key, base, larger, self._config.quiet_bars, grace)

    def adopt(self, state: CandleState) -> CandleState:
        """Other intervals begin anew: bars cannot be cut into smaller ones."""
        had = [level.interval for level in (state.base, *state.larger)]
        if had != self._intervals:
            return self.fresh(state.inst)
        for level in (state.base, *state.larger):
            level.keep = self._keep(level.interval)
        state.quiet_bars = self._config.quiet_bars
        state.grace = int(self._config.grace_secs * SECOND)
        return state

    def _keep(self, interval: Interval) -> int:
        """As many closed bars as overlap the memory."""
        return -(-self._config.memory_minutes * MINUTE // interval.micros) + 1


def build(name: str, config: CandlesConfig) -> Candles:
    """Raises ConfigError if the intervals cannot be used together."""
    try:
        intervals = sorted({Interval.parse(text) for text in config.intervals})
    except ValueError as error:
        raise ConfigError(f"{name}.intervals: {error}") from None
    if not intervals:
        raise ConfigError(f"{name}.intervals is empty: name one at least, such as 1m")
    for other in intervals[1:]:
        if not intervals[0].divides(other):
            raise ConfigError(
                f"{name}.intervals: {other.name} is not made of whole {intervals[0].name} candles;"
                f" leave it out, it can be asked for if a divisor such as 1m is kept"
            )
    return Candles(name, config, intervals)


PLUGIN = Plugin(config=CandlesConfig, build=build)
