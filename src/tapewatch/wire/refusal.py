"""Why a connection could not be made, in words that help.

A person who reads "WSInvalidStatusError" learns nothing; "HTTP 451, set exchanges.binance.ws_url
to an address that serves your region" can be acted upon.
"""

import email
import socket
import ssl
from email.message import Message
from http import HTTPStatus

from picows import WSHandshakeError, WSInvalidURL

from tapewatch.model.address import host_of, shown
from tapewatch.model.errors import Disconnected
from tapewatch.wire.backoff import retry_after

CONNECT_SECS = 10.0
FORBIDDEN = frozenset({403, 451})
TOO_MANY = frozenset({418, 429})  # Binance: 418 is a ban after many 429


class Blocked(Disconnected):
    """Asking again in a hurry will not help: a person has to change a setting, or the venue."""


def in_words(  # noqa: PLR0911 - one sentence for each cause
    error: Exception, url: str, setting: str
) -> Disconnected:
    """Make the Disconnected or Blocked that says what happened at `url`."""
    where = host_of(url)
    match error:
        case WSHandshakeError():
            return _refused(error, url, where, setting)
        case WSInvalidURL() | UnicodeError():
            return Blocked(f"{setting} is {shown(url)!r}: an address begins with ws:// or wss://")
        case TimeoutError():
            return Disconnected(f"{where} did not answer within {CONNECT_SECS:g} s")
        case ssl.SSLCertVerificationError():
            return Disconnected(
                f"the certificate of {where} is not trusted ({error.verify_message}): is a proxy "
                "in between, or is the clock of this machine wrong?"
            )
        case ssl.SSLError():
            return Disconnected(f"no TLS with {where} ({error}): check {setting}")
        case socket.gaierror():
            return Disconnected(f"cannot find {where}: check the network, DNS and {setting}")
        case ConnectionResetError():
            return Disconnected(f"{where} closed the connection in the middle of the handshake")
        case OSError():
            return Disconnected(f"cannot connect to {where}: {error.strerror or error}")
        case ValueError():
            return Blocked(f"{setting} is {shown(url)!r}, which is no address: {shown(str(error))}")
    raise error


def _refused(  # noqa: PLR0911 - one sentence for each answer
    error: WSHandshakeError, url: str, where: str, setting: str
) -> Disconnected:
    """An answer came, but not the one that opens a WebSocket."""
    status, headers = _head(error.raw_header or b"")
    if status in FORBIDDEN:
        return Blocked(forbidden(where, status, setting))
    if status in TOO_MANY:
        wait = retry_after(headers.get("Retry-After", ""), headers.get("Date", ""))
        return Disconnected(f"{where} says that we connect too often (HTTP {status})", wait)
    if 300 <= status < 400:
        target = headers.get("Location", "nowhere")
        return Disconnected(
            f"{shown(url)} redirects to {shown(target)} (HTTP {status}): set {setting} right"
        )
    if "html" in headers.get("Content-Type", ""):
        return Disconnected(
            f"{where} answered with a web page (HTTP {status}) instead of a WebSocket: check "
            f"{setting}; a proxy or a login page may stand in between"
        )
    if status >= 500:
        wait = retry_after(headers.get("Retry-After", ""), headers.get("Date", ""))
        return Disconnected(f"{where} has trouble of its own ({_name(status)})", wait)
    if status >= 400:
        return Disconnected(f"{where} refused the WebSocket ({_name(status)}): check {setting}")
    return Disconnected(f"{where} speaks no WebSocket that we understand: {error}")


def forbidden(where: str, status: int, setting: str) -> str:
    return (
        f"{where} does not serve this machine (HTTP {status}, restricted region or firewall): "
        f"set {setting} to an address of the venue that does"
    )


def _head(raw: bytes) -> tuple[int, Message]:
    """Status and headers; picows gives none for a status that Python has no name for (520)."""
    first, _, rest = raw.decode("latin-1").partition("\r\n")
    words = first.split(" ", 2)
    status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    return status, email.message_from_string(rest)


def _name(status: int) -> str:
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"
