"""Streams of all instruments at once, COIN-M's shadows among them since the merge."""

from collections.abc import Iterator

from tapewatch.sim import binance_futures_frames as frames
from tapewatch.sim.binance_futures_coin import Shadow, shadow
from tapewatch.sim.binance_futures_listing import Spelling, spelling
from tapewatch.sim.decimals import ONE
from tapewatch.sim.happenings import Liquidation, Top
from tapewatch.sim.market import Market


class AllMarkets:
    """Makes their texts."""

    def __init__(self, market: Market, *, merged: bool) -> None:
        self._market = market
        self._spellings: dict[str, Spelling] = {}
        self._shadows: dict[str, Shadow] = {}
        for symbol in market.symbols:
            self._spellings[symbol] = spelling(market.listing(symbol))
            beside = shadow(symbol)
            if merged and beside is not None:
                self._shadows[symbol] = beside

    def texts(self, kind: str, now: int) -> Iterator[str]:
        """What an all-market stream of this kind says now: arrays, or a frame for each."""
        match kind:
            case "allBookTickers":
                yield from self._book_tickers(now)
            case "allMarks":
                marks = (
                    frames.mark_price(written, self._market.mark(symbol), now)
                    for symbol, written in self._spellings.items()
                )
                yield _array(marks)
            case "allTickers":
                yield _array(self._tickers())
            case _:
                yield _array(self._mini_tickers())

    def force_orders(self, told: Liquidation, now: int) -> Iterator[str]:
        """Every second liquidation has one beside it in the other universe."""
        beside = self._shadows.get(told.symbol)
        if beside is not None and told.id % 2 == 0:
            order = beside.liquidation(told)
            yield frames.force_order(beside.spelling, order, ONE, now)

    def _book_tickers(self, now: int) -> Iterator[str]:
        for symbol, written in self._spellings.items():
            book = self._market.live_book(symbol)
            top = Top(symbol, book.update_id, *book.top(), now)
            yield frames.book_ticker(written, top)
            beside = self._shadows.get(symbol)
            if beside is not None:
                yield frames.book_ticker(beside.spelling, beside.top(top))

    def _tickers(self) -> Iterator[str]:
        for symbol, written in self._spellings.items():
            day, trades = self._market.day(symbol), self._market.trades(symbol)
            last_qty = trades[-1].qty if trades else self._market.listing(symbol).lot
            yield frames.ticker(written, day, day.average, last_qty)
            beside = self._shadows.get(symbol)
            if beside is not None:
                contracts = beside.contracts(last_qty, day.bar.close)
                yield frames.ticker(beside.spelling, beside.day(day), day.average, contracts)

    def _mini_tickers(self) -> Iterator[str]:
        for symbol, written in self._spellings.items():
            day = self._market.day(symbol)
            yield frames.mini_ticker(written, day)
            beside = self._shadows.get(symbol)
            if beside is not None:
                yield frames.mini_ticker(beside.spelling, beside.day(day))


def _array(texts: Iterator[str]) -> str:
    return "[" + ",".join(texts) + "]"
