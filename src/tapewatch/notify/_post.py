"""POST to an address that a person wrote: never to the inside of a network by accident.

Who can change the settings, or a name in the DNS, could else make us talk to services that trust
this machine. So the name is looked up once, each of its addresses is judged, and so is the one that
is connected to, however it was written (`127。0。0。1` is one that is not looked up); redirects are
not followed, proxies of the environment not used.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import AddrInfoType
from msgspec import Struct

from tapewatch import __version__
from tapewatch.model.errors import ConfigError, Rejected, Unavailable
from tapewatch.wire.backoff import retry_after

_ANSWER_BYTES = 2_000  # of an answer that are read, to say why
_LATER = frozenset({408, 425, 429})  # and all from 500
# Services for virtual machines that are not link-local: Azure's and Alibaba's.
_METADATA = frozenset(map(ipaddress.ip_address, ("168.63.129.16", "100.100.100.200")))
_METADATA_6 = ipaddress.ip_address("fd00:ec2::254")
# An IPv4 address stands in their last 32 bits: NAT64, "compatible", "translated" (RFC 2765).
_WITH_IPV4 = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "::/96", "::ffff:0:0:0/96")))
_LOCAL_NAT64 = ipaddress.IPv6Network(
    "64:ff9b:1::/48"
)  # not global, which Python 3.11 does not know
_ONE_6, _NONE_6 = ipaddress.IPv6Address("::1"), ipaddress.IPv6Address("::")

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Inside(OSError):
    """The address is one that may not be talked to."""


class Said(Struct, frozen=True):
    status: int
    text: str


def check_url(url: str, setting: str) -> None:
    """Raises ConfigError, without the address: there may be a key in it."""
    try:
        parts = urlsplit(url)
        is_fine = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_fine = False
    if not is_fine:
        raise ConfigError(f"{setting}: must be an address that begins with https:// or http://")


def judge(text: str, *, allow_private: bool) -> str:
    """Say why this address may not be talked to; empty if it may."""
    address = _outermost(ipaddress.ip_address(text.partition("%")[0]))
    if address.is_link_local or address in _METADATA or address == _METADATA_6:
        return "is link-local or a metadata service of the machine's host"
    if address.is_multicast or address.is_unspecified:
        return "is no address of one server"
    is_inside = not address.is_global or address in _LOCAL_NAT64
    if is_inside and not allow_private:
        return "points inside; set allow_private: true if that is meant"
    return ""


def _outermost(address: _Address) -> _Address:
    """An IPv4 address that is written as IPv6 is judged as what it is."""
    if isinstance(address, ipaddress.IPv6Address):
        is_own = address in (_ONE_6, _NONE_6)
        if not is_own and any(address in each for each in _WITH_IPV4):
            return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        inner = address.ipv4_mapped or address.sixtofour
        teredo = address.teredo
        return inner or (teredo[1] if teredo else address)
    return address


class _Judging(AbstractResolver):
    """Looks names up and refuses what points inside. aiohttp connects to what it gives."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        for each in found:
            reason = judge(each["host"], allow_private=self._allow_private)
            if reason:
                raise Inside(f"{host} {reason}")
        return found

    async def close(self) -> None:
        await self._resolver.close()


class Post:
    """POSTs to one address. Its errors never hold the address's path or query."""

    def __init__(self, url: str, *, allow_private: bool, timeout_secs: float) -> None:
        self._url = url
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        pieces = (*parts.path.split("/"), *parts.query.replace("=", "&").split("&"))
        self._hidden = [parts.path, *(piece for piece in pieces if len(piece) > 5)]
        self._hidden = [each for each in self._hidden if len(each) > 1]
        self._allow_private = allow_private
        self._timeout = aiohttp.ClientTimeout(total=timeout_secs, connect=10.0)
        self._session: aiohttp.ClientSession | None = None

    async def send(self, body: bytes, headers: Mapping[str, str]) -> Said:
        """Raise Unavailable for what may go better later, Rejected for what will not."""
        try:
            async with self._open().post(
                self._url, data=body, headers=headers, allow_redirects=False
            ) as response:
                body = await response.content.read(_ANSWER_BYTES)
                said = self._in_short(body.decode(errors="replace"))
                self._judge_answer(response, said)
                return Said(response.status, said)
        except TimeoutError:
            raise Unavailable(f"{self._host} did not answer in time") from None
        except aiohttp.ClientError as error:
            raise self._failure(error) from None  # its text holds the whole address

    async def probe(self) -> str:
        """Look the name up and connect; nothing is sent."""
        parts = urlsplit(self._url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        resolver = _Judging(allow_private=self._allow_private)
        try:
            async with asyncio.timeout(10.0):
                found = await resolver.resolve(self._host, port)
                _, writer = await asyncio.open_connection(found[0]["host"], port)
        except Inside as error:
            raise Rejected(str(error), frozenset()) from None
        except (TimeoutError, OSError) as error:
            why = error.strerror if isinstance(error, OSError) else ""
            raise Unavailable(f"{self._host} cannot be reached: {why or 'no answer'}") from None
        finally:
            await resolver.close()
        writer.close()
        return f"{self._host}:{port} can be reached; whether it takes a notice says send-test"

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            resolver = _Judging(allow_private=self._allow_private)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    resolver=resolver,
                    use_dns_cache=False,
                    force_close=True,
                    socket_factory=self._socket,
                ),
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": f"tapewatch/{__version__}"},
            )
        return self._session

    def _socket(self, where: AddrInfoType) -> socket.socket:
        """Make the socket of one connection, unless it would lead inside."""
        family, kind, protocol, _, address = where
        reason = judge(str(address[0]), allow_private=self._allow_private)
        if reason:
            raise Inside(f"{self._host} {reason}")
        return socket.socket(family, kind, protocol)

    def _in_short(self, text: str) -> str:
        """One line, without the parts of our address that a server may say back to us."""
        for part in self._hidden:
            text = text.replace(part, "***")
        return " ".join(text.split())[:200]

    def _judge_answer(self, response: aiohttp.ClientResponse, said: str) -> None:
        status = response.status
        if 200 <= status < 300:
            return
        reason = f"{self._host} answered {status}{f': {said}' if said else ''}"
        if status in _LATER or status >= 500:
            headers = response.headers
            asked = retry_after(headers.get("Retry-After", ""), headers.get("Date", ""))
            raise Unavailable(reason, asked)
        if 300 <= status < 400:
            reason = f"{self._host} answered {status}: redirects are not followed"
        raise Rejected(reason, frozenset())

    def _failure(self, error: aiohttp.ClientError) -> Unavailable | Rejected:
        if isinstance(error, aiohttp.InvalidURL):
            return Rejected(f"{self._host} is no address that can be used", frozenset())
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, Inside):
                return Rejected(str(cause), frozenset())
            cause = getattr(cause, "os_error", None) or cause.__cause__
        why = error.strerror if isinstance(error, OSError) and error.strerror else ""
        return Unavailable(f"{self._host} cannot be reached: {why or type(error).__name__}")
