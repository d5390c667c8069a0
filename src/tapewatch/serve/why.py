"""`/alerts/why/{id}`: the whole story of one alert, as data, or as a page with the chart of its moment."""

from html import escape

from msgspec import Struct

from tapewatch.model.errors import NotFound, Unavailable
from tapewatch.model.events import Micros
from tapewatch.model.times import HOUR, MINUTE, iso
from tapewatch.rules.story import Story, tell
from tapewatch.serve import moment_chart
from tapewatch.serve.ask import Ask, Reply
from tapewatch.serve.context import Context
from tapewatch.serve.status import hashes
from tapewatch.serve.telling import desk_of

_AROUND = HOUR // 2
_MOST_BARS = 600
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:62rem;padding:0 1rem;"
    "color:#1b222b;background:#fff}h1{font-size:1.25rem}pre{white-space:pre-wrap}"
    "svg{width:100%;height:auto;border:1px solid #d0d7de}"
    "@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}svg{background:#fff}}"
)


class Tried(Struct, kw_only=True):
    timestamp: str
    ok: bool
    said: str
    took_ms: float


class ToldView(Struct, kw_only=True):
    notice: str
    channel: str
    timestamp: str
    status: str
    title: str
    alerts: int
    attempts: list[Tried]


class NotToldView(Struct, kw_only=True):
    channel: str
    timestamp: str
    reason: str


class Why(Struct, kw_only=True):
    """The whole story of one alert: in words, and as data."""

    id: str
    lines: list[str]
    told: list[ToldView]
    not_told: list[NotToldView]


async def get_why(context: Context, ask: Ask) -> Why | Reply:
    ask.done()
    desk, wanted = desk_of(context), ask.path["id"]
    story = await desk.story(wanted)
    if not (story.states or story.told or story.not_told):
        raise NotFound("alert", wanted, tuple((await desk.newest_ids(3))[:3]))
    if "text/html" in ask.accept:
        return await _page(context, story)
    return _view(story)


async def _page(context: Context, story: Story) -> Reply:
    """For people: the story, and the chart of its moment."""
    lines = tell(story)
    title, drawn = escape(lines[0]), await _chart(context, story)
    told = escape("\n".join(lines[1:]))
    page = (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>{drawn}<pre>{told}</pre></body></html>"
    )
    policy = f"default-src 'none'; style-src {hashes(page, 'style')}; frame-ancestors 'none'"
    headers = {"Content-Security-Policy": policy}
    return Reply(page.encode(), content_type="text/html; charset=utf-8", headers=headers)


async def _chart(context: Context, story: Story) -> str:
    """The minutes around it, as far as candles of it are stored."""
    if not story.states:
        return ""
    first, last = story.states[0], story.states[-1]
    moments = [(each.ts, each.state.value) for each in story.states]
    begin, end = Micros((first.since or first.ts) - _AROUND), Micros(last.ts + _AROUND)
    begin = Micros(max(begin, end - _MOST_BARS * MINUTE))
    try:
        found = await context.query.candles(first.inst, "1m", begin, end, _MOST_BARS)
    except (ValueError, Unavailable):
        found = []
    if len(found) < 2:
        return "<p>No candles of it are stored around that time.</p>"
    symbol = context.native(first.inst)
    return moment_chart.svg(found, moments, f"{symbol}, minutes in UTC")


def _view(story: Story) -> Why:
    told = [
        ToldView(
            notice=each.notice,
            channel=each.channel,
            timestamp=iso(each.at),
            status=each.status,
            title=each.title,
            alerts=each.alerts,
            attempts=[
                Tried(timestamp=iso(one.at), ok=one.ok, said=one.said, took_ms=one.took_ms)
                for one in each.attempts
            ],
        )
        for each in story.told
    ]
    not_told = [
        NotToldView(channel=each.channel, timestamp=iso(each.at), reason=each.reason)
        for each in story.not_told
    ]
    return Why(id=story.id, lines=tell(story), told=told, not_told=not_told)
