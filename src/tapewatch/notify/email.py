"""Mail over SMTP: implicit TLS (465), STARTTLS (587), authentication; text and HTML with a chart.

    4xx, no connection, time-out   try again later (greylisting is a 451)
    wrong password, no STARTTLS    try again in five minutes: a person must mend the settings
    5xx                            refused for good

A server that takes the mail for some of the receivers only is told the rest again for the others.
A mail has the same `Message-ID` at each attempt, so that a mail program shows it once, even when
a connection broke after the server had taken it.
"""

import asyncio
import contextlib
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, parseaddr
from html import escape
from typing import Annotated, Literal

import aiosmtplib
from msgspec import Meta, Struct

from tapewatch.model.channel import ChannelConfig, Notice
from tapewatch.model.errors import ConfigError, Rejected, Unavailable
from tapewatch.model.events import Alert, AlertState
from tapewatch.model.secret import Secret
from tapewatch.model.times import SECOND
from tapewatch.notify import _chart, _words
from tapewatch.ports import Plugin

_MEND_SECS = 300.0  # between attempts when only a person can help
_QUIT_SECS = 2.0
_REMEMBERED = 100  # notices that some of the receivers have
_COLOURS = {"critical": "#b3261e", "warning": "#b26a00", "info": "#1f6fb2"}
_OVER = "#2e7d32"
Security = Literal["auto", "tls", "starttls", "none"]


class EmailConfig(ChannelConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Section `alerts: email:`, or `notify: NAME:` with `type: email`."""

    smtp_host: str
    smtp_port: Annotated[int, Meta(ge=1, le=65_535)] = 465
    username: str = ""
    password: Secret | None = None
    from_addr: str
    to_addrs: tuple[str, ...]
    security: Security = "auto"  # tls on port 465, else starttls; none: in the clear
    ca_file: str = ""  # of an authority of one's own

    def __post_init__(self) -> None:
        if not self.to_addrs:
            raise ValueError("to_addrs: is empty, so there is nobody to write to")


class Receipt(Struct, frozen=True):
    """Who has it now, and what the server said of the others."""

    taken: tuple[str, ...]
    said: str
    refused: dict[str, tuple[int, str]]


class Email:
    """A connection for each mail: alerts are rare, and servers close idle ones."""

    def __init__(self, name: str, config: EmailConfig) -> None:
        self.name = name
        self._config = config
        for setting, text in (("from_addr", config.from_addr), *_receivers(config)):
            _check(text, f"notify.{name}.{setting}")
        if config.username and not config.password:
            raise ConfigError(f"notify.{name}.password: there is a username and no password")
        self._context = _tls(config)
        self._taken: OrderedDict[str, set[str]] = OrderedDict()  # by notice: who has it

    async def send(self, notice: Notice) -> str:
        taken = self._taken.get(notice.id, set())
        named = [parseaddr(each)[1] for each in self._config.to_addrs]
        receivers = [each for each in named if each not in taken]
        try:
            message = compose(notice, self._config)
        except (MessageError, ValueError, UnicodeError) as error:
            reason = f"the mail cannot be written: {type(error).__name__}"
            raise Rejected(reason, frozenset()) from None
        async with self._session() as server:
            errors, said = await server.send_message(
                message, sender=parseaddr(self._config.from_addr)[1], recipients=receivers
            )
        refused = {who: (error.code, error.message) for who, error in errors.items()}
        has_it = tuple(who for who in receivers if who not in refused)
        return self._settle(notice, Receipt(has_it, said, refused))

    async def probe(self) -> str:
        """Log in and send nothing."""
        async with self._session():
            pass
        how = "logged in" if self._config.username else "connected, without a password"
        return (
            f"{self._config.smtp_host}:{self._config.smtp_port} {how} ({_security(self._config)})"
        )

    async def close(self) -> None:
        """There is nothing open between two mails."""

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[aiosmtplib.SMTP]:
        """Connected and logged in. What goes wrong becomes a reaction, without secrets."""
        config = self._config
        security = _security(config)
        server = aiosmtplib.SMTP(
            hostname=config.smtp_host,
            port=config.smtp_port,
            timeout=config.send_secs,
            use_tls=security == "tls",
            start_tls=False,  # below: aiosmtplib tells its absence as any other fault
            tls_context=self._context if security != "none" else None,
        )
        wire: asyncio.BaseTransport | None = None
        try:
            await server.connect()
            if security == "starttls":
                await _start_tls(server)
            if config.username and config.password:
                await server.login(config.username, config.password.reveal())
            wire = server.transport
            yield server
            with contextlib.suppress(aiosmtplib.SMTPException, TimeoutError):
                async with asyncio.timeout(_QUIT_SECS):  # it has the mail: politeness only
                    await server.quit()
        except aiosmtplib.SMTPException as error:
            raise _reaction(error) from None  # its text may hold what we sent
        except (ValueError, UnicodeError) as error:
            reason = f"the mail cannot be sent: {type(error).__name__}"
            raise Rejected(reason, frozenset()) from None
        except OSError as error:
            reason = f"{config.smtp_host} cannot be reached: {error.strerror or error}"
            raise Unavailable(reason) from None
        finally:
            wire = wire or server.transport
            server.close()
            if isinstance(wire, asyncio.WriteTransport):
                wire.abort()  # all is said; a farewell of TLS would outlive a short-lived loop

    def _settle(self, notice: Notice, receipt: Receipt) -> str:
        """All have it, or it is asked again for those who may take it later."""
        later = [who for who, (code, _) in receipt.refused.items() if code < 500]
        words = [f"{who}: {code} {text}" for who, (code, text) in receipt.refused.items()]
        if later:
            self._taken.setdefault(notice.id, set()).update(receipt.taken)
            while len(self._taken) > _REMEMBERED:
                self._taken.popitem(last=False)
            raise Unavailable(f"not yet taken for {'; '.join(words)}")
        self._taken.pop(notice.id, None)
        said = _one_line(f"{self._config.smtp_host}: {receipt.said}")
        return f"{said}; refused for {'; '.join(words)}" if words else said


async def _start_tls(server: aiosmtplib.SMTP) -> None:
    await server.ehlo()
    if not server.supports_extension("starttls"):
        raise aiosmtplib.SMTPNotSupported("it offers no STARTTLS")
    await server.starttls()


def compose(notice: Notice, config: EmailConfig) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = _words.subject(notice)
    message["From"] = config.from_addr
    message["To"] = ", ".join(config.to_addrs)
    message["Date"] = formatdate(notice.at / SECOND)
    domain = parseaddr(config.from_addr)[1].rpartition("@")[2]
    message["Message-ID"] = f"<{notice.at}.{notice.id.encode().hex()}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answers from absent people
    message.set_content(_words.plain(notice))
    charts = {f"chart{n}@tapewatch": c for n, c in enumerate(notice.courses) if len(c.closes) > 1}
    message.add_alternative(_html(notice, charts), subtype="html")
    parts = message.get_payload()
    assert isinstance(parts, list)
    page = parts[1]
    assert isinstance(page, EmailMessage)
    for name, course in charts.items():
        page.add_related(_chart.png(course.closes), "image", "png", cid=f"<{name}>")
    return message


def _html(notice: Notice, charts: Iterable[str]) -> str:
    blocks = [_block(notice, alert) for alert in _words.shown(notice)]
    for name, line in zip(charts, _words.courses(notice), strict=True):
        size = f'width="{_chart.WIDTH}" height="{_chart.HEIGHT}"'
        blocks.append(
            f'<p style="margin:12px 0 0;color:#555">{escape(line)}</p>'
            f'<img src="cid:{name}" {size} alt="{escape(line)}" style="display:block">'
        )
    if more := _words.more(notice):
        blocks.append(f"<p>{escape(more)}</p>")
    return (
        '<!DOCTYPE html><html><body style="font:14px/1.5 sans-serif;color:#222">'
        f'<h1 style="font-size:18px;margin:0 0 12px">{escape(_words.subject(notice))}</h1>'
        f"{''.join(blocks)}</body></html>"
    )


def _block(notice: Notice, alert: Alert) -> str:
    over = alert.state is AlertState.RESOLVED
    colour = _OVER if over else _COLOURS.get(alert.severity, "#222")
    lines = "<br>".join(escape(line) for line in _words.details(alert))
    address = _words.link(notice, alert)
    why = f'<br><a href="{escape(address)}">why, with the chart</a>' if address else ""
    return (
        f'<div style="border-left:4px solid {colour};padding:2px 0 2px 10px;margin:0 0 12px">'
        f"<b>{escape(_words.headline(alert))}</b><br>"
        f'<span style="color:#555">{lines}{why}</span></div>'
    )


def _reaction(error: aiosmtplib.SMTPException) -> Unavailable | Rejected:  # noqa: PLR0911 - one for each cause
    """What to do about it, in words that hold nothing of the mail and no password."""
    match error:
        case aiosmtplib.SMTPAuthenticationError():
            reason = f"the server does not take user and password: {error.code}"
            return Unavailable(reason, _MEND_SECS)
        case aiosmtplib.SMTPNotSupported():
            reason = f"the server cannot do what the settings ask for: {error.message}"
            return Unavailable(_one_line(reason), _MEND_SECS)
        case aiosmtplib.SMTPRecipientsRefused():
            words = "; ".join(f"{e.recipient}: {e.code} {e.message}" for e in error.recipients)
            reason = _one_line(f"no receiver is taken: {words}")
            if any(each.code < 500 for each in error.recipients):
                return Unavailable(reason)
            return Rejected(reason, frozenset())
        case aiosmtplib.SMTPConnectError():  # one of its kinds is a response, too
            return Unavailable(_one_line(f"cannot connect: {error.message}"))
        case aiosmtplib.SMTPResponseException():
            reason = _one_line(f"the server says {error.code} {error.message}")
            return Rejected(reason, frozenset()) if error.code >= 500 else Unavailable(reason)
        case aiosmtplib.SMTPTimeoutError():
            return Unavailable("the server did not answer in time")
        case _:
            return Unavailable(_one_line(f"the connection broke: {error.message}"))


def _tls(config: EmailConfig) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=config.ca_file or None)
    except OSError as error:
        raise ConfigError(f"ca_file: {config.ca_file}: {error.strerror or error}") from error


def _security(config: EmailConfig) -> str:
    if config.security == "auto":
        return "tls" if config.smtp_port == 465 else "starttls"
    return config.security


def _receivers(config: EmailConfig) -> list[tuple[str, str]]:
    return [("to_addrs", each) for each in config.to_addrs]


def _check(text: str, setting: str) -> None:
    """Raises ConfigError for what is no address."""
    try:
        Address(addr_spec=parseaddr(text)[1])
        is_fine = "@" in text and text.isprintable()
    except (MessageError, ValueError, IndexError):
        is_fine = False
    if not is_fine:
        raise ConfigError(f"{setting}: {text!r} is no mail address")


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]


PLUGIN = Plugin(config=EmailConfig, build=Email)
