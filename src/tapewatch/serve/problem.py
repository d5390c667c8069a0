"""What a person or program is told when a question cannot be answered (RFC 9457).

Every refusal has this one form, whoever noticed it. It never holds a traceback, a path of this
machine, or a secret: what is unexpected goes to the log, under the request's id.
"""

from msgspec import Struct, field

from tapewatch.model.errors import Ambiguous, NotFound, Rejected, TapewatchError, Unavailable

JSON = "application/problem+json"


class Fault(Struct, frozen=True):
    """One thing that is wrong with a request."""

    pointer: str  # "?limit" of the query, "/symbol" of the path
    detail: str
    hint: str = ""


class Problem(Struct, kw_only=True, omit_defaults=True):
    """The body of every answer that is not the one asked for."""

    type: str
    title: str
    status: int
    detail: str
    instance: str = ""
    request_id: str = ""
    errors: list[Fault] = field(default_factory=list)
    suggestions: list[str] = field(default_factory=list)
    retry_after_secs: float | None = None


class Kind(Struct, frozen=True):
    """A kind of problem, as `/problems/<slug>` explains it."""

    slug: str
    status: int
    title: str
    meaning: str


_KINDS = (
    Kind("bad-parameter", 400, "A parameter cannot be used", "`errors` names each and the rule."),
    Kind("ambiguous", 400, "A name that means several", "Ask for one of `suggestions`."),
    Kind("forbidden-origin", 403, "Origin not allowed", "Add it to server.cors_origins."),
    Kind("not-found", 404, "Nothing has this name", "`suggestions` are the nearest that exist."),
    Kind("method-not-allowed", 405, "Method not allowed", "See /openapi.json for the method."),
    Kind("too-large", 413, "The request is too large", "Our requests need no body."),
    Kind("upgrade-required", 426, "This is a WebSocket address", "Connect with ws://."),
    Kind("bad-request", 400, "The request cannot be read", "It is no proper HTTP."),
    Kind("internal", 500, "A fault of ours", "Tell us the request_id; the log has the rest."),
    Kind("unavailable", 503, "Not available now", "Ask again after retry_after_secs."),
    Kind("timeout", 504, "The question took too long", "Ask for a shorter range."),
)
KINDS = {kind.slug: kind for kind in _KINDS}
_SLUG_OF = {kind.status: kind.slug for kind in reversed(_KINDS)}  # the first of a status wins


class BadParameters(TapewatchError):
    """The question is wrong; `faults` tell everything that is."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__("; ".join(f"{fault.pointer}: {fault.detail}" for fault in faults))
        self.faults = faults


def problem(slug: str, detail: str) -> Problem:
    kind = KINDS[slug]
    return Problem(
        type=f"/problems/{kind.slug}", title=kind.title, status=kind.status, detail=detail
    )


def of_status(status: int, detail: str) -> Problem:
    """For what the web framework itself refused."""
    slug = _SLUG_OF.get(status, "bad-request" if status < 500 else "internal")
    told = problem(slug, detail)
    told.status = status
    return told


def of_error(error: Exception) -> Problem | None:
    """Translate what a handler raised. None: it is a bug."""
    match error:
        case BadParameters():
            told = problem("bad-parameter", str(error))
            told.errors = list(error.faults)
        case Ambiguous():
            told = problem("ambiguous", str(error))
            told.suggestions = list(error.suggestions)
        case NotFound():
            told = problem("not-found", str(error))
            told.suggestions = list(error.suggestions)
        case Unavailable():
            told = problem("unavailable", str(error))
            told.retry_after_secs = error.retry_after or 1.0
        case Rejected():
            told = problem("bad-parameter", str(error))
        case TimeoutError():
            told = problem("timeout", "no answer in time; ask for a shorter range or fewer rows")
            told.retry_after_secs = 1.0
        case _:
            return None
    return told
