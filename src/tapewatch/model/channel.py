"""A channel to people: what its settings may say, how it is, and what it is told."""

from typing import Annotated

from msgspec import Meta, Struct

from tapewatch.model.events import Alert, InstrumentId, Micros


class Course(Struct, frozen=True):
    """How the price went before a notice: closes, the oldest first."""

    inst: InstrumentId
    closes: tuple[float, ...]
    step_secs: float


class Notice(Struct, frozen=True):
    """What one channel is to be told, all at once."""

    id: str
    channel: str
    at: Micros
    rule: str
    alerts: tuple[Alert, ...]  # firing first
    repeated: bool = False  # nothing in it is new
    courses: tuple[Course, ...] = ()  # of some of its instruments
    site: str = ""  # where people reach our server; empty: nowhere


class ChannelConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every section under `notify:` may say; a notifier's own config extends it."""

    type: str = ""  # empty: the section's own name
    enabled: bool = True
    send_secs: Annotated[float, Meta(gt=0, le=600)] = 30.0  # what one attempt may take


class ChannelStatus(Struct):
    """Facts about one channel."""

    name: str
    type: str
    waiting: int = 0
    sent: int = 0  # notices, since the start
    failed: int = 0
    dropped: int = 0
    last_sent: Micros | None = None
    error: str = ""  # of the last attempt; empty if it went well
    retry_at: Micros | None = None
