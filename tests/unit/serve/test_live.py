import asyncio
import json
from collections.abc import Iterator

from tapewatch.model.events import (
    Alert,
    AlertState,
    BookDelta,
    Gap,
    Liquidation,
    Metric,
    NewsItem,
    Quality,
    Side,
)
from tapewatch.serve.client import (
    CODE_TOO_SLOW,
    EVENTS,
    MAX_BUFFER_BYTES,
    PRICE,
    STATES,
    Choice,
    Client,
)
from tapewatch.serve.gathered import MAX_EVENTS
from tapewatch.serve.live import Hub
from tests.serving import BTC, ETH, NOW, SOL, Feeder, World, book, candle, ticker, trade

ALL_EVENTS = frozenset(EVENTS | STATES - {PRICE})


class Wire:
    """A socket that keeps what was written; a stalled one drains nothing."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.stalled = False
        self.closing = False
        self.waiting = 0

    def write(self, data: bytes) -> None:
        self.written.append(data)
        if self.stalled:
            self.waiting += len(data)

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def is_closing(self) -> bool:
        return self.closing

    def drain(self) -> None:
        self.stalled, self.waiting = False, 0

    def messages(self) -> list[dict]:
        """Read the frames back; forget them."""
        data, self.written = b"".join(self.written), []
        return list(_unframe(data))


def _unframe(data: bytes) -> Iterator[dict]:
    while data:
        assert data[0] == 0x81
        size, start = data[1], 2
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 4
        elif size == 127:
            size, start = int.from_bytes(data[2:10], "big"), 10
        yield json.loads(data[start : start + size])
        data = data[start + size :]


class Stage:
    def __init__(self) -> None:
        self.world = World()
        self.time = 100.0
        self.reader = Feeder()
        self.hub = Hub(self.reader, self.world.context, monotonic=lambda: self.time)
        self.closed: list[int] = []

    def client(self, *types: str, only: frozenset[str] | None = None) -> tuple[Client, Wire]:
        wire = Wire()
        client = Client(
            wire, Choice(frozenset(types), only), lambda code, _why: self.closed.append(code)
        )
        self.hub.join(client)
        return client, wire

    async def happen(self, *events) -> None:
        self.world.hot.update(events)
        self.hub.take(list(events))
        await self.hub.flush()


async def test_a_price_is_sent_once_however_many_trades_made_it():
    stage = Stage()
    _, wire = stage.client(PRICE)
    await stage.happen(*(trade(price=50_000.0 + i, number=i) for i in range(10)))
    (message,) = wire.messages()
    assert message["type"] == "price_update"
    assert (message["symbol"], message["price"]) == ("BTCUSDT", 50_009.0)


async def test_a_new_client_gets_the_newest_prices_at_once():
    stage = Stage()
    stage.world.hot.update([trade(BTC, 1.0), trade(ETH, 2.0)])
    _, wire = stage.client(PRICE)
    assert {m["symbol"]: m["price"] for m in wire.messages()} == {"BTCUSDT": 1.0, "ETHUSDT": 2.0}


async def test_a_price_follows_tickers_and_base_candles_too():
    stage = Stage()
    _, wire = stage.client(PRICE)
    await stage.happen(ticker(last=3.0))
    assert wire.messages()[0]["price"] == 3.0
    await stage.happen(candle())
    assert wire.messages()[0]["covers"] == "1m"
    await stage.happen(candle(interval="5m"))
    assert wire.messages() == []


async def test_every_trade_is_an_event_of_its_own_in_order():
    stage = Stage()
    _, wire = stage.client("trade")
    await stage.happen(*(trade(number=i) for i in range(300)))
    messages = wire.messages()
    assert [m["data"]["id"] for m in messages] == [str(i) for i in range(300)]
    assert messages[0]["data"] | {"symbol": "BTCUSDT", "exchange": "binance"} == messages[0]["data"]
    assert len(messages) == 300


async def test_a_fill_that_two_channels_tell_is_sent_once():
    stage = Stage()
    _, wire = stage.client("trade")
    await stage.happen(trade(number=1), trade(number=2, echo=True))
    assert [m["data"]["id"] for m in wire.messages()] == ["1"]


async def test_all_kinds_of_events_reach_a_client_that_wants_all():
    stage = Stage()
    _, wire = stage.client(*ALL_EVENTS)
    await stage.happen(
        trade(),
        ticker(),
        candle(),
        book(),
        Liquidation(NOW, NOW, BTC, Side.SELL, 1.0, 2.0),
        NewsItem(NOW, NOW, "n1", "rss", "title", "http://x"),
        Alert(NOW, NOW, BTC, "a1", "big_trade", AlertState.FIRING, "warning", 3.0, "text"),
        Metric(NOW, NOW, BTC, "volatility", 0.5, "5m", Quality.REPAIRED),
    )
    messages = wire.messages()
    assert sorted(m["type"] for m in messages) == [
        "alert", "candle", "liquidation", "metric", "news", "orderbook", "ticker", "trade",
    ]  # fmt: skip
    marks = {m["type"]: m["data"]["quality"] for m in messages if "quality" in m["data"]}
    assert marks == {"alert": "partial", "candle": "complete", "metric": "repaired"}


async def test_a_client_gets_only_the_instruments_that_it_named():
    stage = Stage()
    _, named = stage.client("trade", only=frozenset({ETH}))
    _, everything = stage.client("trade")
    await stage.happen(trade(BTC), trade(ETH), trade(SOL))
    assert [m["data"]["inst"] for m in named.messages()] == [ETH]
    assert len(everything.messages()) == 3


async def test_clients_with_equal_choices_share_the_same_bytes():
    stage = Stage()
    _, one = stage.client("trade")
    _, other = stage.client("trade")
    await stage.happen(trade(), trade())
    assert one.written[-1] is other.written[-1]


async def test_the_book_is_cut_to_its_top_and_proven():
    stage = Stage()
    _, wire = stage.client("orderbook")
    await stage.happen(book(levels=30))
    (message,) = wire.messages()
    assert message["data"]["proven"] is True
    assert len(message["data"]["bids"]) == len(message["data"]["asks"]) == 20


async def test_a_void_book_is_announced_once_and_never_shown():
    stage = Stage()
    _, wire = stage.client("orderbook")
    await stage.happen(book())
    wire.messages()
    await stage.happen(Gap(NOW, NOW, BTC, "depth", "sequence broken"))
    (message,) = wire.messages()
    assert message["data"]["proven"] is False
    assert message["data"]["bids"] == []
    assert message["data"]["reason"] == "sequence broken"
    await stage.happen(BookDelta(NOW, NOW, BTC, 9, 9, ((1.0, 1.0),), ()))
    assert wire.messages() == []
    await stage.happen(book())
    assert wire.messages()[0]["data"]["proven"] is True


async def test_with_no_client_a_batch_leaves_nothing_behind():
    stage = Stage()
    stage.hub.take([trade() for _ in range(100)])
    _, wire = stage.client("trade")
    await stage.hub.flush()
    assert wire.messages() == []
    assert stage.hub.counters.received == 100


async def test_what_waited_for_the_last_client_is_not_given_to_the_next():
    stage = Stage()
    first, _ = stage.client("trade")
    stage.hub.take([trade()])
    stage.hub.leave(first)
    _, wire = stage.client("trade")
    await stage.hub.flush()
    assert wire.messages() == []


async def test_a_flood_drops_the_oldest_and_says_how_many():
    stage = Stage()
    _, wire = stage.client("trade")
    await stage.happen(*(trade(number=i) for i in range(MAX_EVENTS + 7)))
    messages = wire.messages()
    assert messages[0]["data"]["id"] == "7"
    assert messages[-1] == {"type": "dropped", "data": {"trade": 7}}
    assert stage.hub.counters.dropped == {"window full": 7}


async def test_a_stalled_client_costs_the_others_nothing():
    stage = Stage()
    _, stalled = stage.client("trade")
    _, reading = stage.client("trade")
    stalled.stalled, stalled.waiting = True, MAX_BUFFER_BYTES + 1
    for number in range(5):
        await stage.happen(trade(number=number))
    assert len(reading.messages()) == 5
    assert stalled.messages() == []
    assert stage.hub.stats.dropped == 5


async def test_a_client_that_catches_up_is_told_what_it_missed():
    stage = Stage()
    _, wire = stage.client("trade", "ticker", "orderbook")
    wire.stalled, wire.waiting = True, MAX_BUFFER_BYTES + 1
    await stage.happen(trade(number=1), trade(number=2), ticker(last=1.0), book())
    await stage.happen(ticker(last=2.0))
    await stage.happen(Gap(NOW, NOW, BTC, "depth", "lost"))
    wire.drain()
    await stage.happen(trade(number=3))
    messages = wire.messages()
    by_type = {m["type"]: m["data"] for m in messages}
    assert by_type["dropped"] == {"trade": 2}
    assert by_type["ticker"]["last"] == 2.0
    assert by_type["orderbook"]["proven"] is False
    assert [m["data"]["id"] for m in messages if m["type"] == "trade"] == ["3"]
    assert messages[-1]["type"] == "trade"


async def test_a_client_that_stays_behind_is_closed_with_a_reason():
    stage = Stage()
    _, wire = stage.client("trade")
    wire.stalled, wire.waiting = True, MAX_BUFFER_BYTES + 1
    await stage.happen(trade())
    stage.time += 4.9
    await stage.happen(trade())
    assert stage.closed == []
    stage.time += 0.2
    await stage.happen(trade())
    assert stage.closed == [CODE_TOO_SLOW]
    assert stage.hub.clients == 0
    assert stage.hub.stats.closed_slow == 1


async def test_a_client_that_is_going_is_not_written_to():
    stage = Stage()
    _, wire = stage.client("trade")
    wire.closing = True
    await stage.happen(trade())
    assert wire.written == []
    assert stage.hub.stats.failed_sends == 1


async def test_a_changed_choice_forgets_what_is_no_longer_owed():
    stage = Stage()
    client, wire = stage.client(PRICE)
    wire.stalled, wire.waiting = True, MAX_BUFFER_BYTES + 1
    await stage.happen(trade(BTC), trade(ETH))
    stage.hub.choose(client, client.choice.add(ETH))
    assert client.owed == {(PRICE, ETH)}


async def test_the_hub_runs_until_the_stream_ends_and_flushes_the_rest():
    stage = Stage()
    _, wire = stage.client("trade")
    stage.reader.feed(trade(number=1))
    stage.reader.end()
    await asyncio.wait_for(stage.hub.run(), 60)
    assert [m["data"]["id"] for m in wire.messages()] == ["1"]


async def test_many_clients_do_not_keep_the_loop_from_others():
    stage = Stage()
    for _ in range(200):
        stage.client("trade")
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await stage.happen(trade())
    task.cancel()
    assert turns >= 3
