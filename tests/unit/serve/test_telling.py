import pytest

from tapewatch.model.channel import ChannelStatus
from tapewatch.model.errors import NotFound, Unavailable
from tapewatch.model.events import Micros
from tapewatch.rules.story import Line
from tapewatch.serve import health, telling
from tapewatch.serve.ask import Ask
from tapewatch.serve.problem import BadParameters
from tests.notices import BTC, ETH, alert
from tests.serving import NOW, World

HOUR = 3_600_000_000


@pytest.fixture
def world():
    return World()


def ask(path=None, **query):
    return Ask(path=path or {}, query=query, now=NOW)


async def test_what_fires_says_why_whom_was_not_told(world):
    world.told.notices.hear(alert(), NOW)
    world.told.notices.state.open[alert().id].held["mail"] = "cooling down"
    answer = await telling.get_firing(world.context, ask())
    assert answer.count == 1
    assert answer.alerts[0].held == {"mail": "cooling down"}
    assert answer.alerts[0].threshold == 4.0


async def test_the_history_is_of_a_day_if_nobody_says_otherwise(world):
    old = Line(Micros(NOW - 25 * HOUR), "mail", "old", "sent", 1, 1, "250", "mail-1")
    new = Line(NOW, "mail", "new", "sent", 1, 1, "250", "mail-2")
    world.told.lines = [new, old]
    assert [each.what for each in (await telling.get_history(world.context, ask())).lines] == [
        "new"
    ]
    answer = await telling.get_history(world.context, ask(start="-2d"))
    assert [each.what for each in answer.lines] == ["new", "old"]
    with pytest.raises(BadParameters):
        await telling.get_history(world.context, ask(start="now", end="-1h", limit="0"))


async def test_a_silence_shows_what_it_holds_and_can_be_ended(world):
    world.told.notices.hear(alert(), NOW)
    world.told.notices.hear(alert(inst=ETH), NOW)
    query = {"match": "inst=binance:*, severity!=critical", "for": "2h", "comment": " why  not "}
    made = await telling.add_silence(world.context, ask(**query))
    assert (made.id, made.comment, made.holds) == ("s1", "why not", [alert(inst=BTC).id])
    assert made.ends > made.starts
    found = await telling.get_silences(world.context, ask())
    assert [each.matchers for each in found.silences] == [["inst=binance:*", "severity!=critical"]]
    with pytest.raises(NotFound) as caught:
        await telling.drop_silence(world.context, ask({"id": "s2"}))
    assert caught.value.suggestions == ("s1",)
    assert (await telling.drop_silence(world.context, ask({"id": "s1"}))).silences == []


async def test_all_that_is_wrong_with_a_silence_is_told_at_once(world):
    with pytest.raises(BadParameters) as caught:
        await telling.add_silence(world.context, ask(match="a=b,c", **{"for": "soon"}))
    assert [fault.pointer for fault in caught.value.faults] == ["?match", "?for", "?comment"]


async def test_a_channel_that_cannot_be_told_is_a_problem_of_health(world):
    assert health.judge(world.context).status == "healthy"
    world.told.statuses = [ChannelStatus("desk", "slack", waiting=3, error="429", retry_at=NOW)]
    verdict = health.judge(world.context)
    assert verdict.status == "degraded"
    assert verdict.problems == ["3 notices wait for desk: 429"]
    (channel,) = (await telling.get_channels(world.context, ask())).channels
    assert (channel.waiting, channel.error, channel.last_sent) == (3, "429", None)
    assert channel.retry_at


async def test_a_process_that_tells_nobody_says_so(world):
    world.context.alerting = None
    with pytest.raises(Unavailable):
        await telling.get_firing(world.context, ask())
    assert health.judge(world.context).status == "healthy"
