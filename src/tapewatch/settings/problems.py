"""What is wrong with the settings and where: a code, a place, a sentence, a hint.

A `Place` points into a file (line, column, the line itself) or at an environment variable or an
option. Lines are shown without secrets, whoever wrote them there. Nothing here decides what is a
problem; it only keeps and prints them.
"""

import re
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from tapewatch.model.errors import ConfigError

_SHOWN = 120  # characters of a source line; more is cut around the mark
_SECRET = re.compile(
    # also as people misspell them: a field that does not exist is shown with its line
    r"(?i)(\b[\w-]*(?:pas+w?o?r?d|pwd|passphrase|sec?re?t|token|api_?key|webhook\w*)[\"']?\s*[:=]\s*)"
    r"(\"[^\"]*\"?|'[^']*'?|[^\s,}\]#]+)"
)
# Of `https://hooks.slack.com/services/T0/B0/KEY` all behind the host, of `tgram://BOT/CHAT` all.
_KEYED_ADDRESS = re.compile(
    r"(\b(?:https?|wss?)://[^/\s\"']*/|\b(?!https?:|wss?:)\w+://)([^\s\"',}\]]+)"
)
_CREDENTIALS = re.compile(r"(://[^:/@\s]*:)([^@\s/]+)(?=@)")

CODES = {
    "CFG001": "a name or value that is not one of those that exist",
    "CFG002": "a field that does not exist here",
    "CFG003": "a value of the wrong type",
    "CFG004": "a number or text outside its range",
    "CFG005": "a field that must be given",
    "CFG006": "values that contradict each other, or leave nothing to do",
    "CFG007": "text that is not YAML, or YAML that cannot be settings",
    "CFG008": "the same key twice",
    "CFG009": "`${NAME}` of a variable that is not set",
    "CFG010": "a file that cannot be read",
    "CFG011": "a rule whose condition or message cannot be used",
    "CFG101": "a setting that this version accepts and does not use yet",
    "CFG102": "a setting that works and deserves a second look",
}


class Place(Struct, frozen=True):
    """Where a value was written. `line` and `column` count from 1; 0: not in a file."""

    source: str  # file name, `environment variable PORT`, `--set server.port=x`
    line: int = 0
    column: int = 0
    width: int = 1  # characters to underline
    text: str = ""  # the line itself

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


def within(place: Place, text: str, column: int) -> Place:
    """Point into a text that stands at a place, if it stands there as it is read: in one line."""
    at = place.text.find(text, max(0, place.column - 1)) if place.line else -1
    if at < 0 or not text:
        return place
    return msgspec.structs.replace(place, column=at + column + 1, width=1)


class Problem(Struct, frozen=True):
    """One fault (code below CFG100) or one notice."""

    code: str
    message: str
    place: Place | None = None
    path: str = ""
    hint: str = ""

    @property
    def severity(self) -> str:
        return "warning" if self.code >= "CFG100" else "error"

    def __str__(self) -> str:
        """The whole of it, as a person reads it in a terminal."""
        lines = [f"{self.severity}[{self.code}]: {self.message}"]
        where = f"  (at {self.path})" if self.path else ""
        if self.place is None:
            tail = [f"  --> {self.path}"] if self.path else []
            tail += [f"   = {self.hint}"] if self.hint else []
            return "\n".join(lines + tail)
        lines.append(f"  --> {self.place}{where}")
        return "\n".join(lines + _excerpt(self.place, self.hint))


class InvalidSettings(ConfigError):
    """All that is wrong, at once. Its text is ready to be printed."""

    def __init__(self, problems: Sequence[Problem], notices: Sequence[Problem] = ()) -> None:
        self.problems = tuple(problems)
        self.notices = tuple(notices)
        count = f"{len(self.problems)} problem{'s' if len(self.problems) != 1 else ''} found"
        text = "\n\n".join(str(problem) for problem in self.problems)
        super().__init__(f"{text}\n\n{count}. Nothing was started.")


def in_order(problems: Sequence[Problem]) -> list[Problem]:
    """As a person goes through a file: by line. What was told twice is told once."""
    nowhere = Place("")

    def line(problem: Problem) -> tuple[str, int, int]:
        place = problem.place or nowhere
        return place.source, place.line, place.column

    return sorted(dict.fromkeys(problems), key=line)


def mask(text: str) -> str:
    """Replace what looks like a secret by stars, without moving what stands behind it."""
    return _stars(_CREDENTIALS, _stars(_SECRET, text))


def _stars(pattern: re.Pattern[str], text: str) -> str:
    return pattern.sub(lambda found: found[1] + "*" * len(found[2]), text)


def to_json(problems: Sequence[Problem]) -> str:
    """One array; places as file, line, column."""
    return msgspec.json.format(
        msgspec.json.encode([_plain(p) for p in problems]), indent=2
    ).decode()


def to_github(problems: Sequence[Problem]) -> str:
    """Workflow commands: an annotation at the line, in a pull request."""
    return "\n".join(_annotation(problem) for problem in problems)


def _plain(problem: Problem) -> dict[str, object]:
    place = problem.place or Place("")
    return {
        "severity": problem.severity,
        "code": problem.code,
        "message": problem.message,
        "hint": problem.hint,
        "path": problem.path,
        "source": place.source,
        "line": place.line,
        "column": place.column,
    }


def _annotation(problem: Problem) -> str:
    place = problem.place or Place("")
    spot = f"file={place.source},line={place.line},col={place.column}," if place.line else ""
    text = f"{problem.path}: {problem.message}" if problem.path else problem.message
    text += f"; {problem.hint}" if problem.hint else ""
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return f"::{problem.severity} {spot}title={problem.code}::{text}"


def _excerpt(place: Place, hint: str) -> list[str]:
    if not place.text:
        return [f"   = {hint}"] if hint else []
    text = _stars(_KEYED_ADDRESS, mask(place.text)).replace("\t", " ")
    start = max(0, place.column - 1)
    cut = max(0, start - _SHOWN // 2) if len(text) > _SHOWN else 0
    text, start = text[cut : cut + _SHOWN], start - cut
    width = max(1, min(place.width, len(text) - start))
    number = str(place.line) if place.line else ""
    margin = " " * (max(1, len(number)) + 2)
    return [
        f"{margin}|",
        f" {number:<{len(margin) - 1}}| {text}",
        f"{margin}| {' ' * start}{'^' * width} {hint}".rstrip(),
    ]
