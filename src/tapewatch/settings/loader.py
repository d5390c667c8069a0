"""Settings from all their sources, with every fault and the origin of every value.

    default  <  tapewatch.yaml  <  .env  <  environment  <  --set

All are put into one tree of texts, which is typed once. Touches no network; reads two files. What
only a venue can tell (is there such a stream?) is reported later with `Loaded.complain`, and
points at the same lines.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path as File
from typing import Any

from tapewatch.model.errors import TapewatchError
from tapewatch.ports import FeedConfig
from tapewatch.settings import environment, planned
from tapewatch.settings.document import parse
from tapewatch.settings.node import Items, Path, Section, Text, find, key_place, place_of
from tapewatch.settings.origin import Shown, list_values
from tapewatch.settings.problems import InvalidSettings, Place, Problem, in_order, within
from tapewatch.settings.schema import Settings
from tapewatch.settings.values import ConfigOf, Values

DEFAULT_FILE = "tapewatch.yaml"
_LOOPBACK = ("127.", "localhost", "::1", "[::1]")
_DEFAULT = Place("default")
# What runs when nobody named an exchange: the live product, on something worth seeing.
_DEFAULT_SYMBOLS = ("BTC/USDT", "ETH/USDT")
_DEFAULT_STREAMS = ("ticker", "aggTrade", "depth", "bookTicker")


class Loaded:
    """Valid settings, and what is known about where they came from."""

    def __init__(self, settings: Settings, root: Section, notices: Sequence[Problem]) -> None:
        self.settings = settings
        self.notices = tuple(notices)
        self._root = root
        self._complaints: list[Problem] = []

    def complain(
        self,
        path: str,
        message: str,
        hint: str = "",
        code: str = "CFG001",
        column: int | None = None,
    ) -> None:
        """Note a fault that was found after loading; `refuse` raises all of them at once.

        `column` counts from 0 within the text that stands at the path.
        """
        steps = tuple(path.split("."))
        place = place_of(self._root, steps)
        node = find(self._root, steps)
        if place is not None and column is not None and isinstance(node, Text):
            place = within(place, node.text, column)
        self._complaints.append(Problem(code, message, place, path, hint))

    def note(self, path: str, message: str, hint: str = "") -> None:
        """Tell of something that works and deserves a second look."""
        place = place_of(self._root, tuple(path.split(".")))
        self.notices = (*self.notices, Problem("CFG102", message, place, path, hint))

    def refuse(self) -> None:
        """Raise InvalidSettings if anybody complained."""
        if self._complaints:
            raise InvalidSettings(sorted(self._complaints, key=_reading_order), self.notices)

    def origin(self, path: str) -> str:
        """Say where the value at a path came from: `tapewatch.yaml:14`, `--set`, `default`."""
        node = find(self._root, tuple(path.split(".")))
        place = node.place if node is not None else _DEFAULT
        return f"{place.source}:{place.line}" if place.line else place.source

    def values(self) -> list[Shown]:
        """Every effective value with its path and origin, secrets as `***`."""
        return list_values(self.settings, self.origin)


def load(
    path: File | None,
    *,
    config_of: ConfigOf,
    environ: Mapping[str, str],
    options: Sequence[str] = (),
    folder: File | None = None,
) -> Loaded:
    """Load a file (None: `tapewatch.yaml` in `folder` if there is one). Raises InvalidSettings."""
    folder = folder or File()
    reading = _Reading()
    dotenv = reading.dotenv(folder / ".env")
    given = {name: value for name, value in environ.items() if value}
    variables = {one.name: one.value for one in dotenv} | given
    root = reading.yaml(path, folder, variables)
    _fill_exchanges(root)
    for source in (dotenv, environment.from_process(environ)):
        result = environment.assign(root, source, _takes(config_of))
        reading.problems += result.problems
        reading.notices += result.notices
    flags, faults = environment.from_options(options)
    reading.problems += faults + environment.assign_options(root, flags)
    return reading.finish(root, config_of)


def _reading_order(problem: Problem) -> tuple[bool, int, int]:
    """As one reads the file; what stands in no file comes last."""
    place = problem.place or _DEFAULT
    return place.line == 0, place.line, place.column


def _takes(config_of: ConfigOf) -> environment.Takes:
    def takes(venue: str, name: str) -> bool:
        try:
            return name in getattr(config_of("venues", venue), "__struct_fields__", ())
        except TapewatchError:  # told where the section is read
            return False

    return takes


class _Reading:
    """The faults and notices of one load."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.notices: list[Problem] = []

    def dotenv(self, file: File) -> list[environment.Given]:
        if not file.is_file():
            return []
        text = self._bytes(file).decode("utf-8-sig", "replace")
        given, faults = environment.from_file(str(file), text)
        self.problems += faults
        self.notices += environment.misspelt(given)
        return given

    def yaml(self, path: File | None, folder: File, variables: Mapping[str, str]) -> Section:
        file = path or folder / DEFAULT_FILE
        if path is None and not file.exists():
            return Section({}, _DEFAULT)
        root, faults = parse(str(file), self._bytes(file), variables)
        self.problems += faults
        return root

    def _bytes(self, file: File) -> bytes:
        try:
            return file.read_bytes()
        except OSError as error:
            reason = (
                "there is no such file" if not file.exists() else (error.strerror or str(error))
            )
            hint = "`tapewatch init` writes one" if not file.exists() else ""
            place = Place(str(file))
            self.problems.append(
                Problem("CFG010", f"cannot read {file}: {reason}", place, hint=hint)
            )
            return b""

    def finish(self, root: Section, config_of: ConfigOf) -> Loaded:
        values = Values(config_of)
        settings = values.read(root, Settings)
        problems = self.problems + values.problems
        notices = self.notices + values.notices + planned.unused(root)
        if isinstance(settings, Settings):
            if not problems:
                problems = _contradictions(settings, root)
            if not problems:
                return Loaded(settings, root, notices + _second_looks(settings, root))
        raise InvalidSettings(in_order(problems), notices)


def _fill_exchanges(root: Section) -> None:
    written = root.fields.get("exchanges")
    if written is not None and not (isinstance(written, Text) and written.empty):
        return
    section = Section({}, _DEFAULT)
    for key, words in (("symbols", _DEFAULT_SYMBOLS), ("streams", _DEFAULT_STREAMS)):
        section.fields[key] = Items([Text(word, _DEFAULT) for word in words], _DEFAULT)
    root.fields["exchanges"] = Section({"binance": section}, _DEFAULT)


def _contradictions(settings: Settings, root: Section) -> list[Problem]:
    found = []
    for name, config in settings.exchanges.items():
        if isinstance(config, FeedConfig) and config.max_reconnect_delay < config.reconnect_delay:
            message = (
                f"max_reconnect_delay ({config.max_reconnect_delay:g}) is less than "
                f"reconnect_delay ({config.reconnect_delay:g})"
            )
            path: Path = ("exchanges", name, "max_reconnect_delay")
            if find(root, path) is None:
                path = ("exchanges", name, "reconnect_delay")
            found.append(Problem("CFG006", message, place_of(root, path), ".".join(path)))
    if not (settings.news.enabled or any(_on(each) for each in settings.exchanges.values())):
        place = key_place(root, ("exchanges",))
        message = "no exchange is enabled, so there is nothing to collect"
        found.append(Problem("CFG006", message, place, "exchanges", "name one, like `binance:`"))
    return found


def _second_looks(settings: Settings, root: Section) -> list[Problem]:
    notices = []
    for name, config in settings.exchanges.items():
        if _on(config) and not getattr(config, "symbols", True):
            path = ("exchanges", name)
            message = f"{name} has no symbols: it waits until somebody subscribes"
            notices.append(Problem("CFG102", message, place_of(root, path), ".".join(path)))
    host = settings.server.host
    if settings.server.enabled and not host.startswith(_LOOPBACK):
        place = place_of(root, ("server", "host"))
        message = (
            f"the server listens on {host}: whoever reaches this machine can read and subscribe"
        )
        notices.append(Problem("CFG102", message, place, "server.host"))
    return notices


def _on(config: Any) -> bool:
    return bool(getattr(config, "enabled", True))
