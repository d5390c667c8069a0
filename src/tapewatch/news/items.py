"""From an entry of a feed to an event, and by what an article is known again.

An article is known by its guid or Atom id, else by its address without the marks of campaigns,
else by its title. So one that was edited, moved or dated anew is the same article.
"""

import html
import re
from hashlib import blake2b
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from tapewatch.model.events import Micros, NewsItem
from tapewatch.news.assets import assets_in
from tapewatch.news.dates import moment
from tapewatch.news.parser import Entry

_MAX_TITLE = 300
_MAX_SUMMARY = 500
_MAX_URL = 2_000
_TAG = re.compile(r"<[a-zA-Z/!][^<>]*>")
_PROGRAM = re.compile(r"<(?:script|style)\b", re.IGNORECASE)
# CryptoPanic: /news/1051685/Study-Cryptocurrency-Market is guid and link; the title is a part of it.
_NUMBERED = re.compile(r"https?://(?:www\.)?(cryptopanic\.com/news/[0-9]+)(?:/|$)")
_CAMPAIGN = re.compile(r"(utm_\w+|fbclid|gclid|mc_cid|mc_eid)", re.IGNORECASE)


def key(entry: Entry, base: str) -> bytes:
    """Sixteen bytes by which this article is known again; empty if it has nothing to know it by."""
    numbered = _NUMBERED.match(entry.id.strip() or entry.link.strip())
    if numbered:
        return blake2b(numbered[1].encode(), digest_size=16).digest()
    known = entry.id.strip() or _bare(_address(entry.link, base)) or plain(entry.title, _MAX_TITLE)
    return blake2b(known.encode(), digest_size=16).digest() if known else b""


def item(entry: Entry, source: str, base: str, recv: Micros) -> NewsItem:
    """Make the event. `ts` is when it was published, but never after we have read it."""
    title = plain(entry.title, _MAX_TITLE)
    summary = plain(entry.summary, _MAX_SUMMARY)
    published = moment(entry.published)
    return NewsItem(
        ts=recv if published is None else min(published, recv),
        recv=recv,
        id=entry.id.strip() if 0 < len(entry.id.strip()) <= 128 else key(entry, base).hex(),
        source=source,
        title=title or summary[:_MAX_TITLE],
        url=_address(entry.link, base),
        assets=assets_in(title),
        summary="" if summary == title else summary,
        published=published,
    )


def plain(text: str, longest: int) -> str:
    """Take markup off: words for people, in one line, cut at a length."""
    text = _PROGRAM.split(text, maxsplit=1)[0]
    text = _TAG.sub(" ", html.unescape(_TAG.sub(" ", text)))
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return words if len(words) <= longest else words[: longest - 1].rstrip() + "…"


def _address(link: str, base: str) -> str:
    """Give the whole address, empty if it is none that a browser may safely open."""
    try:
        whole = urljoin(base, html.unescape(link.strip()))
        parts = urlsplit(whole)
    except ValueError:
        return ""
    fits = parts.scheme in {"http", "https"} and bool(parts.netloc) and len(whole) <= _MAX_URL
    return whole if fits and link.strip() and whole.isprintable() else ""


def _bare(url: str) -> str:
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    query = urlencode([pair for pair in pairs if not _CAMPAIGN.fullmatch(pair[0])])
    return urlunsplit(parts._replace(query=query, fragment=""))
