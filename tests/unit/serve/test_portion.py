import pytest

from tapewatch.serve.client import Choice, Message
from tapewatch.serve.portion import Flush
from tests.serving import BTC, ETH, SOL, trade

TRADES = frozenset({"trade"})


class Encoding:
    """An encoder that counts what it was asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, kind, events):
        self.asked += len(events)
        return [f"{kind} {event.id};".encode() for event in events]


@pytest.fixture
def encoding():
    return Encoding()


@pytest.fixture
def flush(encoding):
    trades = [trade(BTC, number=1), trade(ETH, number=2), trade(SOL, number=3)]
    return Flush(encoding, {"trade": trades}, [Message("price", BTC, b"price;")])


def test_nothing_is_encoded_while_nobody_takes_bytes(flush, encoding):
    portion = flush.portion(Choice(TRADES))
    assert (portion.count, portion.events) == (3, {"trade": 3})
    assert encoding.asked == 0


def test_events_are_encoded_once_for_all_choices(flush, encoding):
    all_of_them = flush.portion(Choice(TRADES)).blob()
    both = flush.portion(Choice(TRADES | {"price"})).blob()
    named = flush.portion(Choice(TRADES, frozenset({ETH}))).blob()
    without = flush.portion(Choice(TRADES, None, frozenset({ETH}))).blob()
    assert all_of_them == b"trade 1;trade 2;trade 3;"
    assert both == all_of_them + b"price;"
    assert named == b"trade 2;"
    assert without == b"trade 1;trade 3;"
    assert encoding.asked == 3


def test_equal_choices_have_one_portion(flush):
    assert flush.portion(Choice(TRADES)) is flush.portion(Choice(TRADES))


def test_who_named_what_did_not_happen_gets_nothing(flush):
    portion = flush.portion(Choice(TRADES, frozenset({"binance:XRP/USDT"})))
    assert (portion.count, portion.events, portion.blob()) == (0, {}, b"")
