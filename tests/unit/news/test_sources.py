import pytest

from tapewatch.model.errors import NotFound
from tapewatch.news.sources import KNOWN, Source, distinct, source


def test_a_name_an_address_and_both_together_are_sources():
    assert source("CryptoPanic") == Source("cryptopanic", KNOWN["cryptopanic"])
    assert source("https://www.a.example/feed?x=1").name == "a.example"
    assert source("mine=http://a.example/?q=a=b") == Source("mine", "http://a.example/?q=a=b")


def test_an_unknown_name_brings_the_nearest():
    with pytest.raises(NotFound) as caught:
        source("cryptopanik")
    assert caught.value.suggestions == ("cryptopanic",)


@pytest.mark.parametrize("text", ["ftp://a.example/x", "http://", "o'hara=http://a.example/"])
def test_what_cannot_be_asked_is_refused(text):
    with pytest.raises(ValueError):
        source(text)


def test_equal_names_are_numbered_and_equal_addresses_asked_once():
    texts = ["https://a.example/1", "https://a.example/2", "https://a.example/1"]
    assert [each.name for each in distinct(map(source, texts))] == ["a.example", "a.example-2"]
