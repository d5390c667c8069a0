"""All that apprise speaks: Telegram, Discord, Teams, Matrix, ntfy, ... (`tapewatch[apprise]`).

apprise does its own I/O and waits, so it works in a thread. Of a failure it tells only that there
was one; its own log says more, with addresses in it that hold keys, so it is kept quiet. Each service
is asked for itself: one that is away does not make the others be told again.
"""

import asyncio
import logging
from collections import OrderedDict
from typing import Any

from tapewatch.model.channel import ChannelConfig, Notice
from tapewatch.model.errors import ConfigError, Unavailable
from tapewatch.model.events import AlertState
from tapewatch.model.secret import Secret
from tapewatch.notify import _words
from tapewatch.ports import Plugin

_REMEMBERED = 100  # notices that some of the services have
_TYPES = {"critical": "failure", "warning": "warning", "info": "info"}


class AppriseConfig(ChannelConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Section `notify: NAME:` with `type: apprise`."""

    urls: tuple[Secret, ...]  # as https://github.com/caronc/apprise/wiki lists them

    def __post_init__(self) -> None:
        if not self.urls:
            raise ValueError("urls: is empty, so there is nobody to tell")


class Apprise:
    def __init__(self, name: str, config: AppriseConfig) -> None:
        self.name = name
        self._secs = config.send_secs
        self._under_way: asyncio.Future[set[int]] | None = None
        self._taken: OrderedDict[str, set[int]] = OrderedDict()  # by notice: which services have it
        logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
        self._library = _library()
        self._services = [self._library.Apprise() for _ in config.urls]
        for number, url in enumerate(config.urls):
            if not self._services[number].add(url.reveal()):
                raise ConfigError(f"notify.{name}.urls: apprise does not know number {number + 1}")

    async def send(self, notice: Notice) -> str:
        if self._under_way is not None and not self._under_way.done():
            raise Unavailable("the attempt before has not ended yet")  # a thread cannot be stopped
        self._under_way = asyncio.ensure_future(asyncio.to_thread(self._notify, notice))
        try:
            async with asyncio.timeout(self._secs):
                taken = await asyncio.shield(self._under_way)
        except TimeoutError:
            raise Unavailable(f"no answer within {self._secs:g} s") from None
        away = [number for number in range(1, len(self._services) + 1) if number not in taken]
        if away:
            numbers = ", ".join(map(str, away))
            raise Unavailable(
                f"{len(taken)} of {len(self._services)} took it, not number {numbers}"
            )
        self._taken.pop(notice.id, None)
        count = len(self._services)
        return f"taken by {count} service{'s' if count != 1 else ''}"

    async def close(self) -> None:
        """There is nothing open between two notices."""

    def _notify(self, notice: Notice) -> set[int]:
        """Tell the services that do not have it yet, and give the numbers of all that have."""
        taken = self._taken.setdefault(notice.id, set())
        while len(self._taken) > _REMEMBERED:
            self._taken.popitem(last=False)
        for number, service in enumerate(self._services, 1):
            if number not in taken and self._tell(service, notice):
                taken.add(number)
        return taken

    def _tell(self, service: Any, notice: Notice) -> bool:
        alert = notice.alerts[0]
        over = alert.state is AlertState.RESOLVED
        kind = "success" if over else _TYPES.get(alert.severity, "info")
        return bool(
            service.notify(
                title=_words.subject(notice),
                body=_words.plain(notice),
                notify_type=self._library.NotifyType(kind),
                body_format=self._library.NotifyFormat.TEXT,
            )
        )


def _library() -> Any:
    """It is an extra, and takes half a second to import: only who names it pays."""
    try:
        import apprise
    except ModuleNotFoundError as error:
        raise ConfigError(
            "type apprise needs a library: pip install 'tapewatch[apprise]'"
        ) from error
    return apprise


PLUGIN = Plugin(config=AppriseConfig, build=Apprise)
