"""From the data of one stream to its events: a closure per stream, which does all there is to do.

A handler is found by the stream's name in the frame, so what differs from stream to stream
(instrument, chain, book, interval) is looked up once, when the stream begins. Duplicates of a
second connection are dropped here, in the chain or in the book.
"""

from collections.abc import Callable
from typing import Any

from tapewatch.model.errors import BadFrame
from tapewatch.model.events import Batch, BookDelta, BookSnapshot, InstrumentId, Micros, Trade
from tapewatch.ports import Asks
from tapewatch.venues._binance_messages import (
    BUY,
    MICROS_FROM,
    SELL,
    decode_agg_trade,
    decode_book,
    decode_depth,
    decode_kline,
    decode_mini_ticker,
    decode_quote,
    decode_ticker,
    decode_trade,
    micros,
    to_candle,
    to_delta,
    to_mini_ticker,
    to_quote,
    to_snapshot,
    to_ticker,
    to_trade,
)
from tapewatch.venues._book import BookSync, Step
from tapewatch.venues._newest import Newest
from tapewatch.venues._pulse import Pulse
from tapewatch.venues._talk import Handler
from tapewatch.venues._trades import RECENT_IDS, TradeChain


def sequence(seq: int, delta: BookDelta) -> Step:
    """Tell by `U` and `u`, as in "How to manage a local order book correctly".

    1. Subscribe; hold changes, remember `U` of the first.          BookSync.take, _hold
    2. Get a snapshot.                                              BookSync._ask
    3. Its id + 1 is below that `U`: get another.                   BookSync.offer: GAP
    4. Drop changes with `u` <= its id.                             BookSync.offer: STALE
       The first that remains has `U` <= id + 1 <= `u`.
    5. The book is the snapshot; apply the changes in order.        BookSync.offer
    6. Then: `u` <= local is old, `U` > local + 1 is a gap: go to 1. BookSync.take

    The venue words 4 as "the id lies within `[U, u]`". With + 1 the exact boundary counts too:
    it happens (seen in recordings) and is as good a proof.
    """
    if delta.seq <= seq:
        return Step.STALE
    return Step.GAP if delta.first_seq > seq + 1 else Step.NEXT


def trades(inst: InstrumentId, chain: TradeChain, pulse: Pulse) -> Handler:
    def handle(data: bytes, recv: Micros, out: Batch) -> Asks:
        message = decode_trade(data)
        trade = to_trade(message, recv, inst)
        pulse.ts = trade.ts
        pulse.recv = recv
        number = message.t
        if number == chain.next and not chain.holes:
            chain.next = number + 1
            chain.ts = trade.ts
            out.append(trade)
            return ()
        return chain.take(number, trade, recv, out)

    return handle


def agg_trades(inst: InstrumentId, chain: TradeChain, pulse: Pulse) -> Handler:
    """Written out in one: of all frames these are the most, and a call more is a tenth of it."""

    def handle(data: bytes, recv: Micros, out: Batch) -> Asks:
        m = decode_agg_trade(data)
        number, time, count = m.a, m.T, m.l - m.f + 1
        if count < 1:
            raise BadFrame(f"aggTrade {number} ends with trade {m.l} before it begins with {m.f}")
        ts: Any = time * 1000 if time < MICROS_FROM else time  # to call Micros costs 40 ns
        side = SELL if m.m else BUY
        trade = Trade(
            ts, recv, inst, str(number), side, m.p, m.q, "aggTrade", count, False, chain.echo
        )
        pulse.ts = ts
        pulse.recv = recv
        if number == chain.next and not chain.holes:
            chain.next = number + 1
            chain.ts = ts
            out.append(trade)
            return ()
        return chain.take(number, trade, recv, out)

    return handle


def quotes(inst: InstrumentId, newest: Newest) -> Handler:
    def handle(data: bytes, recv: Micros, out: Batch) -> Asks:
        message = decode_quote(data)
        if 0 <= newest.seq - message.u < RECENT_IDS:
            return ()
        newest.seq = message.u
        out.append(to_quote(message, recv, inst))
        return ()

    return handle


def book_changes(inst: InstrumentId, book: BookSync, pulse: Pulse) -> Handler:
    def handle(data: bytes, recv: Micros, out: Batch) -> Asks:
        delta = to_delta(decode_depth(data), recv, inst)
        pulse.ts = delta.ts
        pulse.recv = recv
        return book.take(delta, recv, out)

    return handle


def book_tops(inst: InstrumentId, newest: Newest, has_book: Callable[[], bool]) -> Handler:
    """Partial books. Where the whole book is carried they would only replace it by less."""

    def handle(data: bytes, recv: Micros, out: Batch) -> Asks:
        snapshot: BookSnapshot = to_snapshot(decode_book(data), recv, inst)
        if has_book() or 0 <= newest.seq - snapshot.seq < RECENT_IDS:
            return ()
        newest.seq = snapshot.seq
        out.append(snapshot)
        return ()

    return handle


def tickers(inst: InstrumentId, newest: Newest, pulse: Pulse) -> Handler:
    def handle(data: bytes, recv: Micros, out: Batch) -> Asks:
        ticker = to_ticker(decode_ticker(data), recv, inst)
        if not newest.repeats(ticker.ts):
            pulse.ts = ticker.ts
            pulse.recv = recv
            out.append(ticker)
        return ()

    return handle


def mini_tickers(inst: InstrumentId, newest: Newest, pulse: Pulse) -> Handler:
    def handle(data: bytes, recv: Micros, out: Batch) -> Asks:
        ticker = to_mini_ticker(decode_mini_ticker(data), recv, inst)
        if not newest.repeats(ticker.ts):
            pulse.ts = ticker.ts
            pulse.recv = recv
            out.append(ticker)
        return ()

    return handle


def klines(inst: InstrumentId, interval: str, newest: Newest, pulse: Pulse) -> Handler:
    def handle(data: bytes, recv: Micros, out: Batch) -> Asks:
        message = decode_kline(data)
        if message.k.i != interval:
            raise BadFrame(f"a bar of {message.k.i!r} in the stream of {interval}")
        candle = to_candle(message, recv, inst)
        ts = micros(message.E)
        if not newest.repeats(ts):
            pulse.ts = ts
            pulse.recv = recv
            out.append(candle)
        return ()

    return handle
