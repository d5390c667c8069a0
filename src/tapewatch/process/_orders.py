"""Trades put together to the order that made them: same moment, same side, one after the other."""

from msgspec import Struct

from tapewatch.model.events import Micros, Side, Trade


class Order(Struct, array_like=True):
    """Part of a detector's state: the taker order whose trades are coming in."""

    ts: Micros = Micros(0)
    side: Side = Side.BUY
    worth: float = 0.0  # in units of quote
    size: float = 0.0
    first: str = ""
    trades: int = 0

    def take(self, trade: Trade) -> bool:
        """Add a trade. True: it begins a new order."""
        is_new = trade.ts != self.ts or trade.side is not self.side
        if is_new:
            self.ts, self.side, self.first = trade.ts, trade.side, trade.id
            self.worth = self.size = 0.0
            self.trades = 0
        self.worth += trade.price * trade.size
        self.size += trade.size
        self.trades += 1
        return is_new

    def words(self) -> str:
        price = self.worth / self.size if self.size else 0.0
        count = f" in {self.trades} trades" if self.trades > 1 else ""
        return f"{self.side.value} {self.size:.8g} @ {price:.8g} from trade {self.first}{count}"
