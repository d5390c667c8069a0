"""A request, read: what was asked, with everything that is wrong with it told at once.

The handlers get an `Ask` and give an answer; they know no web framework. Which parameters exist is
declared beside each handler (`Param`), so that the documentation and the refusal of an unknown
parameter come from one place.
"""

import difflib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec import Struct, field

from tapewatch.model.events import Micros
from tapewatch.model.times import WEEK, Interval, iso, parse_time
from tapewatch.serve.context import Context
from tapewatch.serve.problem import BadParameters, Fault

_LAST = Micros(7_258_118_400_000_000)  # 2200-01-01: beyond it is a mistake, not a time
_LONGEST = 52 * WEEK


class Param(Struct, frozen=True):
    """One parameter of a request, for its reader and for the OpenAPI."""

    name: str
    text: str
    where: str = "query"
    kind: str = "string"
    example: str = ""


def query_param(name: str, text: str, example: str = "", kind: str = "string") -> Param:
    return Param(name, text, "query", kind, example)


class Reply(Struct, frozen=True):
    """An answer that is not simply 200 with JSON."""

    body: Any  # a Struct, or bytes as they are
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


class Ask(Struct):
    """One request. The readers note what is wrong; `done` raises it, all at once."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    now: Micros
    accept: str = ""
    faults: list[Fault] = field(default_factory=list)

    def text(self, name: str, default: str = "") -> str:
        return self.query.get(name, default)

    def words(self, name: str) -> list[str]:
        """Read a list with commas: `ticker,depth`."""
        return [word for word in (w.strip() for w in self.text(name).split(",")) if word]

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        text = self.query.get(name)
        if text is None:
            return default
        if text.isascii() and text.isdigit() and len(text) < 18 and low <= int(text) <= high:
            return int(text)
        self.fault(name, f"{_short(text)} is no whole number from {low} to {high}")
        return default

    def moment(self, name: str, default: Micros) -> Micros:
        text = self.query.get(name)
        if text is None:
            return default
        try:
            moment = parse_time(text, self.now)
        except (ValueError, OverflowError):
            hint = "write 2026-11-20T14:00Z, -24h, now, or an epoch number (s, ms, us)"
            self.fault(name, f"{_short(text)} is no time", hint)
            return default
        if not 0 <= moment <= _LAST:
            self.fault(name, f"{_short(text)} is not between 1970 and 2200")
            return default
        return moment

    def span(self, usual: int, until: Micros | None = None) -> tuple[Micros, Micros]:
        """Read `start` and `end`. Absent: until now (or `until`), and the `usual` length before."""
        end = self.moment("end", self.now if until is None else until)
        start = self.moment("start", Micros(max(0, end - usual)))
        if start >= end and not self.faults:
            self.fault("start", f"{iso(start)} is not before the end, {iso(end)}")
        return start, end

    def interval(self, name: str, default: str) -> Interval:
        text = self.query.get(name, default)
        hint = "a whole number and one of s, m, h, d, w, such as 7m; at most 52w"
        try:
            interval = Interval.parse(text)
        except ValueError:
            self.fault(name, f"{_short(text)} is no interval", hint)
            return Interval.parse(default)
        if interval.micros > _LONGEST:
            self.fault(name, f"{_short(text)} is too long", hint)
        return interval

    def fault(self, name: str, detail: str, hint: str = "") -> None:
        self.faults.append(Fault(f"?{name}", detail, hint))

    def done(self) -> None:
        if self.faults:
            raise BadParameters(*self.faults)


Handler = Callable[[Context, Ask], Awaitable[Any]]


class Operation(Struct, frozen=True, kw_only=True):
    """One route: what the server binds and what the OpenAPI tells."""

    method: str
    path: str
    name: str  # operationId: verb first, never changed
    text: str
    tag: str
    handler: Handler | None = None  # None: a WebSocket
    answer: Any = None  # the type of the body
    content_type: str = "application/json"
    params: tuple[Param, ...] = ()
    is_query: bool = False  # reads what is stored: only some of these at a time
    statuses: Mapping[int, str] = field(default_factory=lambda: {200: "As asked"})


def check_names(pairs: list[tuple[str, str]], params: tuple[Param, ...]) -> dict[str, str]:
    """Give the query as a dict. Raises BadParameters for names that are unknown or repeated."""
    known = [param.name for param in params if param.where == "query"]
    query: dict[str, str] = {}
    faults = []
    for name, value in pairs:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1) or known
            hint = f"valid here: {', '.join(near)}" if near else "this address has no parameters"
            faults.append(Fault(f"?{_short(name)}", "no such parameter", hint))
        elif name in query:
            faults.append(Fault(f"?{name}", "given more than once"))
        query[name] = value
    if faults:
        raise BadParameters(*faults)
    return query


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}...")
