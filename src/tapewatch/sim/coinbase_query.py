"""The parameters of a REST request to Coinbase, and its two ways to refuse one."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tapewatch.sim.coinbase_texts import parsed
from tapewatch.sim.venue import Refused


def refused(status: int, text: str) -> Refused:
    """The Exchange interface: `{"message":"NotFound"}`."""
    return Refused(status, msgspec.json.encode({"message": text}))


def advanced_error(status: int, text: str) -> bytes:
    """How the Advanced interface tells an error."""
    names = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 429: "RATE_LIMIT_EXCEEDED"}
    error = names.get(status, "INTERNAL" if status >= 500 else "UNKNOWN")
    return msgspec.json.encode({"error": error, "error_details": text, "message": text})


def advanced_refused(status: int, text: str) -> Refused:
    """The same, to be raised."""
    return Refused(status, advanced_error(status, text))


class Query:
    """One request's parameters; unknown ones are passed over, as the venue does.

    `refused` makes the error of a parameter that is wrong.
    """

    def __init__(self, given: Mapping[str, str], refuse: Any = refused) -> None:
        self._given = given
        self._refuse = refuse

    def text(self, name: str) -> str:
        """A parameter, or an empty text."""
        return self._given.get(name, "")

    def texts(self, name: str) -> list[str]:
        """A parameter that may be there several times."""
        get_all = getattr(self._given, "getall", None)
        if get_all is not None:
            return list(get_all(name, []))
        return [self._given[name]] if name in self._given else []

    def number(self, name: str, default: int, *, least: int = 1) -> int:
        """A whole number."""
        text = self.text(name)
        if not text:
            return default
        if not text.isdecimal() or not least <= int(text) < 2**63:
            raise self._refuse(400, f"{name} is invalid")
        return int(text)

    def time(self, name: str) -> int | None:
        """A moment in microseconds, if it is given."""
        text = self.text(name)
        if not text:
            return None
        ts = parsed(text)
        if ts is None:
            raise self._refuse(400, f"{name} is not a valid time")
        return ts

    def known(self, name: str, symbols: Sequence[str]) -> str:
        """A symbol that must be among these."""
        symbol = self.text(name)
        if symbol not in symbols:
            raise self._refuse(404, f"{symbol or name} is not known")
        return symbol
