"""What recordings of Binance USD-M hold that nobody subscribed to: all markets, both universes."""

import msgspec
import pytest

from tapewatch.model.errors import BadFrame
from tapewatch.model.events import BookDelta, Gap, Liquidation, Quote
from tapewatch.model.instrument import Catalogue
from tapewatch.ports import Streams
from tests.unit.venues.test_binance_futures import (
    BTC,
    MS,
    PEPE,
    QUOTE,
    TICKER,
    Wire,
    agg_trade,
    depth,
    force,
    mark,
)


def decoded(*frames):
    """The events of a recording without subscriptions."""
    wire = Wire(streams=Streams(Catalogue(), lenient=True))
    for frame in frames:
        wire.frame(frame)
    wire.talk.lost("the end", wire.now, wire.out)
    return wire.out


@pytest.mark.parametrize(
    ("native", "inst"),
    [
        ("BTCUSDT", BTC),
        ("BTCUSDT_261225", f"{BTC}-261225"),
        ("1000PEPEUSDT", PEPE),
        ("BTCBUSD_210129", "binance_futures:BTC/BUSD:BUSD-210129"),
        ("ETHBTC", "binance_futures:ETH/BTC:BTC"),
    ],
)
def test_an_instrument_is_guessed_by_its_name(native, inst):
    (event,) = decoded(msgspec.json.encode(mark(s=native)))
    assert event.inst == inst


def rows(*data):
    return b"[" + b",".join(msgspec.json.encode(row) for row in data) + b"]"


def test_all_market_streams_are_read_row_by_row_and_the_other_universe_is_left_out():
    coin = mark(s="BTCUSD_PERP", st=2)
    wrap = '{"stream":"!markPrice@arr@1s","data":%s}'
    events = decoded(
        wrap % rows(mark(), coin, mark(s="ETHUSDT")).decode(),
        wrap % rows(mark(s="TSLAUSDT")).decode(),  # TradFi comes apart
    )
    assert [event.inst.partition(":")[2] for event in events] == [
        "BTC/USDT:USDT", "ETH/USDT:USDT", "TSLA/USDT:USDT",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("stream", "ours", "theirs", "kind"),
    [
        ("!forceOrder@arr", force(), force(s="BTCUSD_PERP", st=2), Liquidation),
        (
            "!bookTicker",
            msgspec.json.decode(QUOTE),
            msgspec.json.decode(QUOTE) | {"s": "BTCUSD_PERP", "ps": "BTCUSD", "st": 2},
            Quote,
        ),
    ],
)
def test_all_market_streams_of_single_objects_are_read(stream, ours, theirs, kind):
    frames = [msgspec.json.encode({"stream": stream, "data": data}) for data in (theirs, ours)]
    (event,) = decoded(*frames)
    assert (type(event), event.inst) == (kind, BTC)


def test_tickers_of_the_whole_market_are_read():
    other = msgspec.json.decode(TICKER) | {"s": "BTCUSD_261225", "st": 2}
    mini = {
        "e": "24hrMiniTicker", "E": MS, "s": "ETHUSDT", "c": "110", "o": "100", "h": "120",
        "l": "90", "v": "5", "q": "500", "st": 1,
    }  # fmt: skip
    frame = rows(msgspec.json.decode(TICKER), other, mini)
    found = decoded(b'{"stream":"!ticker@arr","data":' + frame + b"}")
    assert [(event.inst, event.last) for event in found] == [
        (BTC, 1782.02), ("binance_futures:ETH/USDT:USDT", 110.0),
    ]  # fmt: skip


@pytest.mark.parametrize("native", ["BTCUSD_PERP", "BTCUSD_261225"])
def test_streams_of_the_other_universe_give_nothing_even_from_before_their_mark(native):
    data = agg_trade(5, s=native)
    del data["st"]
    assert not decoded(msgspec.json.encode({"stream": f"{native.lower()}@aggTrade", "data": data}))


@pytest.mark.parametrize(
    "frame",
    [
        '{"stream":"btcusdt_perpetual@continuousKline_1m","data":{"e":"continuous_kline"}}',
        '{"e":"continuous_kline","E":1,"ps":"BTCUSDT","ct":"PERPETUAL","k":{"t":1,"i":"1m"}}',
        '{"stream":"btcusdt@rpiDepth@500ms","data":{"e":"depthUpdate","s":"BTCUSDT"}}',
        '{"stream":"defiusdt@compositeIndex","data":{"e":"compositeIndex","s":"DEFIUSDT"}}',
        '{"stream":"!contractInfo","data":{"e":"contractInfo","s":"BTCUSDT","cs":"TRADING"}}',
        '{"stream":"!assetIndex@arr","data":[{"e":"assetIndexUpdate","E":1,"s":"ADAUSD","i":"1"}]}',
        '{"stream":"adausd@assetIndex","data":{"e":"assetIndexUpdate","E":1,"s":"ADAUSD"}}',
        '{"stream":"tradingSession","data":{"e":"EquityUpdate","E":1,"S":"REGULAR"}}',
    ],
)
def test_what_is_known_and_not_needed_gives_nothing(frame):
    assert not decoded(frame)


@pytest.mark.parametrize(
    "frame",
    ['{"stream":"btcusdt@unheard","data":{}}', '{"e":"unheard","s":"BTCUSDT"}', "{}", "[{}]"],
)
def test_what_is_not_known_is_refused(frame):
    with pytest.raises(BadFrame):
        decoded(frame)


@pytest.mark.parametrize("speed", ["", "@0ms", "@100ms", "@500ms"])
def test_a_book_of_a_recording_comes_at_any_speed(speed):
    frame = msgspec.json.encode(depth(100, 200)).decode()
    events = decoded(f'{{"stream":"btcusdt@depth{speed}","data":{frame}}}')
    assert [type(event) for event in events] == [Gap, BookDelta]


def test_a_change_of_2019_has_the_time_of_its_sending():
    old = depth(100, 200)
    for key in ("T", "ps", "st"):
        del old[key]
    (_, event) = decoded(msgspec.json.encode(old))
    assert event.ts == (MS + 205) * 1000
