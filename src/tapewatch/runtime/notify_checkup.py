"""What `tapewatch doctor` says of the channels: each is asked whether it would take a notice."""

import asyncio
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from tapewatch.model.errors import Rejected, Unavailable
from tapewatch.runtime.finding import BAD, GOOD, WARNING, Finding
from tapewatch.runtime.plan import Channel


@runtime_checkable
class Probed(Protocol):
    """A notifier that can be asked without sending anything."""

    async def probe(self) -> str: ...


async def channels(found: Sequence[Channel]) -> list[Finding]:
    return await asyncio.gather(*(_look_at(each) for each in found))


async def _look_at(channel: Channel) -> Finding:
    notifier = channel.notifier
    what = f"channel {notifier.name}"
    ask = f"`tapewatch alerts send-test {notifier.name}`"
    if not isinstance(notifier, Probed):
        return Finding(WARNING, what, f"{channel.type} cannot be asked without sending", ask)
    try:
        return Finding(GOOD, what, await notifier.probe())
    except (Unavailable, Rejected) as error:
        return Finding(BAD, what, error.reason, "see its section under notify, or alerts.email")
