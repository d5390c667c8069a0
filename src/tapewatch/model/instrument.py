"""Instruments and the one function that reads every spelling of a symbol.

An id is the venue, a colon, and the unified symbol: `binance:BTC/USDT`,
`okx:BTC/USDT:USDT` (what follows the second colon is the settlement asset of a derivative).
USD, USDT and USDC are different quotes, always: nothing here ever merges them.
"""

import difflib
import re
from collections.abc import Iterable

from msgspec import Struct

from tapewatch.model.errors import Ambiguous, NotFound
from tapewatch.model.events import InstrumentId

# Longest first, so that BTCUSDT is BTC/USDT and not BTCUSD/T. For text without a catalogue only:
# a venue's own listing is never split by rules.
KNOWN_QUOTES = (
    "FDUSD", "USDT", "USDC", "TUSD", "BUSD", "USDS", "USD1", "BIDR", "IDRT", "DAI", "EUR", "USD",
    "GBP", "TRY", "BRL", "AUD", "JPY", "RUB", "UAH", "NGN", "ZAR", "PLN", "RON", "ARS", "CZK",
    "MXN", "COP", "BTC", "ETH", "BNB", "XRP", "TRX", "DOT", "DOGE", "SOL", "PAX", "VAI", "BKRW",
    "IDR", "AEUR", "EURI", "UST", "USDP", "GYEN", "BVND", "U",
)  # fmt: skip
_QUOTES_LONGEST_FIRST = tuple(sorted(KNOWN_QUOTES, key=len, reverse=True))
_PLAIN = re.compile(r"[^\W_]+")


class Instrument(Struct, frozen=True):
    """One thing that one venue trades. `native` is the venue's own text for it."""

    venue: str
    base: str
    quote: str
    native: str
    settle: str = ""  # empty for spot
    tick: float | None = None  # price step
    step: float | None = None  # size step
    contract_size: float = 1.0  # base units a contract; 1 for spot
    active: bool = True
    status: str = ""  # the venue's word, shown when it is not active
    expiry: str = ""  # of a dated contract, as CCXT writes it: "261225"

    @property
    def symbol(self) -> str:
        pair = f"{self.base}/{self.quote}"
        settled = f"{pair}:{self.settle}" if self.settle else pair
        return f"{settled}-{self.expiry}" if self.expiry else settled

    @property
    def id(self) -> InstrumentId:
        return f"{self.venue}:{self.symbol}"


def split_id(inst: InstrumentId) -> tuple[str, str]:
    """`binance:BTC/USDT` to `binance` and `BTC/USDT`."""
    venue, _, symbol = inst.partition(":")
    return venue, symbol


def squeeze(text: str) -> str:
    """What all spellings of one symbol have in common: `btc-usdt`, `BTC/USDT` give `BTCUSDT`."""
    return "".join(_PLAIN.findall(text.upper()))


def guess(venue: str, native: str) -> Instrument | None:
    """Split `BTCUSDT` by the known quote currencies. For tools that have no catalogue."""
    text = native.upper()
    for mark in ("/", "-", "_"):
        base, found, quote = text.partition(mark)
        if found and base and quote:
            return Instrument(venue, base, quote, native)
    for quote in _QUOTES_LONGEST_FIRST:
        if text.endswith(quote) and len(text) > len(quote):
            return Instrument(venue, text[: -len(quote)], quote, native)
    return None


class Catalogue:
    """All instruments that are known, found by id, by native text, or by any spelling."""

    def __init__(self, instruments: Iterable[Instrument] = ()) -> None:
        self._by_id: dict[InstrumentId, Instrument] = {}
        self._by_native: dict[tuple[str, str], Instrument] = {}
        self._by_spelling: dict[str, list[Instrument]] = {}
        self._venues: set[str] = set()
        for instrument in instruments:
            self.add(instrument)

    def add(self, instrument: Instrument) -> None:
        """Add or replace. Raises ValueError if another id has the same native text there."""
        native = (instrument.venue, instrument.native.upper())
        other = self._by_native.get(native)
        if other is not None and other.id != instrument.id:
            raise ValueError(f"{other.id} and {instrument.id} are both {instrument.native!r}")
        self._venues.add(instrument.venue)
        replaced = self._by_id.get(instrument.id)
        self._by_id[instrument.id] = instrument
        self._by_native[native] = instrument
        for spelling in {squeeze(instrument.symbol), squeeze(instrument.native)}:
            known = self._by_spelling.setdefault(spelling, [])
            if replaced in known:
                known.remove(replaced)
            known.append(instrument)

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, inst: InstrumentId) -> bool:
        return inst in self._by_id

    def __getitem__(self, inst: InstrumentId) -> Instrument:
        return self._by_id[inst]

    def get(self, inst: InstrumentId) -> Instrument | None:
        return self._by_id.get(inst)

    def all(self, venue: str | None = None) -> list[Instrument]:
        return [i for i in self._by_id.values() if venue is None or i.venue == venue]

    def native(self, venue: str, text: str) -> Instrument | None:
        return self._by_native.get((venue, text.upper()))

    def spelled(self, text: str, venue: str | None = None) -> list[Instrument]:
        """Give all that a spelling fits: `BTC/USDT`, `btcusdt`, with or without `binance:`."""
        wanted_venue, symbol = self._venue_of(text, venue)
        found = [
            i
            for i in self._by_spelling.get(squeeze(symbol), ())
            if wanted_venue is None or i.venue == wanted_venue
        ]
        return [i for i in found if i.symbol == symbol.upper()] or found

    def resolve(self, text: str, venue: str | None = None) -> Instrument:
        """Read a spelling that must mean one. Raises Ambiguous, or NotFound with the nearest."""
        found = self.spelled(text, venue)
        if len(found) == 1:
            return found[0]
        if found:
            raise Ambiguous("symbol", text, tuple(sorted(i.id for i in found)))
        wanted_venue, symbol = self._venue_of(text, venue)
        raise NotFound("symbol", text, self._nearest(symbol, wanted_venue))

    def _venue_of(self, text: str, venue: str | None) -> tuple[str | None, str]:
        head, colon, rest = text.strip().partition(":")
        if colon and head.lower() in self._venues:
            return head.lower(), rest
        return venue, text.strip()

    def _nearest(self, symbol: str, venue: str | None) -> tuple[str, ...]:
        spellings = [
            spelling
            for spelling, instruments in self._by_spelling.items()
            if venue is None or any(i.venue == venue for i in instruments)
        ]
        near = difflib.get_close_matches(squeeze(symbol), spellings, n=3, cutoff=0.6)
        found = [
            i.symbol if venue else i.id
            for spelling in near
            for i in self._by_spelling[spelling]
            if venue is None or i.venue == venue
        ]
        return tuple(dict.fromkeys(found))[:3]
