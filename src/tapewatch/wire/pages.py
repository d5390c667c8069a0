"""One GET for a page that may not have changed since the last time (RFC 9110, 13.1).

`Http` is for venues: a budget, four tries, JSON. This asks once, sends what identifies the version
that we have, and reads a body only if there is a new one. When to ask again is decided elsewhere.
"""

import aiohttp
from msgspec import Struct

from tapewatch import __version__
from tapewatch.wire.backoff import retry_after
from tapewatch.wire.http import in_words

MAX_BYTES = 4 * 1024 * 1024  # after gzip; the feeds that we know have less than 300 KB
_TIMEOUT = aiohttp.ClientTimeout(total=30.0, connect=10.0)
_MAX_REDIRECTS = 5
_CHUNK_BYTES = 64 * 1024
_MAX_TAG = 500  # of what is kept and sent back
_ACCEPT = (
    "application/rss+xml, application/atom+xml, application/rdf+xml;q=0.9,"
    " application/xml;q=0.8, text/xml;q=0.8, */*;q=0.1"
)


class Version(Struct, frozen=True):
    """By what a server knows which version of a page we have. Its words, never read by us."""

    etag: str = ""
    modified: str = ""


class Page(Struct, frozen=True):
    """What came. Status 0: nothing, `reason` says why."""

    status: int
    body: bytes = b""
    reason: str = ""
    charset: str = ""
    url: str = ""  # where it was in the end
    version: Version = Version()
    retry_after: float | None = None


class Pages:
    """Never raises for what a network does."""

    def __init__(self, user_agent: str = "", *, max_bytes: int = MAX_BYTES) -> None:
        self._user_agent = user_agent or f"tapewatch/{__version__}"
        self._max_bytes = max_bytes
        self._session: aiohttp.ClientSession | None = None

    async def get(self, url: str, known: Version) -> Page:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=_TIMEOUT,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": self._user_agent, "Accept": _ACCEPT},
            )
        headers = {"If-None-Match": known.etag, "If-Modified-Since": known.modified}
        sent = {name: value for name, value in headers.items() if value}
        try:
            async with self._session.get(
                url, headers=sent, max_redirects=_MAX_REDIRECTS
            ) as response:
                return await self._read(response)
        except TimeoutError:
            return Page(0, reason=f"no answer within {_TIMEOUT.total:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Page(0, reason=in_words(error))

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _read(self, response: aiohttp.ClientResponse) -> Page:
        headers = response.headers
        if response.status != 200:
            return Page(
                response.status,
                reason=f"HTTP {response.status} {response.reason or ''}".strip(),
                retry_after=retry_after(headers.get("Retry-After", ""), headers.get("Date", "")),
            )
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            body += chunk
            if len(body) > self._max_bytes:
                return Page(0, reason=f"an answer of more than {self._max_bytes} bytes")
        return Page(
            200,
            bytes(body),
            charset=response.charset or "",
            url=str(response.url),
            version=Version(_kept(headers.get("ETag")), _kept(headers.get("Last-Modified"))),
        )


def _kept(value: str | None) -> str:
    return value if value and len(value) <= _MAX_TAG and value.isprintable() else ""
