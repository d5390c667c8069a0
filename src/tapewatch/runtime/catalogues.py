"""Which instruments there are, and which of them the settings mean.

A venue that answers at start has its settings checked against its own listing: an unknown symbol
is an error and nothing is started. One that does not answer (no network, a restricted region)
stops nobody: its last listing is used if there is one, its symbols are taken as they are written,
and its feed goes on asking.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from tapewatch.feeds.exchange import fetch_catalogue
from tapewatch.model.errors import NotFound, TapewatchError
from tapewatch.model.instrument import Catalogue, Instrument, guess
from tapewatch.ports import Subscription
from tapewatch.runtime.plan import CcxtVenue, Venue
from tapewatch.wire.http import Http

log = logging.getLogger("tapewatch.runtime.catalogues")

PATIENCE_SECS = 3.0  # start must not hang on a venue that does not answer

_decode = msgspec.json.Decoder(list[Instrument]).decode
Complain = Callable[[str, str, str], None]


async def load(
    venues: Iterable[Venue], folder: Path, make_http: Callable[[Venue], Http]
) -> Catalogue:
    """Ask all venues at once; fall back on what was kept of their last answers."""
    listings = await asyncio.gather(*(_listing(v, folder, make_http(v)) for v in venues))
    return Catalogue(instrument for listing in listings for instrument in listing)


async def _listing(venue: Venue, folder: Path, http: Http) -> list[Instrument]:
    path = listing_file(folder, venue.dialect.name)
    try:
        async with asyncio.timeout(PATIENCE_SECS):
            instruments = await fetch_catalogue(venue.dialect, http)
    except (TapewatchError, TimeoutError) as error:
        return fall_back(path, venue.name, str(error) or f"no answer in {PATIENCE_SECS:g} s")
    finally:
        await http.close()
    keep(path, instruments)
    return instruments


def listing_file(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"


def fall_back(path: Path, venue: str, why: str) -> list[Instrument]:
    """Say that a venue gave no listing, and give its last one, if there is one."""
    kept = _kept(path)
    fields = {"venue": venue, "why": why, "kept_from_before": len(kept)}
    log.warning("catalogue_not_fetched", extra={"fields": fields})
    return kept


def _kept(path: Path) -> list[Instrument]:
    try:
        return _decode(path.read_bytes())
    except (OSError, msgspec.DecodeError):
        return []


def keep(path: Path, instruments: list[Instrument]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.encode(instruments))
    except OSError as error:
        log.warning("catalogue_not_kept", extra={"fields": {"file": str(path), "why": str(error)}})


def wanted(
    venue: Venue | CcxtVenue, catalogue: Catalogue, complain: Complain
) -> list[Subscription]:
    """Read the symbols and streams of one section; what cannot be read is complained about."""
    found: list[Subscription] = []
    for number, symbol in enumerate(venue.config.symbols):
        instrument = _instrument(venue, catalogue, symbol, number, complain)
        if instrument is None:
            continue
        for index, stream in enumerate(venue.config.streams):
            try:
                channel = venue.dialect.channel(stream)
            except NotFound as error:
                if number == 0:  # say it once, not once a symbol
                    path = f"exchanges.{venue.name}.streams.{index}"
                    complain(path, f"unknown stream {stream!r}", _or(error.suggestions))
                continue
            found.append(Subscription(instrument.id, channel))
    return found


def _instrument(
    venue: Venue | CcxtVenue, catalogue: Catalogue, symbol: str, number: int, complain: Complain
) -> Instrument | None:
    name = venue.dialect.name
    path = f"exchanges.{venue.name}.symbols.{number}"
    if catalogue.all(name):
        try:
            return catalogue.resolve(symbol, name)
        except NotFound as error:
            complain(path, f"unknown symbol {symbol!r}", _or(error.suggestions))
            return None
    guessed = guess(name, symbol.partition(":")[2] or symbol)
    if guessed is None:
        complain(path, f"{symbol!r} is no symbol", "write BASE/QUOTE, such as BTC/USDT")
        return None
    native = f"{guessed.base}{guessed.quote}".upper()
    return Instrument(name, guessed.base.upper(), guessed.quote.upper(), native)


def _or(suggestions: tuple[str, ...]) -> str:
    return f"did you mean {' or '.join(suggestions)}?" if suggestions else ""
