import pytest

from tapewatch.model.events import Micros
from tapewatch.news.items import item, key, plain
from tapewatch.news.parser import Entry

NOW = Micros(1_795_224_600_000_000)
BASE = "https://a.example/feed/"


def test_an_entry_becomes_an_event():
    entry = Entry(
        "g1", "Bitcoin &amp; co <b>rally</b>", "../1?a=1", "2026-11-20T10:00:00Z", "<p>Up</p>"
    )
    made = item(entry, "mine", BASE, NOW)
    assert (made.id, made.title, made.url, made.summary, made.assets) == (
        "g1", "Bitcoin & co rally", "https://a.example/1?a=1", "Up", ("BTC",),
    )  # fmt: skip
    assert made.ts == made.published == 1_795_168_800_000_000


def test_nothing_was_published_after_it_was_read():
    made = item(Entry("g", "T", published="2027-01-01T00:00:00Z"), "mine", BASE, NOW)
    assert made.ts == NOW < made.published
    assert item(Entry("g", "T"), "mine", BASE, NOW).ts == NOW


@pytest.mark.parametrize("link", ["javascript:alert(1)", "data:text/html,x", "", "http://[bad"])
def test_an_address_that_no_browser_should_open_is_left_out(link):
    assert item(Entry("g", "T", link), "mine", BASE, NOW).url == ""


def test_an_article_is_known_again_when_it_was_edited_or_dated_anew():
    first = Entry("g", "Title", "https://a.example/1", "2026-11-20T10:00:00Z")
    later = Entry("g", "Title, corrected", "https://a.example/1b", "2026-11-21T10:00:00Z")
    assert key(first, BASE) == key(later, BASE)


def test_an_article_of_cryptopanic_is_its_number_whatever_its_title_has_become():
    first, later, other = (
        Entry(f"https://cryptopanic.com/news/{number}/{slug}", slug)
        for number, slug in ((1051685, "Study-Market"), (1051685, "Study-Risk"), (105168, "Study"))
    )
    assert key(first, BASE) == key(later, BASE) != key(other, BASE)


def test_without_an_id_the_address_counts_but_not_its_campaign():
    one = Entry("", "A", "https://a.example/1?utm_source=rss&x=1#top")
    two = Entry("", "B", "https://a.example/1?x=1&utm_medium=mail")
    other = Entry("", "A", "https://a.example/1?x=2")
    assert key(one, BASE) == key(two, BASE) != key(other, BASE)


def test_without_address_the_title_counts_and_nothing_is_nothing():
    assert key(Entry("", "A"), BASE) == key(Entry("", " <b>A</b> "), BASE) != b""
    assert key(Entry("", "", "", "2026-11-20"), BASE) == b""


def test_a_very_long_id_is_shortened_without_a_clash():
    long = [item(Entry("x" * 200 + end, "T"), "mine", BASE, NOW).id for end in "ab"]
    assert len(long[0]) == 32
    assert long[0] != long[1]


@pytest.mark.parametrize(
    ("markup", "words"),
    [
        ("5 < 6 and 7 > 6", "5 < 6 and 7 > 6"),
        ("&lt;img src=x onerror=alert(1)&gt;Up", "Up"),
        ("A<script>evil()</script>", "A"),
        ("two\nlines\u202e", "two lines"),
        ("x" * 50, "x" * 9 + "…"),
    ],
)
def test_markup_is_taken_off(markup, words):
    assert plain(markup, 10 if len(markup) == 50 else 300) == words
