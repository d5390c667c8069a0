"""Matchers: which alerts a silence or an inhibition is about. `rule=big_trade`, `inst=binance:*`.

A matcher names a field of the alert or one of its labels and a pattern (`*`, `?`, `[ab]`); with
`!=` it must not fit. All of them must hold. An alert that lacks the label fits only `!=`.
"""

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from msgspec import Struct

from tapewatch.model.events import Alert
from tapewatch.model.instrument import split_id

_FORM = re.compile(r"\s*([A-Za-z_][\w.-]*)\s*(!?=)\s*(\S.*?)\s*")


class Matcher(Struct, frozen=True):
    name: str
    pattern: str
    negated: bool = False

    def fits(self, fields: Mapping[str, str]) -> bool:
        value = fields.get(self.name)
        found = value is not None and fnmatchcase(value, self.pattern)
        return found is not self.negated

    def __str__(self) -> str:
        return f"{self.name}{'!=' if self.negated else '='}{self.pattern}"


def read(text: str) -> Matcher:
    """Raises ValueError with what is expected."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no matcher: write name=pattern or name!=pattern")
    return Matcher(found[1], found[3], found[2] == "!=")


def read_all(texts: Iterable[str]) -> tuple[Matcher, ...]:
    return tuple(read(text) for text in texts)


def fields_of(alert: Alert) -> dict[str, str]:
    """What matchers can name. Labels do not hide the alert's own fields."""
    venue, symbol = split_id(alert.inst)
    labels = dict(label.partition("=")[::2] for label in alert.labels)
    own = {
        "rule": alert.rule, "inst": alert.inst, "venue": venue, "symbol": symbol,
        "severity": alert.severity,
    }  # fmt: skip
    return labels | own


def fits_all(matchers: Iterable[Matcher], fields: Mapping[str, str]) -> bool:
    return all(matcher.fits(fields) for matcher in matchers)
