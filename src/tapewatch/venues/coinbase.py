"""Coinbase, Exchange feed: matches, tickers, books, and heartbeats that tell the last trade.

Channels:  https://docs.cdp.coinbase.com/exchange/websocket-feed/channels
REST:      https://docs.cdp.coinbase.com/exchange/reference/exchangerestapi_getproducts
Both feeds: see `_coinbase`, with the traps of both.

Traps:
* `match.side` is the maker's; `ticker.side` is the taker's.
* The first frame after subscribing is `last_match`: an old trade. It shows where to begin.
* Matches may be dropped. `heartbeat.last_trade_id` tells each second which one came last.
* `level2_batch` is subscribed, `snapshot` and `l2update` come; `level2` needs a key.
* A book has no numbers. A change that cannot be read is one that is lost; one that the venue did
  not send is not seen, so each book is asked for anew now and then.
* `sequence` counts all kinds of messages of a product, so it has holes: good for order only.
* There are no candles on the socket.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Raw, Struct
from msgspec.json import Decoder, encode

from tapewatch.model.errors import BadFrame
from tapewatch.model.events import (
    Batch,
    BookDelta,
    BookSnapshot,
    InstrumentId,
    Micros,
    Quote,
    Ticker,
    Trade,
)
from tapewatch.model.instrument import Instrument
from tapewatch.model.times import SECOND
from tapewatch.ports import Asks, FeedConfig, Fetch, Limits, Plugin, Route, Streams, Subscription
from tapewatch.venues._answers import UNREADABLE
from tapewatch.venues._coinbase import (
    NO_CANDLES,
    TAKER,
    CoinbaseTalk,
    NotNegative,
    Number,
    Positive,
    Time,
    always_next,
    channel_of,
    is_stored,
    micros,
    must_be,
)
from tapewatch.venues._coinbase_past import CoinbasePast
from tapewatch.venues._coinbase_rest import (
    CATALOGUE,
    EXCHANGE_REST,
    exchange_products,
    trade_history,
)
from tapewatch.venues._newest import Newest
from tapewatch.venues._pushed import PushedBook
from tapewatch.venues._routes import share_out
from tapewatch.venues._talk import Handler
from tapewatch.venues._trades import RECENT_IDS, TradeChain

LIMITS = Limits(
    subscriptions=300,  # not documented; a client that is too slow is cut
    frames_per_sec=8,
    connects=8,
    connects_secs=1,
    weight=8,  # of 10 requests a second
    weight_secs=1,
    idle_secs=600,  # heartbeats are watched; without trades there is no data
    max_age_secs=23.5 * 3600,  # not documented
)
STREAMS_PER_LINK = 60
CHANNELS = ("matches", "ticker", "level2_batch")
_WORDS = {
    "trade": "matches", "trades": "matches", "match": "matches",
    "book": "level2_batch", "depth": "level2_batch", "level2": "level2_batch",
    "level2_50": "level2_batch", "quote": "ticker", "bbo": "ticker", "bookticker": "ticker",
    "ticker_batch": "ticker", "ticker_1000": "ticker",
}  # fmt: skip
_TYPES = {  # of frames, to channels
    "match": "matches", "last_match": "matches", "ticker": "ticker",
    "snapshot": "level2_batch", "l2update": "level2_batch",
}  # fmt: skip
_PREFIXES = {kind.encode(): f"{channel} ".encode() for kind, channel in _TYPES.items()}
# Known, but no event of ours says what they say; the last two a recorder keeps of its own.
_SKIPPED = frozenset(
    ("status", "auction", "rfq_match", "rfq_matches", "received", "open", "done", "change",
     "activate", "subscribe", "unsubscribe")
)  # fmt: skip
_TYPE_AT = len(b'{"type":"')
_PRODUCT = b'"product_id":"'
_UNREAD = "a change of the book could not be read"
_JITTER = SECOND // 100  # changes of one book may be so far out of order
_SKEW = SECOND // 10  # products may be so far apart on one connection


class Match(Struct, gc=False):
    """One fill.

    {"type":"match","trade_id":1100243515,"maker_order_id":"e28c3252-...",
     "taker_order_id":"b5bb1082-...","side":"buy","size":"0.00000014","price":"83425.97",
     "product_id":"BTC-USD","sequence":136999333734,"time":"2026-09-30T02:03:20.974504Z"}
    """

    type: Literal["match", "last_match"]
    trade_id: Number  # +1 per product
    side: Literal["buy", "sell"]  # of the maker
    size: Positive
    price: Positive
    product_id: str
    time: Time


class TickerMessage(Struct, gc=False):
    """Sent with matches. The sizes are there since 2022.

    {"type":"ticker","sequence":50978628538,"product_id":"BTC-USD","price":"17165.16",
     "open_24h":"16437.94","volume_24h":"42492.05081975","low_24h":"16423.37",
     "high_24h":"17259.37","volume_30d":"1093827.95195495","best_bid":"17165.15",
     "best_bid_size":"0.61540890","best_ask":"17167.76","best_ask_size":"0.18528568",
     "side":"sell","time":"2022-12-01T00:00:00.122581Z","trade_id":463751434,"last_size":"0.05"}
    """

    sequence: Number
    product_id: str
    price: Positive
    open_24h: NotNegative
    volume_24h: NotNegative
    low_24h: NotNegative
    high_24h: NotNegative
    best_bid: NotNegative
    best_ask: NotNegative
    time: Time
    best_bid_size: NotNegative | None = None
    best_ask_size: NotNegative | None = None


class Snapshot(Struct, gc=False, tag_field="type", tag="snapshot"):
    """The whole book: megabytes.

    {"type":"snapshot","product_id":"BAND-GBP","asks":[["14.8024","12.77"]],
     "bids":[["14.7","3"]],"time":"2026-09-30T02:03:20.423910Z"}
    """

    product_id: str
    asks: list[tuple[Positive, NotNegative]]
    bids: list[tuple[Positive, NotNegative]]
    time: Time | None = None


class Update(Struct, gc=False, tag_field="type", tag="l2update"):
    """Changed levels of 50 ms with absolute sizes; size 0 removes.

    {"type":"l2update","product_id":"ETH-USD","changes":[["buy","2670.59","0.30000000"],
     ["sell","2672.42","0.16159129"]],"time":"2026-09-30T02:03:20.423910Z"}
    """

    product_id: str
    changes: list[tuple[Literal["buy", "sell"], Positive, NotNegative]]
    time: Time


class Heartbeat(Struct, gc=False):
    """Once a second.

    {"type":"heartbeat","last_trade_id":1100243515,"product_id":"BTC-USD",
     "sequence":136999333795,"time":"2026-09-30T02:03:21.000000Z"}
    """

    last_trade_id: Number
    product_id: str
    time: Time


class _Carried(Struct):
    name: str
    product_ids: list[str] = []


class Head(Struct):
    """What tells a frame.

    {"type":"subscriptions","channels":[{"name":"matches","product_ids":["BTC-USD"]}]}
    {"type":"error","message":"Failed to subscribe","reason":"BTC-XYZ is not a valid product"}
    """

    type: str
    product_id: str = ""
    channels: Raw = Raw(b"[]")
    message: str = ""
    reason: str = ""


_decode_match = Decoder(Match, strict=False).decode
_decode_ticker = Decoder(TickerMessage, strict=False).decode
_decode_book = Decoder(Snapshot | Update, strict=False).decode
_decode_heartbeat = Decoder(Heartbeat, strict=False).decode
_decode_head = Decoder(Head).decode
_decode_carried = Decoder(list[_Carried]).decode


def _to_trade(m: Match, recv: Micros, inst: InstrumentId) -> Trade:
    ts = micros(m.time)
    return Trade(ts, recv, inst, str(m.trade_id), TAKER[m.side], m.price, m.size, "matches")


def _to_ticker(m: TickerMessage, ts: Micros, recv: Micros, inst: InstrumentId) -> Ticker:
    change = m.price - m.open_24h
    share = change / m.open_24h if m.open_24h else 0.0
    # The venue does not tell the volume in the quote currency.
    return Ticker(
        ts, recv, inst, m.price, m.open_24h, m.high_24h, m.low_24h, m.volume_24h, 0.0,
        change, share, m.best_bid, m.best_ask,
    )  # fmt: skip


def _to_snapshot(m: Snapshot, recv: Micros, inst: InstrumentId, seq: int) -> BookSnapshot:
    ts = micros(m.time) if m.time is not None else recv
    bids = tuple(sorted((level for level in m.bids if level[1]), reverse=True))
    asks = tuple(sorted(level for level in m.asks if level[1]))
    return BookSnapshot(ts, recv, inst, seq, bids, asks)


def _to_delta(m: Update, recv: Micros, inst: InstrumentId, seq: int) -> BookDelta:
    bids = tuple([(price, size) for side, price, size in m.changes if side == "buy"])
    asks = tuple([(price, size) for side, price, size in m.changes if side == "sell"])
    return BookDelta(micros(m.time), recv, inst, seq, seq, bids, asks)


class CoinbaseConfig(FeedConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    ws_url: str = "wss://ws-feed.exchange.coinbase.com"
    rest_url: str = EXCHANGE_REST


class CoinbaseConversation(CoinbaseTalk):
    aliases: Mapping[str, str] = _WORDS
    refresh_secs = 900.0

    def __init__(self, venue: str, route: Route, streams: Streams, rest_url: str) -> None:
        super().__init__(venue, route, streams)
        self.pulse.lag = _SKEW
        self._rest_url = rest_url

    def request(self, verb: str, channel: str, natives: Sequence[str]) -> Iterable[bytes]:
        """Heartbeats come and go with their product."""
        if verb == "subscribe":
            yield _frame(verb, natives, channel, "heartbeat")
            return
        yield _frame(verb, natives, channel)
        still = {self.native(sub) for sub in self.wanted}
        gone = [native for native in natives if native not in still]
        if gone:
            yield _frame(verb, gone, "heartbeat")

    def decode(self, frame: bytes, recv: Micros, out: Batch) -> Asks:
        end = frame.find(b'"', _TYPE_AT)
        at = frame.find(_PRODUCT, end) + len(_PRODUCT)
        prefix = _PREFIXES.get(frame[_TYPE_AT:end], b"?")
        handle = self.handlers.get(prefix + frame[at : frame.find(b'"', at)])
        asks = handle(frame, recv, out) if handle is not None else self._other(frame, recv, out)
        return self.noted(asks) if asks else ()

    def handler(self, sub: Subscription, instrument: Instrument) -> Handler:
        inst, native = sub.inst, instrument.native
        if sub.channel == "matches":
            history = trade_history(self._rest_url, native, inst, sub.channel)
            return self._matches(inst, native, self.chain(sub, history))
        if sub.channel == "ticker":
            return _tickers(inst, native, self.newest(sub))
        return self._book(inst, native, self.pushed(sub, always_next))

    def _matches(self, inst: InstrumentId, native: str, chain: TradeChain) -> Handler:
        pulse, lenient = self.pulse, self.streams.lenient

        def handle(data: bytes, recv: Micros, out: Batch) -> Asks:
            m = _decode_match(data)
            must_be(native, m.product_id)
            trade = _to_trade(m, recv, inst)
            if m.type == "match":
                pulse.ts, pulse.recv = trade.ts, recv
            elif chain.next < 0 and not lenient:
                chain.promise(m.trade_id, recv)
                return ()
            elif is_stored(chain, m.trade_id):
                return ()
            return chain.take(m.trade_id, trade, recv, out)

        return handle

    def _book(self, inst: InstrumentId, native: str, book: PushedBook) -> Handler:
        def handle(data: bytes, recv: Micros, out: Batch) -> Asks:
            try:
                m = _decode_book(data)
                must_be(native, m.product_id)
                seq = book.seq + 1
                if type(m) is Update:
                    event = _to_delta(m, recv, inst, seq)
                else:
                    book.snapshot(_to_snapshot(m, recv, inst, seq), self, recv, out)
                    return ()
            except (BadFrame, *UNREADABLE):
                book.broken(self, _UNREAD, recv, out)
                raise
            if event.ts < book.ts - _JITTER and not self.streams.lenient:
                book.broken(self, "changes of the book came out of order", recv, out)
            elif event.bids or event.asks:
                book.take(event, self, recv, out)
            return ()

        return handle

    # --- frames that are not of one stream ---

    def _other(self, frame: bytes, recv: Micros, out: Batch) -> Asks:
        try:
            head = _decode_head(frame)
        except UNREADABLE:
            if b"l2update" in frame or b"snapshot" in frame:
                self.break_books(_UNREAD, recv, out)
            raise
        if head.type == "heartbeat":
            return self._heartbeat(_decode_heartbeat(frame), recv)
        if head.type == "subscriptions":
            carried = {each.name: each.product_ids for each in _decode_carried(head.channels)}
            return self.listed(carried, recv)
        if head.type == "error":
            reason = f": {head.reason}" if head.reason else ""
            return self.rejected(f"{head.message}{reason}", recv)
        if head.type in _TYPES:
            return self.hand_over(_TYPES[head.type], head.product_id, frame, recv, out)
        if head.type in _SKIPPED:
            return ()
        raise BadFrame(f"unknown type {head.type!r}")

    def _heartbeat(self, m: Heartbeat, recv: Micros) -> Asks:
        """Time has come so far, unless the chain lacks what was traded before."""
        self.beaten(recv)
        chain = self.flows.get(Subscription(self.instrument(m.product_id).id, "matches"))
        begun = chain if isinstance(chain, TradeChain) and chain.next >= 0 else None
        if begun is None or begun.promise(m.last_trade_id, recv):
            self.pulse.ts, self.pulse.recv = micros(m.time), recv
        return ()


def _frame(verb: str, natives: Sequence[str], *channels: str) -> bytes:
    return encode({"type": verb, "product_ids": natives, "channels": channels})


def _tickers(inst: InstrumentId, native: str, newest: Newest) -> Handler:
    def handle(data: bytes, recv: Micros, out: Batch) -> Asks:
        m = _decode_ticker(data)
        must_be(native, m.product_id)
        if 0 <= newest.seq - m.sequence < RECENT_IDS:
            return ()
        ts = micros(m.time)
        newest.seq = m.sequence
        out.append(_to_ticker(m, ts, recv, inst))
        if m.best_bid_size is not None and m.best_ask_size is not None:
            sides = (m.best_bid, m.best_bid_size, m.best_ask, m.best_ask_size)
            out.append(Quote(ts, recv, inst, *sides, m.sequence))
        return ()

    return handle


class Coinbase:
    def __init__(self, name: str, config: CoinbaseConfig) -> None:
        self.name = name
        self.limits, self.numbered = LIMITS, True
        self._config = config
        self._rest_url = config.rest_url.rstrip("/")
        self.past = CoinbasePast(self._rest_url, "matches")

    def channel(self, text: str) -> str:
        return channel_of(text, _WORDS, CHANNELS, NO_CANDLES)

    def catalogue(self) -> list[Fetch]:
        return [Fetch(CATALOGUE, f"{self._rest_url}/products")]

    def instruments(self, body: bytes) -> list[Instrument]:
        return exchange_products(body, self.name)

    def routes(self, wanted: Sequence[Subscription]) -> list[Route]:
        url, most = self._config.ws_url, LIMITS.subscriptions
        return share_out(self.name, url, wanted, per_link=STREAMS_PER_LINK, most=most)

    def converse(self, route: Route, streams: Streams) -> CoinbaseConversation:
        return CoinbaseConversation(self.name, route, streams, self._rest_url)

    def recognise(self, frame: bytes, pending: Sequence[Fetch], streams: Streams) -> Fetch | None:  # noqa: ARG002 - no stream of ours asks for what a recording has
        is_listing = frame.startswith(b"[{") and b'"base_currency"' in frame[:4096]
        fetches = (fetch for fetch in pending if fetch.key == CATALOGUE)
        return next(fetches, None) if is_listing else None


PLUGIN = Plugin(config=CoinbaseConfig, build=Coinbase)
