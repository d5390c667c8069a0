"""Coinbase, Advanced Trade feed: the same market with one number for each frame of a connection.

Channels: https://docs.cdp.coinbase.com/advanced-trade/docs/ws-channels
Both feeds: see `_coinbase`, with the traps of both.

    frame --sequence_num + 1?--> rows --> handler by product --> events
                 | a hole
                 v
    books of this connection void, books and trades subscribed anew: the snapshot of the newest
    hundred trades shows what is missing, by ids

Traps:
* `market_trades.side` is the maker's, though most clients take it for the taker's: the recorded
  SELL rows climb through rising offers. Rows come newest first.
* `level2` is subscribed, `l2_data` comes. Sides are `bid` and `offer`.
* Acknowledgements, heartbeats and empty updates have numbers too; errors have none.
* An acknowledgement may come after the data.
* A product that shares another's book (`alias`) is answered under the other's name.
* Snapshots have 5 MB.
* Trades are collected for some 250 ms, so other channels are ahead of them.
* Most channels are cut after a minute without a frame: heartbeats keep them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec.json import encode

from tapewatch.model.errors import BadFrame
from tapewatch.model.events import Batch, InstrumentId, Micros
from tapewatch.model.instrument import Instrument
from tapewatch.model.times import SECOND
from tapewatch.ports import (
    Ask,
    Asks,
    FeedConfig,
    Fetch,
    Limits,
    Plugin,
    Refused,
    Route,
    Send,
    Streams,
    Subscription,
)
from tapewatch.venues._coinbase import CoinbaseTalk, always_next, channel_of, is_stored, micros
from tapewatch.venues._coinbase_advanced_messages import (
    READERS,
    BookEvent,
    CandleRow,
    Frame,
    Part,
    TickerRow,
    TradeRow,
    decode_any,
    decode_carried,
    decode_head,
    time_of,
    to_candle,
    to_delta,
    to_quote,
    to_snapshot,
    to_ticker,
    to_trade,
)
from tapewatch.venues._coinbase_past import CoinbasePast
from tapewatch.venues._coinbase_rest import (
    CATALOGUE,
    EXCHANGE_REST,
    TWIN,
    advanced_products,
    trade_history,
)
from tapewatch.venues._newest import Newest
from tapewatch.venues._pushed import PushedBook
from tapewatch.venues._routes import share_out
from tapewatch.venues._talk import Handler
from tapewatch.venues._trades import TradeChain

LIMITS = Limits(
    subscriptions=300,  # not documented; a client that is too slow is cut
    frames_per_sec=6,  # of 8
    connects=6,  # of 8
    connects_secs=1,
    weight=8,  # of 10 requests a second
    weight_secs=1,
    idle_secs=600,  # heartbeats are watched; without trades there is no data
    max_age_secs=23.5 * 3600,  # not documented
)
STREAMS_PER_LINK = 60
CHANNELS = ("market_trades", "ticker", "level2", "candles")
_WORDS = {
    "trade": "market_trades", "trades": "market_trades", "matches": "market_trades",
    "book": "level2", "depth": "level2", "l2_data": "level2", "level2_batch": "level2",
    "quote": "ticker", "bbo": "ticker", "bookticker": "ticker", "ticker_batch": "ticker",
    "klines": "candles", "kline_5m": "candles", "candle_5m": "candles",
}  # fmt: skip
_NO_CANDLES = "candles here are of 5 minutes; all others are made of trades"
# Known, but no event of ours says what they say.
_SKIPPED = frozenset(("status", "user", "futures_balance_summary"))
_SENT = frozenset(("subscribe", "unsubscribe"))  # what a recorder keeps of its own
_BEGIN = b'{"channel":"'
_HEARTBEATS = b'{"type":"subscribe","channel":"heartbeats"}'
_LAG = SECOND  # trades may be so far behind other channels
_NEAR = 1_000  # frames so far behind are late or repeated, not of another numbering
_BETWEEN = 5 * SECOND  # trades are not subscribed anew more often
_SETTLE = 2 * SECOND  # after a hole nothing is said of time for so long


REST = "https://api.coinbase.com"


class AdvancedConfig(FeedConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    ws_url: str = "wss://advanced-trade-ws.coinbase.com"
    rest_url: str = REST
    # Where missing trades are asked for by id: the Exchange has the same ids, this API none by id.
    # Nothing: the Exchange, or `rest_url` if that is not the venue's own.
    history_url: str | None = None


class AdvancedConversation(CoinbaseTalk):
    aliases: Mapping[str, str] = _WORDS

    def __init__(self, venue: str, route: Route, streams: Streams, history_url: str) -> None:
        super().__init__(venue, route, streams)
        self.pulse.lag = _LAG
        self._history_url = history_url
        self._next = -1 if streams.lenient else 0  # the number that should come now
        self._is_late = False  # the frame in hand stands before one that was taken
        self._told = Micros(0)  # the frame in hand, by the venue's clock
        self._hole_at = Micros(0)
        self._again_at = Micros(0)
        self._doubt = False  # trades may be missing at the end of their chains

    def request(self, verb: str, channel: str, natives: Sequence[str]) -> Iterable[bytes]:
        yield encode({"type": verb, "product_ids": natives, "channel": channel})

    def open(self, now: Micros) -> Asks:
        return [Send(_HEARTBEATS), *super().open(now)]

    def decode(self, frame: bytes, recv: Micros, out: Batch) -> Asks:
        name = frame[len(_BEGIN) : frame.find(b'"', len(_BEGIN))]
        reader = READERS.get(name) if frame.startswith(_BEGIN) else None
        if reader is None:
            return self.noted(self._other(frame, recv, out))
        message = reader.read(frame)
        self._follow(message, recv, out)
        return self.noted(self._each(reader.part(message.events), recv, out))

    def tick(self, now: Micros, out: Batch) -> Asks:
        asks = super().tick(now, out)
        if not self._doubt or 0 <= now - self._again_at < _BETWEEN:
            return asks
        self._doubt, self._again_at = False, now
        trades = [sub for sub in sorted(self.wanted) if sub.channel == "market_trades"]
        return [*asks, *self.again(trades, now)]

    # --- streams ---

    def handler(self, sub: Subscription, instrument: Instrument) -> Handler:
        inst, native = sub.inst, instrument.native
        match sub.channel:
            case "market_trades":
                history = trade_history(self._history_url, native, inst, sub.channel)
                return self._trades(inst, self.chain(sub, history))
            case "level2":
                return self._book(inst, self.pushed(sub, always_next))
            case "ticker":
                return self._tickers(inst, self.newest(sub))
        return self._candles(inst)

    def _trades(self, inst: InstrumentId, chain: TradeChain) -> Handler:
        lenient = self.streams.lenient

        def handle(data: tuple[list[TradeRow], bool], recv: Micros, out: Batch) -> Asks:
            rows, is_past = data
            if is_past and chain.next < 0 and not lenient:
                chain.promise(rows[-1].trade_id, recv)
                return ()
            asks: list[Ask] = []
            for row in rows:
                if is_past and is_stored(chain, row.trade_id):
                    continue
                asks.extend(chain.take(row.trade_id, to_trade(row, recv, inst), recv, out))
            return asks

        return handle

    def _book(self, inst: InstrumentId, book: PushedBook) -> Handler:
        def handle(event: BookEvent, recv: Micros, out: Batch) -> Asks:
            if self._is_late:
                return ()
            ts, seq = time_of(event, self._told), book.seq + 1
            if event.type == "snapshot":
                book.snapshot(to_snapshot(event, ts, recv, inst, seq), self, recv, out)
            elif event.updates:
                book.take(to_delta(event, ts, recv, inst, seq), self, recv, out)
            return ()

        return handle

    def _tickers(self, inst: InstrumentId, newest: Newest) -> Handler:
        def handle(row: TickerRow, recv: Micros, out: Batch) -> Asks:
            ts = self._told
            if newest.repeats(ts):
                return ()
            out.append(to_ticker(row, ts, recv, inst))
            quote = to_quote(row, ts, recv, inst)
            if quote is not None:
                out.append(quote)
            return ()

        return handle

    def _candles(self, inst: InstrumentId) -> Handler:
        def handle(row: CandleRow, recv: Micros, out: Batch) -> Asks:
            out.append(to_candle(row, self._told, recv, inst))
            return ()

        return handle

    def _subscribe(self, subscriptions: Iterable[Subscription], now: Micros) -> Asks:
        """Refuse what shares another's book: its frames would come under the other's name."""
        whole: list[Subscription] = []
        refused: list[Ask] = []
        for sub in subscriptions:
            instrument = self.streams.catalogue.get(sub.inst)
            if instrument is not None and instrument.status.startswith(TWIN):
                refused.append(Refused((sub,), f"{instrument.native} is {instrument.status}"))
            else:
                whole.append(sub)
        return [*super()._subscribe(whole, now), *refused]

    # --- frames ---

    def _each(self, parts: Iterable[Part], recv: Micros, out: Batch) -> Asks:
        """A part that nobody asked for costs none of the others."""
        asks: list[Ask] = []
        problem = None
        for channel, native, data in parts:
            try:
                asks.extend(self.hand_over(channel, native, data, recv, out))
            except BadFrame as error:
                problem = problem or error
        if problem is not None:
            raise problem
        return asks

    def _follow(self, message: Frame[Any], recv: Micros, out: Batch) -> None:
        """Look at the number: something may be missing before this frame."""
        self._told = micros(message.timestamp)
        number, awaited = message.sequence_num, self._next
        behind = awaited - number
        self._is_late = 0 < behind <= _NEAR and not self.streams.lenient
        if self._is_late:
            return
        self._next = number + 1
        if behind and awaited >= 0:
            words = f"{awaited} to {number - 1}" if behind < 0 else f"before {number}"
            self.break_books(f"frames {words} of the connection are missing", recv, out)
            self._doubt, self._hole_at = True, recv
        if not 0 <= recv - self._hole_at < _SETTLE:
            self.pulse.ts, self.pulse.recv = self._told, recv

    def _other(self, frame: bytes, recv: Micros, out: Batch) -> Asks:
        head = decode_head(frame)
        if head.type == "error":
            return self.rejected(head.message, recv)
        reader = READERS.get(head.channel.encode())
        if reader is not None:
            message = reader.read(frame)
            self._follow(message, recv, out)
            return self._each(reader.part(message.events), recv, out)
        if head.type in _SENT:
            return ()
        plain = decode_any(frame)
        self._follow(plain, recv, out)
        if head.channel == "heartbeats":
            self.beaten(recv)
        elif head.channel == "subscriptions":
            carried = [decode_carried(event).subscriptions for event in plain.events]
            return [ask for each in carried for ask in self.listed(each, recv)]
        elif head.channel not in _SKIPPED:
            raise BadFrame(f"unknown channel {head.channel!r}")
        return ()


class CoinbaseAdvanced:
    def __init__(self, name: str, config: AdvancedConfig) -> None:
        self.name = name
        self.limits = LIMITS
        self.numbered = True
        self._config = config
        self.past = CoinbasePast(self._history_url(), "market_trades")

    def channel(self, text: str) -> str:
        return channel_of(text, _WORDS, CHANNELS, _NO_CANDLES)

    def catalogue(self) -> list[Fetch]:
        path = "/api/v3/brokerage/market/products"
        return [Fetch(CATALOGUE, f"{self._config.rest_url.rstrip('/')}{path}")]

    def instruments(self, body: bytes) -> list[Instrument]:
        return advanced_products(body, self.name)

    def routes(self, wanted: Sequence[Subscription]) -> list[Route]:
        url = self._config.ws_url
        most = LIMITS.subscriptions
        return share_out(self.name, url, wanted, per_link=STREAMS_PER_LINK, most=most)

    def converse(self, route: Route, streams: Streams) -> AdvancedConversation:
        return AdvancedConversation(self.name, route, streams, self._history_url())

    def _history_url(self) -> str:
        own = EXCHANGE_REST if self._config.rest_url == REST else self._config.rest_url
        return (self._config.history_url or own).rstrip("/")

    def recognise(self, frame: bytes, pending: Sequence[Fetch], streams: Streams) -> Fetch | None:  # noqa: ARG002 - no stream of ours asks for what a recording has
        is_listing = frame.startswith(b'{"products":')
        fetches = (fetch for fetch in pending if fetch.key == CATALOGUE)
        return next(fetches, None) if is_listing else None


PLUGIN = Plugin(config=AdvancedConfig, build=CoinbaseAdvanced)
