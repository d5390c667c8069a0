"""One exception class per reaction, not per cause.

TapewatchError
├── ConfigError     print file, line, column; start nothing; exit 2
├── BadFrame        one dead letter; go on
├── Disconnected    back off, then a new conversation
├── Unavailable     retry the batch, then spill it; try the channel again later
├── Rejected        dead-letter these rows, keep the rest
└── NotFound        tell the asker, with the nearest valid choices
    └── Ambiguous   the same, with all that it may mean

Anything else is a bug: it is logged with its traceback and the worker is restarted.
`except Exception` stands only where a bug must cost one thing and no more: around a decoder that
reads a venue's bytes (one dead letter), around `on_event` (one key), around an HTTP handler (one
request), around a channel's `send` (one attempt), around a detector's proof (its verdict), in the
supervisor (one worker), and at the command line's last door (a crash report).
"""


class TapewatchError(Exception):
    """Has a text that tells a person what is wrong, where, and what to do."""


class ConfigError(TapewatchError):
    """The settings or the command line cannot be used. Nothing was started."""


class BadFrame(TapewatchError):
    """A frame that cannot be read."""


class Disconnected(TapewatchError):
    """The link to a venue is gone. `retry_after` is what the venue asked for, in seconds."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after


class Unavailable(TapewatchError):
    """A store or channel cannot take the batch now; the same batch may succeed later."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after


class Rejected(TapewatchError):
    """A store will never take these rows (indices into the batch). The others were written."""

    def __init__(self, reason: str, rows: frozenset[int]) -> None:
        super().__init__(reason)
        self.reason = reason
        self.rows = rows


class NotFound(TapewatchError):
    """Nothing has this name. `suggestions` are the nearest that exist."""

    def __init__(self, what: str, name: str, suggestions: tuple[str, ...] = ()) -> None:
        hint = f"; did you mean {' or '.join(suggestions)}?" if suggestions else ""
        super().__init__(f"unknown {what} {name!r}{hint}")
        self.what = what
        self.name = name
        self.suggestions = suggestions


class Ambiguous(NotFound):
    """A name that several things have. `suggestions` are all of them."""

    def __init__(self, what: str, name: str, suggestions: tuple[str, ...]) -> None:
        super().__init__(what, name, suggestions)
        self.args = (f"{what} {name!r} is ambiguous; say which: {', '.join(suggestions)}",)


def where(error: BaseException) -> str:
    """Tell the file and line at which it was raised: without its text, which may hold secrets."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "no trace"
    file = trace.tb_frame.f_code.co_filename.replace("\\", "/").rpartition("/")[2]
    return f"{file}:{trace.tb_lineno}"
