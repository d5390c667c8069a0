"""What `tapewatch doctor` says of a venue's addresses before anything is asked of them.

Addresses that a venue has retired often still answer, and then acknowledge what they never serve:
so they are told by name. And the TLS of each host: its version, and how long its certificate lasts.
"""

import asyncio
import re
import ssl
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from tapewatch.model.address import shown
from tapewatch.model.events import Micros
from tapewatch.model.times import DAY, SECOND
from tapewatch.runtime.finding import BAD, GOOD, WARNING, Finding
from tapewatch.wire.refusal import CONNECT_SECS, in_words

KEYS = ("rest_url", "ws_url", "history_url")
_SECURE = {"https": 443, "wss": 443}
_SOON_DAYS = 14
_LOCAL = re.compile(r"localhost|127\.\d+\.\d+\.\d+|::1|.*\.local(host)?")


class Retired(Struct, frozen=True):
    """An address that is not to be used any more, what became of it, and what to write."""

    pattern: re.Pattern[str]
    why: str
    instead: str


_OUR_PATHS = "tapewatch adds the path itself"
# From the venues' own notices; the date is when they turned it off.
RETIRED = (
    Retired(
        re.compile(r"//fstream\.binance\.com(:\d+)?/(ws|stream)"),
        "retired on 2026-04-23: it acknowledges trades, marks and candles and never sends them",
        "wss://fstream.binance.com",
    ),
    Retired(
        re.compile(r"binance\.(com|vision)(:\d+)?/api/v1"),
        "/api/v1 was retired on 2026-03-25",
        "https://api.binance.com",
    ),
    Retired(
        re.compile(r"//[\w.-]*\bokex\.com"),
        "the name okex.com belongs to the API before v5",
        "wss://ws.okx.com:8443 and https://www.okx.com",
    ),
    Retired(
        re.compile(r"bybit\.com(:\d+)?/(realtime|spot/(quote|public)|contract/|v3/|perpetual/)"),
        "the streams before v5 are retired",
        "wss://stream.bybit.com",
    ),
    Retired(
        re.compile(r"//[\w.-]*\b(pro\.coinbase|gdax)\.com"),
        "Coinbase Pro is closed",
        "wss://ws-feed.exchange.coinbase.com and https://api.exchange.coinbase.com",
    ),
    Retired(re.compile(r"okx\.com(:\d+)?/ws/v5"), _OUR_PATHS, "wss://ws.okx.com:8443"),
    Retired(re.compile(r"bybit\.com(:\d+)?/v5/public"), _OUR_PATHS, "wss://stream.bybit.com"),
    Retired(re.compile(r"//stream\.binance\.com(:\d+)?/(ws|stream)"), _OUR_PATHS,
            "wss://stream.binance.com:9443"),
)  # fmt: skip


def of(config: object) -> dict[str, str]:
    """The addresses of a section, by setting."""
    return {key: getattr(config, key) for key in KEYS if getattr(config, key, "")}


def retired(venue: str, addresses: Mapping[str, str]) -> list[Finding]:
    """Name each address that a venue has turned off, and what to write instead."""
    return [
        Finding(
            BAD, f"{venue} {key}", f"{shown(url)}: {each.why}", f"set exchanges.{venue}.{key} to {each.instead}"
        )
        for key, url in addresses.items()
        for each in RETIRED
        if each.pattern.search(url)
    ]  # fmt: skip


async def tls(venue: str, addresses: Mapping[str, str], now: Micros) -> list[Finding]:
    """Look at each host once."""
    found: dict[tuple[str, int], tuple[str, str]] = {}
    for key, url in addresses.items():
        split = urlsplit(url)
        if split.hostname:
            port = split.port or _SECURE.get(split.scheme, 80)
            found.setdefault((split.hostname, port), (key, url))
    return list(await asyncio.gather(*(_tls(venue, key, url, now) for key, url in found.values())))


async def _tls(venue: str, key: str, url: str, now: Micros) -> Finding:
    split = urlsplit(url)
    host, what = split.hostname or "", f"{venue} TLS"
    if split.scheme not in _SECURE:
        if _LOCAL.fullmatch(host):
            return Finding(GOOD, what, f"{host} is this machine: not needed")
        advice = f"set exchanges.{venue}.{key} to an address with https:// or wss://"
        return Finding(
            WARNING, what, f"{shown(url)} is not encrypted: anybody between may alter it", advice
        )
    try:
        version, certificate = await _shake_hands(host, split.port or _SECURE[split.scheme])
    except (OSError, TimeoutError, ValueError) as error:
        setting = f"exchanges.{venue}.{key}"
        return Finding(BAD, what, in_words(error, url, setting).reason, f"set {setting} right")
    return judge(what, host, version, certificate, now)


async def _shake_hands(host: str, port: int) -> tuple[str, Mapping[str, Any]]:
    async with asyncio.timeout(CONNECT_SECS):
        _, writer = await asyncio.open_connection(host, port, ssl=ssl.create_default_context())
    secured = writer.get_extra_info("ssl_object")
    try:
        return str(secured.version()), secured.getpeercert() or {}
    finally:
        writer.close()


def judge(
    what: str, host: str, version: str, certificate: Mapping[str, Any], now: Micros
) -> Finding:
    """Say how long a trusted certificate lasts."""
    until = certificate.get("notAfter")
    if not until:
        return Finding(GOOD, what, f"{host} {version}")
    days = (int(ssl.cert_time_to_seconds(until)) * SECOND - now) // DAY
    text = f"{host} {version}, certificate of {_issuer(certificate)} for {days} more days"
    if days < _SOON_DAYS:
        advice = "the venue will renew it, or a proxy in between is forgotten: look again soon"
        return Finding(WARNING, what, text, advice)
    return Finding(GOOD, what, text)


def _issuer(certificate: Mapping[str, Any]) -> str:
    """Whoever signed it: a proxy shows here."""
    pairs: Iterable[tuple[str, str]] = (
        pair for part in certificate.get("issuer", ()) for pair in part
    )
    told = dict(pairs)
    return told.get("organizationName") or told.get("commonName") or "an unnamed issuer"
