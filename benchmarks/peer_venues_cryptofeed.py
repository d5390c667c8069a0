"""cryptofeed's feeds on prepared frames. Runs inside cryptofeed's environment.

Imports nothing of tapewatch. `message_handler` is called with each text, as its connection does;
symbols come from the same listing, a book's snapshot by REST from the same answers. It parses
prices to Decimal, keeps each book sorted, and calls back with every trade and every book.

    python -P peer_venues_cryptofeed.py FILE ROUNDS
"""

import asyncio
import importlib.metadata
import json
import sys
import time
from decimal import Decimal
from pathlib import Path

from cryptofeed import _json as own_json
from cryptofeed.defines import ASK, BID, L2_BOOK, TRADES
from cryptofeed.exchanges import OKX, Binance, BinanceFutures, Bybit, Coinbase
from cryptofeed.symbols import Symbols

FEEDS = {
    "binance": Binance, "binance_futures": BinanceFutures, "okx": OKX, "bybit": Bybit,
    "coinbase_advanced": Coinbase,
}  # fmt: skip
PATHS = {"bybit": "wss://stream.bybit.com/v5/public/spot"}


class Link:
    """What a handler wants to know of its connection."""

    uuid = "bench"

    def __init__(self, address):
        self.address = address


class Rest:
    """The answers that the venue gave."""

    def __init__(self, answers):
        self._answers = answers

    async def read(self, url, **_more):
        native = url.partition("symbol=")[2].partition("&")[0]
        return next(
            body for path, body in self._answers.items()
            if "/depth" in path and f"symbol={native}&" in path
        )  # fmt: skip


class Seen:
    def __init__(self):
        self.count = 0
        self.trades = {}
        self.books = {}

    async def trade(self, trade, _at):
        self.count += 1
        last = self.trades.get(trade.symbol, "0")  # of one message the newest may come first
        self.trades[trade.symbol] = max(last, trade.id, key=int)

    async def book(self, book, _at):
        self.count += 1
        self.books[book.symbol] = book


async def measure(load):
    kind, venue = load["kind"], load["venue"]
    feed_class = FEEDS[venue]
    listing = [own_json.loads(body, parse_float=Decimal) for body in load["listing"]]
    symbols, info = feed_class._parse_symbol_data(
        listing if len(listing) > 1 or venue == "bybit" else listing[0]
    )
    Symbols.set(feed_class.id, symbols, info)
    channel = TRADES if kind == "trades" else L2_BOOK
    seen = Seen()
    native = {theirs: name for name, theirs in symbols.items()}
    wanted = [native[spelled(venue, each)] for each in load["natives"]]
    feed = feed_class(
        symbols=wanted, channels=[channel],
        callbacks={channel: seen.trade if kind == "trades" else seen.book},
    )  # fmt: skip
    feed.http_conn = Rest(load["answers"])
    link = Link(PATHS.get(venue, "wss://venue"))
    warm_up = load["warm_up"]
    if venue.startswith("binance"):  # it names its streams in the address: no acknowledgements
        warm_up = [text for text in warm_up if text.startswith('{"stream"')]
    for text in warm_up:
        await feed.message_handler(text, link, 0.0)
    frames = load["frames"]
    began, before = time.process_time(), seen.count
    for text in frames:
        await feed.message_handler(text, link, 0.0)
    cost = (time.process_time() - began) / len(frames) * 1e6
    if kind == "trades":
        return cost, {plain(symbols[name]): number for name, number in seen.trades.items()}
    assert seen.count > before
    return cost, {
        plain(symbols[name]): [
            float(book.book[side].index(0)[0]) for side in (BID, ASK)
        ]
        for name, book in seen.books.items()
    }  # fmt: skip


def spelled(venue, native):
    """It writes Bybit's spot pairs with a slash between base and quote."""
    if venue != "bybit":
        return native
    return Bybit.convert_to_spot_name(Bybit, native)


def plain(native):
    return native.replace("/", "")


def main():
    load = json.loads(Path(sys.argv[1]).read_bytes())
    if load["venue"] not in FEEDS:
        words = "cryptofeed speaks to Coinbase by the Advanced Trade feed only"
        print(json.dumps({"not_measured": words}))
        return
    costs, state = [], {}
    for _ in range(int(sys.argv[2])):
        cost, state = asyncio.run(measure(load))
        costs.append(cost)
    version = importlib.metadata.version("cryptofeed")
    print(json.dumps({"costs": costs, "state": state, "version": version}))


if __name__ == "__main__":
    main()
