"""Binance USD-M: from the data of one stream to its events, where that differs from spot."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from tapewatch.model.events import Batch, BookSnapshot, InstrumentId, Micros, Quote, Trade
from tapewatch.ports import Asks
from tapewatch.venues._batches import Batches
from tapewatch.venues._binance_futures_messages import (
    decode_depth,
    decode_force,
    decode_mark,
    decode_quote,
    decode_ticker,
    decode_trade,
    to_delta,
    to_liquidation,
    to_mark,
    to_ticker,
    to_trade,
)
from tapewatch.venues._binance_messages import micros
from tapewatch.venues._binance_rest import decode_raw_rows, to_raw_rows
from tapewatch.venues._book import BookSync
from tapewatch.venues._newest import Newest
from tapewatch.venues._pulse import Pulse
from tapewatch.venues._talk import Handler
from tapewatch.venues._trades import RECENT_IDS, TradeChain, blank

_MOST_BLANKS = 100  # in a row; more of them are no proof


def trades(inst: InstrumentId, chain: TradeChain, pulse: Pulse) -> Handler:
    """Of the market only: what insurance fund and ADL fill, and NA (nothing at all), have ids too."""

    def handle(data: bytes, recv: Micros, out: Batch) -> Asks:
        message = decode_trade(data)
        ts = micros(message.T)
        number = message.t
        if message.X != "MARKET":
            pulse.ts, pulse.recv = ts, recv
            return chain.skip(number, ts, recv, out)
        trade = to_trade(message, recv, inst)
        pulse.ts, pulse.recv = ts, recv
        if number == chain.next and not chain.holes:
            chain.next = number + 1
            chain.ts = ts
            out.append(trade)
            return ()
        return chain.take(number, trade, recv, out)

    return handle


def trade_rows(
    inst: InstrumentId,
) -> Callable[[bytes, Micros, bool], Sequence[tuple[int, Trade]]]:
    """Read the newest trades. They are the market's, all of them: ids between have no trade."""

    def rows(body: bytes, recv: Micros, _echo: bool) -> Sequence[tuple[int, Trade]]:  # noqa: FBT001 - the shape of History.rows
        found = sorted(to_raw_rows(decode_raw_rows(body), recv, inst), key=lambda row: row[0])
        blanks: list[tuple[int, Trade]] = []
        for (before, trade), (after, _) in pairwise(found):
            if after - before <= _MOST_BLANKS:
                ids = range(before + 1, after)
                blanks.extend((n, blank(n, trade.ts, recv, inst, repaired=True)) for n in ids)
        return sorted([*found, *blanks], key=lambda row: row[0])

    return rows


def quotes(inst: InstrumentId, newest: Newest, pulse: Pulse) -> Handler:
    def handle(data: bytes, recv: Micros, out: Batch) -> Asks:
        m = decode_quote(data)
        if 0 <= newest.seq - m.u < RECENT_IDS:
            return ()
        newest.seq = m.u
        if m.T is None:
            ts = recv
        else:
            ts = micros(m.T)
            pulse.ts, pulse.recv = ts, recv
        out.append(Quote(ts, recv, inst, m.b, m.B, m.a, m.A, m.u))
        return ()

    return handle


def book_changes(inst: InstrumentId, book: BookSync, pulse: Pulse) -> Handler:
    """As in "How to manage a local order book correctly" of USD-M.

    1-3. Subscribe, hold, get a snapshot: as on spot.
    4.   Drop changes with `u` < the snapshot's id L; the first that remains has `U` <= L <= `u`.
         Ids count all symbols' changes, so it is `pu` that tells what lies between two changes
         of one book: one with `pu` <= L < `u` follows, one with `u` = L is in the snapshot.
    5.   Each further one has `pu` = `u` of the one before.        `sequence`, with `pu` + 1 as `U`
    """

    def handle(data: bytes, recv: Micros, out: Batch) -> Asks:
        delta = to_delta(decode_depth(data), recv, inst)
        pulse.ts, pulse.recv = delta.ts, recv
        return book.take(delta, recv, out)

    return handle


def book_tops(
    inst: InstrumentId, newest: Newest, pulse: Pulse, has_book: Callable[[], bool]
) -> Handler:
    """Partial books. Where the whole book is carried they would only replace it by less."""

    def handle(data: bytes, recv: Micros, out: Batch) -> Asks:
        m = decode_depth(data)
        if has_book() or 0 <= newest.seq - m.u < RECENT_IDS:
            return ()
        newest.seq = m.u
        pulse.ts, pulse.recv = m.ts, recv
        out.append(BookSnapshot(m.ts, recv, inst, m.u, m.b, m.a))
        return ()

    return handle


def tickers(inst: InstrumentId, newest: Newest, pulse: Pulse) -> Handler:
    def handle(data: bytes, recv: Micros, out: Batch) -> Asks:
        ticker = to_ticker(decode_ticker(data), recv, inst)
        if not newest.repeats(ticker.ts):
            pulse.ts, pulse.recv = ticker.ts, recv
            out.append(ticker)
        return ()

    return handle


def marks(inst: InstrumentId, newest: Newest, pulse: Pulse) -> Handler:
    def handle(data: bytes, recv: Micros, out: Batch) -> Asks:
        mark = to_mark(decode_mark(data), recv, inst)
        if not newest.repeats(mark.ts):
            pulse.ts, pulse.recv = mark.ts, recv
            out.append(mark)
        return ()

    return handle


def liquidations(inst: InstrumentId, flow: Batches, pulse: Pulse) -> Handler:
    """Forced orders; they have no ids, and two connections bring the same."""

    def handle(data: bytes, recv: Micros, out: Batch) -> Asks:
        m = decode_force(data)
        order = m.o
        if not order.z:
            return ()  # nothing is filled yet
        event = to_liquidation(order, recv, inst)
        if flow.fresh((order,)):
            flow.ts = max(flow.ts, event.ts)
            pulse.ts, pulse.recv = micros(m.E), recv
            out.append(event)
        return ()

    return handle
