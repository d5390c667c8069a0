import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewatch.model.errors import BadFrame
from tapewatch.news.parser import MAX_ENTRIES, MAX_TEXT, Entry, WebPage, read

RSS = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/" xmlns:atom="http://www.w3.org/2005/Atom">
<channel><title>CryptoPanic News</title><link>https://cryptopanic.com/</link>
<atom:link href="https://cryptopanic.com/news/rss/" rel="self"/>
<image><title>Logo</title><link>https://cryptopanic.com/</link></image>
<item>
  <title>Bitcoin slides</title><media:title>Another title</media:title>
  <link>https://cryptopanic.com/news/1/click/</link>
  <guid isPermaLink="true">https://cryptopanic.com/news/1/</guid>
  <pubDate>Fri, 20 Nov 2026 10:00:00 +0000</pubDate>
  <description><![CDATA[<p>Down <b>5 %</b></p>]]></description>
  <atom:link href="https://elsewhere.example/"/>
</item>
<item><title>No date</title><guid isPermaLink="false">tag-2</guid></item>
</channel></rss>"""

RDF = """<?xml version="1.0"?>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
 xmlns:dc="http://purl.org/dc/elements/1.1/">
<channel rdf:about="https://a.example/"><title>A</title></channel>
<item rdf:about="https://a.example/1"><title>One</title><link>https://a.example/1</link>
<dc:date>2026-11-20T10:00:00+01:00</dc:date></item>
</rdf:RDF>"""

ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><title>F</title><id>urn:feed</id>
<entry><id>urn:1</id><title type="xhtml"><div>Ether <b>ETF</b>s</div></title>
<link rel="edit" href="https://a.example/edit"/><link href="https://a.example/1"/>
<updated>2026-11-20T11:00:00Z</updated><published>2026-11-20T10:00:00Z</published>
<author><name>N</name><title>not this one</title></author><summary>S</summary></entry></feed>"""


def rss(items: str) -> bytes:
    return f"<rss><channel>{items}</channel></rss>".encode()


def titles(body: bytes) -> list[str]:
    return [entry.title for entry in read(body).entries]


def test_rss_is_read_without_the_fields_of_other_vocabularies():
    first, second = read(RSS.encode()).entries
    assert first == Entry(
        id="https://cryptopanic.com/news/1/",
        title="Bitcoin slides",
        link="https://cryptopanic.com/news/1/click/",
        published="Fri, 20 Nov 2026 10:00:00 +0000",
        summary="<p>Down <b>5 %</b></p>",
    )
    assert second == Entry(id="tag-2", title="No date")


def test_rdf_is_read():
    assert read(RDF.encode()).entries == [
        Entry("https://a.example/1", "One", "https://a.example/1", "2026-11-20T10:00:00+01:00")
    ]


def test_atom_is_read_with_the_link_that_is_for_people():
    (entry,) = read(ATOM.encode()).entries
    assert (entry.id, entry.link, entry.published) == (
        "urn:1", "https://a.example/1", "2026-11-20T10:00:00Z",
    )  # fmt: skip
    assert entry.title.split() == ["Ether", "ETF", "s"]


def test_atom_with_a_prefix_is_atom():
    text = '<a:feed xmlns:a="http://www.w3.org/2005/Atom"><a:entry><a:title>T</a:title></a:entry></a:feed>'
    assert titles(text.encode()) == ["T"]


def test_a_permanent_guid_is_the_link_where_there_is_none():
    (entry,) = read(rss("<item><guid>https://a.example/1</guid></item>")).entries
    assert entry.link == "https://a.example/1"


def test_a_document_that_breaks_off_gives_what_came_before_and_the_error():
    document = read(RSS.encode()[: RSS.index("No date")])
    assert [entry.title for entry in document.entries] == ["Bitcoin slides"]
    assert document.error


@pytest.mark.parametrize(
    ("raw", "read_as"),
    [
        ("A&B &amp; C", "A&B & C"),
        ("Caf&eacute;&nbsp;&#163; &hellip;", "Café\xa0£ …"),
        ("bell\x07", "bell"),
        ("<![CDATA[A & B]]>", "A & B"),
        ("x <![CDATA[A & B]]> & y", "x A & B & y"),
        ("&unknown; thing", "&unknown; thing"),
    ],
)
def test_what_authors_forget_is_mended(raw, read_as):
    body = rss(f"<item><title>{raw}</title><link>https://a.example/?a=1&b=2</link></item>")
    (entry,) = read(body).entries
    assert (entry.title, entry.link) == (read_as, "https://a.example/?a=1&b=2")


def test_a_prefix_that_nobody_declared_is_no_error():
    document = read(rss("<item><title>T</title><wfw:comments>1</wfw:comments></item>"))
    assert (document.error, len(document.entries)) == ("", 1)


@pytest.mark.parametrize(
    "page",
    [
        "<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>",
        "  \n<html><body>403</body></html>",
        '<?xml version="1.0"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0" "x"><html/>',
        "<!-- cached --><HTML><BODY>",
    ],
)
def test_a_page_for_people_is_told_from_a_broken_feed(page):
    with pytest.raises(WebPage):
        read(page.encode())


def test_the_title_of_the_page_is_told():
    with pytest.raises(WebPage, match="Just a moment"):
        read(b"<!DOCTYPE html><html><head><title>Just a moment...</title>")


@pytest.mark.parametrize("body", [b"", b"{}", b'{"status": "api_error"}', b"<opml/>", b"\xff\xfe"])
def test_what_is_no_feed_is_said_to_be_none(body):
    with pytest.raises(BadFrame, match="no feed"):
        read(body)


BOMB = (
    '<!DOCTYPE rss [<!ENTITY a "aaaaaaaaaa">'
    + "".join(
        f'<!ENTITY {new} "{f"&{old};" * 10}">'
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + "]><rss><channel><item><title>&i;</title></item></channel></rss>"
)


@pytest.mark.parametrize(
    "body",
    [
        BOMB,
        '<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]><rss><item><title>&x;</title></item></rss>',
        '<!DOCTYPE rss [<!ENTITY % p SYSTEM "http://a.example/x"> %p;]><rss><item/></rss>',
    ],
    ids=["billion laughs", "a file of ours", "a parameter from elsewhere"],
)
def test_entities_of_its_own_are_refused_before_they_unfold(body):
    with pytest.raises(BadFrame, match="declares an entity"):
        read(body.encode())


def test_an_old_document_type_without_entities_is_read_and_nothing_is_loaded():
    doctype = '<!DOCTYPE rss PUBLIC "-//Netscape//DTD RSS 0.91//EN" "http://127.0.0.1:1/rss.dtd">'
    assert titles(doctype.encode() + rss("<item><title>T</title></item>")) == ["T"]


def test_depth_length_and_number_are_bounded():
    deep = read(rss("<item><title>T</title></item>" + "<a>" * 100_000))
    assert "deep" in deep.error
    (long,) = read(rss(f"<item><title>{'x' * 1_000_000}</title></item>")).entries
    assert len(long.title) == MAX_TEXT
    many = read(rss("<item><title>T</title></item>" * (MAX_ENTRIES + 50)))
    assert (len(many.entries), many.error) == (MAX_ENTRIES, "")


def test_a_hostile_document_costs_no_more_than_its_length():
    """Each of these would take minutes with a careless expression."""
    for part in ("<![CDATA[", "&", "<title", "<!--", "<a ", "&#"):
        with pytest.raises(BadFrame):
            read((part * 100_000).encode())


def said_of(body: bytes, charset: str = "") -> str:
    """What is wrong with it, in words; empty if nothing is."""
    try:
        return read(body, charset).error
    except BadFrame as error:
        return str(error)


@given(
    st.sampled_from([RSS, RDF, ATOM]),
    st.integers(0, 900),
    st.integers(0, 40),
    st.binary(max_size=20),
)
def test_damage_anywhere_raises_nothing_else(text, at, length, instead):
    body = text.encode()
    assert said_of(body[:at] + instead + body[at + length :]) is not None


@given(st.binary(max_size=300), st.text(max_size=20))
def test_any_bytes_are_survived_and_called_what_they_are(body, charset):
    assert said_of(body, charset)
    assert said_of(b"<rss><channel><item><title>" + body, charset)
