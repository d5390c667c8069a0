"""One line of what `tapewatch doctor` reports."""

from msgspec import Struct

GOOD, WARNING, BAD = "good", "warning", "bad"


class Finding(Struct, frozen=True):
    """One line of the report. `advice` says what to do about it."""

    verdict: str
    what: str
    detail: str
    advice: str = ""
