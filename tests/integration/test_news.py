"""The news feed against a server that serves real-looking feeds, refuses, and misbehaves."""

import asyncio
import gzip
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tapewatch.feeds.news import NewsFeed
from tapewatch.model.events import DeadLetter, Micros, NewsItem
from tapewatch.news.schedule import Hours
from tapewatch.news.sources import Source
from tapewatch.ports import LinkState
from tapewatch.runtime import news_checkup
from tapewatch.runtime.plan import News
from tapewatch.stores.seen import Seen
from tests.ports import nobody

NOW = Micros(1_795_224_600_000_000)  # 2026-11-21
CHALLENGE = "<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>"
FAST = Hours(day_secs=0.005, night_secs=0.005)
PATIENCE_SECS = 60


def article(number: int, title: str = "", date: str = "") -> str:
    link = f"https://cryptopanic.com/news/{number}/click/"
    dated = f"<pubDate>{date}</pubDate>" if date else ""
    return (
        f"<item><title>{title or f'Bitcoin headline {number}'}</title><link>{link}</link>"
        f"<guid>https://cryptopanic.com/news/{number}/</guid>{dated}</item>"
    )


def feed_of(*articles: str) -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?><rss version="2.0"><channel>'
        f"<title>CryptoPanic</title>{''.join(articles)}</channel></rss>"
    )


class Site:
    """Answers each path in order, the last answer again and again; notes what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, list] = {}
        self.asked: list[tuple[str, str | None]] = []
        self._more = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path.strip("/")
        self.asked.append((path, request.headers.get("If-None-Match")))
        self._more.set()
        answers = self.answers[path]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        made = answer(request) if callable(answer) else answer
        if isinstance(made, str):
            return web.Response(text=made, content_type="application/rss+xml")
        if isinstance(made, bytes):
            return web.Response(body=made, content_type="application/rss+xml")
        return made

    async def until_asked(self, times: int) -> None:
        while len(self.asked) < times:
            self._more.clear()
            await self._more.wait()


class Outlet:
    def __init__(self) -> None:
        self.events: list = []
        self.more = asyncio.Event()

    def offer(self, events) -> bool:
        raise AssertionError("news wait for room")

    async def publish(self, events) -> None:
        self.events += events
        self.more.set()

    @property
    def ids(self) -> list[str]:
        return [e.id.split("/")[-2] for e in self.events if isinstance(e, NewsItem)]


@pytest.fixture
async def site():
    made = Site()
    app = web.Application()
    app.router.add_get("/{path:.*}", made.handle)
    async with TestServer(app) as server:
        made.url = str(server.make_url("/"))
        yield made


def feed(site, tmp_path, *paths, hours=FAST) -> NewsFeed:
    sources = [Source(path, site.url + path) for path in paths or ("rss",)]
    seen = Seen(tmp_path / "news.sqlite", clock=lambda: NOW)
    return NewsFeed(sources, hours, clock=lambda: NOW, seen=seen, settle_secs=0)


@asynccontextmanager
async def running(made: NewsFeed):
    outlet = Outlet()
    task = asyncio.create_task(made.run(outlet))
    try:
        async with asyncio.timeout(PATIENCE_SECS):
            yield outlet
        if task.done():
            task.result()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(happened) -> None:
    while not happened():  # noqa: ASYNC110 - the feed tells nobody what it counts
        await asyncio.sleep(0)


async def follow(made, site, times) -> Outlet:
    """Let the feed ask so many times and deal with all answers but perhaps the last."""
    async with running(made) as outlet:
        await site.until_asked(times)
    return outlet


async def test_each_article_comes_once_with_its_assets_oldest_first(site, tmp_path):
    site.answers["rss"] = [
        feed_of(
            article(2, "Ether ETF", "Fri, 20 Nov 2026 12:00:00 GMT"),
            article(1, "Solana up", "Fri, 20 Nov 2026 11:00:00 GMT"),
        ),
        feed_of(article(3), article(2), article(1)),
    ]
    outlet = await follow(feed(site, tmp_path), site, 4)
    assert outlet.ids == ["1", "2", "3"]
    assert [event.assets for event in outlet.events] == [("SOL",), ("ETH",), ("BTC",)]
    assert {event.source for event in outlet.events} == {"rss"}


async def test_edited_reordered_and_redated_articles_are_not_new(site, tmp_path):
    site.answers["rss"] = [
        feed_of(article(1, "First", "Fri, 20 Nov 2026 11:00:00 GMT"), article(2)),
        feed_of(article(2, "Changed"), article(1, "First!", "Sat, 21 Nov 2026 11:00:00 GMT")),
    ]
    outlet = await follow(feed(site, tmp_path), site, 4)
    assert sorted(outlet.ids) == ["1", "2"]


async def test_a_restart_repeats_nothing_and_asks_for_what_has_changed(site, tmp_path):
    def versioned(request):
        if request.headers.get("If-None-Match") == '"v1"':
            return web.Response(status=304)
        return web.Response(text=feed_of(article(1)), headers={"ETag": '"v1"'})

    site.answers["rss"] = [versioned]
    first = await follow(feed(site, tmp_path), site, 2)
    assert first.ids == ["1"]

    made = feed(site, tmp_path)
    second = await follow(made, site, 4)
    assert second.events == []
    assert [tag for _, tag in site.asked] == [None, '"v1"', '"v1"', '"v1"']
    assert made.fetches["not_modified"] >= 1
    assert made.status()[0].state is LinkState.STREAMING


async def test_an_article_that_was_not_handed_over_comes_again_after_a_restart(site, tmp_path):
    site.answers["rss"] = [
        lambda _: web.Response(text=feed_of(article(1)), headers={"ETag": '"v1"'})
    ]

    class Full(Outlet):
        async def publish(self, events) -> None:
            self.more.set()
            await asyncio.Event().wait()

    outlet, made = Full(), feed(site, tmp_path)
    task = asyncio.create_task(made.run(outlet))
    await asyncio.wait_for(outlet.more.wait(), PATIENCE_SECS)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

    again = await follow(feed(site, tmp_path), site, 3)
    assert again.ids == ["1"]
    assert site.asked[1] == ("rss", None)


@pytest.mark.parametrize(
    ("answer", "outcome", "state", "wait_secs", "words"),
    [
        (
            lambda _: web.Response(text=CHALLENGE, content_type="text/html"),
            "blocked", LinkState.BLOCKED, 1_800, "Just a moment",
        ),
        (lambda _: web.Response(status=403, text=CHALLENGE),
         "blocked", LinkState.BLOCKED, 1_800, "HTTP 403"),
        (lambda _: web.Response(status=451), "blocked", LinkState.BLOCKED, 1_800, "HTTP 451"),
        (lambda _: web.Response(status=429, headers={"Retry-After": "900"}),
         "limited", LinkState.BACKOFF, 900, "HTTP 429"),
        (lambda _: web.Response(status=429), "limited", LinkState.BACKOFF, 600, "HTTP 429"),
        (lambda _: web.Response(status=500), "failed", LinkState.BACKOFF, 600, "HTTP 500"),
        (lambda _: web.Response(status=404), "failed", LinkState.BACKOFF, 600, "HTTP 404"),
        ('{"status": "api_error"}', "broken", LinkState.BACKOFF, 600, "no feed"),
        ("x" * 5_000_000, "unreachable", LinkState.BACKOFF, 600, "more than"),
        (
            lambda _: web.Response(
                body=gzip.compress(bytes(50_000_000)), headers={"Content-Encoding": "gzip"}
            ),
            "unreachable", LinkState.BACKOFF, 600, "more than",
        ),
        (
            lambda request: web.Response(status=302, headers={"Location": request.path}),
            "unreachable", LinkState.BACKOFF, 600, "in a circle",
        ),
        (
            lambda _: web.Response(status=301, headers={"Location": "file:///etc/passwd"}),
            "unreachable", LinkState.BACKOFF, 600, "",
        ),
    ],
    ids=[
        "challenge", "403", "451", "429 that says when", "429", "500", "404", "json", "huge",
        "gzip bomb", "redirect loop", "redirect to a file",
    ],
)  # fmt: skip
async def test_a_source_that_gives_no_feed_is_shown_and_left_in_peace(
    site, tmp_path, answer, outcome, state, wait_secs, words
):
    site.answers |= {"bad": [answer], "good": [feed_of(article(1))]}
    made = feed(site, tmp_path, "bad", "good", hours=Hours(day_secs=600, night_secs=600))
    async with running(made) as outlet:
        await until(lambda: made.fetches[outcome] and made.fetches["ok"] and outlet.events)
    bad, good = made.status()
    assert (bad.state, good.state) == (state, LinkState.STREAMING)
    assert words in bad.error
    assert bad.retry_at == NOW + wait_secs * 1_000_000
    assert [event.id for event in outlet.events if isinstance(event, NewsItem)]


async def test_a_feed_that_breaks_off_gives_what_it_has_and_comes_again_whole(site, tmp_path):
    whole = feed_of(article(1), article(2))
    half = whole[: whole.index("headline 2")]
    site.answers["rss"] = [
        lambda _: web.Response(text=half, headers={"ETag": '"half"'}),
        lambda _: web.Response(text=half, headers={"ETag": '"half"'}),
        whole,
    ]
    made = feed(site, tmp_path)
    async with running(made) as outlet:
        await until(lambda: "2" in outlet.ids)
    assert outlet.ids == ["1", "2"]
    letters = [event for event in outlet.events if isinstance(event, DeadLetter)]
    assert [(each.source, each.raw) for each in letters] == [("news:rss", half)]
    assert '"half"' not in [tag for _, tag in site.asked]
    assert made.status()[0].error == ""


async def test_wrong_encodings_entities_and_lone_ampersands_are_read(site, tmp_path):
    latin = feed_of(article(1, "Café A&B&nbsp;“x” &amp; Bitcoin")).replace("UTF-8", "ISO-8859-1")
    site.answers["rss"] = [latin.encode("cp1252")]
    outlet = await follow(feed(site, tmp_path), site, 2)
    assert [(e.title, e.assets) for e in outlet.events] == [("Café A&B “x” & Bitcoin", ("BTC",))]


async def test_an_address_that_moved_is_followed(site, tmp_path):
    site.answers |= {
        "rss": [lambda _: web.Response(status=308, headers={"Location": "/new"})],
        "new": [feed_of("<item><title>T</title><link>a/1</link></item>")],
    }
    outlet = await follow(feed(site, tmp_path), site, 4)
    assert [event.url for event in outlet.events] == [site.url + "a/1"]


async def test_a_server_that_is_away_is_told_in_words_and_asked_again(tmp_path):
    seen = Seen(tmp_path / "news.sqlite", clock=lambda: NOW)
    with nobody() as port:
        source = Source("gone", f"http://127.0.0.1:{port}/rss")
        made = NewsFeed([source], FAST, clock=lambda: NOW, seen=seen)
        async with running(made):
            await until(lambda: made.fetches["unreachable"] >= 3)
    assert "cannot connect to 127.0.0.1" in made.status()[0].error


async def test_a_file_that_cannot_be_read_stops_the_asking_not_the_feed(site, tmp_path):
    site.answers["rss"] = [feed_of(article(1))]
    folder = tmp_path / "later"
    made = feed(site, folder)
    async with running(made) as outlet:
        await until(lambda: made.status()[0].error)
        assert site.asked == []
        folder.mkdir()
        await outlet.more.wait()
    assert outlet.ids == ["1"]


@pytest.mark.parametrize(("hour", "is_day"), [(3, False), (12, True)])
async def test_day_and_night_are_told_by_the_clock(site, tmp_path, hour, is_day):
    site.answers["rss"] = [feed_of(article(1))]
    moment = Micros(int(datetime(2026, 11, 21, hour, tzinfo=UTC).timestamp()) * 1_000_000)
    seen = Seen(tmp_path / "news.sqlite", clock=lambda: moment)
    hours = Hours(day_secs=0.001, night_secs=3_600)
    source = Source("rss", site.url + "rss")
    made = NewsFeed([source], hours, clock=lambda: moment, seen=seen, settle_secs=0)
    async with running(made) as outlet:
        await outlet.more.wait()
        if is_day:
            await site.until_asked(3)
    assert (len(site.asked) > 1) is is_day


async def test_doctor_asks_each_source_once_and_says_how_it_is(site):
    site.answers |= {
        "good": [feed_of(article(1), article(2))],
        "wall": [CHALLENGE],
        "json": ["{}"],
        "half": [feed_of(article(1))[:-40]],
        "limit": [lambda _: web.Response(status=429)],
    }
    names = ("good", "wall", "json", "half", "limit")
    sources = tuple(Source(name, site.url + name) for name in names)
    findings = await news_checkup.sources(News(sources=sources))
    assert [each.verdict for each in findings] == ["good", "warning", "bad", "warning", "warning"]
    assert findings[0].detail == "2 articles"
    assert "blocked" in findings[1].detail
    assert sorted(path for path, _ in site.asked) == sorted(names)
