"""From the alerts on the bus to the couriers: hears, groups, writes down, hands over.

    bus --Alert--> heard --> notices (pure) --> alert log, one transaction --> courier of a channel
        --Candle-> prices, for the small chart

A notice is handed over when it is on disk; if the disk does not take it, it is handed over all the
same, because an alert that is told twice is better than one that is not told. Nothing here waits
for a channel, and the bus never waits for us.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from tapewatch.model.channel import ChannelStatus, Course, Notice
from tapewatch.model.errors import Unavailable
from tapewatch.model.events import Alert, Candle, Event, InstrumentId, Micros
from tapewatch.model.times import MINUTE, SECOND
from tapewatch.ports import Clock, Reader
from tapewatch.rules.matchers import Matcher
from tapewatch.rules.notices import Notices, Policy, Silence, State, Word
from tapewatch.rules.story import Attempt, Line, Story
from tapewatch.runtime.courier import FAILED, Courier
from tapewatch.stores.alert_log import AlertLog

log = logging.getLogger("tapewatch.runtime.alerting")

_MAX_HEARD = 50_000
_PASS_SECS = 0.5  # between looks at what is held
_PRUNE_SECS = 3_600.0
_COURSE_BARS, _COURSE_INTERVAL = 60, "1m"
_MAX_INSTRUMENTS, _MAX_COURSES = 5_000, 3


class Prices:
    """The last closes of each instrument."""

    def __init__(self) -> None:
        self._closes: dict[InstrumentId, deque[tuple[Micros, float]]] = {}

    def note(self, candle: Candle) -> None:
        if not candle.closed or candle.interval != _COURSE_INTERVAL:
            return
        closes = self._closes.get(candle.inst)
        if closes is None:
            if len(self._closes) >= _MAX_INSTRUMENTS:
                return
            closes = self._closes[candle.inst] = deque(maxlen=_COURSE_BARS)
        if not closes or closes[-1][0] < candle.ts:
            closes.append((candle.ts, candle.close))
        elif closes[-1][0] == candle.ts:
            closes[-1] = (candle.ts, candle.close)  # given out again after a repair

    def courses(self, alerts: Sequence[Alert]) -> tuple[Course, ...]:
        found: list[Course] = []
        for inst in dict.fromkeys(alert.inst for alert in alerts):
            closes = self._closes.get(inst, ())
            if len(closes) > 1 and len(found) < _MAX_COURSES:
                values = tuple(close for _, close in closes)
                found.append(Course(inst, values, MINUTE / SECOND))
        return tuple(found)


class Alerting:
    """A worker, and what the server asks about alerts."""

    wants: frozenset[type[Event]] = frozenset({Alert, Candle})

    def __init__(
        self,
        reader: Reader,
        log_: AlertLog,
        policy: Policy,
        couriers: Mapping[str, Courier],
        *,
        clock: Clock,
        site: str = "",
    ) -> None:
        self.name = "alerting"
        self.counters = log_.counters
        self.log = log_
        self._reader = reader
        self._policy = policy
        self._couriers = couriers
        self._clock = clock
        self._site = site
        self._notices = Notices(policy)
        self._prices = Prices()
        self._heard: list[Alert] = []
        self._unsaved: tuple[list[Alert], list[Word]] = ([], [])
        self._is_dirty = False
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()  # one step at a time: the server changes silences meanwhile
        self._restored: frozenset[str] = frozenset()
        self._firing: list[Alert] | None = None

    async def open(self) -> None:
        """Recall what a former run left, and hand over what it did not bring to its channel.

        Raises ConfigError for a file of a newer version.
        """
        try:
            state, waiting = await self.log.recall()
        except Unavailable as error:
            self._complain("alerts_start_fresh", error)
            state, waiting = State(), []
        self._notices = Notices(self._policy, state)
        self._restored = frozenset(state.open)
        for each in waiting:
            await self._hand_over(each.notice)

    def agree_with(self, firing: Iterable[Alert]) -> None:
        """What fires by the rules' own memory, now, before any live event."""
        self._firing = list(firing)

    async def run(self) -> None:
        reading = asyncio.create_task(self._read())
        pruning = asyncio.create_task(self._prune())
        try:
            await asyncio.sleep(0)  # what waits on the bus from the catching up is heard first
            await self._step()
            await self._agree()
            while not reading.done():
                await self._pause()
                await self._step()
            reading.result()
            await self._step()
        finally:
            reading.cancel()
            pruning.cancel()

    # --- what the server asks ---

    def firing(self) -> list[Alert]:
        return [opened.alert for opened in self._notices.state.open.values()]

    def held(self) -> dict[str, dict[str, str]]:
        """By alert and channel: why it was not told yet."""
        opened = self._notices.state.open
        return {key: dict(each.held) for key, each in opened.items() if each.held}

    def channels(self) -> list[ChannelStatus]:
        return [courier.status for courier in self._couriers.values()]

    def silences(self) -> list[Silence]:
        return list(self._notices.state.silences.values())

    async def silence(
        self, matchers: tuple[Matcher, ...], starts: Micros, ends: Micros, comment: str
    ) -> Silence:
        silence = self._notices.silence(matchers, starts, ends, comment)
        await self._change()
        return silence

    async def unsilence(self, silence_id: str) -> bool:
        known = self._notices.unsilence(silence_id)
        await self._change()
        return known

    async def history(
        self, since: Micros, until: Micros, limit: int, channel: str = ""
    ) -> list[Line]:
        return await self.log.history(since, until, limit, channel)

    async def story(self, alert_id: str) -> Story:
        return await self.log.story(alert_id)

    async def newest_ids(self, limit: int) -> list[str]:
        return await self.log.newest_ids(limit)

    # --- the work ---

    async def _read(self) -> None:
        prices, heard = self._prices, self._heard
        async for batch in self._reader:
            for event in batch:
                if type(event) is Alert:
                    self.counters.received += 1
                    if len(heard) < _MAX_HEARD:
                        heard.append(event)
                    else:
                        self.counters.drop("too many alerts at once")
                elif type(event) is Candle:
                    prices.note(event)
            if heard:
                self._wake.set()
        self._wake.set()

    async def _pause(self) -> None:
        """Until something is heard, a group is due, or it is time to look at what is held."""
        due = self._notices.next_group()
        left = _PASS_SECS if due is None else (due - self._clock()) / SECOND
        try:
            async with asyncio.timeout(min(_PASS_SECS, max(0.001, left))):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def _step(self) -> None:
        heard = self._heard[:]
        self._heard.clear()
        await self._take(heard)

    async def _agree(self) -> None:
        firing, self._firing = self._firing, None
        if firing is not None:
            await self._take(self._notices.missed(firing, self._restored, self._clock()))

    async def _take(self, heard: list[Alert]) -> None:
        async with self._turn:
            now = self._clock()
            words = [word for alert in heard for word in self._notices.hear(alert, now)]
            words += self._notices.pass_time(now)
            await self._keep(heard, words)

    async def _keep(self, heard: list[Alert], words: list[Word]) -> None:
        """Write one step, then hand over what there is to tell."""
        notices = [word for word in words if isinstance(word, Notice)]
        dressed = {one.id: self._dressed(one) for one in notices}
        alerts, unsaved = self._unsaved
        alerts += heard
        unsaved += [dressed[w.id] if isinstance(w, Notice) else w for w in words]
        if alerts or unsaved or self._is_dirty:
            await self._save()
        for notice in dressed.values():
            await self._hand_over(notice)

    async def _change(self) -> None:
        """Somebody silenced something: keep that."""
        async with self._turn:
            self._is_dirty = True
            await self._save()
        self._wake.set()

    async def _save(self) -> None:
        alerts, words = self._unsaved
        try:
            await self.log.write(self._notices.state, alerts, words)
        except Unavailable as error:
            self._complain("alerts_not_saved", error)
            self._is_dirty = True
            for kept in self._unsaved:
                del kept[:-_MAX_HEARD]
        else:
            self._unsaved = ([], [])
            self._is_dirty = False

    async def _hand_over(self, notice: Notice) -> None:
        courier = self._couriers.get(notice.channel)
        if courier is not None:
            courier.take(notice)
            self.counters.sent += 1
            return
        reason = f"there is no channel {notice.channel!r} in the settings any more"
        self.counters.drop("no such channel")
        log.error("notice_failed", extra={"fields": {"notice": notice.id, "reason": reason}})
        try:
            attempt = Attempt(self._clock(), False, reason)
            await self.log.attempted(notice.id, attempt, FAILED)
        except Unavailable as error:
            self._complain("attempt_not_saved", error)

    def _complain(self, event: str, error: Unavailable) -> None:
        self.counters.error("log unavailable")
        log.error(event, extra={"fields": {"reason": error.reason}})

    def _dressed(self, notice: Notice) -> Notice:
        return replace(notice, courses=self._prices.courses(notice.alerts), site=self._site)

    async def _prune(self) -> None:
        while True:
            try:
                await self.log.prune()
            except Unavailable as error:
                self._complain("alerts_not_pruned", error)
            await asyncio.sleep(_PRUNE_SECS)
