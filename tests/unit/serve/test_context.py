import pytest

from tapewatch.model.errors import Ambiguous, NotFound, Unavailable
from tapewatch.model.instrument import Catalogue, Instrument
from tapewatch.ports import Subscription
from tests.serving import BTC, World


def test_any_spelling_finds_the_instrument():
    context = World().context
    for text in ("BTCUSDT", "btc-usdt", "BTC/USDT", "binance:BTC/USDT"):
        assert context.instrument(text).id == BTC


def test_before_any_listing_was_read_the_answer_is_later_not_never():
    world = World()
    world.context.catalogue = Catalogue()
    with pytest.raises(Unavailable):
        world.context.instrument("BTCUSDT")


def test_of_two_venues_the_collected_one_is_meant():
    world = World()
    world.context.catalogue.add(Instrument("okx", "BTC", "USDT", "BTC-USDT"))
    assert world.context.instrument("BTCUSDT").id == BTC
    world.control.wanted.add(Subscription("okx:BTC/USDT", "trades"))
    with pytest.raises(Ambiguous, match="say which: binance:BTC/USDT, okx:BTC/USDT") as unclear:
        world.context.instrument("BTCUSDT")
    assert unclear.value.suggestions == (BTC, "okx:BTC/USDT")
    assert {i.id for i in world.context.instruments("BTCUSDT")} == {BTC, "okx:BTC/USDT"}


def test_a_typing_error_is_never_taken_for_what_is_collected():
    with pytest.raises(NotFound) as unknown:
        World().context.instrument("BTCUSTD")
    assert BTC in unknown.value.suggestions


def test_an_instrument_that_left_the_listing_still_has_a_name():
    assert World().context.native("binance:OLD/USDT") == "OLDUSDT"
