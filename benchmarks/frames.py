"""Binance spot frames made by a rule: the same arguments give the same bytes, for every client.

The mix of message types is exact and every id is in step (aggregate and trade ids, `U = u + 1`,
the REST snapshot inside the first depth frame), so a client that proves its input has nothing to
repair and a client that drops something shows in the count. Each instrument trades at a fixed
rate, so a case with more instruments covers less time at the same work for each.

It is not the simulated exchange: that one makes a market, this one makes an exact load.
"""

import random
from typing import NamedTuple

import msgspec

TRADES_PER_SEC = 20.0  # of one instrument: BTCUSDT has 31 on average and 954 at its peak
LEVELS = 20  # changed on each side by one depth frame; 1.6 kB, as recorded for BTCUSDT
SNAPSHOT_LEVELS = 1000
DEPTH_REACH = 400  # changes fall within so many ticks of the best price
_WORTH_LOG, _WORTH_SPREAD = 3.71, 2.6  # of logarithms of a trade's worth in dollars
_SIDES = ("false", "true")


class Case(NamedTuple):
    """What kind of load: streams, and how many of 100 messages each of them gets."""

    name: str
    shares: dict[str, int]  # channel as on the wire: share

    @property
    def channels(self) -> tuple[str, ...]:
        return tuple(self.shares)


CASES = {
    "aggTrade": Case("aggTrade", {"aggTrade": 100}),
    "depth": Case("depth", {"depth@100ms": 100}),
    "flow": Case("flow", {"aggTrade": 40, "bookTicker": 57, "kline_1m": 3}),
    "mix": Case("mix", {"aggTrade": 30, "bookTicker": 40, "depth@100ms": 28, "kline_1m": 2}),
}


class Frame(NamedTuple):
    stream: int  # index into Prepared.streams
    payload: bytes


class Prepared(NamedTuple):
    """One load, ready to be sent: first `warm_up`, then, when the client is ready, `frames`."""

    case: Case
    natives: list[str]
    streams: list[str]
    warm_up: list[Frame]  # one of each stream, so that books can be brought into step
    frames: list[Frame]


def _traded(rng: random.Random, price: int) -> float:
    """A size whose worth is spread as recorded for BTCUSDT: median 41 dollars, a factor of 13."""
    worth = rng.lognormvariate(_WORTH_LOG, _WORTH_SPREAD)
    return max(worth / (price / 100.0), 0.00001)


def native_names(count: int) -> list[str]:
    return [f"C{index:03d}USDT" for index in range(count)]


def prepare(case: Case, symbols: int, count: int, end_ms: int, seed: int = 1) -> Prepared:
    """Make `count` frames; the last one happens at `end_ms`."""
    rng = random.Random(seed)
    natives = native_names(symbols)
    streams = [f"{n.lower()}@{c}" for n in natives for c in case.channels]
    share = case.shares.get("aggTrade", 28)
    gap_ms = 1000.0 * share / 100 / (TRADES_PER_SEC * symbols)  # between two frames of all
    start = end_ms - (count + len(streams)) * gap_ms
    coins = [Coin(native, index, rng) for index, native in enumerate(natives)]
    width = len(case.channels)
    warm_up = [
        Frame(index, coins[index // width].frame(case.channels[index % width], int(start)))
        for index in range(len(streams))
    ]
    frames = []
    for number, kind in enumerate(_kinds(case, count, rng)):
        coin = rng.randrange(symbols)
        at = int(start + (number + len(streams)) * gap_ms)
        frames.append(Frame(coin * width + kind, coins[coin].frame(case.channels[kind], at)))
    return Prepared(case, natives, streams, warm_up, frames)


def _kinds(case: Case, count: int, rng: random.Random) -> list[int]:
    """Exactly the shares of the case, in random order."""
    kinds = [
        kind for kind, share in enumerate(case.shares.values()) for _ in range(count * share // 100)
    ]
    kinds += [0] * (count - len(kinds))
    rng.shuffle(kinds)
    return kinds


def exchange_info(natives: list[str]) -> bytes:
    return msgspec.json.encode(
        {
            "timezone": "UTC",
            "serverTime": 0,
            "rateLimits": [],
            "exchangeFilters": [],
            "symbols": [_listing(native) for native in natives],
        }
    )


def _listing(native: str) -> dict[str, object]:
    return {
        "symbol": native,
        "status": "TRADING",
        "baseAsset": native.removesuffix("USDT"),
        "baseAssetPrecision": 8,
        "quoteAsset": "USDT",
        "quotePrecision": 8,
        "isSpotTradingAllowed": True,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": "0.01000000",
                "maxPrice": "1000000.00000000",
                "tickSize": "0.01000000",
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": "0.00001000",
                "maxQty": "9000.00000000",
                "stepSize": "0.00001000",
            },
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
    }


def depth_snapshot(natives: list[str], native: str) -> bytes:
    """The book before the first frame. Its id lies inside the first depth frame, as it must."""
    index = natives.index(native)
    middle = _first_price(index)
    bids = [[_price(middle - n), "1.00000000"] for n in range(SNAPSHOT_LEVELS)]
    asks = [[_price(middle + 1 + n), "1.00000000"] for n in range(SNAPSHOT_LEVELS)]
    last = _first_update(index) + 1
    return msgspec.json.encode({"lastUpdateId": last, "bids": bids, "asks": asks})


def _first_price(index: int) -> int:
    return 2_000_000 + 1_000 * index  # in ticks of one cent


def _first_update(index: int) -> int:
    return 50_000_000_000 + 1_000_000 * index


def _price(ticks: int) -> str:
    whole, cents = divmod(ticks, 100)
    return f"{whole}.{cents:02d}000000"


class Coin:
    """One instrument: its best prices, its ids, its open minute."""

    def __init__(self, native: str, index: int, rng: random.Random) -> None:
        self._native = native
        self._lower = native.lower()
        self._rng = rng
        self._bid = _first_price(index)  # the best bid in ticks; the best ask is one above
        self._aggregate = 1_000_000
        self._trade = 3_000_000
        self._update = _first_update(index) - 1  # last id of the book, by quote or depth
        self._told = self._update  # last id that a depth frame has told
        self._minute = 0
        self._told_bar = 0
        self._bar = (0, 0, 0, 0, 0)  # open, high, low, close in ticks; trades

    def frame(self, channel: str, at_ms: int) -> bytes:
        make = {
            "aggTrade": self._agg_trade,
            "bookTicker": self._book_ticker,
            "depth@100ms": self._depth,
            "kline_1m": self._kline,
        }[channel]
        text = f'{{"stream":"{self._lower}@{channel}","data":{make(at_ms)}}}'
        return text.encode()

    def _agg_trade(self, at: int) -> str:
        rng = self._rng
        seller = rng.randrange(2)
        price = self._bid if seller else self._bid + 1
        fills = 1 if rng.random() < 0.7 else rng.randrange(2, 5)
        first, self._trade = self._trade, self._trade + fills
        self._aggregate += 1
        return (
            f'{{"e":"aggTrade","E":{at + 1},"s":"{self._native}","a":{self._aggregate},'
            f'"p":"{_price(price)}","q":"{_traded(rng, price):.8f}","f":{first},'
            f'"l":{self._trade - 1},"T":{at},"m":{_SIDES[seller]},"M":true}}'
        )

    def _book_ticker(self, _: int) -> str:
        rng = self._rng
        self._update += 1
        return (
            f'{{"u":{self._update},"s":"{self._native}","b":"{_price(self._bid)}",'
            f'"B":"{rng.random() * 9 + 0.0001:.8f}","a":"{_price(self._bid + 1)}",'
            f'"A":"{rng.random() * 9 + 0.0001:.8f}"}}'
        )

    def _depth(self, at: int) -> str:
        bids, asks = self._changes()
        first, self._update = self._told + 1, self._update + 2 * LEVELS
        self._told = self._update
        return (
            f'{{"e":"depthUpdate","E":{at},"s":"{self._native}","U":{first},'
            f'"u":{self._update},"b":[{bids}],"a":[{asks}]}}'
        )

    def _changes(self) -> tuple[str, str]:
        """Move the best price by at most a tick, then change other levels, never crossing."""
        rng = self._rng
        move = rng.choice((-1, 0, 0, 0, 1))
        bids: dict[int, str] = {}
        asks: dict[int, str] = {}
        if move > 0:
            asks[self._bid + 1] = "0.00000000"
        elif move < 0:
            bids[self._bid] = "0.00000000"
        self._bid += move
        best = f"{rng.random() * 9 + 0.0001:.8f}"
        bids[self._bid] = asks[self._bid + 1] = best
        while len(bids) < LEVELS:
            bids.setdefault(self._bid - 1 - rng.randrange(DEPTH_REACH), self._size())
        while len(asks) < LEVELS:
            asks.setdefault(self._bid + 2 + rng.randrange(DEPTH_REACH), self._size())
        return _levels(bids, reverse=True), _levels(asks, reverse=False)

    def _size(self) -> str:
        draw = self._rng.random()
        return "0.00000000" if draw < 0.3 else f"{draw * 12:.8f}"

    def _kline(self, at: int) -> str:
        at = self._told_bar = max(at, self._told_bar + 1)  # the same bar twice is a duplicate
        minute = at - at % 60_000
        closed = 0 < self._minute < minute
        if not self._minute:
            self._minute = minute
        begin, price = self._minute, self._bid
        opened, high, low, _, count = self._bar if self._bar[4] else (price, price, price, price, 0)
        bar = (opened, max(high, price), min(low, price), price, count + 1)
        self._bar = (0, 0, 0, 0, 0) if closed else bar
        if closed:
            self._minute = minute
        return (
            f'{{"e":"kline","E":{at},"s":"{self._native}","k":{{"t":{begin},'
            f'"T":{begin + 59_999},"s":"{self._native}","i":"1m","f":{self._trade - 9},'
            f'"L":{self._trade},"o":"{_price(bar[0])}","c":"{_price(bar[3])}",'
            f'"h":"{_price(bar[1])}","l":"{_price(bar[2])}","v":"{bar[4]}.50000000",'
            f'"n":{bar[4]},"x":{_SIDES[closed]},"q":"{bar[4] * 20000}.00000000",'
            f'"V":"{bar[4]}.20000000","Q":"{bar[4] * 8000}.00000000","B":"0"}}}}'
        )


def _levels(side: dict[int, str], *, reverse: bool) -> str:
    return ",".join(
        f'["{_price(ticks)}","{size}"]' for ticks, size in sorted(side.items(), reverse=reverse)
    )
