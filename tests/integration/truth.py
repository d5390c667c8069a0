"""What the simulated market knows, and whether a feed told the same. Written apart from the feed.

The book here is a few lines of its own: a book that shared the product's code would share its
mistakes.
"""

import re

from tapewatch.model.events import (
    BookDelta,
    BookSnapshot,
    Coverage,
    Gap,
    Holding,
    Side,
    Trade,
)

ONE = 100_000_000
_NUMBERS = {"trade": r'"t":(\d+)', "aggTrade": r'"a":(\d+)'}
TOLD = (Holding.HAVE, Holding.REPAIRED, Holding.LOST)


def true_rows(market, native, channel):
    """All that the market remembers, by id, as an event should tell it."""
    if channel == "trade":
        return {t.id: (*_row(t), 1) for t in market.trades(native)}
    return {a.id: (*_row(a), a.last - a.first + 1) for a in market.aggregates(native)}


def _row(true):
    side = Side.SELL if true.buyer_is_maker else Side.BUY
    return side, true.price / ONE, true.qty / ONE, true.ts // 1000 * 1000


def told_row(trade):
    return trade.side, trade.price, trade.size, trade.ts, trade.count


def wrongly_numbered(faults, shift):
    """Ids under which the row of another trade was sent, by stream."""
    found = {}
    for applied in faults.applied:
        native, _, channel = applied.target.partition("@")
        number = re.search(_NUMBERS.get(channel, "$^"), applied.text)
        if applied.kind == "wrong_sequence" and number is not None:
            found.setdefault((native.upper(), channel), set()).add(int(number[1]) + shift)
    return found


class Ledger:
    """One numbered stream, as the events tell it. Made of any events; takes what is its own."""

    def __init__(self, events, inst, channel):
        own = [e for e in events if getattr(e, "inst", "") == inst]
        own = [e for e in own if getattr(e, "channel", "") == channel]
        self.name = f"{inst} {channel}"
        self.trades = [e for e in own if type(e) is Trade]
        self.gaps = [e for e in own if type(e) is Gap]
        self.coverage = [e for e in own if type(e) is Coverage]
        self._own = own

    def ids(self, *holdings):
        """The ids that were told to be so, all ranges taken apart."""
        ranges = (c for c in self.coverage if c.holding in holdings)
        return [number for c in ranges for number in range(c.first, c.last + 1)]

    @property
    def lost(self):
        return set(self.ids(Holding.LOST))

    def check(self, rows, *, altered=frozenset()):
        """Each id once, each accounted, in order but for what a Gap announced, and true.

        `altered`: ids whose frames were given a wrong number, so that nobody can know their rows.
        """
        numbers = [int(trade.id) for trade in self.trades]
        assert len(numbers) == len(set(numbers)), f"{self.name}: an id came twice"
        told = sorted(self.ids(*TOLD))
        assert told, f"{self.name}: nothing was told"
        assert told == list(range(told[0], told[-1] + 1)), f"{self.name}: no partition"
        in_hand = set(self.ids(Holding.HAVE, Holding.REPAIRED))
        assert in_hand == set(numbers), f"{self.name}: the ledger and the trades differ"
        missing = set(self.ids(Holding.MISSING))
        assert missing <= set(told), f"{self.name}: missing, and nobody says what became of it"
        for trade in self.trades:
            if int(trade.id) not in altered:
                assert told_row(trade) == rows[int(trade.id)], f"{self.name}: {trade}"
        self._check_order()

    def _check_order(self):
        announced, highest = set(), -1
        for event in self._own:
            if type(event) is Gap:
                announced.update(range(event.first, event.last + 1))
            elif type(event) is Trade:
                number = int(event.id)
                assert number > highest or number in announced, f"{self.name}: {number} too late"
                highest = max(highest, number)


class Shelf:
    """One book, built of what the feed showed and compared with the truth at each known id."""

    def __init__(self, inst, truths):
        self.inst = inst
        self.compared = self.snapshots = self.gaps = 0
        self.live = False
        self.seq = -1
        self._truths = truths  # update id to (bids, asks), each a dict
        self._sides = ({}, {})

    def follow(self, events):
        for event in events:
            if getattr(event, "inst", "") == self.inst:
                self._take(event)
        return self

    def _take(self, event):
        match event:
            case BookSnapshot():
                self.snapshots += 1
                self.live = True
                self._sides = (dict(event.bids), dict(event.asks))
            case BookDelta():
                assert self.live, f"{self.inst}: a change of a book that is not shown"
                assert event.first_seq <= self.seq + 1 <= event.seq, f"{self.inst}: out of step"
                for side, levels in zip(self._sides, (event.bids, event.asks), strict=True):
                    _apply(side, levels)
            case Gap(channel="depth"):
                self.gaps += 1
                self.live = False
                return
            case _:
                return
        self.seq = event.seq
        self._compare()

    def _compare(self):
        bids, asks = self._sides
        assert max(bids) < min(asks), f"{self.inst}: crossed at {self.seq}"
        truth = self._truths.get(self.seq)
        if truth is not None:
            assert (bids, asks) == truth, f"{self.inst}: not the true book at {self.seq}"
            self.compared += 1


def _apply(side, levels):
    for price, size in levels:
        if size:
            side[price] = size
        else:
            side.pop(price, None)


def true_book(view):
    return tuple({p / ONE: q / ONE for p, q in levels} for levels in (view.bids, view.asks))
