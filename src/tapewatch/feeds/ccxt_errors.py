"""What an error of CCXT asks of us.

CCXT has forty classes in one tree; what matters is what to do next. Classes are told by name, so
that this file does not import CCXT.

    403, 451, RestrictedLocation .................... BLOCKED: seldom again; a person must act
    RateLimitExceeded, DDoSProtection, 418, 429 ..... SLOW_DOWN: the whole venue waits
    BadSymbol ....................................... REFUSED: not asked again
    AuthenticationError, NotSupported, ... .......... GIVE_UP: not asked again, in words
    NetworkError and everything else ................ RETRY with backoff

An error that is not CCXT's own comes from its reading of an answer that it did not expect (a web
page, a changed field). That is RETRY too: the next answer may be a sane one.
"""

import re
from collections.abc import Mapping
from enum import Enum
from urllib.parse import urlsplit

from msgspec import Struct

from tapewatch.wire.backoff import retry_after
from tapewatch.wire.refusal import FORBIDDEN, TOO_MANY, forbidden

_BLOCKED = frozenset({"RestrictedLocation"})
_SLOW_DOWN = frozenset({"RateLimitExceeded", "DDoSProtection"})
_REFUSED = frozenset({"BadSymbol"})
_GIVE_UP = frozenset(
    {
        "AuthenticationError",  # with PermissionDenied; we bring no keys
        "NotSupported",
        "ExchangeClosedByUser",
        "ArgumentsRequired",
        "InvalidProxySettings",
    }
)
_TAGS = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_LONGEST = 200
_NOTED = "tapewatch_answer"


class Reaction(Enum):
    RETRY = "retry"
    SLOW_DOWN = "slow-down"
    BLOCKED = "blocked"
    REFUSED = "refused"
    GIVE_UP = "give-up"


FINAL = frozenset({Reaction.REFUSED, Reaction.GIVE_UP})


class Verdict(Struct, frozen=True):
    reaction: Reaction
    reason: str
    kind: str  # the error's class, for counting
    retry_after: float | None = None  # seconds that the venue asked for


def judge(error: BaseException, section: str) -> Verdict:
    """Sort an error. `section` names the venue's settings, which the words point at."""
    names = {each.__name__ for each in type(error).__mro__}
    kind = type(error).__name__
    host, status, wait = _answer(error)
    reason = in_words(error)
    if status in FORBIDDEN or names & _BLOCKED:
        hint = forbidden(host or "the venue", status or 451, f"exchanges.{section}.urls")
        return Verdict(Reaction.BLOCKED, hint if status else f"{reason}; {hint}", kind)
    if status in TOO_MANY or names & _SLOW_DOWN:
        return Verdict(Reaction.SLOW_DOWN, reason, kind, wait)
    if names & _REFUSED:
        return Verdict(Reaction.REFUSED, reason, kind)
    if names & _GIVE_UP:
        return Verdict(Reaction.GIVE_UP, reason, kind)
    return Verdict(Reaction.RETRY, reason, kind, wait)


def in_words(error: BaseException) -> str:
    """One line for a person: CCXT puts whole web pages into its messages."""
    cause = error.args[0] if error.args and isinstance(error.args[0], BaseException) else None
    text = " ".join(_TAGS.sub(" ", str(cause or error)).split())
    name = type(error).__name__
    why = " ".join(str(error.__cause__ or "").split())  # "kraken GET https://..." says only where
    if why and why not in text:
        text = f"{text}: {why}"
    if not text:
        return name
    short = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    return f"{name}: {short}"


def note_answer(error: Exception, url: str, status: int, headers: Mapping[str, str]) -> None:
    """Keep with an error what the venue answered: CCXT forgets it, but for the text."""
    host = urlsplit(url).hostname or ""
    wait = retry_after(headers.get("Retry-After", ""), headers.get("Date", ""))
    vars(error)[_NOTED] = (host, status, wait)


def _answer(error: BaseException) -> tuple[str, int, float | None]:
    """Host, HTTP status (0: none) and wait, of a request or of a refused handshake."""
    noted: tuple[str, int, float | None] | None = getattr(error, _NOTED, None)
    if noted is not None:
        return noted
    inner = error.args[0] if error.args else None
    status = getattr(inner, "status", None)
    if isinstance(inner, BaseException) and isinstance(status, int):
        host = getattr(getattr(getattr(inner, "request_info", None), "url", None), "host", "") or ""
        headers = getattr(inner, "headers", None) or {}
        wait = retry_after(headers.get("Retry-After", ""), headers.get("Date", ""))
        return host, status, wait
    return "", 0, None
