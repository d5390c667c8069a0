"""The parameters of a REST request as Bybit reads them; errors are HTTP 200 with a code."""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from tapewatch.sim.bybit_frames import MILLI
from tapewatch.sim.bybit_listing import CATEGORIES
from tapewatch.sim.venue import Refused

PARAMETER = 10_001
_EMPTY = ("inverse", "option")  # known to the venue; nothing is listed here
_LARGEST = 10**15


def envelope(result: Any, now: int, code: int = 0, text: str = "OK") -> bytes:
    """The wrapper of every answer. `now` in microseconds."""
    return msgspec.json.encode({
        "retCode": code, "retMsg": text, "result": result, "retExtInfo": {}, "time": now // MILLI,
    })  # fmt: skip


class Query:
    """One request's parameters. Unknown ones are ignored, as the venue does."""

    def __init__(self, given: Mapping[str, str], symbols: Collection[str], now: int) -> None:
        self._given = given
        self._symbols = symbols
        self._now = now

    def refusal(self, text: str, code: int = PARAMETER) -> Refused:
        """The venue's error."""
        return Refused(200, envelope({}, self._now, code, text))

    def text(self, name: str) -> str | None:
        """A parameter that may be absent or empty."""
        return self._given.get(name) or None

    def category(self, *, empty: bool = False) -> str:
        """`spot` or `linear`; with `empty` also those of which nothing is listed."""
        found = self._given.get("category", "")
        if found in CATEGORIES or (empty and found in _EMPTY):
            return found
        raise self.refusal("params error: Category is invalid")

    def symbol(self) -> str:
        """The market's symbol of `category` and `symbol`, both mandatory."""
        return self._listed(self.category(), self._given.get("symbol", ""))

    def symbols(self) -> list[str]:
        """The one asked for, or all of the category."""
        category = self.category(empty=True)
        if one := self.text("symbol"):
            return [self._listed(category, one)]
        return [symbol for symbol in self._symbols if symbol.startswith(category + "/")]

    def limit(self, default: int, most: int) -> int:
        """How many rows; more than the most is cut."""
        value = self._number("limit")
        if value == 0:
            raise self.refusal("params error: limit is invalid")
        return default if value is None else min(value, most)

    def time(self, name: str) -> int | None:
        """A time in microseconds, given in milliseconds."""
        value = self._number(name)
        return None if value is None else value * MILLI

    def _number(self, name: str) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        if not value.isdecimal() or int(value) > _LARGEST:
            raise self.refusal(f"params error: {name} is invalid")
        return int(value)

    def _listed(self, category: str, name: str) -> str:
        symbol = f"{category}/{name}"
        if symbol not in self._symbols:
            raise self.refusal("params error: symbol invalid")
        return symbol
