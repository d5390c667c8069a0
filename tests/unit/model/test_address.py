import pytest

from tapewatch.model.address import host_of, shown

KEY = "a1b2c3d4e5f6"


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("wss://stream.binance.com:9443/stream", "wss://stream.binance.com:9443/stream"),
        (f"wss://u:{KEY}@h.example:1/ws", "wss://***@h.example:1/ws"),
        (f"https://{KEY}@h.example/", "https://***@h.example/"),
        (f"https://h.example/v1/{KEY}/feed?x={KEY}", "https://h.example/v1/***/feed?***"),
        (f"https://h.example?{KEY}", "https://h.example?***"),
        ("http://h/products/BTC-USD/trades?limit=1000", "http://h/products/BTC-USD/trades?***"),
        (f"redis://:{KEY}@localhost/0", "redis://***@localhost/0"),
        (f"press=http://u:{KEY}@h/feed, other=http://h/{KEY}", "press=http://***@h/feed, other=http://h/***"),
        (f'["http://{KEY}@h/feed"]', '["http://***@h/feed"]'),
        ("no address: BTC/USDT", "no address: BTC/USDT"),
    ],
)  # fmt: skip
def test_an_address_is_shown_without_its_keys(url, text):
    assert shown(url) == text


@pytest.mark.parametrize(
    ("url", "host"),
    [
        (f"wss://u:{KEY}@h.example:1/ws?{KEY}", "h.example:1"),
        ("http://[::1]:80/x", "[::1]:80"),
        ("nonsense", "nonsense"),
        (f"http:///{KEY}", "http:///***"),
    ],
)
def test_a_host_is_told_without_who_asks_it(url, host):
    assert host_of(url) == host
