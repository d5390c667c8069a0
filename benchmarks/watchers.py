"""Live clients of the product that read and throw away: `python -m benchmarks.watchers PORT COUNT`.

Half of them read prices, half of them all events.
"""

import asyncio
import sys

import aiohttp


async def _watch(session: aiohttp.ClientSession, url: str) -> None:
    async with session.ws_connect(url, max_msg_size=0) as socket:
        async for _ in socket:
            pass


async def main() -> None:
    port, count = sys.argv[1:3]
    paths = ("/ws/price", "/ws")
    async with aiohttp.ClientSession() as session:
        await asyncio.gather(
            *(
                _watch(session, f"http://127.0.0.1:{port}{paths[number % 2]}")
                for number in range(int(count))
            )
        )


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except (KeyboardInterrupt, aiohttp.ClientError):
        sys.exit(0)
