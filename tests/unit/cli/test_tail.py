import pytest

from tapewatch.cli.tail import _type_of, _worth, line
from tapewatch.model.errors import NotFound

TRADE = {
    "ts": 1_795_224_600_123_000,
    "inst": "binance:BTC/USDT",
    "side": "buy",
    "price": 50_000.5,
    "size": 0.25,
}


def test_a_trade_is_one_line_with_its_worth():
    text = line("trade", TRADE)
    assert text.startswith("01:30:00.123  binance:BTC/USDT")
    assert text.endswith("= 12,500.12 USDT")
    assert "\n" not in text


def test_a_book_that_is_not_proven_says_why():
    data = {"ts": 0, "inst": "x", "proven": False, "reason": "sequence broken"}
    assert "no proven book: sequence broken" in line("orderbook", data)


def test_an_empty_side_of_a_book_is_no_error():
    data = {"ts": 0, "inst": "x", "proven": True, "bids": [[1.0, 2.0]], "asks": [], "seq": 3}
    assert "bid 1 x 2  ask none" in line("orderbook", data)


def test_only_what_has_a_worth_can_be_too_small():
    assert _worth(TRADE) == 12_500.125
    assert _worth({"title": "news"}) == float("inf")


def test_an_unknown_channel_names_the_nearest():
    assert _type_of("trades") == _type_of("TRADE") == "trade"
    with pytest.raises(NotFound) as unknown:
        _type_of("trdaes")
    assert unknown.value.suggestions[0] == "trades"


def test_an_alert_is_one_line_with_its_rule_and_state():
    data = {"ts": 0, "inst": "binance:BTC/USDT", "severity": "warning", "rule": "volume_surge"}
    text = line("alert", data | {"state": "firing", "text": "5 times the usual volume"})
    assert text.endswith("warning volume_surge firing: 5 times the usual volume")
