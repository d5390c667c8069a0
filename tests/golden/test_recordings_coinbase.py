"""Recorded frames of both Coinbase feeds through `decode`'s own path, judged by rules."""

from collections import defaultdict

from tapewatch.cli.decode import Decoding
from tapewatch.model.events import (
    BookDelta,
    BookSnapshot,
    Coverage,
    DeadLetter,
    Gap,
    Holding,
    Quote,
    Side,
    Ticker,
    Trade,
)
from tapewatch.model.instrument import Catalogue
from tapewatch.ports import Route, Streams
from tapewatch.runtime import plugins
from tests.frames import folder, recording

EXCHANGE = "coinbase_exchange/sessions/fastmm_coinbase_exchange_20260930.tsv.gz"
ADVANCED = "coinbase_advanced/sessions/tickvault_advanced_20260824.tsv.gz"
VENUES = {"coinbase_exchange": "coinbase", "coinbase_advanced": "coinbase_advanced"}


def play(venue, lines):
    plugin = plugins.load("venues", venue)
    dialect = plugin.build(venue, plugin.config())
    streams = Streams(Catalogue(), lenient=True)
    conversation = dialect.converse(Route("recording", "", ()), streams)
    decoding = Decoding(dialect, streams, conversation)
    return [event for batch in decoding.events(lines) for event in batch], streams


def by_type(events):
    found = defaultdict(list)
    for event in events:
        found[type(event)].append(event)
    return found


def everything():
    """All recordings that this machine has, as far as they are of Coinbase."""
    found = folder()
    if found is None:
        return []
    files = [file for name in VENUES for file in sorted((found / name).rglob("*.*"))]
    return [file.relative_to(found).as_posix() for file in files]


def test_no_recording_has_a_frame_that_cannot_be_read():
    recording(EXCHANGE)  # or a skip that says what is missing
    frames = 0
    for path in everything():
        lines = recording(path)
        letters = [
            e for e in play(VENUES[path.split("/")[0]], lines)[0] if isinstance(e, DeadLetter)
        ]
        assert letters == [], path
        frames += len(lines)
    assert frames > 60


def test_a_session_of_the_exchange_has_its_trade_and_every_change():
    lines = recording(EXCHANGE)
    kinds = by_type(play("coinbase", lines)[0])
    assert len(kinds[BookDelta]) == sum(b'"l2update"' in line for line in lines) == 21
    (trade,) = kinds[Trade]
    assert (trade.id, trade.side, trade.price) == ("1100243515", Side.SELL, 83425.97)
    told = [(c.first, c.last, c.holding) for c in kinds[Coverage]]
    assert told == [(1100243515, 1100243515, Holding.HAVE)]
    assert {gap.reason for gap in kinds[Gap]} == {
        "no snapshot in the recording: changes are shown unproven"
    }
    for inst in ("coinbase:BTC/USD", "coinbase:ETH/USD"):
        times = [delta.ts for delta in kinds[BookDelta] if delta.inst == inst]
        assert times == sorted(times)
        numbers = [delta.seq for delta in kinds[BookDelta] if delta.inst == inst]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_the_heartbeat_of_the_session_names_its_last_trade():
    """What the loss detection rests on: the heartbeat speaks of trades that were sent before."""
    lines = [line for line in recording(EXCHANGE) if b"l2update" not in line]
    assert b'"type":"match","trade_id":1100243515' in lines[0]
    assert b'"last_trade_id":1100243515,"product_id":"BTC-USD"' in lines[1]


def test_every_frame_of_the_advanced_session_follows_and_the_book_is_never_crossed():
    events, _ = play("coinbase_advanced", recording(ADVANCED))
    kinds = by_type(events)
    assert not kinds[Gap]
    (snapshot,) = kinds[BookSnapshot]
    assert len(snapshot.bids) == len(snapshot.asks) == 15
    assert snapshot.bids == tuple(sorted(snapshot.bids, reverse=True))
    assert snapshot.asks == tuple(sorted(snapshot.asks))
    assert len(kinds[BookDelta]) == 6  # the other updates are empty
    bids, asks = dict(snapshot.bids), dict(snapshot.asks)
    for delta in kinds[BookDelta]:
        for side, levels in ((bids, delta.bids), (asks, delta.asks)):
            side.update(levels)
            for price in [price for price, size in side.items() if not size]:
                del side[price]
        assert max(bids) < min(asks)
        assert min(asks) == 78856.06


def test_a_frame_that_is_missing_in_a_recording_is_said():
    lines = recording(ADVANCED)
    kinds = by_type(play("coinbase_advanced", [*lines[:5], *lines[6:]])[0])
    assert kinds[Gap][0].reason == "frames 5 to 5 of the connection are missing"


def test_recorded_sells_of_makers_are_buys_that_climb():
    """The proof that `side` is the maker's: the price rises from one SELL to the next."""
    events, _ = play(
        "coinbase_advanced", recording("coinbase_advanced/market_trades.recent2026.jsonl")
    )
    trades = [e for e in events if isinstance(e, Trade) and e.inst.endswith("ETH/USD")]
    assert {trade.side for trade in trades} == {Side.BUY}
    prices = [trade.price for trade in trades]
    assert prices == sorted(prices)
    assert prices[0] < prices[-1]
    ids = [int(trade.id) for trade in trades]
    assert ids == list(range(ids[0], ids[0] + len(ids)))


def test_single_tickers_of_all_years_are_read():
    kinds = by_type(play("coinbase", recording("coinbase_exchange/ticker.singles.jsonl"))[0])
    assert [ticker.last for ticker in kinds[Ticker]] == [29940.91, 4095.0, 58800.01, 17165.16]
    assert [(q.bid_size, q.ask_size) for q in kinds[Quote]] == [(0.6154089, 0.18528568)]


def test_a_listing_in_a_recording_names_the_products():
    lines = recording("coinbase_exchange/rest_products.jsonl.gz")
    _, streams = play("coinbase", lines)
    assert len(streams.catalogue) > 10
    for instrument in streams.catalogue.all("coinbase"):
        assert instrument.native == f"{instrument.base}-{instrument.quote}"
        assert instrument.tick
        assert instrument.step
