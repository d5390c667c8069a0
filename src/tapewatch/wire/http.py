"""GETs for one venue: one session, one budget, patience with failures, words for refusals.

take weight ──> GET ──> 2xx, 4xx ............ the answer
  ^              ├───> 5xx, time-out, no network: wait (backoff), again, four times in all
  |              ├───> 429, 418: nobody asks this venue anything until Retry-After has passed
  |              ├───> 403 in a venue's own words, where that is a ban (`ban_secs`): likewise
  |              └───> 403, 451: the answer, and a sentence that names the setting that helps
  └─ a ban longer than a minute (`patience_secs`) is answered at once with status 0: waiting in
     silence helps nobody, and whoever asked has a backoff of its own
"""

import asyncio
import logging
import random

import aiohttp

from tapewatch import __version__
from tapewatch.model.address import host_of, shown
from tapewatch.ports import Answer, Counters, Limits
from tapewatch.wire.backoff import Backoff, retry_after
from tapewatch.wire.calls import Calls
from tapewatch.wire.limiter import Window
from tapewatch.wire.refusal import FORBIDDEN, TOO_MANY, forbidden

MAX_BYTES = 64 * 1024 * 1024  # after gzip; Binance's listing of all symbols is above 10 MB
_TRIES = 4
_FIRST_DELAY_SECS, _MAX_DELAY_SECS = 0.5, 8.0
_TIMEOUT = aiohttp.ClientTimeout(total=30.0, connect=10.0)
_PATIENCE_SECS = 60.0
_DEFAULT_HOLD_SECS = 30.0  # a 429 without Retry-After; less where the venue's window is shorter
_CONNECTIONS = 8
_CHUNK_BYTES = 256 * 1024

log = logging.getLogger("tapewatch.wire.http")


class Http:
    """Never raises for what a network does: `get` gives status 0 and says why.

    `weights` is the budget of the venue, where others ask it as well.
    """

    def __init__(
        self,
        venue: str,
        limits: Limits,
        rng: random.Random,
        *,
        calls: Calls | None = None,
        weights: Window | None = None,
        max_bytes: int = MAX_BYTES,
        patience_secs: float = _PATIENCE_SECS,
    ) -> None:
        self.counters = Counters()
        self.calls = calls or Calls()
        self._venue = venue
        self._weights = weights or Window(limits.weight, limits.weight_secs)
        self._hold_secs = min(_DEFAULT_HOLD_SECS, limits.weight_secs)
        self._ban_secs = limits.ban_secs
        self._rng = rng
        self._max_bytes = max_bytes
        self._patience_secs = patience_secs
        self._session: aiohttp.ClientSession | None = None
        self._refused = ""  # the last refusal that was logged

    async def get(self, url: str, weight: int = 1) -> Answer:
        """Give what came of it in the end. Status 0: unreachable, the body says why."""
        backoff = Backoff(_FIRST_DELAY_SECS, _MAX_DELAY_SECS, self._rng)
        answer = Answer(0, b"")
        for attempt in range(1, _TRIES + 1):
            now = asyncio.get_running_loop().time()
            if (held := self._weights.held(now)) > self._patience_secs:
                return Answer(0, f"{self._venue} wants no requests for {held:.0f} s".encode())
            await self._weights.take(weight)
            began = asyncio.get_running_loop().time()
            answer, wait = await self._try(url)
            self.calls.note(asyncio.get_running_loop().time() - began)
            if not _worth_another(answer.status) or attempt == _TRIES:
                break
            self.counters.error(f"http_{answer.status}")
            await asyncio.sleep(0.0 if wait else backoff.next())
        if answer.status != 200:
            self._complain(url, answer)
        return answer

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _try(self, url: str) -> tuple[Answer, bool]:
        """Ask once. True: the venue named the time to wait, and the budget knows it."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=_TIMEOUT,
                connector=aiohttp.TCPConnector(limit=_CONNECTIONS),
                headers={"User-Agent": f"tapewatch/{__version__}"},
            )
        try:
            async with self._session.get(url, max_redirects=3) as response:
                body = await self._read(response)
                if body is None:
                    return Answer(0, f"answer of more than {self._max_bytes} bytes".encode()), False
                return Answer(response.status, body), self._hold_off(response, body)
        except TimeoutError:
            return Answer(0, f"no answer within {_TIMEOUT.total:g} s".encode()), False
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Answer(0, in_words(error).encode()), False

    async def _read(self, response: aiohttp.ClientResponse) -> bytes | None:
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            body += chunk
            if len(body) > self._max_bytes:
                return None
        return bytes(body)

    def _hold_off(self, response: aiohttp.ClientResponse, body: bytes) -> bool:
        if response.status == 403 and self._ban_secs and body.lstrip()[:1] != b"<":
            self._hold(403, self._ban_secs)
            return True
        if response.status not in TOO_MANY:
            return False
        headers = response.headers
        asked = retry_after(headers.get("Retry-After", ""), headers.get("Date", ""))
        self._hold(response.status, self._hold_secs if asked is None else asked)
        return True

    def _hold(self, status: int, secs: float) -> None:
        self._weights.hold_off(asyncio.get_running_loop().time(), secs)
        fields = {"venue": self._venue, "status": status, "secs": round(secs, 1)}
        log.warning("requests_held_off", extra={"fields": fields})

    def _complain(self, url: str, answer: Answer) -> None:
        """Log a failure; a refusal once, because only a person can end it."""
        self.counters.error(f"http_{answer.status}")
        if answer.status in FORBIDDEN:
            setting = f"exchanges.{self._venue}.rest_url"
            words = forbidden(host_of(url), answer.status, setting)
            if words != self._refused:
                self._refused = words
                log.error(
                    "request_refused", extra={"fields": {"venue": self._venue, "reason": words}}
                )
            return
        reason = f"HTTP {answer.status}" if answer.status else answer.body.decode()
        fields = {"venue": self._venue, "url": shown(url), "reason": reason}
        log.warning("request_failed", extra={"fields": fields})


def in_words(error: Exception) -> str:  # noqa: PLR0911 - one sentence for each cause
    match error:
        case aiohttp.ClientConnectorDNSError():
            return f"cannot find {error.host}: check the network and DNS"
        case aiohttp.ClientConnectorCertificateError():
            return f"the certificate of {error.host} is not trusted: {error.certificate_error}"
        case aiohttp.ClientConnectorError():
            reason = error.os_error.strerror or error.os_error
            return f"cannot connect to {error.host}:{error.port}: {reason}"
        case aiohttp.InvalidURL():
            return f"{shown(str(error.url))} is no address"
        case aiohttp.TooManyRedirects():
            return f"{error.request_info.url.host} leads from address to address, in a circle"
        case aiohttp.ServerDisconnectedError() | ConnectionError():
            return "the connection was lost before the answer"
    return f"{type(error).__name__}: {error}"


def _worth_another(status: int) -> bool:
    return status == 0 or status in TOO_MANY or status >= 500
