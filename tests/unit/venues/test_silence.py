"""Streams that fall silent on a living connection, seen through the Binance connector."""

from tapewatch.model.events import BookDelta, BookSnapshot, Gap, Tick
from tapewatch.ports import Fetch, Flowing, Renew, Send, Stalled, Streams
from tests.unit.venues.test_binance import BTC, Wire, agg_trade, catalogue, depth, subs

TRADES, BOOK = subs("aggTrade", "depth")
SNAPSHOT = b'{"lastUpdateId":0,"bids":[["10.0","1.0"]],"asks":[["11.0","1.0"]]}'


class Steady:
    """A connection on which both streams move four times a second while they are told to."""

    def __init__(self):
        self.wire = Wire("aggTrade", "depth").frame('{"result":null,"id":1}')
        self.number = 0

    def run(self, secs, *, trades=True, book=True):
        for _ in range(int(secs * 4)):
            self.wire.tick(0.25)
            self.number += 1
            at = self.wire.now // 1000
            if trades:
                message = agg_trade(self.number, E=at, T=at)
                self.wire.wrapped("btcusdt@aggTrade", message)
            if book:
                message = depth(self.number, self.number, E=at)
                self.wire.wrapped("btcusdt@depth@100ms", message)
            asked = [ask for ask in self.wire.asks if isinstance(ask, Fetch)]
            if book and asked and "depth?" in asked[-1].url and not self.wire.of(BookSnapshot):
                self.wire.answer(SNAPSHOT)
        return self

    def told(self, *kinds):
        return [ask for ask in self.wire.asks if isinstance(ask, kinds)]

    def sent(self):
        return [ask.frame for ask in self.told(Send)]


def steady():
    lines = Steady().run(30)
    assert lines.wire.of(BookDelta)
    lines.wire.asks.clear()
    lines.wire.out.clear()
    return lines


def test_one_dead_stream_is_named_and_subscribed_anew_while_the_other_flows():
    lines = steady()
    lines.run(5, trades=False)
    assert [ask.subscriptions for ask in lines.told(Stalled)] == [(TRADES,)]
    assert "silent for 3.0 s, of late never for 0." in lines.told(Stalled)[0].reason
    methods = [frame.split(b'"')[3] for frame in lines.sent()]
    assert methods == [b"UNSUBSCRIBE", b"SUBSCRIBE"]
    assert not lines.told(Renew)
    lines.run(1)
    assert [ask.subscriptions for ask in lines.told(Flowing)] == [(TRADES,)]


def test_a_dead_book_is_not_served_until_it_is_built_anew():
    lines = steady().run(4, book=False)
    assert [(gap.inst, gap.channel) for gap in lines.wire.of(Gap)] == [(BTC, "depth")]
    assert "silent" in lines.wire.of(Gap)[0].reason


def test_when_all_streams_are_dead_a_successor_is_wanted_once():
    lines = steady().run(20, trades=False, book=False)
    assert len(lines.told(Renew)) == 1
    assert {ask.subscriptions for ask in lines.told(Stalled)} == {(TRADES,), (BOOK,)}


def test_a_recording_is_not_judged_by_its_rhythm():
    wire = Wire("aggTrade", streams=Streams(catalogue(), lenient=True))
    for number in range(40):
        wire.tick(0.25).wrapped("btcusdt@aggTrade", agg_trade(number + 1))
    for _ in range(60):
        wire.tick(0.25)
    assert not wire.asked(Stalled)
    assert not wire.of(Gap)
    assert not [tick for tick in wire.of(Tick) if tick.ts > wire.now]
