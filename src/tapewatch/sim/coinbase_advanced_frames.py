"""Payloads of the Advanced Trade feed, and the number that each connection gives them.

Every frame has an envelope with `sequence_num`, counted from 0 by each connection over all its
channels. A number is taken when a frame is made, before faults have their way: what a fault drops
leaves a hole, what it delays comes out of order, what it doubles comes twice with one number.
Numbers are trimmed (`78854.1`), sides of trades are the maker's, books say `bid` and `offer`.
https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from tapewatch.sim.bars import Bar
from tapewatch.sim.book import Level
from tapewatch.sim.coinbase_frames import Last, maker_side
from tapewatch.sim.coinbase_texts import SECOND, go_text, padded, plain, sent, trimmed
from tapewatch.sim.happenings import Trade
from tapewatch.sim.link import Link
from tapewatch.sim.messages import TEXT, Message, frame

_NUMBER = '"sequence_num":'


class Session:
    """What the venue keeps of one connection."""

    def __init__(self, opened: float) -> None:
        self.subscribed = False
        self.sequence = 0  # of the next frame
        self.told = 0  # `sequence` when it was last looked at
        self.quiet_since = opened

    def take(self) -> int:
        """The number of a frame."""
        number = self.sequence
        self.sequence += 1
        return number


class Numbered(Message):
    """A frame that bears another number on each connection. In its text stands 0, or a shift."""

    def __init__(self, stream: str, text: str, links: Iterable[Link]) -> None:
        super().__init__(stream, lambda _: text)
        self._numbers = {link.number: link.state.take() for link in links}

    def frame_for(self, link: Link) -> bytes:
        """Nothing for a client that came later: it has begun with something newer."""
        number = self._numbers.get(link.number)
        if number is None:
            return b""
        return numbered(self.text(), number)


def numbered(text: str, number: int) -> bytes:
    """A WebSocket frame of `text` with `number` added to the one in it."""
    head, _, rest = text.partition(_NUMBER)
    shift, _, tail = rest.partition(",")
    return frame(TEXT, f"{head}{_NUMBER}{int(shift) + number},{tail}".encode())


def envelope(channel: str, events: str, ts: int, salt: int, *, has_client_id: bool = False) -> str:
    """A whole payload with the number 0. `client_id` is what older frames had."""
    client = '"client_id":"",' if has_client_id else ""
    return (
        f'{{"channel":"{channel}",{client}"timestamp":"{sent(ts, salt)}",'
        f'{_NUMBER}0,"events":[{events}]}}'
    )


def book(kind: str, symbol: str, bids: Iterable[Level], offers: Iterable[Level], ts: int) -> str:
    """An event of `l2_data`: bids from the highest, offers from the lowest; `"0"` deletes."""
    when = trimmed(ts)
    rows = [_level("bid", when, level) for level in bids]
    rows += [_level("offer", when, level) for level in offers]
    return f'{{"type":"{kind}","product_id":"{symbol}","updates":[{",".join(rows)}]}}'


def _level(side: str, when: str, level: Level) -> str:
    price, qty = level
    return (
        f'{{"side":"{side}","event_time":"{when}","price_level":"{plain(price)}",'
        f'"new_quantity":"{plain(qty)}"}}'
    )


def trades(kind: str, rows: Iterable[Trade]) -> str:
    """An event of `market_trades`; the rows must be newest first."""
    return f'{{"type":"{kind}","trades":[{",".join(map(_trade, rows))}]}}'


def _trade(t: Trade) -> str:
    return (
        f'{{"product_id":"{t.symbol}","trade_id":"{t.id}","price":"{plain(t.price)}",'
        f'"size":"{plain(t.qty)}","time":"{trimmed(t.ts)}","side":"{maker_side(t).upper()}"}}'
    )


def ticker(kind: str, last: Last) -> str:
    """An event of `ticker` and `ticker_batch`; it has no time of its own."""
    symbol, top, day = last.trade.symbol, last.top, last.day
    bar = day.bar
    return (
        f'{{"type":"{kind}","tickers":[{{"type":"ticker","product_id":"{symbol}",'
        f'"price":"{plain(last.trade.price)}","volume_24_h":"{plain(bar.volume)}",'
        f'"low_24_h":"{plain(bar.low)}","high_24_h":"{plain(bar.high)}",'
        f'"low_52_w":"{plain(bar.low // 2)}","high_52_w":"{plain(bar.high * 2)}",'
        f'"price_percent_chg_24_h":"{day.percent:.8f}","best_bid":"{plain(top.bid)}",'
        f'"best_bid_quantity":"{plain(top.bid_qty)}","best_ask":"{plain(top.ask)}",'
        f'"best_ask_quantity":"{plain(top.ask_qty)}"}}]}}'
    )


def candles(kind: str, symbol: str, bars: Iterable[Bar], decimals: int) -> str:
    """An event of `candles`: five minutes each, the start in seconds, as a text."""
    return f'{{"type":"{kind}","candles":[{",".join(_candle(symbol, b, decimals) for b in bars)}]}}'


def _candle(symbol: str, bar: Bar, decimals: int) -> str:
    return (
        f'{{"start":"{bar.open_ts // SECOND}","high":"{padded(bar.high, decimals)}",'
        f'"low":"{padded(bar.low, decimals)}","open":"{padded(bar.open, decimals)}",'
        f'"close":"{padded(bar.close, decimals)}","volume":"{plain(bar.volume)}",'
        f'"product_id":"{symbol}"}}'
    )


def heartbeat(ts: int, up_micros: int) -> str:
    """An event of `heartbeats`."""
    return (
        f'{{"current_time":"{go_text(ts, up_micros)}","heartbeat_counter":{up_micros // SECOND}}}'
    )


def status(kind: str, products: list[dict[str, Any]]) -> str:
    """An event of `status`."""
    return f'{{"type":"{kind}","products":{msgspec.json.encode(products).decode()}}}'


def subscriptions(channels: dict[str, list[str]]) -> str:
    """The event of an acknowledgement."""
    return f'{{"subscriptions":{msgspec.json.encode(channels).decode()}}}'
