"""Alerts from a bus to couriers, over a real log on disk; a restart is a new one on the same file."""

import asyncio

from tapewatch.bus.local import LocalBus
from tapewatch.model.channel import ChannelStatus
from tapewatch.model.errors import Unavailable
from tapewatch.model.events import AlertState, Candle, Micros
from tapewatch.ports import Buffer
from tapewatch.rules.matchers import read_all
from tapewatch.rules.notices import NO_CHANNEL, Policy
from tapewatch.rules.rule import Rule
from tapewatch.rules.story import Attempt, tell
from tapewatch.runtime.alerting import Alerting, Prices
from tapewatch.stores.alert_log import AlertLog, read
from tests.notices import BTC, ETH, SECOND, START, alert

RESOLVED = AlertState.RESOLVED
SURGE = Rule(name="surge", when="x > 1")


class Courier:
    """Takes notices and keeps them."""

    def __init__(self, name):
        self.status = ChannelStatus(name, "test")
        self.taken = []

    def take(self, notice):
        self.taken.append(notice)


class World:
    """A data folder, and one process after the other that works in it."""

    def __init__(self, folder, *, channels=("mail",), default=None, wait_secs=0.0):
        self.folder = folder
        self.now = START
        self.channels = channels
        self.policy = Policy(
            {"surge": SURGE}, default if default is not None else channels, (), wait_secs, 0.0
        )
        self.firing = None

    async def __aenter__(self):
        self.bus = LocalBus()
        reader = self.bus.subscribe("alerting", Alerting.wants, Buffer())
        self.couriers = {name: Courier(name) for name in self.channels}
        self.log = AlertLog(self.folder / "alerts.sqlite", clock=lambda: Micros(self.now))
        self.alerting = Alerting(
            reader, self.log, self.policy, self.couriers, clock=lambda: Micros(self.now),
            site="https://w.example",
        )  # fmt: skip
        await self.alerting.open()
        if self.firing is not None:
            self.alerting.agree_with(self.firing)
        self.task = asyncio.create_task(self.alerting.run())
        return self

    async def __aexit__(self, *_):
        await self.bus.close()
        async with asyncio.timeout(60):
            await self.task
        await self.log.close()

    async def killed(self):
        """As a kill leaves it: whatever is not on disk is gone."""
        self.task.cancel()
        await asyncio.wait({self.task})
        await self.log.close()

    async def hear(self, *events):
        await self.bus.publish(list(events))

    def told(self, channel="mail"):
        return [(n.id, [(a.inst, a.state) for a in n.alerts]) for n in self.couriers[channel].taken]

    async def until(self, holds):
        async with asyncio.timeout(60):
            while not holds():  # noqa: ASYNC110 - a thread writes what is waited for
                await asyncio.sleep(0.001)

    def lines(self, alert_id):
        from tapewatch.stores import _alert_rows

        return tell(read(self.folder, lambda base: _alert_rows.story(base, alert_id)))


FIRED = [("mail-1", [(BTC, AlertState.FIRING)])]


async def test_an_alert_on_the_bus_is_a_notice_for_its_channel_with_the_prices_before_it(tmp_path):
    candles = [
        Candle(Micros(START + n * 60 * SECOND), START, BTC, "1m", 1, 2, 1, 1.5 + n, 1, 1, 1, True)
        for n in range(3)
    ]
    async with World(tmp_path) as world:
        await world.hear(*candles)
        await world.hear(alert())
        await world.until(lambda: world.told() == FIRED)
        (notice,) = world.couriers["mail"].taken
        assert notice.courses[0].closes == (1.5, 2.5, 3.5)
        assert notice.site == "https://w.example"
        assert world.alerting.firing() == [alert()]


async def test_a_notice_that_was_not_brought_is_handed_over_again_after_a_kill(tmp_path):
    world = World(tmp_path)
    async with world:
        await world.hear(alert())
        await world.until(world.told)
    async with world:
        await world.until(lambda: world.told() == FIRED)
        attempt = Attempt(START, True, "250")
        await world.log.attempted("mail-1", attempt, "sent")
        await world.hear(alert())  # the rules say it again, from their checkpoint
        await world.hear(alert(RESOLVED))
        await world.until(lambda: len(world.told()) == 2)
    async with world:
        await world.until(lambda: len(world.told()) == 1)
        assert world.told() == [("mail-2", [(BTC, RESOLVED)])]


async def test_what_ended_before_a_kill_is_not_told_again_when_the_rules_say_it_again(tmp_path):
    world = World(tmp_path)
    async with world:
        await world.hear(alert())
        await world.until(world.told)
        await world.hear(alert(RESOLVED))
        await world.until(lambda: len(world.told()) == 2)
        for notice in world.couriers["mail"].taken:
            await world.log.attempted(notice.id, Attempt(START, True, "250"), "sent")
    world.now += 5 * 3600 * SECOND
    async with world:
        await world.hear(alert(), alert(RESOLVED))  # from their checkpoint
        await world.hear(alert(number=2))
        await world.until(world.told)
        assert [n.alerts for n in world.couriers["mail"].taken] == [(alert(number=2),)]


async def test_an_alert_that_waited_for_its_group_in_a_kill_is_told(tmp_path):
    world = World(tmp_path, wait_secs=5.0)
    await world.__aenter__()
    await world.hear(alert())
    await world.until(world.alerting.firing)
    await world.until(lambda: not world.alerting._turn.locked())
    await world.killed()
    world.now += 6 * SECOND
    async with world:
        await world.until(lambda: world.told() == FIRED)


async def test_what_fires_by_the_rules_memory_and_was_never_heard_is_told(tmp_path):
    world = World(tmp_path)
    world.firing = [alert()]
    async with world:
        await world.until(lambda: world.told() == FIRED)
    assert any("fired" in line for line in world.lines(alert().id))


async def test_what_no_longer_fires_after_a_restart_is_resolved(tmp_path):
    world = World(tmp_path)
    async with world:
        await world.hear(alert(), alert(inst=ETH))
        await world.until(world.told)
        await world.log.attempted("mail-1", Attempt(START, True, "250"), "sent")
    world.firing = [alert(inst=ETH)]
    async with world:
        await world.until(lambda: world.told() == [("mail-2", [(BTC, RESOLVED)])])
        assert world.alerting.firing() == [alert(inst=ETH)]
    assert "ended while nobody watched" in "\n".join(world.lines(alert().id))


async def test_a_silence_outlives_a_restart_and_says_so_in_the_story(tmp_path):
    world = World(tmp_path)
    async with world:
        made = await world.alerting.silence(
            read_all(["inst=binance:*"]), START, Micros(START + 60 * SECOND), "planned work"
        )
        assert made.id == "s1"
    async with world:
        assert [each.comment for each in world.alerting.silences()] == ["planned work"]
        await world.hear(alert(), alert(inst=ETH))
        await world.until(world.told)
        assert world.alerting.held() == {alert().id: {"mail": "silenced by s1: planned work"}}
        assert await world.alerting.unsilence("s1")
        assert not await world.alerting.unsilence("s1")
        await world.until(lambda: len(world.told()) == 2)
    lines = "\n".join(world.lines(alert().id))
    assert "mail was not told: silenced by s1: planned work" in lines
    assert "for mail: notice mail-2: waiting" in lines


async def test_without_any_channel_the_log_says_that_nobody_was_told(tmp_path):
    world = World(tmp_path, channels=(), default=())
    async with world:
        await world.hear(alert())
    assert f"nobody was told: {NO_CHANNEL}" in "\n".join(world.lines(alert().id))


async def test_a_channel_that_is_gone_from_the_settings_is_told_in_the_log(tmp_path):
    world = World(tmp_path)
    async with world:
        await world.hear(alert())
        await world.until(world.told)
    world.channels = ()
    async with world:
        await world.until(lambda: world.log.counters.dropped)
    assert "no channel 'mail' in the settings" in "\n".join(world.lines(alert().id))


async def test_a_full_disk_delays_no_notice(tmp_path, monkeypatch):
    async with World(tmp_path) as world:
        write = world.log.write
        refused = []

        async def full(*row):
            refused.append(row)
            raise Unavailable("disk full")

        monkeypatch.setattr(world.log, "write", full)
        await world.hear(alert())
        await world.until(lambda: world.told() == FIRED)
        monkeypatch.setattr(world.log, "write", write)
    assert refused
    assert "notice mail-1" in "\n".join(world.lines(alert().id))


async def test_a_damaged_file_is_moved_aside_and_alerts_are_told(tmp_path):
    (tmp_path / "alerts.sqlite").write_bytes(b"no database" * 100)
    async with World(tmp_path) as world:
        await world.hear(alert())
        await world.until(lambda: world.told() == FIRED)
    assert list(tmp_path.glob("alerts.sqlite.damaged-*"))


def test_the_course_of_a_price_has_each_closed_minute_once_and_an_end():
    prices = Prices()

    def candle(minute, close, **more):
        fields = {"closed": True, "interval": "1m"} | more
        ts, prices = Micros(minute * 60 * SECOND), (1.0, 1.0, 1.0, close)
        return Candle(ts, ts, BTC, fields["interval"], *prices, 1.0, 1.0, 1, fields["closed"])

    for minute in range(70):
        prices.note(candle(minute, float(minute)))
    prices.note(candle(69, 100.0))  # given out again
    prices.note(candle(70, 1.0, closed=False))
    prices.note(candle(70, 1.0, interval="5m"))
    (course,) = prices.courses([alert(), alert(inst=ETH), alert()])
    assert len(course.closes) == 60
    assert course.closes[-2:] == (68.0, 100.0)
