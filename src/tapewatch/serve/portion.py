"""What clients get in one flush. Each message is made once, and only if somebody can take it.

    events by kind ──encoded once──> frames ──joined once a kind──> bytes of all who named nothing
                                            ──picked, joined──────> bytes of those who named some

Clients with equal choices get the same portion. One that is behind takes no bytes, it only counts;
while all are behind nothing is encoded.
"""

from collections.abc import Callable, Mapping, Sequence

from tapewatch.model.events import AnyEvent
from tapewatch.serve.client import Choice, Message

Encode = Callable[[str, Sequence[AnyEvent]], list[bytes]]  # a kind, its events; a frame for each


class Portion:
    """Messages that are made already, and how many events of which kind, with their bytes to be."""

    def __init__(
        self,
        messages: Sequence[Message],
        events: Mapping[str, int] | None = None,
        frames: Callable[[], list[bytes]] = list,
    ) -> None:
        self.messages = messages
        self.events = events or {}
        self.count = len(messages) + sum(self.events.values())
        self._frames = frames
        self._blob: bytes | None = None

    def blob(self) -> bytes:
        if self._blob is None:
            self._blob = b"".join([*self._frames(), *(m.frame for m in self.messages)])
        return self._blob


class Flush:
    def __init__(
        self,
        encode: Encode,
        events: Mapping[str, Sequence[AnyEvent]],
        messages: Sequence[Message],
    ) -> None:
        self._encode = encode
        self._events = events
        self._messages = messages
        self._frames: dict[str, list[bytes]] = {}
        self._joined: dict[str, bytes] = {}
        self._portions: dict[Choice, Portion] = {}

    def portion(self, choice: Choice) -> Portion:
        portion = self._portions.get(choice)
        if portion is None:
            messages = [m for m in self._messages if choice.takes(m.kind, m.inst)]
            kinds = [kind for kind in self._events if kind in choice.types]
            make = self._all_of if choice.only is None and not choice.without else self._some_of
            portion = self._portions[choice] = make(kinds, messages, choice)
        return portion

    def _all_of(self, kinds: list[str], messages: list[Message], _choice: Choice) -> Portion:
        events = {kind: len(self._events[kind]) for kind in kinds}
        return Portion(messages, events, lambda: [self._join(kind) for kind in kinds])

    def _some_of(self, kinds: list[str], messages: list[Message], choice: Choice) -> Portion:
        picked = {
            kind: [
                number
                for number, event in enumerate(self._events[kind])
                if choice.takes(kind, getattr(event, "inst", None))
            ]
            for kind in kinds
        }
        return Portion(
            messages,
            {kind: len(numbers) for kind, numbers in picked.items() if numbers},
            lambda: [self._make(kind)[n] for kind, numbers in picked.items() for n in numbers],
        )

    def _make(self, kind: str) -> list[bytes]:
        if kind not in self._frames:
            self._frames[kind] = self._encode(kind, self._events[kind])
        return self._frames[kind]

    def _join(self, kind: str) -> bytes:
        if kind not in self._joined:
            self._joined[kind] = b"".join(self._make(kind))
        return self._joined[kind]
