"""The simulated Bybit with clients, but without sockets; time is moved by hand."""

import json
from collections import Counter

from tapewatch.sim.bybit import RULES, Bybit, listings
from tapewatch.sim.faults import Faults
from tapewatch.sim.link import Hub, Link
from tapewatch.sim.market import open_market
from tests.unit.sim.doubles import Transport

START = 1_790_000_000_000_000  # a whole second
SECOND = 1_000_000


class Stage:
    def __init__(self, symbols=2, *, rate=1.0, seed=1, start=START, **options):
        self.market = open_market(
            start=start, seed=seed, rate=rate, pairs=listings(symbols), venue="bybit", **options
        )
        self.faults = Faults()
        self.hub = Hub(self.faults)
        self.venue = Bybit(self.market, self.hub, RULES)
        self.faults.texts = self.venue.fault_texts
        self.publisher = self.venue.publisher

    def connect(self, category="linear"):
        link = Link(len(self.hub.links) + 1, Transport(), RULES, lambda: 0.0)
        self.venue.opened(link, f"/v5/public/{category}", {})
        self.hub.links[link.number] = link
        return Client(self, link)

    def listen(self, *topics, category="linear"):
        client = self.connect(category)
        client.say(op="subscribe", args=list(topics))
        return client

    def run(self, secs):
        to = self.market.now + int(secs * SECOND)
        grid = self.venue.grid
        while self.market.now < to:
            now = self.market.now
            self.venue.step(min(to, now - now % grid + grid))

    def get(self, path, **query):
        body, _ = self.venue.answer(f"/v5/market/{path}", query, {}, stale=False)
        return json.loads(body)["result"]

    def truth(self, what, **query):
        return json.loads(self.venue.truth(what, query))["result"]


class Client:
    def __init__(self, stage, link):
        self.link = link
        self.frames = []
        self._stage = stage

    def say(self, text=None, **request):
        """What comes at once: the answer, and the first frames of topics."""
        self._stage.venue.heard(self.link, text or json.dumps(request), 0.0)
        return self.read()

    def read(self):
        """What has come since the last look."""
        self.link.flush()
        fresh = self.link._transport.texts()
        self.frames += [frame for frame in fresh if "topic" in frame]
        return fresh

    def of(self, topic):
        self.read()
        return [frame for frame in self.frames if frame["topic"] == topic]

    def topics(self):
        self.read()
        return Counter(frame["topic"] for frame in self.frames)


class Follower:
    """A book kept by the venue's rule (section 5 of the wire reference), written for tests."""

    def __init__(self):
        self.u = None
        self.holes = 0
        self.sides = {"b": {}, "a": {}}

    def take(self, frame):
        data = frame["data"]
        if frame["type"] == "snapshot" or data["u"] == 1:
            self.sides = {"b": {}, "a": {}}
        elif data["u"] != self.u + 1:
            self.holes += 1
            return
        self.u, self.seq = data["u"], data["seq"]
        for side, levels in self.sides.items():
            for price, size in data[side]:
                levels[price] = size
                if size == "0":
                    del levels[price]

    def top(self, count):
        bids = sorted(self.sides["b"].items(), key=lambda level: -float(level[0]))
        asks = sorted(self.sides["a"].items(), key=lambda level: float(level[0]))
        return [list(level) for level in bids[:count]], [list(level) for level in asks[:count]]
