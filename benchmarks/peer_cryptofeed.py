"""cryptofeed's own Binance feed against the flood server. Runs inside cryptofeed's environment.

Imports nothing of tapewatch. The feed class is used as it is; only addresses are changed from
outside, and callbacks do nothing but count, so the figure is what cryptofeed needs to receive and
parse. Its books are applied, as that is how it hands them out.

    python -P peer_cryptofeed.py PORT CHANNELS SYMBOLS WARM_UP COUNT

prints one JSON object: messages, processor seconds and wall seconds from the first to the last.
"""

import asyncio
import importlib.metadata
import json
import platform
import sys
import time

from cryptofeed import FeedHandler
from cryptofeed.connection import RestEndpoint, Routes, WebsocketEndpoint
from cryptofeed.defines import CANDLES, L2_BOOK, TICKER, TRADES
from cryptofeed.exchanges import Binance

CHANNELS = {
    "aggTrade": TRADES,
    "bookTicker": TICKER,
    "depth@100ms": L2_BOOK,
    "kline_1m": CANDLES,
}


class LoopbackBinance(Binance):
    """The same feed at another address; the connection class insists on wss:// in its name."""

    def _wrap_connection(self, conn):
        if hasattr(conn, "ws_kwargs"):
            conn.address = conn.address.replace("wss://", "ws://", 1)
        return super()._wrap_connection(conn)


class Count:
    """Counts callbacks; at the end of the warm-up asks for the flood, at the last one stops."""

    def __init__(self, port: int, warm_up: int, total: int) -> None:
        self.port = port
        self.warm_up = warm_up
        self.total = warm_up + total
        self.seen = 0
        self.cpu = self.wall = 0.0
        self.handler = None
        self.task = None

    async def __call__(self, _data, _receipt) -> None:
        self.seen += 1
        if self.seen == self.warm_up:
            self.task = asyncio.create_task(self.go())
        elif self.seen == self.total:
            self.cpu = time.process_time() - self.cpu
            self.wall = time.perf_counter() - self.wall
            self.handler.request_stop()

    async def go(self) -> None:
        self.cpu, self.wall = time.process_time(), time.perf_counter()
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"GET /bench/go HTTP/1.1\r\nHost: flood\r\n\r\n")
        await writer.drain()


def main() -> None:
    port, names, symbols, warm_up, count = sys.argv[1:6]
    channels = [CHANNELS[name] for name in names.split(",")]
    LoopbackBinance.websocket_endpoints = [WebsocketEndpoint(f"wss://127.0.0.1:{port}")]
    LoopbackBinance.rest_endpoints = [
        RestEndpoint(
            f"http://127.0.0.1:{port}",
            routes=Routes("/api/v3/exchangeInfo", l2book="/api/v3/depth?symbol={}&limit={}"),
        )
    ]
    pairs = [native.removesuffix("USDT") + "-USDT" for native in symbols.split(",")]
    # Each book calls back once for its snapshot as well.
    books = len(pairs) if L2_BOOK in channels else 0
    counted = Count(int(port), int(warm_up) + books, int(count))
    counted.handler = FeedHandler(config={"log": {"disabled": True}})
    counted.handler.add_feed(
        LoopbackBinance(
            symbols=pairs,
            channels=channels,
            callbacks=dict.fromkeys(channels, counted),
            candle_closed_only=False,
            retries=0,
        )
    )
    counted.handler.run()
    print(
        json.dumps(
            {
                "messages": counted.seen - counted.warm_up,
                "cpu_secs": counted.cpu,
                "wall_secs": counted.wall,
                "version": f"cryptofeed {importlib.metadata.version('cryptofeed')}, "
                f"Python {platform.python_version()}",
            }
        )
    )


if __name__ == "__main__":
    main()
