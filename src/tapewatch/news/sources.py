"""What may be asked for news: a few feeds by name, any other by its address."""

import difflib
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from msgspec import Struct

from tapewatch.model.errors import NotFound

# All without a key. CryptoPanic often answers scripts with a page; then it is shown as blocked.
KNOWN = {
    "cryptopanic": "https://cryptopanic.com/news/rss/",
    "coindesk": "https://www.coindesk.com/arc/outboundfeeds/rss",
    "cointelegraph": "https://cointelegraph.com/rss",
    "theblock": "https://www.theblock.co/rss.xml",
}
_NAME = re.compile(r"[\w.-]{1,80}", re.ASCII)  # it becomes a label of metrics, and stands in SQL


class Source(Struct, frozen=True):
    name: str
    url: str


def source(text: str) -> Source:
    """Read `cryptopanic`, `https://host/feed` or `name=https://host/feed`.

    Raises NotFound for an unknown name, ValueError for what is no address.
    """
    text = text.strip()
    if text.lower() in KNOWN:
        return Source(text.lower(), KNOWN[text.lower()])
    name, equals, url = text.partition("=")
    if not equals or "/" in name:
        name, url = "", text
    if "://" not in url:
        near = difflib.get_close_matches(url.lower(), KNOWN, n=1)
        raise NotFound("news source", url, tuple(near or (*KNOWN, "any http(s) address")))
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{url!r} is no address that begins with http:// or https://")
    name = name.strip() or parts.hostname.removeprefix("www.")
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name: letters, digits and . - _ with at most 80 of them")
    return Source(name, url)


def distinct(sources: Iterable[Source]) -> tuple[Source, ...]:
    """Each address once; of equal names the later ones get a number."""
    found: dict[str, Source] = {}
    for each in sources:
        if any(known.url == each.url for known in found.values()):
            continue
        name, number = each.name, 2
        while name in found:
            name, number = f"{each.name}-{number}", number + 1
        found[name] = Source(name, each.url)
    return tuple(found.values())
