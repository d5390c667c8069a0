"""Socket to frame: picows gives each frame as bytes, and they are only counted."""

from typing import Any

import picows

from benchmarks import client
from benchmarks.client import Goal, Plan, Stopwatch


class _Counting(picows.WSListener):
    def __init__(self, warm: Goal, done: Goal) -> None:
        self._goals = [done, warm]
        self._goal = self._goals.pop()
        self.seen = 0

    def on_ws_frame(self, _: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type == picows.WSMsgType.TEXT:
            frame.get_payload_as_bytes()
            self.seen += 1
            if self.seen >= self._goal.target:
                self._goal.at(self.seen)
                if self._goals:
                    self._goal = self._goals.pop()


async def measure(plan: Plan) -> dict[str, Any]:
    warm, done = Goal(plan.warm_up), Goal(plan.warm_up + plan.count)
    natives = [f"c{index:03d}usdt" for index in range(plan.symbols)]
    streams = "/".join(f"{n}@{c}" for n in natives for c in plan.case.channels)
    url = f"ws://127.0.0.1:{plan.port}/stream?streams={streams}"
    transport, _ = await picows.ws_connect(lambda: _Counting(warm, done), url)
    await warm.reached
    watch = Stopwatch()
    await client.go(plan.port)
    await done.reached
    reading = watch.reading(plan.count)
    transport.disconnect()
    return reading


if __name__ == "__main__":
    client.report(measure)
