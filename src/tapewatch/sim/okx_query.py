"""The parameters of an OKX REST request, and how the venue refuses: often with HTTP 200."""

from collections.abc import Callable, Iterable, Mapping

import msgspec

from tapewatch.sim.market import Market
from tapewatch.sim.okx_listing import KINDS, family, inst_type
from tapewatch.sim.venue import Refused


def refusal(code: str, text: str, status: int = 200) -> Refused:
    """The venue's error."""
    return Refused(status, msgspec.json.encode({"code": code, "data": [], "msg": text}))


def envelope(rows: Iterable[str]) -> bytes:
    """An answer with these rows, which are JSON already."""
    return f'{{"code":"0","msg":"","data":[{",".join(rows)}]}}'.encode()


class Query:
    """One request's parameters. Names that mean nothing are overlooked, as the venue does."""

    def __init__(self, given: Mapping[str, str], market: Market, *, stale: bool = False) -> None:
        self.stale = stale
        self._given = given
        self._market = market

    def text(self, name: str) -> str:
        """A parameter, empty if absent."""
        return self._given.get(name, "")

    def needed(self, name: str) -> str:
        """A parameter that must be there."""
        value = self.text(name)
        if not value:
            raise refusal("50014", f"Parameter {name} can not be empty.", 400)
        return value

    def symbol(self) -> str:
        """The mandatory `instId`."""
        found = self.needed("instId")
        if found not in self._market.symbols:
            raise refusal("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
        return found

    def number(self, name: str) -> int | None:
        """A whole number that may be absent."""
        value = self.text(name)
        if not value:
            return None
        if not value.isdecimal() or len(value) > 18:
            raise refusal("51000", f"Parameter {name} error", 400)
        return int(value)

    def micros(self, name: str) -> int | None:
        """A time, given in milliseconds."""
        value = self.number(name)
        return None if value is None else value * 1_000

    def limit(self, default: int, most: int, name: str = "limit") -> int:
        """How many rows; more than the most is cut."""
        value = self.number(name)
        if value == 0:
            raise refusal("51000", f"Parameter {name} error", 400)
        return default if value is None else min(value, most)

    def symbols(self) -> list[str]:
        """Those of `instId`, `instType`, `uly` or `instFamily`."""
        kind, wanted = self.text("instType"), self.text("instId")
        name = self.text("uly") or self.text("instFamily")
        if not kind and not wanted:
            raise refusal("50014", "Parameter instType can not be empty.", 400)
        if kind and kind not in KINDS:
            raise refusal("51000", "Parameter instType error", 400)
        if wanted:
            self.symbol()
        listing = self._market.listing
        return [
            symbol
            for symbol in self._market.symbols
            if (not kind or inst_type(listing(symbol)) == kind)
            and wanted in {"", symbol}
            and name in {"", family(listing(symbol))}
        ]

    def swaps(self, row: Callable[[str], str]) -> bytes:
        """An answer with a row for each swap that was asked for."""
        listing = self._market.listing
        return envelope(row(s) for s in self.symbols() if listing(s).kind != "spot")
