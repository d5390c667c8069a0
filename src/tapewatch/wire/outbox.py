"""Frames that wait to be sent, because a venue cuts a connection that talks too much."""

import asyncio
from collections import deque
from collections.abc import Callable

from tapewatch.wire.limiter import Window

MAX_FRAMES = 1000  # at five a second that is minutes: whoever asks for more is broken


class Outbox:
    """Sends at once while the budget lasts, then as it comes back. In order."""

    def __init__(self, frames_per_sec: float, send: Callable[[bytes], None]) -> None:
        burst = max(1, int(frames_per_sec))
        self._window = Window(burst, burst / frames_per_sec)
        self._send = send
        self._waiting: deque[bytes] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def put(self, frame: bytes) -> bool:
        """Send or keep. False: too many wait already, and the frame was not taken."""
        if len(self._waiting) >= MAX_FRAMES:
            return False
        self._waiting.append(frame)
        if self._timer is None:
            self._drain()
        return True

    def close(self) -> None:
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _drain(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        while self._waiting:
            now = loop.time()
            delay = self._window.delay(now)
            if delay > 0:
                self._timer = loop.call_later(delay, self._drain)
                return
            self._window.spend(now)
            self._send(self._waiting.popleft())
