import pytest

from tapewatch.model.errors import NotFound
from tapewatch.model.instrument import Catalogue, Instrument
from tapewatch.settings.problems import InvalidSettings
from tapewatch.settings.venue_words import check_streams, check_symbols


class Dialect:
    name = "binance"

    def channel(self, text):
        if text not in {"ticker", "depth"}:
            raise NotFound("stream", text, ("depth",))
        return text


TEXT = "exchanges:\n  binance:\n    symbols: [BTC/USDT, BTC/UDST]\n    streams: [ticker, depht]\n"


def test_streams_and_symbols_are_checked_where_they_stand(read):
    loaded = read(TEXT)
    catalogue = Catalogue([Instrument("binance", "BTC", "USDT", "BTCUSDT")])

    check_streams(loaded, {"binance": Dialect()})
    found = check_symbols(loaded, "binance", catalogue)

    assert [instrument.native for instrument in found] == ["BTCUSDT"]
    with pytest.raises(InvalidSettings) as caught:
        loaded.refuse()
    stream, symbol = caught.value.problems
    assert (stream.place.line, stream.place.column, stream.hint) == (4, 23, "did you mean `depth`?")
    assert (symbol.place.line, symbol.place.column) == (3, 25)
    assert symbol.hint == "did you mean `BTC/USDT`?"


def test_good_words_are_no_complaint(read):
    loaded = read("exchanges: {binance: {symbols: [x], streams: [ticker]}}\n")
    check_streams(loaded, {"binance": Dialect()})
    loaded.refuse()
