"""The simulated OKX with clients, without sockets."""

import json

from tapewatch.sim.faults import Faults
from tapewatch.sim.link import Hub
from tapewatch.sim.market import open_market
from tapewatch.sim.okx import RULES, Okx, listings
from tapewatch.sim.okx_streams import BUSINESS, GRID, PUBLIC
from tests.unit.sim import doubles

START = 1_790_000_000_000_000  # a whole second
SECOND = 1_000_000
BUSINESS_CHANNELS = ("candle", "trades-all")


class Client:
    """What one connection was sent, decoded; `pong` is a text."""

    def __init__(self, stage, number, path):
        self.link = doubles.link(number, combined=False, rules=RULES)
        self.link.path = path
        self.stage = stage
        self.seen = []
        stage.venue.opened(self.link, path, {})
        stage.hub.links[number] = self.link

    def say(self, request, now=0.0):
        text = request if isinstance(request, str) else json.dumps(request)
        self.stage.venue.heard(self.link, text, now)
        return self.read()

    def subscribe(self, *args, op="subscribe", **more):
        return self.say({**more, "op": op, "args": list(args)})

    def read(self):
        """What came since the last look."""
        self.link.flush()
        new = [
            "pong" if payload == b"pong" else json.loads(payload)
            for opcode, payload in self.link._transport.frames()
            if opcode == 1
        ]
        self.seen += new
        return new

    def of(self, channel):
        """Rows of a channel, in order; of `books` with the action."""
        self.read()
        rows = []
        for frame in self.seen:
            if "data" in frame and frame["arg"]["channel"] == channel:
                extra = {"action": frame["action"]} if "action" in frame else {}
                rows += [
                    {**row, **extra} if isinstance(row, dict) else row for row in frame["data"]
                ]
        return rows


class Stage:
    def __init__(self, *, symbols=6, checksums=False, faults=None, **market):
        options = {"start": START, "pairs": listings(symbols), "venue": "okx", **market}
        self.market = open_market(**options)
        self.hub = Hub(faults or Faults())
        self.venue = Okx(self.market, self.hub, RULES, checksums=checksums)
        self.clients = 0

    def client(self, path=PUBLIC):
        self.clients += 1
        return Client(self, self.clients, path)

    def listen(self, *channels, symbol="BTC-USDT-SWAP"):
        """A client that subscribed to these channels, on the right socket."""
        business = channels[0].startswith(BUSINESS_CHANNELS)
        client = self.client(BUSINESS if business else PUBLIC)
        client.subscribe(*({"channel": name, "instId": symbol} for name in channels))
        return client

    def run(self, secs):
        to = self.market.now + int(secs * SECOND)
        while self.market.now < to:
            now = self.market.now
            self.venue.step(min(to, now - now % GRID + GRID))
        return self
