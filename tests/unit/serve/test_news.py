from datetime import UTC, datetime

import pytest

from tapewatch.model.events import Micros
from tapewatch.ports import LinkState, LinkStatus
from tapewatch.serve.ask import Ask
from tapewatch.serve.news import get_news
from tapewatch.serve.problem import BadParameters
from tests.serving import NOW, World


class Rows:
    """A query that notes the statement and gives one row."""

    def __init__(self) -> None:
        self.asked = ""

    async def sql(self, statement):
        self.asked = statement
        columns = [
            "ts", "recv", "id", "source", "title", "url", "assets", "summary", "published",
        ]  # fmt: skip
        when = datetime(2026, 11, 20, 10, 0, 0, 808_579, tzinfo=UTC)
        row = (when, when, "g1", "cryptopanic", "T", "https://a", ["BTC"], None, None)
        return columns, [row]


def world() -> World:
    made = World()
    made.query = made.context.query = Rows()
    return made


async def news(made: World, **query):
    return await get_news(made.context, Ask(path={}, query=query, now=NOW))


async def test_news_come_with_their_times_and_how_each_source_is():
    made = world()
    made.news = [LinkStatus("news", "cryptopanic", LinkState.BLOCKED, Micros(NOW))]
    answer = await news(made)
    (item,) = answer.items
    assert (item.ts, item.timestamp) == (1_795_168_800_808_579, "2026-11-20T10:00:00.808579Z")
    assert (item.assets, item.summary, item.published) == (["BTC"], "", None)
    assert [(each.route, each.state) for each in answer.sources] == [("cryptopanic", "blocked")]


async def test_the_question_says_what_was_asked_for():
    made = world()
    await news(made, asset="btc", source="cryptopanic", start="-1h", limit="7")
    asked = made.query.asked
    assert "list_contains(assets, 'BTC') AND source = 'cryptopanic'" in asked
    assert "ts < TIMESTAMPTZ '2026-11-21T01:30:00.000000Z'" in asked
    assert asked.endswith("LIMIT 7")


@pytest.mark.parametrize(
    "query",
    [
        {"asset": "x' OR 1=1 --"},
        {"source": "a'b"},
        {"source": "a b"},
        {"limit": "501"},
        {"start": "now", "end": "-1h"},
    ],
)
async def test_what_is_no_word_of_ours_never_reaches_the_store(query):
    made = world()
    with pytest.raises(BadParameters):
        await news(made, **query)
    assert made.query.asked == ""
