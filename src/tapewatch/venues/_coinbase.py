"""What both feeds of Coinbase have in common: one matching engine, two dialects.

Exchange: https://docs.cdp.coinbase.com/exchange/websocket-feed/overview
Advanced: https://docs.cdp.coinbase.com/advanced-trade/docs/ws-overview

    subscribe --> the complete list of what is carried: Accepted, for all that are on it
              --> an error without a number: refuse what its words name, ask for the rest again;
                  if they name nothing, ask for halves, until the bad one stands alone

Traps:
* Neither answers nor errors name the request. They are taken for the oldest one.
* `side` is the maker's, on both feeds and by REST; only the Exchange `ticker` has the taker's.
* `after` asks for older trades, `before` for newer ones. Pages come newest first.
* Heartbeats are a channel. Without them nobody knows that a quiet product is only quiet.
* BTC/USD, BTC/USDT and BTC/USDC are three instruments, always.
"""

import difflib
import re
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, TypeAlias

from msgspec import Meta

from tapewatch.model.errors import BadFrame, NotFound
from tapewatch.model.events import Batch, Micros, Side
from tapewatch.model.instrument import Instrument, guess
from tapewatch.model.times import SECOND
from tapewatch.ports import Ask, Asks, Route, Send, Streams, Subscription
from tapewatch.venues._book import Step
from tapewatch.venues._pushed import PushedBook
from tapewatch.venues._talk import Data, Handler, Named, Talk
from tapewatch.venues._trades import TradeChain

Positive: TypeAlias = Annotated[float, Meta(gt=0, lt=1e300)]
NotNegative: TypeAlias = Annotated[float, Meta(ge=0, lt=1e300)]
Number: TypeAlias = Annotated[int, Meta(ge=0, lt=2**62)]
# ISO 8601 with 0 to 9 digits of a second; msgspec reads it in C and rounds to microseconds.
Time: TypeAlias = Annotated[datetime, Meta(tz=True)]

SILENT_SECS = 15  # heartbeats come each second
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEARS = range(2009, 2101)
_PRODUCTS_PER_FRAME = 100
# Errors that answer no request.
_NO_REFUSALS = ("ErrSlow", "too big", "rate limit")
_WORD = re.compile(r"[\w-]+")
TAKER: Mapping[str, Side] = {  # by the maker's side
    "buy": Side.SELL, "sell": Side.BUY, "BUY": Side.SELL, "SELL": Side.BUY,
}  # fmt: skip
NO_CANDLES = "candles are made of trades"


def micros(time: datetime) -> Micros:
    if time.year not in _YEARS:
        raise BadFrame(f"{time} is no time of a market")
    passed = time - _EPOCH
    return Micros((passed.days * 86_400 + passed.seconds) * SECOND + passed.microseconds)


def always_next(_seq: int, _delta: object) -> Step:
    """Books have no numbers of their own: the connection vouches for the order."""
    return Step.NEXT


def channel_of(text: str, words: Mapping[str, str], channels: Sequence[str], missing: str) -> str:
    """Read what a person wrote. Raises NotFound with the nearest channels, or `missing`."""
    low = text.lower()
    found = low if low in channels else words.get(low)
    if found:
        return found
    if low.startswith(("kline", "candle")):
        raise NotFound(f"stream ({missing})", text, tuple(channels))
    near = difflib.get_close_matches(low, (*channels, *words), n=3, cutoff=0.6)
    best = dict.fromkeys(words.get(each, each) for each in near)
    raise NotFound("stream", text, tuple(best or channels))


class CoinbaseTalk(Talk):
    aliases: Mapping[str, str] = {}  # other names of channels in the venue's answers
    refresh_secs = 0.0  # each book is asked for anew so often; 0: its changes are numbered

    def __init__(self, venue: str, route: Route, streams: Streams) -> None:
        super().__init__(venue, route, streams)
        self._beaten_at = Micros(0)  # by the venue, last
        self._refreshed_at = Micros(0)
        self._refreshed = 0  # how many books

    @abstractmethod
    def request(self, verb: str, channel: str, natives: Sequence[str]) -> Iterable[bytes]:
        """Give the frames that subscribe to a channel of these products, or unsubscribe."""

    # --- for Talk ---

    def key(self, sub: Subscription, instrument: Instrument) -> bytes:
        return f"{sub.channel} {instrument.native}".encode()

    def never_rests(self, sub: Subscription) -> bool:  # noqa: ARG002 - heartbeats come with each
        return True

    def speaks_always(self, sub: Subscription) -> bool:
        return sub.channel.startswith("level2")

    def say(self, named: Sequence[Named], now: Micros, *, subscribe: bool) -> Iterable[bytes]:
        """One frame a channel, so that a refusal costs no other channel."""
        channels: dict[str, list[Named]] = {}
        for each in named:
            channels.setdefault(each.sub.channel, []).append(each)
        verb = "subscribe" if subscribe else "unsubscribe"
        for channel, group in channels.items():
            for at in range(0, len(group), _PRODUCTS_PER_FRAME):
                some = group[at : at + _PRODUCTS_PER_FRAME]
                if subscribe:
                    self.acks.ask(tuple(each.sub for each in some), now)
                yield from self.request(verb, channel, [each.instrument.native for each in some])

    def tick(self, now: Micros, out: Batch) -> Asks:
        asks = [*super().tick(now, out), *self._refresh(now)]
        is_watched = self._beaten_at and not self.streams.lenient
        if not is_watched or 0 <= now - self._beaten_at < SILENT_SECS * SECOND:
            return asks
        # Nothing is proven any more, not even that nothing happened.
        self._beaten_at = Micros(0)
        reason = f"no heartbeat for {SILENT_SECS} s"
        self.break_books(reason, now, out)
        return [*asks, *self.renew(reason)]

    # --- for both feeds ---

    def beaten(self, recv: Micros) -> None:
        """A heartbeat came."""
        self._beaten_at = recv

    def break_books(self, reason: str, now: Micros, out: Batch) -> None:
        """A change of any product may be lost: void what this connection builds."""
        for flow in self.flows.values():
            if isinstance(flow, PushedBook):
                flow.broken(self, reason, now, out)

    def instrument(self, native: str) -> Instrument:
        found = self.streams.catalogue.native(self.venue, native) or guess(self.venue, native)
        if found is None:
            raise BadFrame(f"{native!r} is no product")
        return found

    def hand_over(self, channel: str, native: str, data: Data, recv: Micros, out: Batch) -> Asks:
        """Give data to its stream."""
        handle: Handler | None = self.handlers.get(f"{channel} {native}".encode())
        if handle is not None:
            return handle(data, recv, out)
        instrument = self.instrument(native)
        return self.deliver(Subscription(instrument.id, channel), instrument, data, recv, out)

    def listed(self, carried: Mapping[str, Sequence[str]], now: Micros) -> Asks:
        """The venue tells all that this connection carries, by channel."""
        waiting = self.acks.waiting()
        names = {
            (self.aliases.get(channel, channel), native)
            for channel, natives in carried.items()
            for native in natives
        }
        found = [sub for sub in waiting if (sub.channel, self.native(sub)) in names]
        return self.accept(self.acks.settled(found), now)

    def rejected(self, message: str, now: Micros) -> Asks:
        """Read a refusal that names no request. Raises BadFrame if it is none."""
        words = set(_WORD.findall(message))
        is_other = any(mark in message for mark in _NO_REFUSALS)
        asked = (
            ()
            if is_other
            else self.acks.oldest([s for s in self.acks.waiting() if self.native(s) in words])
        )
        if not asked:
            if self.streams.lenient:
                return ()
            raise BadFrame(f"the venue reports {message}")
        bad = [s for s in asked if self.native(s) in words] or [
            s for s in asked if s.channel in words
        ]
        if not bad and len(asked) == 1:
            bad = list(asked)
        rest = [sub for sub in asked if sub not in bad]
        asks: list[Ask] = [*self.refuse(bad, message)]
        half = len(rest) if bad else len(rest) // 2
        for some in (rest[:half], rest[half:]):
            asks.extend(self._ask_again(some, now))
        return asks

    def _refresh(self, now: Micros) -> Asks:
        """Ask for one book after the other anew: its snapshot ends what nobody can see."""
        books = sorted(sub for sub, flow in self.flows.items() if isinstance(flow, PushedBook))
        if not books or not self.refresh_secs or self.streams.lenient:
            return ()
        pause = self.refresh_secs / len(books) * SECOND
        self._refreshed_at = self._refreshed_at or now
        if 0 <= now - self._refreshed_at < pause:
            return ()
        self._refreshed_at = now
        self._refreshed += 1
        return self.again([books[self._refreshed % len(books)]], now)

    def _ask_again(self, subscriptions: Sequence[Subscription], now: Micros) -> Asks:
        named = [
            Named(self.key(sub, instrument), sub, instrument)
            for sub in subscriptions
            if sub in self.wanted
            and (instrument := self.streams.catalogue.get(sub.inst)) is not None
        ]
        return [Send(frame) for frame in self.say(named, now, subscribe=True)]

    def native(self, sub: Subscription) -> str:
        instrument = self.streams.catalogue.get(sub.inst)
        return instrument.native if instrument is not None else ""


def is_stored(chain: TradeChain, number: int) -> bool:
    """Say whether an old trade comes to a chain that has just been resumed, and that has it."""
    return not chain.ts and number < chain.next


def must_be(native: str, product_id: str) -> None:
    if product_id != native:
        raise BadFrame(f"a frame of {product_id} in a stream of {native}")
