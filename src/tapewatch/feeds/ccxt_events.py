"""What CCXT gives (its unified dicts) as events. Pure.

CCXT unifies names, not meanings. Four things are set right here: amounts of derivatives are in
contracts, times are milliseconds or missing, almost every field may be None, and Coinbase's
Advanced Trade tells the side of the maker, which CCXT passes on as if it were the taker's.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any

from msgspec import Struct

from tapewatch.feeds.ccxt_config import TRADES, exchange_id
from tapewatch.model.errors import BadFrame
from tapewatch.model.events import (
    InstrumentId,
    Level,
    Micros,
    Quote,
    Side,
    Ticker,
    Trade,
)
from tapewatch.model.instrument import Instrument

Row = Mapping[str, Any]
Levels = tuple[tuple[Level, ...], tuple[Level, ...]]

_SIDES = {"buy": Side.BUY, "sell": Side.SELL}
_TURNED = {"buy": Side.SELL, "sell": Side.BUY}
_MAKER_SIDES = frozenset({"coinbase", "coinbaseadvanced"})
_TICK_SIZE = 4  # CCXT's precisionMode in which `precision` holds steps and not digits


class Units(Struct, frozen=True):
    """How amounts of one instrument become base units."""

    inst: InstrumentId
    contract: float = 1.0  # base units a contract, or quote units if it is inverse
    is_contract: bool = False
    is_inverse: bool = False
    tells_maker: bool = False  # the side that a trade says is the maker's

    @classmethod
    def of(cls, venue: str, market: Row) -> "Units":
        inst = f"{venue}:{market['symbol']}"
        tells_maker = exchange_id(venue) in _MAKER_SIDES
        if not market.get("contract"):
            return cls(inst, tells_maker=tells_maker)
        size = _number(market.get("contractSize")) or 1.0
        return cls(inst, size, True, bool(market.get("inverse")), tells_maker)

    def base(self, amount: float, price: float) -> float:
        if not self.is_inverse:
            return amount * self.contract
        return amount * self.contract / price if price else 0.0


def to_trades(rows: Iterable[Row], units: Units, recv: Micros) -> tuple[list[Trade], list[Row]]:
    """Give the trades, and the rows that are none: no price, no amount, or nobody's side."""
    trades: list[Trade] = []
    strange: list[Row] = []
    nameless: Counter[str] = Counter()
    sides = _TURNED if units.tells_maker else _SIDES
    for row in rows:
        price, amount = _number(row.get("price")), _number(row.get("amount"))
        side = sides.get(str(row.get("side")))
        if not price or amount is None or side is None:
            strange.append(row)
            continue
        ts = _time(row, recv)
        id_ = row.get("id")
        if id_ is None:  # two equal fills in one message are two; in two messages nobody can tell
            id_ = f"{ts}-{side.value}-{price:g}-{amount:g}"
            nameless[id_] += 1
            id_ = f"{id_}-{nameless[id_]}"
        size = units.base(amount, price)
        trades.append(Trade(ts, recv, units.inst, str(id_), side, price, size, TRADES))
    return trades, strange


def to_ticker(row: Row, units: Units, recv: Micros) -> Ticker | None:
    """None without a last price. What the venue does not tell of the day is 0."""
    last = _number(row.get("last")) or _number(row.get("close"))
    if not last:
        return None
    change, percent = _number(row.get("change")), _number(row.get("percentage"))
    opened = _number(row.get("open")) or 0.0
    if not opened and change is not None:
        opened = last - change
    elif not opened and percent is not None and percent > -100:
        opened = last / (1.0 + percent / 100.0)
    moved = last - opened if opened else 0.0
    quote_volume = _number(row.get("quoteVolume"))
    volume = _volume(_number(row.get("baseVolume")), quote_volume, last, units)
    bid, ask = _number(row.get("bid")), _number(row.get("ask"))
    return Ticker(
        ts=_time(row, recv), recv=recv, inst=units.inst,
        last=last, open=opened, high=_number(row.get("high")) or 0.0,
        low=_number(row.get("low")) or 0.0, volume=volume, quote_volume=quote_volume or 0.0,
        change=moved, change_pct=moved / opened if opened else 0.0,
        bid=bid or None, ask=ask or None,
    )  # fmt: skip


def to_quote(row: Row, units: Units, recv: Micros) -> Quote | None:
    """None unless both sides are there. A size that is not told is 0."""
    bid, ask = _number(row.get("bid")), _number(row.get("ask"))
    if not bid or not ask:
        return None
    sizes = (_number(row.get("bidVolume")) or 0.0, _number(row.get("askVolume")) or 0.0)
    bid_size, ask_size = units.base(sizes[0], bid), units.base(sizes[1], ask)
    return Quote(_time(row, recv), recv, units.inst, bid, bid_size, ask, ask_size)


def to_levels(book: Row, units: Units, most: int) -> Levels:
    """Copy the best levels of a book that CCXT goes on changing. Raises BadFrame."""
    return _side(book["bids"], units, most), _side(book["asks"], units, most)


def book_time(book: Row, recv: Micros) -> Micros:
    return _time(book, recv)


def book_seq(book: Row) -> int:
    nonce = book.get("nonce")
    return nonce if isinstance(nonce, int) and nonce > 0 else 0


def to_instruments(venue: str, markets: Iterable[Row], precision_mode: int) -> list[Instrument]:
    """All that can be watched. Options are left out: our symbols have no word for them."""
    rows = list(markets)
    shared = Counter(str(row.get("id")).upper() for row in rows)
    found = []
    for row in rows:
        instrument = _instrument(venue, row, precision_mode, shared)
        # The expiry of an option goes on with its strike and its kind.
        if instrument.symbol == row["symbol"] and "-" not in instrument.expiry:
            found.append(instrument)
    return found


def _instrument(venue: str, row: Row, precision_mode: int, shared: Mapping[str, int]) -> Instrument:
    symbol = str(row["symbol"])
    native = str(row.get("id"))
    steps = row.get("precision") or {}
    is_step = precision_mode == _TICK_SIZE
    return Instrument(
        venue=venue,
        base=str(row.get("base")),
        quote=str(row.get("quote")),
        # Many venues call a pair and its perpetual the same; the unified symbol tells them apart.
        native=native if shared[native.upper()] == 1 else symbol,
        settle=str(row.get("settle") or "") if ":" in symbol else "",
        tick=_number(steps.get("price")) if is_step else None,
        step=_number(steps.get("amount")) if is_step else None,
        contract_size=(_number(row.get("contractSize")) or 1.0) if row.get("contract") else 1.0,
        active=row.get("active") is not False,
        status="" if row.get("active") is not False else "inactive",
        expiry=symbol.partition(":")[2].partition("-")[2],
    )


def _volume(base: float | None, quote: float | None, last: float, units: Units) -> float:
    """The day's volume in base units: some exchanges of CCXT leave that of derivatives in contracts.

    Where the quote volume is told, it says which one is meant.
    """
    if base is None:
        return 0.0
    if not units.is_contract:
        return base
    counted = units.base(base, last)
    if units.is_inverse or not quote:
        return counted
    return min((base, counted), key=lambda volume: abs(volume * last - quote))


def _side(rows: Iterable[Any], units: Units, most: int) -> tuple[Level, ...]:
    levels: list[Level] = []
    for row in rows:
        price, amount = _number(row[0]), _number(row[1])
        if not price or price < 0 or amount is None or amount < 0:
            raise BadFrame(f"{row!r} is no level of a book")
        if amount:
            levels.append((price, units.base(amount, price)))
            if len(levels) == most:
                break
    return tuple(levels)


def _time(row: Row, recv: Micros) -> Micros:
    stamp = _number(row.get("timestamp"))
    return Micros(int(stamp * 1000)) if stamp else recv


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if isfinite(number) else None
