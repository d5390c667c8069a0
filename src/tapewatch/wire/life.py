"""One conversation over one link, from the handshake to the end. It is never revived.

    CONNECTING ──handshake──> SUBSCRIBING ──all accepted or refused──> STREAMING
        |                          | deadline                             | silent too long,
        |                          |                                      | closed, lost
        └──────────────────────────┴──────────> CLOSED <──────────────────┘
                                                `failure` says why

It decodes in the socket's callback and never awaits there. Whether to connect again is the
session's business.
"""

import asyncio
import logging

from tapewatch.model.codec import dead_letter
from tapewatch.model.errors import BadFrame, Disconnected
from tapewatch.model.events import Batch, DeadLetter, Micros
from tapewatch.ports import (
    Accepted,
    Answer,
    Asks,
    Conversation,
    Fetch,
    Flowing,
    LinkState,
    Refused,
    Renew,
    Route,
    Send,
    Stalled,
    Subscription,
)
from tapewatch.wire.link import Link
from tapewatch.wire.outbox import Outbox
from tapewatch.wire.shared import Shared

STOPPING = "tapewatch is stopping"
TICK_SECS = 0.25
ACCEPT_SECS = 20.0  # one deadline for all: a talkative venue must not push it back
_LATE_SECS = 1.0  # the loop was busy for so long that frames wait unread
_EARLIEST_RENEWAL, _LATEST_RENEWAL = 0.8, 0.9  # of the maximum age, so that not all renew at once

log = logging.getLogger("tapewatch.wire.life")


class Life:
    """`settled` and `due` are set at the end too, so that whoever waits for them sees it."""

    def __init__(
        self, route: Route, shared: Shared, refused: dict[Subscription, str], *, setting: str
    ) -> None:
        self.state = LinkState.CONNECTING
        self.subscriptions = frozenset(route.subscriptions)
        self.accepted: set[Subscription] = set()
        self.stalled: dict[Subscription, str] = {}
        self.refused = refused  # the session's: it outlives us
        self.frames = 0
        self.last_data = Micros(0)
        self.latency_ms: float | None = None
        self.failure: Disconnected | None = None
        self.renewal = ""  # why a successor is wanted
        self.settled = asyncio.Event()
        self.due = asyncio.Event()  # a successor is wanted
        self.ended = asyncio.Event()
        self._route = route
        self._shared = shared
        self._setting = setting
        self._flow = shared.flow
        self._link = Link(self)
        self._outbox = Outbox(shared.limits.frames_per_sec, self._link.send)
        self._conversation: Conversation | None = None
        self._counted = 0  # frames that the counters know of
        self._beat_at = self._heard_at = self._opened_at = self._renew_at = 0.0  # loop time

    async def run(self) -> None:
        """Connect, and tick until the link has ended. Raises only for a bug."""
        failure = Disconnected("a bug ended it, see the log")
        try:
            await self._link.connect(self._route.url, self._setting)
            while (reason := await self._link.wait(TICK_SECS)) is None:
                if complaint := self._beat():
                    await self._link.close(complaint)
            failure = Disconnected(reason)
        except Disconnected as error:
            failure = error
        except asyncio.CancelledError:
            failure = Disconnected(await self._link.close(STOPPING))
            raise
        finally:
            self._end(failure)

    async def close(self, why: str) -> None:
        """End politely. Returns when the conversation has been told."""
        await self._link.close(why)
        if self._conversation is not None:
            await self.ended.wait()

    def connected(self) -> None:
        loop = asyncio.get_running_loop()
        share = self._shared.rng.uniform(_EARLIEST_RENEWAL, _LATEST_RENEWAL)
        self._opened_at = self._beat_at = self._heard_at = loop.time()
        self._renew_at = self._opened_at + self._shared.max_age_secs * share
        self.state = LinkState.SUBSCRIBING
        self._flow.join(self)
        self._conversation = self._shared.converse(self._route)
        aloud = log.isEnabledFor(logging.DEBUG)
        self._decode = self._decode_aloud if aloud else self._conversation.decode
        self._do(self._conversation.open(self._flow.aside()))
        self._settle()

    def _decode_aloud(self, frame: bytes, recv: Micros, out: Batch) -> Asks:
        """Show the raw frame: for `--log-level DEBUG`, which costs nothing otherwise."""
        raw = frame.decode(errors="backslashreplace")
        log.debug("frame", extra={"fields": {"route": self._route.name, "raw": raw}})
        assert self._conversation is not None
        return self._conversation.decode(frame, recv, out)

    def received(self, frames: list[bytes]) -> None:
        flow = self._flow
        recv = flow.recv if flow.speaker is self else flow.turn(self)
        self.frames += len(frames)
        decode, batch = self._decode, flow.batch
        for frame in frames:
            try:
                asks = decode(frame, recv, batch)
            except Exception as error:  # noqa: BLE001 - whatever a frame does to a decoder, we go on
                batch.append(unreadable(self._shared.venue, "decode", error, frame, recv))
                self._shared.counters.error("decode")
                continue
            if asks:
                self._do(asks)

    def answer(self, fetch: Fetch, answer: Answer) -> None:
        """Bring a body to the conversation, or the news that it could not be read."""
        conversation, flow = self._conversation, self._flow
        assert conversation is not None  # it asked
        now = flow.aside()
        try:
            asks = conversation.answer(fetch, answer, now, flow.batch)
        except Exception as error:  # noqa: BLE001 - a body is decoded here
            flow.batch.append(unreadable(self._shared.venue, "answer", error, answer.body, now))
            self._shared.counters.error("answer")
            failed = Answer(0, f"unreadable answer: {error}".encode())
            asks = conversation.answer(fetch, failed, now, flow.batch)
        self._do(asks)

    def want(self, subscriptions: frozenset[Subscription]) -> None:
        """Change what this connection carries, now or with the handshake."""
        self.subscriptions = subscriptions
        self.accepted &= subscriptions
        self.stalled = {sub: why for sub, why in self.stalled.items() if sub in subscriptions}
        self._route = Route(self._route.name, self._route.url, tuple(sorted(subscriptions)))
        if self._conversation is not None and not self.ended.is_set():
            now = self._flow.aside()
            self._do(self._conversation.want(subscriptions, now, self._flow.batch))
            self._settle()

    def resync(self, subscription: Subscription, reason: str) -> None:
        if self._conversation is not None and not self.ended.is_set():
            now = self._flow.aside()
            self._do(self._conversation.resync(subscription, reason, now, self._flow.batch))

    def spoke(self, events: int, ts: Micros, recv: Micros) -> None:
        self._shared.counters.received += self.frames - self._counted
        self._counted = self.frames
        if events:
            self._heard_at = asyncio.get_running_loop().time()
            self.last_data = recv
            if ts != recv:  # equal where the venue sends no time
                self.latency_ms = (recv - ts) / 1000

    def pause(self) -> None:
        self._link.pause()

    def resume(self) -> None:
        self._link.resume()

    def _do(self, asks: Asks) -> None:
        over = self.ended.is_set()
        for ask in asks:
            match ask:
                case Fetch():
                    self._shared.fetcher.fetch(self, ask)
                case Send() if not over:
                    if not self._outbox.put(ask.frame):
                        raise RuntimeError("a conversation wants to send more than the venue takes")
                case Accepted():
                    self.accepted.update(self.subscriptions.intersection(ask.subscriptions))
                    self._settle()
                case Refused():
                    self._refuse(ask)
                case Stalled():
                    self._tell_stalled(ask)
                case Flowing():
                    self._tell_flowing(ask)
                case Renew():
                    self._want_successor(ask.reason)
                case _:  # a frame for a link that is gone
                    pass

    def _refuse(self, ask: Refused) -> None:
        self.refused.update(dict.fromkeys(ask.subscriptions, ask.reason))
        self.accepted.difference_update(ask.subscriptions)
        self._settle()
        for each in ask.subscriptions:
            fields = {"venue": self._shared.venue, "inst": each.inst, "channel": each.channel}
            log.error("subscription_refused", extra={"fields": {**fields, "reason": ask.reason}})

    def _tell_stalled(self, ask: Stalled) -> None:
        self.stalled.update(dict.fromkeys(ask.subscriptions, ask.reason))
        for each in ask.subscriptions:
            fields = {"venue": self._shared.venue, "inst": each.inst, "channel": each.channel}
            log.warning("stream_stalled", extra={"fields": {**fields, "reason": ask.reason}})

    def _tell_flowing(self, ask: Flowing) -> None:
        for each in ask.subscriptions:
            self.stalled.pop(each, None)
            fields = {"venue": self._shared.venue, "inst": each.inst, "channel": each.channel}
            log.info("stream_flows_again", extra={"fields": fields})

    def _settle(self) -> None:
        if self.subscriptions - self.accepted - self.refused.keys() or self.ended.is_set():
            return
        if self.state is LinkState.SUBSCRIBING:
            self.state = LinkState.STREAMING
        self.settled.set()

    def _want_successor(self, why: str) -> None:
        if not self.renewal:
            self.renewal = why
            self.due.set()

    def _beat(self) -> str:
        """Let the conversation know the time. Give a reason to end the link, or nothing."""
        now = asyncio.get_running_loop().time()
        late, self._beat_at = now - self._beat_at > _LATE_SECS, now
        if self._flow.full or late:
            # Frames wait unread: a tick now would call a stream quiet that is not, and would
            # judge deadlines by our own delay. Sockets speak first, time comes with the next beat.
            self._heard_at = max(self._heard_at, now - self._shared.idle_secs / 2)
            self._beat_at = now if late else 0.0
            return ""
        assert self._conversation is not None
        self._do(self._conversation.tick(self._flow.aside(), self._flow.batch))
        if now > self._renew_at:
            self._want_successor("the connection is old")
        if now - self._heard_at > self._shared.idle_secs:
            return f"no data for {self._shared.idle_secs:g} s"
        if not self.settled.is_set() and now - self._opened_at > ACCEPT_SECS:
            return self._unaccepted()
        return ""

    def _unaccepted(self) -> str:
        missing = sorted(self.subscriptions - self.accepted - self.refused.keys())
        names = ", ".join(f"{s.inst} {s.channel}" for s in missing[:3])
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        return f"not accepted within {ACCEPT_SECS:g} s: {names}{more}"

    def _end(self, failure: Disconnected) -> None:
        self.state = LinkState.CLOSED
        self.failure = failure
        self.ended.set()
        self._outbox.close()
        if self._conversation is not None:
            self._flow.leave(self)
            now = self._flow.aside()
            self._conversation.lost(failure.reason, now, self._flow.batch)
        self.settled.set()
        self.due.set()


def unreadable(venue: str, stage: str, error: Exception, raw: bytes, recv: Micros) -> DeadLetter:
    """Keep what made a decoder raise, with the words that help to find out why."""
    text = str(error) if isinstance(error, BadFrame) else f"{type(error).__name__}: {error}"
    return dead_letter(venue, stage, text, raw, recv)
