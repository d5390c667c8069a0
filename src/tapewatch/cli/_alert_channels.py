"""`tapewatch alerts send-test`: whether a channel reaches anybody."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from tapewatch.model.channel import Notice
    from tapewatch.runtime.plan import Channel


def send_test(
    channel: str,
    *,
    config: Annotated[Path | None, Parameter(name=["--config", "-c"])] = None,
    set_: Annotated[tuple[str, ...], Parameter(name="--set", negative="")] = (),
) -> int:
    """Send a test notice over one channel, now, and tell what it said.

    Parameters
    ----------
    channel
        Its name in the settings, such as email or slack.
    config
        The settings file; without it `tapewatch.yaml` here, or the defaults.
    set_
        One setting over all others; may be repeated.
    """
    import asyncio

    from tapewatch.model.errors import ConfigError, NotFound
    from tapewatch.runtime import launch
    from tapewatch.runtime.notify_settings import build, sections_of

    loaded = launch.load(config, set_)
    sections = sections_of(loaded)
    loaded.refuse()
    if not sections:
        raise ConfigError("there is no channel under notify: and no alerts.email in the settings")
    if channel not in sections:
        raise NotFound("channel", channel, tuple(sections))
    built = build(channel, sections[channel])
    said = asyncio.run(_send(built, loaded.settings.notify.site))
    print(f"{channel} took it: {said}")
    return 0


async def _send(channel: "Channel", site: str) -> str:
    try:
        return await channel.notifier.send(notice(channel.notifier.name, site))
    finally:
        await channel.notifier.close()


def notice(channel: str, site: str = "") -> "Notice":
    """What is sent. Nobody can take it for a real one."""
    from tapewatch.model.channel import Notice
    from tapewatch.model.events import Alert, AlertState, Micros, Quality

    now = Micros(time.time_ns() // 1000)
    alert = Alert(
        now, now, "test:TEST/USD", f"test/test:TEST/USD/{now}", "test", AlertState.FIRING, "info",
        1.0, "this is a test: tapewatch reaches you", quality=Quality.COMPLETE, since=now,
        notify=(channel,), evidence=("nothing: it is a test",),
    )  # fmt: skip
    return Notice(f"{channel}-test", channel, now, "test", (alert,), site=site)
