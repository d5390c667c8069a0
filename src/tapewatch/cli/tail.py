"""Print live events of a running tapewatch, one a line."""

import asyncio
import difflib
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

from tapewatch.model.errors import NotFound, TapewatchError, Unavailable
from tapewatch.model.events import Micros
from tapewatch.model.times import iso

_TYPES = {
    "trades": "trade",
    "books": "orderbook",
    "tickers": "ticker",
    "candles": "candle",
    "liquidations": "liquidation",
    "alerts": "alert",
    "news": "news",
}


def command(
    channel: str = "trades",
    symbol: str | None = None,
    *,
    url: str = "http://127.0.0.1:8000",
    min_usd: float = 0,
    json: bool = False,
) -> int:
    """Print live events of a running tapewatch, one a line.

    Parameters
    ----------
    channel
        trades, books, tickers, candles, liquidations, alerts or news.
    symbol
        Any spelling, several with commas; all if absent.
    url
        Where tapewatch runs.
    min_usd
        Leave out trades and liquidations that are worth less, in the quote currency.
    json
        Print the events as JSON.
    """
    asyncio.run(_print(_type_of(channel), symbol or "", url, min_usd, json))
    return 0


async def _print(
    kind: str,
    symbols: str,
    url: str,
    min_usd: float,
    as_json: bool,  # noqa: FBT001 - the command's own switch
) -> None:
    import msgspec

    query = {"types": kind} | ({"symbols": symbols} if symbols else {})
    async for message in _listen(url, query):
        event = msgspec.json.decode(message)
        if event["type"] == "dropped":
            missed = sum(event["data"].values())
            print(f"{missed:,} events were left out: too many at once", file=sys.stderr)
        elif _worth(event["data"]) >= min_usd:
            print(message if as_json else line(event["type"], event["data"]), flush=True)


async def _listen(url: str, query: dict[str, str]) -> AsyncIterator[str]:
    """Give every message. Raises Unavailable when nobody answers or the server goes away."""
    import aiohttp

    address = f"{url.rstrip('/')}/ws"
    async with aiohttp.ClientSession() as session:
        try:
            socket = await session.ws_connect(address, params=query, heartbeat=20)
        except aiohttp.WSServerHandshakeError as refused:
            raise await _refusal(session, address, query, refused.status) from None
        except (aiohttp.ClientError, ValueError) as error:
            raise Unavailable(
                f"no tapewatch answers at {url} ({error}): start it with `tapewatch run` or "
                "`tapewatch demo`, or say where it is with --url"
            ) from None
        async with socket:
            async for message in socket:
                yield message.data
        raise Unavailable(f"tapewatch at {url} closed the connection (code {socket.close_code})")


async def _refusal(
    session: Any, address: str, query: dict[str, str], status: int
) -> TapewatchError:
    """Ask again without the upgrade: that answer says in words what is wrong."""
    async with session.get(address, params=query) as answer:
        if answer.content_type != "application/problem+json":
            return Unavailable(f"{address} answers {status}: is it tapewatch?")
        problem = await answer.json(content_type=None)
    if status == 404:
        return NotFound("symbol", query.get("symbols", ""), tuple(problem.get("suggestions", ())))
    return Unavailable(problem["detail"])


def line(kind: str, data: dict[str, Any]) -> str:
    """Make one line for a person."""
    ts = data.get("ts")
    when = iso(Micros(ts))[11:23] if ts is not None else " " * 12
    return f"{when}  {data.get('inst', ''):<24} {_WORDS.get(kind, str)(data)}".rstrip()


def _trade(data: dict[str, Any]) -> str:
    quote = data["inst"].partition("/")[2].partition(":")[0]
    amount = f"{data['price']:>14,.8g} x {data['size']:<12,.8g}"
    return f"{data['side']:<4} {amount} = {_worth(data):,.2f} {quote}"


def _book(data: dict[str, Any]) -> str:
    if not data["proven"]:
        return f"no proven book: {data['reason']}"
    return f"bid {_level(data['bids'])}  ask {_level(data['asks'])}  seq {data['seq']}"


def _ticker(data: dict[str, Any]) -> str:
    return f"{data['last']:,.8g}  {100 * data['change_pct']:+.2f} %  {data['volume']:,.2f}"


def _candle(data: dict[str, Any]) -> str:
    prices = " ".join(f"{data[name]:,.8g}" for name in ("open", "high", "low", "close"))
    state = "closed" if data["closed"] else "open"
    return f"{data['interval']:<4} {prices}  {data['volume']:,.4f}  {state} {data['quality']}"


def _alert(data: dict[str, Any]) -> str:
    quality = data.get("quality", "complete")
    doubt = "" if quality == "complete" else f" ({quality} data)"
    return f"{data['severity']} {data['rule']} {data['state']}: {data['text']}{doubt}"


def _news(data: dict[str, Any]) -> str:
    assets = f" [{' '.join(data['assets'])}]" if data["assets"] else ""
    return f"{data['source']}:{assets} {data['title']} {data['url']}"


_WORDS: dict[str, Callable[[dict[str, Any]], str]] = {
    "trade": _trade,
    "liquidation": _trade,
    "orderbook": _book,
    "ticker": _ticker,
    "candle": _candle,
    "alert": _alert,
    "news": _news,
}


def _level(levels: list[list[float]]) -> str:
    return f"{levels[0][0]:,.8g} x {levels[0][1]:,.8g}" if levels else "none"


def _worth(data: dict[str, Any]) -> float:
    """What a trade or liquidation is worth; everything else passes every limit."""
    if "price" in data and "size" in data:
        return float(data["price"]) * float(data["size"])
    return float("inf")


def _type_of(channel: str) -> str:
    word = channel.lower()
    if word in _TYPES.values():
        return word
    if word not in _TYPES:
        near = difflib.get_close_matches(word, _TYPES, n=2) or list(_TYPES)
        raise NotFound("channel", channel, tuple(near))
    return _TYPES[word]
