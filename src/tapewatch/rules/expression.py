"""The language of `when`: numbers, metrics, comparisons, `and`, `or`, `not`.

    volume_surge_5m > 4 and abs(change_short) > 2%

    condition = and { "or" and }       and  = not { "and" not }
    not       = "not" not | compare    compare = sum [ (< <= > >= == !=) sum ]
    sum       = term { (+ -) term }    term = factor { (* /) factor }
    factor    = number | metric | - factor | abs ( sum ) | ( condition )

A number may end in `%`, `k` or `M`. What is compared must be numbers, what is joined must be
conditions; both are checked when the rule is read, with the column of the mistake.

A metric that is not there makes a comparison unknown, and so is what hangs on it: `unknown and
false` is false, `unknown or true` is true, all else is unknown. A rule never fires on unknown.
"""

import difflib
import operator
import re
from collections.abc import Callable, Collection, Mapping
from typing import TypeAlias

from msgspec import Struct

Values: TypeAlias = Mapping[str, float]
Number: TypeAlias = Callable[[Values], float | None]
Truth: TypeAlias = Callable[[Values], bool | None]

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?[%kM]?)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign><=|>=|==|!=|[-+*/()<>])|(?P<wrong>\S))"
)
_FACTORS = {"k": 1e3, "M": 1e6}
_PERCENT = 100.0  # divided by: 57 * 0.01 is not 0.57
_WORDS = ("and", "or", "not", "abs")
_MOST = 2_000  # characters; nobody reads more
_DEEPEST = 50


class Unreadable(ValueError):
    """A mistake in the text of a rule. `column` counts from 0."""

    def __init__(self, reason: str, column: int) -> None:
        super().__init__(reason)
        self.column = column


class Compared(Struct, frozen=True):
    """One comparison, by which an alert explains itself.

    `left` and `right` are as they are told: of `abs(change_24h)` the change with its sign.
    """

    text: str
    left: Number
    right: Number
    truth: Truth
    metric: str  # the first one named in it; empty if there is none
    is_left: bool  # the metric stands on the left
    column: int  # where its text begins


class Told(Struct, frozen=True):
    """What an alert says of the comparison that made it."""

    metric: str
    value: float
    threshold: float


class Expression(Struct, frozen=True):
    text: str
    names: tuple[str, ...]  # the metrics it wants, each once
    truth: Truth
    compared: tuple[Compared, ...]

    def told(self, values: Values) -> Told | None:
        """Tell by the first comparison that holds, else by the first that is known."""
        known: Told | None = None
        for each in self.compared:
            left, right = each.left(values), each.right(values)
            if left is None or right is None or not each.metric:
                continue
            value, threshold = (left, right) if each.is_left else (right, left)
            told = Told(each.metric, value, threshold)
            if each.truth(values):
                return told
            known = known or told
        return known

    def now(self, metric: str, values: Values) -> float | None:
        """Tell a metric as `told` would, also where its comparison holds no more."""
        for each in self.compared:
            if each.metric == metric:
                return (each.left if each.is_left else each.right)(values)
        return None


class _Part(Struct, frozen=True):
    """A piece that was read: a number or a condition, never both."""

    column: int
    number: Number | None = None
    truth: Truth | None = None
    signed: Number | None = None  # of abs(...): what stands in it


def parse(text: str, known: Collection[str]) -> Expression:
    """Read a condition. Raises Unreadable; `known` are the metrics there are."""
    return _Reader(text, known).read()


def number_of(text: str) -> float:
    """Read `2%`, `250k`. The text is a number of this language."""
    value = float(text.rstrip("%kM"))
    return value / _PERCENT if text.endswith("%") else value * _FACTORS.get(text[-1], 1.0)


def numbers_in(text: str) -> list[tuple[int, str]]:
    """Give the numbers that are written in a text, each with its column."""
    return [
        (match.start("number"), match["number"])
        for match in _TOKEN.finditer(text)
        if match["number"]
    ]


def named(text: str) -> list[str]:
    """Give the metrics that a text names, each once, whether there are any of that name or not."""
    found = (match["name"] for match in _TOKEN.finditer(text) if match["name"])
    return [name for name in dict.fromkeys(found) if name not in _WORDS]


class _Reader:
    def __init__(self, text: str, known: Collection[str]) -> None:
        if len(text) > _MOST:
            raise Unreadable(f"a condition of more than {_MOST} characters", _MOST)
        self._text = text
        self._known = known
        self._names: dict[str, None] = {}
        self._compared: list[Compared] = []
        self._depth = 0
        self._tokens = [
            (found.lastgroup or "", found[found.lastgroup or 0], found.start(found.lastgroup or 0))
            for found in _TOKEN.finditer(text)
        ]
        self._at = 0

    def read(self) -> Expression:
        part = self._condition()
        if self._at < len(self._tokens):
            raise self._expected("an operator, `and`, `or` or the end")
        truth = self._truth(part)
        return Expression(self._text, tuple(self._names), truth, tuple(self._compared))

    # --- the grammar, loosest first ---

    def _condition(self) -> _Part:
        return self._joined("or", self._all_of, _either)

    def _all_of(self) -> _Part:
        return self._joined("and", self._negated, _both)

    def _joined(
        self, word: str, next_part: Callable[[], _Part], join: Callable[[Truth, Truth], Truth]
    ) -> _Part:
        part = next_part()
        while self._take("name", word):
            left, right = self._truth(part), self._truth(next_part())
            part = _Part(part.column, truth=join(left, right))
        return part

    def _negated(self) -> _Part:
        column = self._column()
        if not self._take("name", "not"):
            return self._comparison()
        self._deeper()
        truth = self._truth(self._negated())
        self._depth -= 1
        return _Part(column, truth=_negation(truth))

    def _comparison(self) -> _Part:
        begins = self._column()
        left = self._sum()
        is_left = bool(self._metrics_since(begins))
        for sign, compare in _COMPARISONS.items():
            if not self._take("sign", sign):
                continue
            right = self._sum()
            if self._next() in _COMPARISONS:
                raise self._wrong("compare two numbers at a time, and join with `and`")
            a, b = self._number(left), self._number(right)
            truth = _comparing(a, b, compare)
            text = self._text[begins : self._column()].strip()
            named = self._metrics_since(begins)
            metric = named[0] if named else ""
            told = (left.signed or a, right.signed or b)
            self._compared.append(Compared(text, *told, truth, metric, is_left, begins))
            return _Part(begins, truth=truth)
        return left

    def _sum(self) -> _Part:
        return self._chained(self._term, {"+": _plus, "-": _minus})

    def _term(self) -> _Part:
        return self._chained(self._factor, {"*": _times, "/": _over})

    def _chained(
        self,
        next_part: Callable[[], _Part],
        signs: Mapping[str, Callable[[float, float], float | None]],
    ) -> _Part:
        part = next_part()
        while (sign := self._next()) in signs and self._take("sign", sign):
            left, right = self._number(part), self._number(next_part())
            part = _Part(part.column, number=_calculating(left, right, signs[sign]))
        return part

    def _factor(self) -> _Part:
        kind, text, column = self._peek()
        if kind == "number":
            self._at += 1
            value = number_of(text)
            return _Part(column, number=lambda _values: value)
        if kind == "sign" and text in {"-", "("}:
            return self._inside(text, column)
        if kind == "name" and text not in _WORDS:
            return self._metric(text, column)
        if self._take("name", "abs"):
            return self._absolute(column)
        raise self._expected("a number, a metric or (")

    def _inside(self, sign: str, column: int) -> _Part:
        self._at += 1
        self._deeper()
        if sign == "-":
            number = self._number(self._factor())
            part = _Part(column, number=_negative(number))
        else:
            part = self._condition()
            if not self._take("sign", ")"):
                raise self._expected(")")
        self._depth -= 1
        return part

    def _absolute(self, column: int) -> _Part:
        self._deeper()
        if not self._take("sign", "("):
            raise self._expected("(")
        number = self._number(self._sum())
        if not self._take("sign", ")"):
            raise self._expected(")")
        self._depth -= 1
        return _Part(column, number=_magnitude(number), signed=number)

    def _metric(self, name: str, column: int) -> _Part:
        if name not in self._known:
            near = difflib.get_close_matches(name, self._known, n=2, cutoff=0.5)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise Unreadable(f"unknown metric {name}{hint}", column)
        self._at += 1
        self._names[name] = None
        return _Part(column, number=lambda values: values.get(name))

    # --- tokens and mistakes ---

    def _peek(self) -> tuple[str, str, int]:
        if self._at < len(self._tokens):
            return self._tokens[self._at]
        return "end", "the end", len(self._text)

    def _next(self) -> str:
        return self._peek()[1]

    def _column(self) -> int:
        return self._peek()[2]

    def _take(self, kind: str, text: str) -> bool:
        found, word, _ = self._peek()
        if found == kind and word == text:
            self._at += 1
            return True
        return False

    def _metrics_since(self, column: int) -> list[str]:
        """The metrics that were read from there on."""
        return [
            text
            for kind, text, at in self._tokens[: self._at]
            if kind == "name" and text not in _WORDS and at >= column
        ]

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._wrong("too deeply nested")

    def _truth(self, part: _Part) -> Truth:
        if part.truth is None:
            raise Unreadable(
                "a condition is wanted here, this is a number: compare it", part.column
            )
        return part.truth

    def _number(self, part: _Part) -> Number:
        if part.number is None:
            raise Unreadable("a number is wanted here, this is a condition", part.column)
        return part.number

    def _expected(self, what: str) -> Unreadable:
        return self._wrong(f"{what} is wanted here, this is {self._next()}")

    def _wrong(self, reason: str) -> Unreadable:
        return Unreadable(reason, self._column())


def _plus(a: float, b: float) -> float:
    return a + b


def _minus(a: float, b: float) -> float:
    return a - b


def _times(a: float, b: float) -> float:
    return a * b


def _over(a: float, b: float) -> float | None:
    return a / b if b else None


_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
    "<": operator.lt, ">": operator.gt,
}  # fmt: skip


def _calculating(
    left: Number, right: Number, calculate: Callable[[float, float], float | None]
) -> Number:
    def number(values: Values) -> float | None:
        a, b = left(values), right(values)
        return None if a is None or b is None else calculate(a, b)

    return number


def _comparing(left: Number, right: Number, compare: Callable[[float, float], bool]) -> Truth:
    def truth(values: Values) -> bool | None:
        a, b = left(values), right(values)
        return None if a is None or b is None else compare(a, b)

    return truth


def _negative(number: Number) -> Number:
    return _calculating(lambda _values: 0.0, number, _minus)


def _magnitude(number: Number) -> Number:
    return lambda values: None if (value := number(values)) is None else abs(value)


def _negation(truth: Truth) -> Truth:
    return lambda values: None if (value := truth(values)) is None else not value


def _both(left: Truth, right: Truth) -> Truth:
    def truth(values: Values) -> bool | None:
        a = left(values)
        if a is False:
            return False
        b = right(values)
        return b if a or b is False else None

    return truth


def _either(left: Truth, right: Truth) -> Truth:
    def truth(values: Values) -> bool | None:
        a = left(values)
        if a:
            return True
        b = right(values)
        return b if a is False or b else None

    return truth
