r"""Trades added up once for all who need no more: by the second, and by the taker's order.

    trade --> running second --a later trade, time, a gap--> Second --> candles, changes, detectors
          \\-> running order  --large enough---------------> TakerOrder --> whales, big trades

This is the one place that every trade goes through, so its common case is written out: a trade in
step costs some thirty assignments, and whatever is behind it is paid by the second.

A trade that comes when its second is over, or by REST, is told at once as a Second of its own, with
its own time: candles put it where it belongs, detectors count it with what is running. If a hundred
live ones in a row are late, the venue's clock went back, and it is followed.

An order is as large as somebody behind wants to hear of: `attend` asks them.
"""

from collections.abc import Sequence
from math import inf
from typing import Any

from msgspec import Struct, field

from tapewatch.model.events import (
    AnyEvent,
    Coverage,
    Event,
    Gap,
    InstrumentId,
    Micros,
    Rate,
    Second,
    Side,
    TakerOrder,
    Trade,
)
from tapewatch.model.times import SECOND
from tapewatch.ports import Measure, Plugin, Processor
from tapewatch.process._worth import Worth

_BUY = Side.BUY
_NEVER = Micros(0)
_NOTHING = Trade(_NEVER, _NEVER, "", "", Side.BUY, 0.0, 0.0)
_STEPPED_BACK = 100  # late live trades in a row


class SecondsConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class SecondsState(Struct):
    """The running second and the running order of one instrument."""

    inst: InstrumentId
    worth: Worth
    floor: float = 0.0  # what an order must be worth to be told, in dollars
    limit: float = 0.0  # the same in quote
    channel: str = ""  # whose trades these are
    begin: Micros = _NEVER  # of the second that runs or ran last
    edge: Micros = _NEVER  # its end, while it runs
    first: Trade = _NOTHING
    last: Trade = _NOTHING
    high: float = 0.0
    low: float = 0.0
    bought: float = 0.0
    sold: float = 0.0
    buy_size: float = 0.0
    sell_size: float = 0.0
    trades: int = 0
    order: Trade = _NOTHING  # the first trade of the running order
    order_worth: float = 0.0
    order_size: float = 0.0
    orders: list[float] = field(default_factory=list)
    behind: int = 0

    def on_event(self, event: Any) -> list[AnyEvent] | tuple[()]:
        if type(event) is Trade:
            ts = event.ts
            if self.last.ts <= ts < self.edge and not event.repaired:
                price = event.price
                size = event.size
                side = event.side
                worth = price * size
                if price > self.high:
                    self.high = price
                elif price < self.low:
                    self.low = price
                if side is _BUY:
                    self.bought += worth
                    self.buy_size += size
                else:
                    self.sold += worth
                    self.sell_size += size
                self.trades += event.count
                self.last = event
                order = self.order
                if ts == order.ts and side is order.side:
                    self.order_worth += worth
                    self.order_size += size
                else:
                    self.orders.append(self.order_worth)
                    self.order = event
                    self.order_worth = worth
                    self.order_size = size
                return [self._loud(event)] if self.order_worth >= self.limit else ()
            return self._take(event)
        if type(event) is Rate:
            self.worth.take(event)
            self.set_limit()
            return ()
        # A Gap or what the ledger says is heard between what came before it and what comes after.
        return self._close(self.last.ts) if event.channel == self.channel else ()

    def next_timer(self) -> Micros | None:
        return self.edge or None

    def on_timer(self, at: Micros) -> list[AnyEvent]:  # noqa: ARG002 - the port has it
        return self._close(self.last.ts)

    def set_limit(self) -> None:
        if self.floor:
            self.limit = self.floor / self.worth.rate if self.worth.rate else inf
        else:
            self.limit = 0.0

    def _take(self, trade: Trade) -> list[AnyEvent]:
        """Add a trade that is more than one to add up: the first of a second, a late one, ..."""
        said: list[AnyEvent] = []
        if trade.channel != self.channel:
            said += self._close(self.last.ts)
            self.channel = trade.channel
        if trade.repaired:  # it does not overtake what came before it
            said += [*self._close(self.last.ts), self._alone(trade)]
        elif trade.ts < self.begin:
            said += self._take_late(trade)
        elif trade.ts < self.edge:
            self._insert(trade)
        else:
            said += self._close(trade.ts)
            self._open(trade)
        self._add_to_order(trade)
        if self.order_worth >= self.limit:
            said.append(self._loud(trade))
        return said

    def _take_late(self, trade: Trade) -> list[AnyEvent]:
        """Close what runs, so that nothing does if this turns out to be a clock that went back."""
        said = [*self._close(self.last.ts), self._alone(trade)]
        self.behind += 1
        if self.behind >= _STEPPED_BACK:
            self.begin = _second_of(trade.ts)
            self.behind = 0
        return said

    def _open(self, trade: Trade) -> None:
        self.begin = _second_of(trade.ts)
        self.edge = Micros(self.begin + SECOND)
        self.first = self.last = trade
        self.high = self.low = trade.price
        self.bought = self.sold = self.buy_size = self.sell_size = 0.0
        self.trades = 0
        self.behind = 0
        self._add(trade)

    def _insert(self, trade: Trade) -> None:
        """Put a trade of this second in its place, by time, then by id."""
        self.high = max(self.high, trade.price)
        self.low = min(self.low, trade.price)
        if _place(trade) < _place(self.first):
            self.first = trade
        if _place(trade) >= _place(self.last):
            self.last = trade
        self._add(trade)

    def _add(self, trade: Trade) -> None:
        worth = trade.price * trade.size
        if trade.side is _BUY:
            self.bought += worth
            self.buy_size += trade.size
        else:
            self.sold += worth
            self.sell_size += trade.size
        self.trades += trade.count

    def _add_to_order(self, trade: Trade) -> None:
        """Orders are put together as their trades come, whatever their times."""
        worth = trade.price * trade.size
        if trade.ts == self.order.ts and trade.side is self.order.side:
            self.order_worth += worth
            self.order_size += trade.size
        else:
            if self.order_worth:
                self.orders.append(self.order_worth)
            self.order = trade
            self.order_worth = worth
            self.order_size = trade.size

    def _loud(self, trade: Trade) -> TakerOrder:
        return TakerOrder(
            trade.ts, trade.recv, self.inst, trade.side, self.order_worth, self.order_size,
            self.order.id,
        )  # fmt: skip

    def _close(self, reached: Micros) -> list[AnyEvent]:
        """Tell the running second, if one runs."""
        if not self.edge:
            return []
        self.edge = _NEVER
        first, last = self.first, self.last
        return [
            Second(
                self.begin, last.recv, self.inst, first.price, self.high, self.low, last.price,
                self.bought, self.sold, self.buy_size + self.sell_size, self.buy_size, self.trades,
                first.ts, last.ts, first.id, last.id, self.channel, reached, orders=self._orders(),
            )
        ]  # fmt: skip

    def _alone(self, trade: Trade) -> Second:
        price, size, ts = trade.price, trade.size, trade.ts
        bought, buy_size = (price * size, size) if trade.side is _BUY else (0.0, 0.0)
        return Second(
            _second_of(ts), trade.recv, self.inst, price, price, price, price,
            bought, price * size - bought, size, buy_size, trade.count,
            ts, ts, trade.id, trade.id, trade.channel, ts, late=True, repaired=trade.repaired,
            orders=self._orders(),
        )  # fmt: skip

    def _orders(self) -> tuple[float, ...]:
        told, self.orders = tuple(self.orders), []
        return told


class Seconds:
    """The processor."""

    def __init__(self, name: str, config: SecondsConfig) -> None:  # noqa: ARG002 - the plug-in's form
        self.name = name
        self.wants: frozenset[type[Event]] = frozenset({Trade, Gap, Coverage, Rate})
        self.notes: frozenset[type[Event]] = frozenset({Rate})  # which is made of its seconds
        self.gives: frozenset[type[Event]] = frozenset({Second, TakerOrder})
        self.state = SecondsState
        self.measures: tuple[Measure, ...] = ()
        self._floor = 0.0

    def attend(self, hearers: Sequence[Processor[Any]]) -> None:
        """Tell orders from the least worth on that one of them asks for; without any, none."""
        floors = [
            getattr(each, "order_usd_min", 0.0) for each in hearers if TakerOrder in each.wants
        ]
        self._floor = min(floors, default=inf)

    def key(self, event: Any) -> str:
        inst: InstrumentId = event.inst
        return inst

    def fresh(self, key: str) -> SecondsState:
        return self.adopt(SecondsState(key, Worth.of(key)))

    def adopt(self, state: SecondsState) -> SecondsState:
        state.floor = self._floor
        state.set_limit()
        return state


def _place(trade: Trade) -> tuple[Micros, int, str]:
    """Order by time, then by id. A shorter id is a smaller number."""
    return trade.ts, len(trade.id), trade.id


def _second_of(ts: Micros) -> Micros:
    return Micros(ts - ts % SECOND)


PLUGIN = Plugin(config=SecondsConfig, build=Seconds)
