"""Live messages as WebSocket frames, each made once whatever the number of clients.

An event keeps the fields that it has everywhere else in the product; `symbol` and `exchange` are
put before them for S4's clients. States are read from the hot window when they are written, so a
client gets the newest and never a backlog.
"""

from collections.abc import Iterable

from tapewatch.model.codec import encode_json
from tapewatch.model.events import AnyEvent, InstrumentId
from tapewatch.model.instrument import split_id
from tapewatch.ports import Latest
from tapewatch.serve import views
from tapewatch.serve.client import BOOK, HEADS, PRICE, Message, frame
from tapewatch.serve.context import Context

BOOK_LEVELS = 20


class Encoder:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._openings: dict[str, dict[InstrumentId | None, bytes]] = {}
        self._state = {PRICE: self._price, "ticker": self._ticker}

    def events(self, kind: str, events: Iterable[AnyEvent]) -> list[bytes]:
        """Encode each: `{"type":..,"data":{"symbol":..,"exchange":..,` and the event's own fields.

        Gives frames. A flood comes through here, hence the heads made in advance.
        """
        openings = self._openings.setdefault(kind, {})
        frames = []
        for event in events:
            inst: InstrumentId | None = getattr(event, "inst", None)
            opening = openings.get(inst)
            if opening is None:
                opening = openings[inst] = self._opening(kind, inst)
            payload = encode_json(event).replace(b"{", opening, 1) + b"}"
            size = len(payload)
            frames.append(HEADS[size] + payload if size < len(HEADS) else frame(payload))
        return frames

    def states(
        self, keys: Iterable[tuple[str, InstrumentId]], void: set[InstrumentId] | None = None
    ) -> list[Message]:
        """Encode the newest of each; nothing for what is not there, or is no state.

        `void` holds the instruments whose book was said to be void: that is said once, though
        deltas go on coming while it is built anew.
        """
        messages = []
        seen: dict[InstrumentId, Latest | None] = {}  # one look for all
        for kind, inst in keys:
            payload = None
            if kind == BOOK:
                payload = self._book(inst, void)
            elif (encode := self._state.get(kind)) is not None:
                if inst not in seen:
                    seen[inst] = self._context.hot.get_latest(inst)
                latest = seen[inst]
                payload = None if latest is None else encode(latest)
            if payload is not None:
                messages.append(Message(kind, inst, frame(payload)))
        return messages

    def _opening(self, kind: str, inst: InstrumentId | None) -> bytes:
        names = b""
        if inst is not None:
            native, venue = self._context.native(inst), split_id(inst)[0]
            names = encode_json({"symbol": native, "exchange": venue})[1:-1] + b","
        return b'{"type":"%b","data":{%b' % (kind.encode(), names)

    def _price(self, latest: Latest) -> bytes | None:
        context = self._context
        fields = views.price_fields(latest, context.native(latest.inst), context.clock())
        return None if fields is None else encode_json(views.PriceUpdate(**fields))

    def _ticker(self, latest: Latest) -> bytes | None:
        if latest.ticker is None:
            return None
        opening = self._opening("ticker", latest.inst)
        return opening + encode_json(latest.ticker)[1:] + b"}"

    def _book(self, inst: InstrumentId, void: set[InstrumentId] | None) -> bytes | None:
        """Give the proven top of the book, or say that there is none and why."""
        context = self._context
        found = context.books.book(inst, BOOK_LEVELS)
        if found is not None:
            if void:
                void.discard(inst)
            book = views.book(found, context.native(inst))
        else:
            reason = context.books.gap(inst)
            if not reason or not _is_news(inst, void):
                return None
            book = views.no_book(inst, context.native(inst), context.clock(), reason)
        return b'{"type":"orderbook","data":%b}' % encode_json(book)


def _is_news(inst: InstrumentId, void: set[InstrumentId] | None) -> bool:
    if void is None:
        return True
    is_new = inst not in void
    void.add(inst)
    return is_new


def dropped(missed: dict[str, int], kind: str = "dropped") -> Message:
    """Tell what a client will never get: it was too slow, or the market was too fast for us."""
    return Message(kind, None, frame(encode_json({"type": "dropped", "data": missed})))
