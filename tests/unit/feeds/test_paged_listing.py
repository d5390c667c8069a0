import pytest

from tapewatch.feeds.exchange import fetch_catalogue
from tapewatch.model.errors import Unavailable
from tapewatch.ports import Answer
from tapewatch.venues.bybit import BybitConfig
from tapewatch.venues.bybit_linear import BybitLinear

BODY = (
    '{{"retCode":0,"result":{{"category":"linear","list":[{{"symbol":"{0}USDT","baseCoin":"{0}",'
    '"quoteCoin":"USDT","settleCoin":"USDT","contractType":"LinearPerpetual"}}],'
    '"nextPageCursor":"{1}"}}}}'
)


class Pages:
    """Answers each request with the next page."""

    def __init__(self, *bodies):
        self.bodies = list(bodies)
        self.asked = []

    async def get(self, url, weight=1):
        self.asked.append(url)
        body = self.bodies.pop(0) if len(self.bodies) > 1 else self.bodies[0]
        return Answer(200, body.encode())


def dialect():
    return BybitLinear("bybit_linear", BybitConfig())


async def test_a_listing_is_read_to_its_last_page():
    pages = Pages(BODY.format("BTC", "a%3D"), BODY.format("ETH", "b"), BODY.format("XRP", ""))
    found = await fetch_catalogue(dialect(), pages)
    assert [instrument.base for instrument in found] == ["BTC", "ETH", "XRP"]
    assert [url.partition("&cursor=")[2] for url in pages.asked] == ["", "a%253D", "b"]


async def test_a_listing_that_never_ends_is_left_after_a_while():
    pages = Pages(BODY.format("BTC", "more"))
    assert len(await fetch_catalogue(dialect(), pages)) == len(pages.asked) == 200


async def test_a_page_that_is_refused_says_why():
    pages = Pages(BODY.format("BTC", "a"), '{"retCode":10009,"retMsg":"restricted region"}')
    with pytest.raises(Unavailable, match="restricted region"):
        await fetch_catalogue(dialect(), pages)
