"""What OKX answers by HTTP: past trades and the listing. An error comes with status 200 too.

https://www.okx.com/docs-v5/en/#public-data-rest-api-get-instruments
https://www.okx.com/docs-v5/en/#order-book-trading-market-data-get-trades-history
"""

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from msgspec import DecodeError, Struct
from msgspec.json import Decoder

from tapewatch.model.events import InstrumentId, Micros, Trade
from tapewatch.model.instrument import Instrument
from tapewatch.ports import Fetch
from tapewatch.venues._okx_messages import TradeRow, Units, to_fill
from tapewatch.venues._trades import History

KINDS = ("SPOT", "SWAP", "FUTURES")
_PAGE = 100
_NATIVE = re.compile(r"\w[\w.]{0,31}(-\w[\w.]{0,31}){1,4}")
_STABLE = ("USDT", "USDC")
_LARGEST = 1e12  # units of one contract; what is beyond its inverse is no contract either


class _Failure(Struct):
    """{"code":"51001","msg":"Instrument ID doesn't exist.","data":[]}."""

    code: str
    msg: str = ""


class _Trades(Struct, gc=False):
    data: tuple[TradeRow, ...]


class _Listed(Struct, gc=False):
    """A row of /api/v5/public/instruments. `baseCcy` and `quoteCcy` are empty for contracts.

    {"alias":"","baseCcy":"","category":"1","ctMult":"1","ctType":"inverse","ctVal":"100",
     "ctValCcy":"USD","expTime":"","instId":"BTC-USD-SWAP","instType":"SWAP","lotSz":"1",
     "quoteCcy":"","settleCcy":"BTC","state":"live","tickSz":"0.1","uly":"BTC-USD"}
    """

    instId: str  # noqa: N815 - the venue's word
    instType: str  # noqa: N815 - the venue's word
    baseCcy: str = ""  # noqa: N815 - the venue's word
    quoteCcy: str = ""  # noqa: N815 - the venue's word
    settleCcy: str = ""  # noqa: N815 - the venue's word
    uly: str = ""
    ctVal: str = ""  # noqa: N815 - the venue's word
    ctMult: str = ""  # noqa: N815 - the venue's word
    tickSz: str = ""  # noqa: N815 - the venue's word
    lotSz: str = ""  # noqa: N815 - the venue's word
    state: str = ""


class _Listing(Struct, gc=False):
    data: tuple[_Listed, ...]


_decode_failure = Decoder(_Failure).decode
_decode_trades = Decoder(_Trades, strict=False).decode
_listing = Decoder(_Listing)


def check(body: bytes) -> None:
    """Raise a ValueError with the venue's words if this is a failure."""
    failure = _decode_failure(body)
    if failure.code != "0":
        raise ValueError(f"code {failure.code}: {failure.msg}")


def trade_history(
    rest_url: str, native: str, inst: InstrumentId, channel: str, units: Units
) -> History:
    """Pages of single fills, newest first, of ids below `after`."""

    def fetch(key: str, first: int, count: int) -> Fetch:
        query = f"instId={quote(native)}&type=1&after={first + count}&limit={count}"
        return Fetch(key, f"{rest_url}/api/v5/market/history-trades?{query}")

    def rows(body: bytes, recv: Micros, echo: bool) -> Sequence[tuple[int, Trade]]:  # noqa: FBT001 - the shape of History.rows
        check(body)
        found = _decode_trades(body).data
        fills = [
            (row.tradeId, to_fill(row, recv, inst, channel, units, echo=echo)) for row in found
        ]
        return sorted(fills, key=lambda fill: fill[0])

    return History(_PAGE, fetch, rows, spans=True)


def to_instruments(body: bytes, venue: str) -> list[Instrument]:
    """Read a listing, or several, one a line. Options are left out.

    Of two with one symbol the one that trades wins, else the first.
    """
    found: dict[InstrumentId, Instrument] = {}
    for row in _listed(body):
        instrument = _to_instrument(row, venue) if row.instType in KINDS else None
        known = found.get(instrument.id) if instrument is not None else None
        if instrument is None or (known is not None and (known.active or not instrument.active)):
            continue
        found[instrument.id] = instrument
    return list(found.values())


def _listed(body: bytes) -> Iterable[_Listed]:
    try:
        check(body)
        return _listing.decode(body).data
    except DecodeError:
        return [row for listing in _listing.decode_lines(body) for row in listing.data]


def _to_instrument(row: _Listed, venue: str) -> Instrument | None:
    active = row.state == "live"
    tick, step = _number(row.tickSz), _number(row.lotSz)
    if row.instType == "SPOT":
        if not (row.baseCcy and row.quoteCcy):
            return None
        return Instrument(
            venue, row.baseCcy, row.quoteCcy, row.instId,
            tick=tick, step=step, active=active, status=row.state,
        )  # fmt: skip
    guessed = guess(row.instId, venue)
    size, times = _number(row.ctVal), _number(row.ctMult or "1")
    if guessed is None or not (size and times and 1 / _LARGEST < size * times < _LARGEST):
        return None
    base, _, quoted = row.uly.partition("-")
    return Instrument(
        venue, base or guessed.base, quoted.partition("_")[0] or guessed.quote, row.instId,
        settle=row.settleCcy or guessed.settle, tick=tick, step=step, contract_size=size * times,
        active=active, status=row.state, expiry=guessed.expiry,
    )  # fmt: skip


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 < number < _LARGEST else None


def guess(native: str, venue: str) -> Instrument | None:
    """Read `BTC-USDT`, `BTC-USD-SWAP`, `BTC-USDT-261225`, `BTC-USD_UM-SWAP` without a listing.

    How much a contract is cannot be known: it counts as one unit.
    """
    if not _NATIVE.fullmatch(native):
        return None
    base, family, *rest = native.split("-")
    quoted, _, margin = family.partition("_")
    if not rest:
        return Instrument(venue, base, family, native)
    settle = quoted if margin or quoted in _STABLE else base
    expiry = "" if rest == ["SWAP"] else "-".join(rest)
    return Instrument(venue, base, quoted, native, settle, expiry=expiry)
