import pytest

from tapewatch.model.errors import NotFound
from tapewatch.settings.problems import InvalidSettings
from tapewatch.settings.venue_words import check_streams


class Dialect:
    name = "binance"

    def channel(self, text):
        if text not in {"ticker", "depth"}:
            raise NotFound("stream", text, ("depth",))
        return text


TEXT = "exchanges:\n  binance:\n    symbols: [BTC/USDT]\n    streams: [ticker, depht]\n"


def test_a_stream_is_checked_where_it_stands(read):
    loaded = read(TEXT)
    check_streams(loaded, {"binance": Dialect()})
    with pytest.raises(InvalidSettings) as caught:
        loaded.refuse()
    [stream] = caught.value.problems
    assert (stream.place.line, stream.place.column, stream.hint) == (4, 23, "did you mean `depth`?")


def test_good_words_are_no_complaint(read):
    loaded = read("exchanges: {binance: {symbols: [x], streams: [ticker]}}\n")
    check_streams(loaded, {"binance": Dialect()})
    loaded.refuse()
