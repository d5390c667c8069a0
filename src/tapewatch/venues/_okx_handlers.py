"""From the frames of one OKX stream to its events: a closure per stream, as in `_binance_handlers`.

A book is proven by its chain: `prevSeqId` is the `seqId` before it. Only the pair counts: after a
maintenance `seqId` is lower than `prevSeqId`, and when nothing changes for a minute both are equal.
Frames of before June 2026 are proven by their checksum as well.
"""

from collections.abc import Callable

from msgspec import Struct

from tapewatch.model.errors import BadFrame
from tapewatch.model.events import (
    Batch,
    BookDelta,
    BookSnapshot,
    InstrumentId,
    MarkPrice,
    Metric,
    Micros,
    Quality,
    Trade,
)
from tapewatch.model.times import MINUTE
from tapewatch.ports import Asks
from tapewatch.venues import _okx_messages as wire
from tapewatch.venues._book import Step
from tapewatch.venues._newest import Newest
from tapewatch.venues._okx_checksum import Texts
from tapewatch.venues._okx_messages import BookRow, Units
from tapewatch.venues._pulse import Pulse
from tapewatch.venues._pushed import PushedBook
from tapewatch.venues._talk import Handler
from tapewatch.venues._trades import TradeChain

_FUNDING_KNOWN = 10 * MINUTE  # it comes every 30 to 90 s
_ANOTHER_SESSION = 7 * 24 * 3_600_000  # milliseconds: of recordings
WINDOW = "now"  # of numbers that are as they are at a moment


def follows(seq: int, delta: BookDelta) -> Step:
    return Step.NEXT if delta.first_seq == seq + 1 else Step.GAP


def trades(
    inst: InstrumentId, channel: str, chain: TradeChain, units: Units, pulse: Pulse
) -> Handler:
    def handle(frame: bytes, recv: Micros, out: Batch) -> Asks:
        asks: Asks = ()
        for row in wire.decode_trades(frame).data:
            ts = Micros(row.ts * 1000)
            count = row.count
            first = row.tradeId - count + 1
            if first < 0:
                raise BadFrame(f"trade {row.tradeId} cannot be the last of {count}")
            trade = Trade(
                ts, recv, inst, str(row.tradeId), row.side, row.px, units.base(row.sz, row.px),
                channel, count, False, chain.echo,
            )  # fmt: skip
            pulse.ts = ts
            pulse.recv = recv
            if first == chain.next and not chain.holes:
                chain.next = first + count
                chain.ts = ts
                out.append(trade)
            else:
                asks = (*asks, *chain.take(first, trade, recv, out))
        return asks

    return handle


class BookReader:
    """One book on one connection. The levels' texts are kept only where checksums come."""

    def __init__(
        self,
        inst: InstrumentId,
        book: PushedBook,
        units: Units,
        pulse: Pulse,
        by: object,
        *,
        lenient: bool,
    ) -> None:
        self._inst = inst
        self._book = book
        self._units = units
        self._pulse = pulse
        self._by = by
        self._lenient = lenient
        self._texts: Texts | None = None

    def handle(self, frame: bytes, recv: Micros, out: Batch) -> Asks:
        message = wire.decode_book(frame)
        for row in message.data:
            self._pulse.ts, self._pulse.recv = Micros(row.ts * 1000), recv
            if message.action == "snapshot":
                self._texts = Texts() if row.checksum else None
                self._snapshot(row, frame, recv, out)
            else:
                self._change(row, frame, recv, out)
        return ()

    def _snapshot(self, row: BookRow, frame: bytes, recv: Micros, out: Batch) -> None:
        ts, seq = Micros(row.ts * 1000), max(0, row.seqId)
        now = recv or ts
        if not self._is_proven(row, frame, now, out):
            raise BadFrame("the snapshot of a book contradicts its checksum")
        bids, asks = self._units.levels(row.bids), self._units.levels(row.asks)
        snapshot = BookSnapshot(ts, recv, self._inst, seq, bids, asks)
        self._book.snapshot(snapshot, self._by, now, out)

    def _change(self, row: BookRow, frame: bytes, recv: Micros, out: Batch) -> None:
        book, ts = self._book, Micros(row.ts * 1000)
        now = recv or ts
        before, seq = row.prevSeqId, row.seqId
        if seq < 0:  # of a time before ids
            before, seq = book.seq, book.seq + 1
            if self._texts is None and not self._lenient:
                book.void("changes come with neither ids nor a checksum", now, out)
        if before != book.seq and seq <= book.seq and ts <= book.ts:
            return  # it came already
        if not self._is_proven(row, frame, now, out):
            return
        if before == seq == book.seq and not row.bids and not row.asks:
            return  # nothing has changed for a minute
        bids, asks = self._units.levels(row.bids), self._units.levels(row.asks)
        delta = BookDelta(ts, recv, self._inst, before + 1, seq, bids, asks)
        book.take(delta, self._by, now, out)

    def _is_proven(self, row: BookRow, frame: bytes, now: Micros, out: Batch) -> bool:
        if self._texts is None:
            return True
        total = self._texts.apply(frame)
        if not row.checksum or row.checksum == total:
            return True
        self._book.void(f"checksum {total}, but the venue has {row.checksum}", now, out)
        self._texts = None
        return False


def quotes(inst: InstrumentId, newest: Newest, units: Units, pulse: Pulse) -> Handler:
    def handle(frame: bytes, recv: Micros, out: Batch) -> Asks:
        for row in wire.decode_tops(frame).data:
            quote = wire.to_quote(row, recv, inst, units)
            if not newest.repeats(quote.ts):
                pulse.ts, pulse.recv = quote.ts, recv
                out.append(quote)
        return ()

    return handle


def tops(
    inst: InstrumentId, newest: Newest, units: Units, pulse: Pulse, has_book: Callable[[], bool]
) -> Handler:
    """Five levels. Where the whole book is carried they would only replace it by less."""

    def handle(frame: bytes, recv: Micros, out: Batch) -> Asks:
        for row in wire.decode_tops(frame).data:
            ts = Micros(row.ts * 1000)
            if has_book() or newest.repeats(ts):
                continue
            pulse.ts, pulse.recv = ts, recv
            bids, asks = units.levels(row.bids), units.levels(row.asks)
            out.append(BookSnapshot(ts, recv, inst, row.seqId, bids, asks))
        return ()

    return handle


def tickers(
    inst: InstrumentId, newest: Newest, units: Units, pulse: Pulse, *, is_spot: bool
) -> Handler:
    def handle(frame: bytes, recv: Micros, out: Batch) -> Asks:
        for row in wire.decode_tickers(frame).data:
            ticker = wire.to_ticker(row, recv, inst, units, is_spot=is_spot)
            if newest.repeats(ticker.ts):
                continue
            pulse.ts, pulse.recv = ticker.ts, recv
            if ticker.last:  # else it never traded
                out.append(ticker)
        return ()

    return handle


class Bar(Struct):
    """The newest state of a bar that was passed on: bars have no time of their own."""

    newest: tuple[int, float, int] = (0, 0.0, 0)  # it opens, volume, closed
    place: int = 0


def candles(inst: InstrumentId, interval: str, bar: Bar, *, is_spot: bool) -> Handler:
    def handle(frame: bytes, recv: Micros, out: Batch) -> Asks:
        for row in wire.decode_candles(frame).data:
            bar.place += 1
            state = (row.ts, row.vol, row.confirm)
            if state > bar.newest or row.ts < bar.newest[0] - _ANOTHER_SESSION:
                bar.newest = state
                out.append(wire.to_candle(row, recv, inst, interval, is_spot=is_spot))
        return ()

    return handle


class Mark(Struct):
    """What three channels tell of one derivative. A MarkPrice has what is known and not old."""

    price: float = 0.0
    ts: Micros = Micros(0)
    index: float = 0.0
    index_ts: Micros = Micros(0)
    rate: float = 0.0
    next_funding: Micros = Micros(0)
    rate_ts: Micros = Micros(0)

    def event(self, ts: Micros, recv: Micros, inst: InstrumentId) -> MarkPrice | None:
        """None: the mark itself is not known, so another event must say what came."""
        if not self.price or not abs(ts - self.ts) < MINUTE:
            return None
        has_rate = abs(ts - self.rate_ts) < _FUNDING_KNOWN
        return MarkPrice(
            ts, recv, inst, self.price,
            self.index if abs(ts - self.index_ts) < MINUTE else None,
            self.rate if has_rate else None,
            self.next_funding if has_rate else None,
        )  # fmt: skip


def mark_prices(inst: InstrumentId, newest: Newest, mark: Mark, pulse: Pulse) -> Handler:
    def handle(frame: bytes, recv: Micros, out: Batch) -> Asks:
        for row in wire.decode_marks(frame).data:
            ts = Micros(row.ts * 1000)
            if newest.repeats(ts):
                continue
            pulse.ts, pulse.recv = ts, recv
            mark.price, mark.ts = row.markPx, ts
            event = mark.event(ts, recv, inst)
            assert event is not None
            out.append(event)
        return ()

    return handle


def index_price(
    inst: InstrumentId, newest: Newest, mark: Mark, row: wire.IndexRow, recv: Micros, out: Batch
) -> None:
    """An index belongs to all instruments of its pair."""
    ts = Micros(row.ts * 1000)
    if newest.repeats(ts):
        return
    mark.index, mark.index_ts = row.idxPx, ts
    event = mark.event(ts, recv, inst)
    out.append(event or number(ts, recv, inst, "index_price", row.idxPx))


def funding_rates(inst: InstrumentId, newest: Newest, mark: Mark, pulse: Pulse) -> Handler:
    def handle(frame: bytes, recv: Micros, out: Batch) -> Asks:
        for row in wire.decode_fundings(frame).data:
            ts = Micros(row.ts * 1000) or recv
            if row.fundingRate == "" or (row.ts and newest.repeats(ts)):
                continue
            pulse.ts, pulse.recv = ts, recv
            mark.rate, mark.rate_ts = row.fundingRate, ts
            mark.next_funding = Micros(row.fundingTime * 1000)
            event = mark.event(ts, recv, inst)
            out.append(event or number(ts, recv, inst, "funding_rate", row.fundingRate))
        return ()

    return handle


def interests(inst: InstrumentId, newest: Newest, pulse: Pulse) -> Handler:
    def handle(frame: bytes, recv: Micros, out: Batch) -> Asks:
        for row in wire.decode_interests(frame).data:
            ts = Micros(row.ts * 1000)
            if not newest.repeats(ts):
                pulse.ts, pulse.recv = ts, recv
                out.append(number(ts, recv, inst, "open_interest", row.oiCcy))
        return ()

    return handle


def number(ts: Micros, recv: Micros, inst: InstrumentId, name: str, value: float) -> Metric:
    """What no other event has a field for."""
    return Metric(ts, recv, inst, name, value, WINDOW, Quality.COMPLETE)
