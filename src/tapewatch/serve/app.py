"""The server as a worker: bind, serve until cancelled, say goodbye.

`bind` is separate and cheap (no web framework yet), so that a port that is taken stops the start
with one sentence before anything runs.
"""

import asyncio
import errno
import logging
import socket

from tapewatch.model.errors import ConfigError
from tapewatch.serve.client import CODE_GOING_AWAY
from tapewatch.serve.context import Context, Options
from tapewatch.serve.live import Hub

log = logging.getLogger("tapewatch.serve.app")

_GOODBYE_SECS = 3.0
_BACKLOG = 1_024


class Server:
    """A worker. `port` is the one that was bound, also when the settings said 0."""

    name = "server"

    def __init__(self, context: Context, hub: Hub, options: Options) -> None:
        self._context = context
        self._hub = hub
        self._options = options
        self._sockets: list[socket.socket] = []

    @property
    def port(self) -> int:
        return int(self._sockets[0].getsockname()[1]) if self._sockets else self._options.port

    @property
    def url(self) -> str:
        host = self._options.host
        shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - shown, not bound
        return f"http://{f'[{shown}]' if ':' in shown and '[' not in shown else shown}:{self.port}"

    def bind(self) -> None:
        """Take the ports. Raises ConfigError with the setting to change."""
        ports = [("server.port", self._options.port)]
        if self._options.health_port is not None:
            ports.append(("server.health_port", self._options.health_port))
        try:
            for setting, port in ports:
                self._sockets.append(_listen(self._options.host, port, setting))
        except ConfigError:
            self._release()
            raise

    async def run(self) -> None:
        from aiohttp.web import AppRunner, SockSite  # 0.3 s to import: collecting has begun by then

        from tapewatch.serve import web

        if not self._sockets:
            self.bind()
        runner = AppRunner(
            web.build(self._context, self._hub, self._options),
            access_log=None,
            handle_signals=False,
            shutdown_timeout=_GOODBYE_SECS,
        )
        try:
            await runner.setup()
            for listening in self._sockets:
                await SockSite(runner, listening, backlog=_BACKLOG).start()
            log.info("server_started", extra={"fields": {"url": self.url}})
            await asyncio.Event().wait()
        finally:
            self._hub.close_all(CODE_GOING_AWAY, "the server is stopping")
            await runner.cleanup()
            self._release()

    def _release(self) -> None:
        for listening in self._sockets:
            listening.close()
        self._sockets = []


def _listen(host: str, port: int, setting: str) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigError(_why(host, port, setting, error)) from error
    listening.setblocking(False)
    return listening


def _why(host: str, port: int, setting: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} of {host} is taken by another program (perhaps another tapewatch): "
            f"stop that one, or choose another port with {setting}"
        )
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"port {port} may not be opened by this user: choose one from 1024 up in {setting}"
    return f"cannot listen on {host}:{port}: {error.strerror or error}; see server.host, {setting}"
