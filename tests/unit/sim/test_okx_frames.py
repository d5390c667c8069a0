"""What the simulated OKX sends, beside frames that the real one sent."""

import json
import re

import pytest
from msgspec import structs

from tapewatch.sim.book import View
from tapewatch.sim.decimals import units
from tapewatch.sim.happenings import Aggregate, Liquidation
from tapewatch.sim.okx_frames import checksum, liquidation, trade
from tapewatch.sim.okx_listing import instrument, listings
from tapewatch.sim.okx_streams import BUSINESS
from tests.frames import recording
from tests.unit.sim.okx_stage import Stage

PAIRS = {pair.symbol: pair for pair in listings(20)}
SWAP = "BTC-USDT-SWAP"


def shape(value):
    """Keys in their order, and what kind of text or number is where; a list as its first row."""
    if isinstance(value, dict):
        return [(key, shape(inner)) for key, inner in value.items()]
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    if isinstance(value, str):
        is_number = re.fullmatch(r"-?\d+(\.\d+)?", value)
        return "digits" if is_number else "text" if value else "empty"
    return type(value).__name__


def recorded(name, line=0):
    return json.loads(recording(f"okx/{name}.jsonl")[line])


def first_pushed(channel, *, symbol=SWAP, secs=12):
    client = Stage(rate=3.0).listen(channel, symbol=symbol)
    client.stage.run(secs)
    client.read()
    return [frame for frame in client.seen if "data" in frame][-1]


@pytest.mark.parametrize(
    ("channel", "symbol", "name"),
    [
        ("trades", SWAP, "trades.recent2026"),
        ("bbo-tbt", SWAP, "bbo-tbt.recent2026"),
        ("mark-price", SWAP, "mark-price.recent2026"),
        ("index-tickers", "BTC-USDT", "index-tickers.recent2026"),
        ("open-interest", SWAP, "open-interest.recent2026"),
        ("funding-rate", SWAP, "funding-rate.recent2026"),
        ("candle1m", "BTC-USDT", "candle1m.recent2026"),
        ("tickers", "BTC-USDT", "tickers.singles"),
        ("trades-all", "BTC-USDT", "trades-all.singles"),
    ],
)
def test_frame_has_the_keys_and_types_of_a_recorded_one(channel, symbol, name):
    assert shape(first_pushed(channel, symbol=symbol)) == shape(recorded(name))


def test_book_has_the_keys_and_types_of_a_recorded_one():
    pushed = first_pushed("books", secs=3)
    assert pushed["action"] == "update"
    assert shape(pushed) == shape(recorded("books.recent2026"))


def test_liquidation_has_the_keys_and_types_of_a_recorded_one():
    told = Liquidation(SWAP, 1, 1_791_565_600_771_000, True, units("82655.7"), 0, units("0.0855"))
    expected = recorded("liquidation-orders.recent2026")
    assert json.loads(liquidation(PAIRS[SWAP], told)) == expected


def test_acknowledgement_has_the_keys_of_a_recorded_one():
    arg = {"channel": "mark-price", "instId": SWAP}
    answer = Stage().client().subscribe(arg, id="perp")[0]
    assert shape(answer) == shape(recorded("ack.recent2026"))
    assert re.fullmatch("[0-9a-f]{8}", answer["connId"])


def test_error_has_the_words_of_a_recorded_one():
    told = [json.loads(line) for line in recording("okx/ack.recent2026.jsonl")]
    expected = next(row for row in told if row["event"] == "error")
    (answer,) = Stage().client().subscribe({"channel": "candle1m", "instId": "BTC-USDT"})
    assert list(answer) == list(expected)
    assert {**answer, "connId": ""} == {**expected, "connId": ""}


def test_instrument_has_every_key_of_a_recorded_one():
    rows = json.loads(recording("okx/rest_instruments.jsonl.gz")[0])["data"]
    kinds = {row["instType"] for row in rows}
    assert "SPOT" in kinds
    assert rows[0].keys() <= instrument(PAIRS["BTC-USDT"]).keys()
    assert list(instrument(PAIRS["BTC-USDT"])) == sorted(instrument(PAIRS["BTC-USDT"]))


def recorded_books(symbol):
    lines = recording("okx/sessions/cryptofeed_okx_20220513.tsv.gz")
    frames = [json.loads(line.split(b"\t", 1)[1]) for line in lines if b'"action"' in line]
    return [frame for frame in frames if frame["arg"]["instId"] == symbol]


@pytest.mark.parametrize("symbol", ["BTC-USDT", "BTC-USD-220527", "UNI-USD-SWAP"])
def test_checksum_is_that_of_the_recorded_books(symbol):
    """Recorded sizes are taken as they are: as if every instrument was spot."""
    pair, bids, asks = structs.replace(PAIRS["BTC-USDT"], symbol=symbol), {}, {}
    frames = recorded_books(symbol)
    for frame in frames:
        (row,) = frame["data"]
        for name, side in (("bids", bids), ("asks", asks)):
            for price, qty, *_ in row[name]:
                side[units(price)] = units(qty)
                if qty == "0":
                    del side[units(price)]
        view = View(0, sorted(bids.items(), reverse=True), sorted(asks.items()))
        assert checksum(pair, view) == row["checksum"]
    assert len(frames) > 50


def test_trade_tells_the_last_of_its_fills_and_how_many_they_are():
    order = Aggregate(SWAP, 9, units("84093.5"), units("0.2431"), 101, 159, 1_000_000, False)
    row = json.loads(trade(PAIRS[SWAP], order, 77))
    assert (row["tradeId"], row["count"], row["side"]) == ("159", "59", "buy")
    assert (row["px"], row["sz"], row["ts"], row["seqId"]) == ("84093.5", "24.31", "1000", 77)


def test_single_fills_are_on_the_business_socket():
    client = Stage().client(BUSINESS)
    (answer,) = client.subscribe({"channel": "trades-all", "instId": SWAP})
    assert answer["event"] == "subscribe"
