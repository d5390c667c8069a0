"""The parameters of a REST request, read as strictly as Binance reads them."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from tapewatch.sim import venue

_SYMBOL = re.compile(r"[A-Z0-9\-._]{1,50}")
_MICROS_FROM = 10**14  # a time this large is in microseconds
_LARGEST = 2**63 - 1


class Refused(venue.Refused):
    """The venue's error: an HTTP status and a body with code and text."""

    def __init__(self, status: int, code: int, text: str) -> None:
        super().__init__(status, error(code, text))


def error(code: int, text: str) -> bytes:
    """The body of every error."""
    return msgspec.json.encode({"code": code, "msg": text})


class Query:
    """One request's parameters; what nobody read is an error at the end."""

    def __init__(
        self, given: Mapping[str, str], symbols: Sequence[str], *, stale: bool = False
    ) -> None:
        self.stale = stale
        self._given = given
        self._known = symbols
        self._read: set[str] = set()

    def optional(self, name: str) -> str | None:
        """A parameter that may be absent."""
        self._read.add(name)
        return self._given.get(name)

    def ignore(self, *names: str) -> None:
        """These are allowed and change nothing here."""
        self._read.update(names)

    def text(self, name: str) -> str:
        """A parameter that must be there."""
        value = self.optional(name)
        if not value:
            text = f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
            raise Refused(400, -1102, text)
        return value

    def symbol(self) -> str:
        """The mandatory symbol."""
        return self._checked(self.text("symbol"), "symbol")

    def symbols(self) -> list[str]:
        """Those asked for by `symbol` or `symbols`, or all."""
        one, many = self.optional("symbol"), self.optional("symbols")
        if one is not None and many is not None:
            raise Refused(400, -1128, "Combination of optional parameters invalid.")
        if one is not None:
            return [self._checked(one, "symbol")]
        if many is None:
            return list(self._known)
        try:
            names = msgspec.json.decode(many, type=list[str])
        except msgspec.DecodeError:
            raise _illegal(
                "symbols", r'^\["[A-Z0-9-_.]{1,50}"(,"[A-Z0-9-_.]{1,50}"){0,}\]$'
            ) from None
        return [self._checked(name, "symbols") for name in names]

    def one_or_many(self, row: Callable[[str], Any]) -> Any:
        """A row for `symbol`, else a list of rows."""
        found = [row(symbol) for symbol in self.symbols()]
        return found[0] if "symbol" in self._given else found

    def number(self, name: str) -> int | None:
        """A whole number that may be absent."""
        value = self.optional(name)
        if value is None:
            return None
        if not value.isdecimal() or int(value) > _LARGEST:
            raise _illegal(name, "^[0-9]{1,20}$")
        return int(value)

    def limit(self, default: int, most: int) -> int:
        """How many rows; more than the most is cut, as the venue does."""
        value = self.number("limit")
        if value == 0:
            raise _illegal("limit", "^[1-9][0-9]{0,19}$")
        return default if value is None else min(value, most)

    def time(self, name: str) -> int | None:
        """A time in microseconds, given in milliseconds or microseconds."""
        value = self.number(name)
        return value if value is None or value >= _MICROS_FROM else value * 1_000

    def until(self, name: str) -> int | None:
        """As `time`, but the last moment of the millisecond that is given."""
        value = self.number(name)
        return value if value is None or value >= _MICROS_FROM else value * 1_000 + 999

    def check_all_read(self) -> None:
        """Refuse parameters that mean nothing for this path."""
        unread = set(self._given) - self._read
        if unread:
            read, sent = len(self._given) - len(unread), len(self._given)
            text = f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'."
            raise Refused(400, -1104, text)

    def _checked(self, name: str, parameter: str) -> str:
        if not _SYMBOL.fullmatch(name):
            raise _illegal(parameter, "^[A-Z0-9-_.]{1,50}$")
        if name not in self._known:
            raise Refused(400, -1121, "Invalid symbol.")
        return name


def _illegal(name: str, legal: str) -> Refused:
    text = f"Illegal characters found in parameter '{name}'; legal range is '{legal}'."
    return Refused(400, -1100, text)
