import asyncio

import pytest

from tapewatch.runtime import addresses, plugins
from tapewatch.runtime.finding import BAD, GOOD, WARNING

NOW = 1_790_000_000_000_000  # 2026-09-21
ISSUER = ((("countryName", "US"),), (("organizationName", "DigiCert Inc"),))


@pytest.mark.parametrize("name", plugins.names("venues"))
def test_our_own_addresses_are_not_retired(name):
    given = addresses.of(plugins.load("venues", name).config())
    assert {"rest_url", "ws_url"} <= given.keys()
    assert addresses.retired(name, given) == []


@pytest.mark.parametrize(
    "url",
    [
        "wss://fstream.binance.com/ws",
        "wss://fstream.binance.com/stream",
        "https://api.binance.com/api/v1",
        "wss://ws.okex.com:8443",
        "wss://ws.okx.com:8443/ws/v5/public",
        "wss://stream.bybit.com/realtime",
        "wss://stream.bybit.com/v5/public/spot",
        "wss://ws-feed.pro.coinbase.com",
        "https://api.gdax.com",
        "wss://stream.binance.com:9443/ws",
    ],
)
def test_a_retired_address_is_named_with_what_to_write_instead(url):
    (found,) = addresses.retired("x", {"ws_url": url})
    assert found.verdict == BAD
    assert url in found.detail
    assert "set exchanges.x.ws_url to " in found.advice


@pytest.mark.parametrize(
    "url",
    [
        "wss://stream.binance.com:9443",
        "wss://data-stream.binance.vision",
        "wss://fstream.binance.com",
        "wss://wseea.okx.com:8443",
        "https://api.bytick.com",
        "http://127.0.0.1:8080/stream",
    ],
)
def test_another_address_that_serves_is_left_alone(url):
    assert addresses.retired("x", {"ws_url": url}) == []


def test_a_certificate_says_who_signed_it_and_how_long_it_lasts():
    certificate = {"notAfter": "Oct 21 14:13:20 2026 GMT", "issuer": ISSUER}
    found = addresses.judge("x TLS", "x.com", "TLSv1.3", certificate, NOW)
    assert found.verdict == GOOD
    assert found.detail == "x.com TLSv1.3, certificate of DigiCert Inc for 30 more days"


def test_a_certificate_that_ends_soon_is_a_warning():
    certificate = {"notAfter": "Sep 30 14:13:20 2026 GMT", "issuer": ISSUER}
    found = addresses.judge("x TLS", "x.com", "TLSv1.2", certificate, NOW)
    assert found.verdict == WARNING
    assert "for 9 more days" in found.detail


def test_plain_text_is_fine_on_this_machine_and_nowhere_else():
    given = {"ws_url": "ws://127.0.0.1:1", "rest_url": "http://proxy.example.com"}
    here, there = asyncio.run(addresses.tls("x", given, NOW))
    assert here.verdict == GOOD
    assert there.verdict == WARNING
    assert "not encrypted" in there.detail
