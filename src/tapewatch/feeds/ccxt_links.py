"""How one kind of stream of a CCXT venue is, over all its instruments: one status for people."""

from collections.abc import Callable, Sequence

from tapewatch.feeds.ccxt_desk import Desk
from tapewatch.feeds.ccxt_streams import Stream
from tapewatch.model.address import shown
from tapewatch.model.events import Micros
from tapewatch.ports import LinkState, LinkStatus

# The first of these that any stream is in is told; the others say so in `accepted`.
_TOLD = (
    LinkState.BLOCKED, LinkState.BACKOFF, LinkState.CONNECTING, LinkState.STREAMING,
    LinkState.SUBSCRIBING, LinkState.CLOSED,
)  # fmt: skip
_MOST_ERRORS = 3


def link_of(
    desk: Desk, channel: str, streams: Sequence[Stream], silent: Callable[[Stream], bool]
) -> LinkStatus:
    """One status of all streams of a channel.

    One that has waited for its first trade since it began makes no link bad: many pairs are quiet.
    """
    states = {stream.state for stream in streams}
    state = next(each for each in _TOLD if each in states)
    urls = sorted({stream.url for stream in streams if stream.url})
    errors = dict.fromkeys(stream.error for stream in streams if stream.error)
    retries = [stream.retry_at for stream in streams if stream.retry_at is not None]
    latencies = [s.latency_ms for s in streams if s.latency_ms is not None]
    live = [stream for stream in streams if stream.state is LinkState.STREAMING]
    stalled = tuple(stream.subscription.inst for stream in live if silent(stream))
    if live and len(stalled) == len(live):
        state = LinkState.STALE
    return LinkStatus(
        venue=desk.venue,
        route=channel,
        state=state,
        since=max(stream.since for stream in streams),
        url=", ".join(map(shown, urls)),
        subscriptions=len(streams),
        accepted=len(live),
        frames=sum(stream.place for stream in streams),
        last_data=max((stream.last_data for stream in streams), default=Micros(0)),
        latency_ms=latencies[-1] if latencies else None,
        reconnects=sum(desk.losses[url] for url in urls),
        error="; ".join(list(errors)[:_MOST_ERRORS]),
        retry_at=min(retries) if retries else None,
        stalled=stalled,
    )
