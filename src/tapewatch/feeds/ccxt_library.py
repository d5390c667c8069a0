"""CCXT itself: imported when it is needed, and listened to where it keeps things to itself.

Importing takes seconds, so a thread does it. An exchange object is made with five additions, each
for something that CCXT does in silence:

1. `watch` and `watch_multiple` tell the address that a stream is carried by.
2. `on_error` and `on_close` tell that a connection is lost, also while nobody awaits a stream:
   otherwise what was missed meanwhile would be missed in silence.
3. A frame that cannot be read raises in CCXT's read loop, which then reads no more, connected for
   ever. Here it is handed out and the loop goes on.
4. What a venue answered (status, `Retry-After`) is kept with the error that CCXT makes of it.
5. Frames and requests are counted.
"""

import asyncio
import importlib
import logging
import sys
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Protocol

from tapewatch.feeds.ccxt_config import CcxtConfig, exchange_id, exchange_ids
from tapewatch.feeds.ccxt_errors import note_answer
from tapewatch.model.errors import ConfigError

INSTALL = "pip install 'tapewatch[ccxt]'"
_MODULE = "ccxt.pro"

log = logging.getLogger("tapewatch.feeds.ccxt")


class Listener(Protocol):
    """Hears what the connections of one exchange do."""

    def carried(self, url: str) -> None:
        """The stream of the current task is carried by this address."""
        ...

    def frame(self, url: str) -> None: ...

    def unreadable(self, url: str, raw: bytes, error: Exception) -> None: ...

    def lost(self, url: str, error: object) -> None: ...

    def asked(self, secs: float) -> None:
        """A request was answered, or not, after so long."""
        ...


class _Nobody:
    """A Listener for an exchange that is asked once."""

    def carried(self, url: str) -> None: ...

    def frame(self, url: str) -> None: ...

    def unreadable(self, url: str, raw: bytes, error: Exception) -> None: ...

    def lost(self, url: str, error: object) -> None: ...

    def asked(self, secs: float) -> None: ...


# Of the request under way in this task: HTTP status and headers.
_answered: ContextVar[tuple[int, Mapping[str, str]] | None] = ContextVar("answered", default=None)


async def library() -> Any:
    """Import CCXT, the first time in a thread. Raises ConfigError if it is not installed."""
    if _MODULE in sys.modules:
        return sys.modules[_MODULE]
    if not exchange_ids():
        raise ConfigError(f"CCXT is not installed: {INSTALL}")
    began = time.perf_counter()
    log.info("ccxt_loading", extra={"fields": {"advice": "this takes some seconds"}})
    module = await asyncio.to_thread(importlib.import_module, _MODULE)
    secs = round(time.perf_counter() - began, 1)
    log.info("ccxt_loaded", extra={"fields": {"version": module.__version__, "secs": secs}})
    return module


def make(module: Any, name: str, config: CcxtConfig, listener: Listener | None = None) -> Any:
    """An exchange object of this section. Raises ConfigError."""
    id_ = exchange_id(name)
    kind = getattr(module, id_, None)
    if kind is None:  # it does not stream
        kind = getattr(importlib.import_module("ccxt.async_support"), id_)
    exchange = _heard(kind, listener or _Nobody())(
        {
            "enableRateLimit": True,
            "timeout": int(config.timeout_secs * 1000),
            "options": dict(config.options),
        }
    )
    if config.urls:
        exchange.urls["api"] = _replaced(name, exchange, config.urls)
    return exchange


def _heard(kind: Any, listener: Listener) -> Any:
    class Heard(kind):  # type: ignore[misc]  # it exists once CCXT is imported
        def watch(self, url: str, *args: Any, **named: Any) -> Any:
            listener.carried(url)
            return super().watch(url, *args, **named)

        def watch_multiple(self, url: str, *args: Any, **named: Any) -> Any:
            listener.carried(url)
            return super().watch_multiple(url, *args, **named)

        async def fetch(self, url: str, *args: Any, **named: Any) -> Any:
            began = time.perf_counter()
            _answered.set(None)
            try:
                return await super().fetch(url, *args, **named)
            except Exception as error:
                answered = _answered.get()
                if answered is not None:
                    note_answer(error, url, *answered)
                raise
            finally:
                listener.asked(time.perf_counter() - began)

        def handle_errors(self, code: int, reason: str, url: str, *rest: Any) -> Any:
            _answered.set((code, rest[1] or {}))  # the method, the headers, ...
            return super().handle_errors(code, reason, url, *rest)

        def client(self, url: str) -> Any:
            is_new = url not in (self.clients or {})
            client = super().client(url)
            if is_new:
                client.handle_message = _guarded(client, listener)
            return client

        def on_error(self, client: Any, error: Any) -> None:
            super().on_error(client, error)
            listener.lost(client.url, error)

        def on_close(self, client: Any, error: Any) -> None:
            super().on_close(client, error)
            listener.lost(client.url, error)

    return Heard


def _guarded(client: Any, listener: Listener) -> Callable[[Any], None]:
    handle = client.handle_message

    def handle_message(message: Any) -> None:
        is_data = message.type.name in {"TEXT", "BINARY"}
        if is_data:
            listener.frame(client.url)
        try:
            handle(message)
        except Exception as error:  # noqa: BLE001 - a venue's bytes are decoded here
            data = message.data if is_data else str(message)
            raw = data if isinstance(data, bytes) else str(data).encode(errors="replace")
            listener.unreadable(client.url, raw, error)

    return handle_message


def _replaced(name: str, exchange: Any, urls: dict[str, str]) -> Any:
    """The addresses of an exchange with what the settings replace. Raises ConfigError."""
    used: set[str] = set()
    known: set[str] = set()

    def replace(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: replace(below) for key, below in value.items()}
        if not isinstance(value, str):
            return value
        text = value.replace("{hostname}", exchange.hostname or "")
        known.add("/".join(text.split("/")[:3]))
        for old in sorted(urls, key=len, reverse=True):
            if text.startswith(old):
                used.add(old)
                return urls[old] + text[len(old) :]
        return text

    replaced = replace(exchange.urls["api"])
    strange = sorted(set(urls) - used)
    if strange:
        raise ConfigError(
            f"exchanges.{name}.urls: no address begins with {strange[0]!r}; "
            f"there is: {', '.join(sorted(known))}"
        )
    return replaced
