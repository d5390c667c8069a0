"""Walks through a venue's past, against a venue that is a list: every trade of the part, once."""

from random import Random

from hypothesis import example, given
from hypothesis import strategies as st

from tapewatch.model.events import Candle, Coverage, Holding, Micros, Origin, Side, Trade
from tapewatch.model.instrument import Instrument
from tapewatch.model.times import MINUTE, SECOND, Interval
from tapewatch.ports import Fetch
from tapewatch.venues._past import ByHalving, ByTime, CandleWalk, Part, TradeWalk
from tapewatch.venues._trades import History

T0 = Micros(1_790_000_040_000_000 // MINUTE * MINUTE)
PAIR = Instrument("x", "BTC", "USDT", "BTCUSDT")
PAGE = 5
RECV = Micros(T0 + 1_000 * MINUTE)


def trade(number, ts):
    return Trade(Micros(ts), RECV, PAIR.id, str(number), Side.BUY, 1.0, 1.0, "trade", repaired=True)


class Town:
    """Its ids are those of `rows`; what is older than `oldest` it gives no more.

    `upwards`: pages begin at an id (Binance). Else they end below one and are newest first.
    """

    def __init__(self, rows, *, upwards, oldest=0):
        self.rows = dict(rows)
        self.oldest = oldest
        self.upwards = upwards
        self.calls = 0
        self.history = History(
            PAGE, lambda key, first, count: Fetch(key, f"{first} {count}"), self.read
        )

    def read(self, body, _recv, _echo):
        return [(n, trade(n, self.rows[n])) for n in map(int, body.split())]

    def answer(self, fetch):
        self.calls += 1
        known = [n for n in sorted(self.rows) if n >= self.oldest]
        if fetch.url == "newest":
            found = known[-PAGE:]
        elif fetch.url.startswith("times"):
            _, since, until = fetch.url.split()
            found = [n for n in known if int(since) <= self.rows[n] < int(until)][:1]
        else:
            first, count = map(int, fetch.url.split())
            above = [n for n in known if n >= first][:count]
            below = [n for n in known if n < first + count][-count:]
            found = above if self.upwards else below
        return b" ".join(b"%d" % n for n in found)


def walk_of(town, part, step=MINUTE):
    if town.upwards:
        seek = ByTime(
            part.since, part.until, Micros(step),
            lambda key, since, until: Fetch(key, f"times {since} {until}"),
            lambda body: int(body.split()[0]) if body else None,
        )  # fmt: skip
    else:
        seek = ByHalving(part.since, Fetch("past", "newest"), town.history)
    return TradeWalk(part, "trade", town.history, seek, echo=False)


def gone_through(walk, town, part):
    events, absent, cursor, reached = [], [], "", Micros(0)
    for _ in range(500):
        page = walk.read(cursor, town.answer(walk.ask(cursor)), RECV)
        events += page.events
        absent += [page.absent] if page.absent else []
        assert page.reached >= part.since or not page.events
        cursor, reached = page.cursor, max(reached, page.reached)
        if not cursor:
            return events, absent, reached
    raise AssertionError("no end")


# A seed for the pauses: eighty of them, drawn one by one, would be a long story in a failure.
towns = st.builds(
    lambda steps, seed, start: list(
        zip(_sums(steps, start), _sums(_pauses(seed, len(steps)), T0), strict=True)
    ),
    st.lists(st.sampled_from([1, 1, 1, 1, 1, 1, 2, 4, 13]), min_size=1, max_size=80),
    st.integers(0, 10_000),
    st.integers(0, 50),
)


def _pauses(seed, count):
    rng = Random(seed)
    return [rng.choice((0, 0, 1, 5, 40)) * SECOND for _ in range(count)]


def _sums(steps, start):
    found, at = [], start
    for step in steps:
        at += step
        found.append(at)
    return found


HOLED = [(1, T0 + 5 * SECOND), *((n, T0 + 10 * SECOND) for n in range(14, 19))]


@example(HOLED, False, 0, 6)
@given(towns, st.booleans(), st.integers(-300, 3_000), st.integers(1, 3_000))
def test_every_trade_of_the_part_comes_once_and_every_id_is_accounted(rows, upwards, begin, length):
    since = Micros(T0 + begin * SECOND)
    part = Part(PAIR, since, Micros(since + length * SECOND), RECV)
    town = Town(rows, upwards=upwards)
    events, _, reached = gone_through(walk_of(town, part), town, part)
    wanted = [n for n, ts in rows if part.since <= ts < part.until]
    assert [int(e.id) for e in events if type(e) is Trade] == wanted
    told = [e for e in events if type(e) is Coverage]
    ids = [n for e in told for n in range(e.first, e.last + 1)]
    assert len(ids) == len(set(ids))
    held = [
        n for e in told if e.holding is Holding.REPAIRED for n in range(e.first, e.last + 1)
    ]  # fmt: skip
    assert held == wanted
    if wanted:
        assert set(range(wanted[0], wanted[-1] + 1)) <= set(ids)
    assert reached == part.until


@given(towns, st.integers(0, 79), st.integers(-300, 3_000))
def test_what_is_given_no_more_is_left_out_and_said(rows, cut, begin):
    oldest = rows[min(cut, len(rows) - 1)][0]
    part = Part(PAIR, Micros(T0 + begin * SECOND), Micros(T0 + 10_000 * SECOND), RECV)
    town = Town(rows, upwards=False, oldest=oldest)
    events, absent, _ = gone_through(walk_of(town, part), town, part)
    wanted = [n for n, ts in rows if n >= oldest and ts >= part.since]
    assert [int(e.id) for e in events if type(e) is Trade] == wanted
    older_seen = any(n >= oldest and ts < part.since for n, ts in rows)
    if wanted and not older_seen and wanted[0] > 1:
        assert "given no more" in absent[0]
    elif older_seen:
        assert absent == []


def test_the_search_of_an_id_takes_few_pages():
    rows = [(n, T0 + n * SECOND) for n in range(1, 20_001)]
    town = Town(rows, upwards=False)
    part = Part(PAIR, Micros(T0 + 12_345 * SECOND), Micros(T0 + 12_350 * SECOND), RECV)
    events, _, _ = gone_through(walk_of(town, part), town, part)
    assert [int(e.id) for e in events if type(e) is Trade] == list(range(12_345, 12_350))
    assert town.calls < 20


def bars(body, recv):
    return [
        Candle(
            Micros(int(ts)), recv, PAIR.id, "1m", 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 1, True,
            origin=Origin.VENUE,
        )
        for ts in body.split()
    ]  # fmt: skip


@given(
    st.sets(st.integers(0, 60), max_size=60), st.integers(0, 30), st.integers(1, 30),
    st.booleans(), st.booleans(),
)  # fmt: skip
def test_candles_of_the_part_come_once_whatever_is_absent(there, begin, count, leaps, dense):
    part = Part(
        PAIR, Micros(T0 + begin * MINUTE), Micros(T0 + (begin + count) * MINUTE), RECV
    )  # fmt: skip
    walk = CandleWalk(
        part, Interval.parse("1m"), 4, lambda key, a, b: Fetch(key, f"{a} {b}"), bars,
        leaps=leaps, dense=dense,
    )  # fmt: skip
    found, absent, cursor = [], [], ""
    for _ in range(100):
        since, until = map(int, walk.ask(cursor).url.split())
        rows = [T0 + n * MINUTE for n in sorted(there)]
        rows = [ts for ts in rows if since - MINUTE <= ts < until + MINUTE][: 6 if leaps else None]
        body = " ".join(map(str, reversed(rows) if not leaps else rows)).encode()
        page = walk.read(cursor, body, RECV)
        found += page.events
        absent += [page.absent] if page.absent else []
        cursor = page.cursor
        if not cursor:
            break
    wanted = [T0 + n * MINUTE for n in sorted(there) if begin <= n < begin + count]
    assert [c.ts for c in found] == wanted
    assert bool(absent) == (dense and bool(wanted) and wanted[0] > part.since)
