"""A mail server that tests can talk to: TLS, passwords, and a mood for each test."""

import asyncio
import contextlib
import ssl
from email import message_from_bytes, policy

import trustme
from aiosmtpd.smtp import SMTP, AuthResult

USER, PASSWORD = "watch", "geheim-4711"


class Postman:
    """What aiosmtpd calls. `moods` are words for the next mails; then all is taken."""

    def __init__(self):
        self.mails = []
        self.moods = []
        self.recipients = {}  # address: words for the next times
        self.quits = True

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
        words = self.recipients.get(address)
        if words:
            return words.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        mood = self.moods.pop(0) if self.moods else "250 taken"
        if mood == "drop":
            server.transport.abort()
            return "250 never heard"
        if mood == "silence":
            await asyncio.Event().wait()
        if mood.startswith("2"):
            mail = message_from_bytes(envelope.content, policy=policy.default)
            self.mails.append((tuple(envelope.rcpt_tos), mail))
        return mood

    async def handle_QUIT(self, server, session, envelope):  # noqa: N802
        if not self.quits:
            await asyncio.Event().wait()
        return "221 bye"


class MailServer:
    def __init__(self, folder, *, security="starttls", auth=False, offers_tls=True):
        self.postman = Postman()
        self.passwords = []
        authority = trustme.CA()
        self.ca_file = str(folder / "ca.pem")
        authority.cert_pem.write_to_path(self.ca_file)
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost").configure_cert(self._tls)
        self._security = security
        self._auth = auth
        self._offers_tls = offers_tls and security == "starttls"
        self._connections = set()

    def _login(self, server, session, envelope, mechanism, data):
        self.passwords.append(data.password.decode())
        success = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=success, handled=False)

    def _connection(self):
        made = SMTP(
            self.postman,
            hostname="mail.test",
            tls_context=self._tls if self._offers_tls else None,
            require_starttls=self._offers_tls,
            auth_required=self._auth,
            auth_require_tls=self._offers_tls,
            authenticator=self._login,
            loop=asyncio.get_running_loop(),
        )
        self._connections.add(made)
        return made

    async def __aenter__(self):
        tls = self._tls if self._security == "tls" else None
        self._server = await asyncio.get_running_loop().create_server(
            self._connection, "localhost", 0, family=2, ssl=tls
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        tasks = [c._handler_coroutine for c in self._connections if c._handler_coroutine]
        for connection in self._connections:
            if connection.transport is not None:
                connection.transport.abort()
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task
