"""CCXT Pro on prepared frames: `python -m benchmarks.peer_venues_ccxt FILE ROUNDS`.

Each text goes through the client's own handler of messages (JSON, then the venue's class), as its
connection does. Markets come from the simulated venue on loopback, before the clock starts. It keeps the newest 1,000 trades and every book, sorted, as dicts and lists, and
its futures are resolved with nobody waiting.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.gale import exchange
from benchmarks.venue_frames import CASES, SYMBOLS

# The class, its addresses that lead to the venue, and the address of the socket.
_CLASSES = {
    "binance": ("binance", "https://api.binance.com", "wss://stream.binance.com:9443/stream"),
    "binance_futures": (
        "binanceusdm", "https://fapi.binance.com", "wss://fstream.binance.com/stream",
    ),
    "okx": ("okx", "https://www.okx.com", "wss://ws.okx.com:8443/ws/v5/public"),
    "bybit": ("bybit", "https://api.bybit.com", "wss://stream.bybit.com/v5/public/spot"),
    "coinbase": (
        "coinbaseexchange", "https://api.exchange.coinbase.com",
        "wss://ws-feed.exchange.coinbase.com",
    ),
    "coinbase_advanced": (
        "coinbase", "https://api.coinbase.com", "wss://advanced-trade-ws.coinbase.com",
    ),
}  # fmt: skip
_OPTIONS = {
    "binance": {"fetchMarkets": {"types": ["spot"]}},
    "binance_futures": {"fetchMarkets": {"types": ["linear"]}},
    "bybit": {"fetchMarkets": {"types": ["spot"]}},
    "okx": {"fetchMarkets": {"types": ["spot", "swap"]}, "checksum": False},
}


async def measure(load: dict[str, Any]) -> tuple[float, dict[str, Any]]:
    import ccxt.pro
    from ccxt.async_support.base.ws.client import Client

    venue, kind = load["venue"], load["kind"]
    name, rest, socket = _CLASSES[venue]
    case = next(each for each in CASES if (each.venue, each.kind) == (venue, kind))
    async with exchange(venue, SYMBOLS, case.rate) as served:
        theirs = getattr(ccxt.pro, name)({"options": _OPTIONS.get(venue, {}), "newUpdates": False})
        text = json.dumps(theirs.urls).replace("{hostname}", theirs.hostname or "")
        text = text.replace(rest, served.rest_url)
        theirs.urls = json.loads(text)
        theirs.has["fetchCurrencies"] = False
        theirs.fetch = _with_snapshots(theirs.fetch, load["answers"])
        try:
            await theirs.load_markets()
            symbols = {
                native: theirs.safe_market(native, None, None, _kind_of(venue, native))["symbol"]
                for native in load["natives"]
            }
            client = Client(socket, theirs.handle_message, _raise, _nothing, _nothing, {})
            if kind == "book":
                await _begin_books(theirs, client, venue, symbols, load["warm_up"])
            else:
                for frame in load["warm_up"]:
                    client.handle_text_or_binary_message(frame)
            frames = load["frames"]
            began = time.process_time()
            for frame in frames:
                client.handle_text_or_binary_message(frame)
            cost = (time.process_time() - began) / len(frames) * 1e6
            return cost, _state(theirs, kind, symbols)
        finally:
            await theirs.close()


def _kind_of(venue: str, native: str) -> str:
    return "swap" if venue == "binance_futures" or native.endswith("-SWAP") else "spot"


async def _begin_books(
    theirs: Any, client: Any, venue: str, symbols: dict[str, str], warm_up: list[str]
) -> None:
    """Snapshots by REST where the venue pushes none; a change before it is kept for it."""
    for symbol in symbols.values():
        if venue.startswith("binance"):
            subscription = {
                "symbol": symbol, "limit": 1000, "messageHash": f"orderbook::{symbol}",
                "params": {}, "type": "linear" if venue == "binance_futures" else None,
            }  # fmt: skip
            theirs.handle_order_book_subscription(client, {}, subscription)
    rest = list(warm_up)
    if venue.startswith("binance"):
        for frame in rest:
            client.handle_text_or_binary_message(frame)
        async with asyncio.timeout(20):
            while any(theirs.orderbooks[s]["nonce"] is None for s in symbols.values()):
                await asyncio.sleep(0.02)
        return
    if venue == "okx":
        for native, symbol in symbols.items():
            client.subscriptions[f"books:{native}"] = {"symbol": symbol}
    for frame in rest:
        client.handle_text_or_binary_message(frame)


def _with_snapshots(fetch: Any, answers: dict[str, str]) -> Any:
    """Books by REST are those that the others got; everything else is asked for."""

    async def answered(url: str, *more: Any, **words: Any) -> Any:
        native = url.partition("symbol=")[2].partition("&")[0]
        for path, body in answers.items():
            if "/depth" in path and "/depth" in url and f"symbol={native}&" in path:
                return json.loads(body)
        return await fetch(url, *more, **words)

    return answered


def _state(theirs: Any, kind: str, symbols: dict[str, str]) -> dict[str, Any]:
    if kind == "trades":
        return {
            native: theirs.trades[symbol][-1]["id"]
            for native, symbol in symbols.items()
            if symbol in theirs.trades
        }
    return {
        native: [theirs.orderbooks[symbol][side][0][0] for side in ("bids", "asks")]
        for native, symbol in symbols.items()
        if symbol in theirs.orderbooks
    }


def _raise(_client: Any, error: Exception) -> None:
    raise error


def _nothing(*_: Any) -> None:
    pass


def main() -> None:
    load = json.loads(Path(sys.argv[1]).read_bytes())
    costs, state = [], {}
    try:
        import ccxt

        for _ in range(int(sys.argv[2])):
            cost, state = asyncio.run(measure(load))
            costs.append(cost)
    except Exception as error:
        print(json.dumps({"not_measured": f"ccxt: {type(error).__name__}: {error}"[:200]}))
        raise
    print(json.dumps({"costs": costs, "state": state, "version": ccxt.__version__}))


if __name__ == "__main__":
    main()
