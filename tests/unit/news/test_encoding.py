import pytest

from tapewatch.news.encoding import text_of

WORDS = "Café and ставка and 仮想通貨"
DECLARED = '<?xml version="1.0" encoding="{}"?><rss>{}</rss>'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_unicode_is_read_in_every_form(encoding):
    assert WORDS in text_of(f"<rss>{WORDS}</rss>".encode(encoding))


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("windows-1251", "ставка"),
        ("ISO-8859-1", "Café"),
        ("gb2312", "比特币"),
        ("Shift_JIS", "仮想通貨"),
        ("euc-kr", "비트코인"),
        ("ISO-2022-JP", "仮想通貨"),
    ],
)
def test_the_declared_encoding_is_used(encoding, words):
    assert words in text_of(DECLARED.format(encoding, words).encode(encoding))


def test_what_is_utf_8_is_utf_8_whatever_anybody_says():
    body = DECLARED.format("ISO-8859-1", WORDS).encode()
    assert WORDS in text_of(body, "windows-1251")


def test_latin_that_says_utf_8_is_read_as_what_it_is():
    assert "Café “x”" in text_of(DECLARED.format("UTF-8", "Café “x”").encode("cp1252"), "utf-8")


def test_one_broken_sign_does_not_garble_the_others():
    body = DECLARED.format("UTF-8", WORDS).encode() + b"\xe2\x82"
    assert WORDS in text_of(body)


@pytest.mark.parametrize(
    "name", ["punycode", "unicode_escape", "zlib", "rot13", "nonsense", "utf-99"]
)
def test_a_codec_that_is_no_encoding_of_documents_is_not_tried(name):
    assert "é" in text_of(DECLARED.format(name, "é").encode("cp1252"), name)
