import re
from xml.etree import ElementTree as ET

import pytest

from tapewatch.model.errors import NotFound, Unavailable
from tapewatch.model.events import AlertState, Candle
from tapewatch.rules.story import Attempt, NotTold, Story, Told
from tapewatch.serve import moment_chart, why
from tapewatch.serve.ask import Ask
from tests.notices import START, alert
from tests.serving import BTC, MINUTE, NOW, World


@pytest.fixture
def world():
    return World()


def ask(path=None, accept=""):
    return Ask(path=path or {}, query={}, now=NOW, accept=accept)


def candles(count=60, begin=START - 30 * MINUTE):
    return [
        Candle(begin + n * MINUTE, NOW, BTC, "1m", 100 + n, 103 + n, 99 + n, 101 + n, 1, 1, 1, True)
        for n in range(count)
        if n != 5
    ]


async def test_a_story_is_words_and_data(world):
    attempts = (Attempt(NOW, True, "250 taken", 3.0),)
    told = Told("mail-1", "mail", NOW, "sent", "surge", 1, attempts)
    story = Story(alert().id, (alert(),), (told,), (NotTold("desk", NOW, "silenced"),))
    world.told.stories = {alert().id: story}
    answer = await why.get_why(world.context, ask({"id": alert().id}))
    assert "attempt 1 delivered after 3 ms: 250 taken" in "\n".join(answer.lines)
    assert answer.told[0].attempts[0].ok
    assert answer.not_told[0].reason == "silenced"
    with pytest.raises(NotFound) as caught:
        await why.get_why(world.context, ask({"id": "nobody"}))
    assert caught.value.suggestions == (alert().id,)


@pytest.fixture
def story(world):
    over = alert(AlertState.RESOLVED, ts=START + 4 * MINUTE, text="<b>over</b>")
    world.told.stories = {alert().id: Story(alert().id, (alert(), over))}
    return {"id": alert().id}


async def test_a_person_gets_a_page_with_the_chart_of_the_moment(world, story):
    world.query.rows = candles()
    reply = await why.get_why(world.context, ask(story, "text/html,*/*"))
    page = reply.body.decode()
    assert reply.content_type.startswith("text/html")
    assert "&lt;b&gt;over&lt;/b&gt;" in page
    drawn = ET.fromstring(re.search("<svg.*</svg>", page)[0])
    assert len(drawn.findall("rect")) == 59
    assert {each.text for each in drawn.findall("text")} >= {"firing", "resolved", "99", "162"}
    assert "default-src 'none'; style-src 'sha256-" in reply.headers["Content-Security-Policy"]
    inst, interval, since, until = world.query.asked[-1][:4]
    assert (inst, interval) == (alert().inst, "1m")
    assert since <= START - 30 * MINUTE
    assert until >= START + 34 * MINUTE


async def test_without_candles_the_page_says_so(world, story):
    world.query.rows = candles(1)
    page = (await why.get_why(world.context, ask(story, "text/html"))).body.decode()
    assert "No candles" in page
    world.query.error = Unavailable("later")
    page = (await why.get_why(world.context, ask(story, "text/html"))).body.decode()
    assert "No candles" in page


def test_a_price_that_does_not_move_is_drawn_in_the_middle_of_nothing():
    still = [Candle(NOW + n * MINUTE, NOW, BTC, "1m", 5, 5, 5, 5, 1, 1, 1, True) for n in range(3)]
    drawn = ET.fromstring(moment_chart.svg(still, [(NOW - MINUTE, "x")], "a & b"))
    assert drawn.find("title").text == "a & b"
    assert "x" not in {each.text for each in drawn.findall("text")}
