import json

import pytest

from tapewatch.sim.coinbase import RULES, Coinbase
from tapewatch.sim.coinbase_advanced import CoinbaseAdvanced, idle_secs
from tapewatch.sim.coinbase_listing import listings
from tapewatch.sim.faults import Faults
from tapewatch.sim.link import Hub
from tapewatch.sim.market import open_market
from tests.unit.sim import doubles

START = 1_790_000_000_000_000


class Desk:
    """A venue that is spoken to, without a socket."""

    def __init__(self, make=Coinbase):
        market = open_market(start=START, pairs=listings(3), venue="coinbase")
        self.hub = Hub(Faults())
        self.venue = make(market, self.hub, RULES)
        self.link = doubles.link(combined=False)
        self.venue.opened(self.link, "/", {})

    def say(self, text):
        self.venue.heard(self.link, text if isinstance(text, str) else json.dumps(text), 0.0)
        self.link.flush()
        return self.link._transport.texts()

    def subscribe(self, *channels, products=("BTC-USD",)):
        return self.say({
            "type": "subscribe", "product_ids": list(products), "channels": list(channels),
        })  # fmt: skip


@pytest.fixture
def desk():
    return Desk()


@pytest.fixture
def advanced():
    return Desk(CoinbaseAdvanced)


# --- the Exchange feed --------------------------------------------------------------------------


def subscriptions(answers):
    told = next(answer for answer in answers if answer["type"] == "subscriptions")
    return {row["name"]: row["product_ids"] for row in told["channels"]}


def test_answer_is_always_the_complete_list(desk):
    assert subscriptions(desk.subscribe("heartbeat")) == {"heartbeat": ["BTC-USD"]}
    own = {"name": "ticker", "product_ids": ["ETH-USD"]}
    assert subscriptions(desk.subscribe("matches", own)) == {
        "heartbeat": ["BTC-USD"], "matches": ["BTC-USD"], "ticker": ["ETH-USD"],
    }  # fmt: skip


def test_last_match_comes_before_the_answer_and_a_snapshot_after_it(desk):
    answers = desk.subscribe("level2_batch", "matches", "ticker", "status", "heartbeat")
    assert [answer["type"] for answer in answers] == [
        "last_match", "subscriptions", "snapshot", "ticker", "status",
    ]  # fmt: skip


def test_what_is_subscribed_already_begins_nothing_anew(desk):
    desk.subscribe("matches", "level2_batch")
    assert [answer["type"] for answer in desk.subscribe("matches", "level2_batch")] == [
        "subscriptions"
    ]


def test_subscribing_again_after_an_unsubscribe_gives_a_new_snapshot(desk):
    desk.subscribe("level2_batch")
    gone = desk.say({
        "type": "unsubscribe", "product_ids": ["BTC-USD"], "channels": ["level2_batch"],
    })  # fmt: skip
    assert subscriptions(gone) == {}
    assert not desk.hub.wants("level2_batch|BTC-USD")
    assert "snapshot" in {answer["type"] for answer in desk.subscribe("level2_batch")}


def test_unsubscribe_without_products_ends_the_whole_channel(desk):
    desk.subscribe("matches", "heartbeat", products=["BTC-USD", "ETH-USD"])
    left = subscriptions(desk.say({"type": "unsubscribe", "channels": ["matches"]}))
    assert left == {"heartbeat": ["BTC-USD", "ETH-USD"]}


def test_old_names_of_channels_are_understood(desk):
    answers = desk.subscribe("level2_50", "ticker_1000")
    assert list(subscriptions(answers)) == ["level2_batch", "ticker_batch"]
    assert {"snapshot", "ticker"} <= {answer["type"] for answer in answers}


@pytest.mark.parametrize("channel", ["level2", "level3", "full", "user"])
def test_channels_that_need_a_key_are_refused_with_a_reason(desk, channel):
    (error,) = desk.subscribe(channel)
    assert (error["type"], error["message"]) == ("error", "Failed to subscribe")
    assert "require authentication" in error["reason"]


def test_one_wrong_product_refuses_the_whole_request(desk):
    (error,) = desk.subscribe("matches", products=["BTC-USD", "BTC-XYZ"])
    assert error == {
        "type": "error", "message": "Failed to subscribe",
        "reason": "BTC-XYZ is not a valid product",
    }  # fmt: skip
    assert not desk.hub.wants("matches|BTC-USD")


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "[]",
        "7",
        '{"type":"fly"}',
        '{"type":[]}',
        '{"type":"subscribe","product_ids":["BTC-USD"]}',
        '{"type":"subscribe","channels":["matches"]}',
        '{"type":"subscribe","product_ids":"BTC-USD","channels":["matches"]}',
        '{"type":"subscribe","product_ids":[7],"channels":["matches"]}',
        '{"type":"subscribe","product_ids":["BTC-USD"],"channels":"matches"}',
        '{"type":"subscribe","product_ids":["BTC-USD"],"channels":[{"product_ids":[]}]}',
        '{"type":"subscribe","product_ids":["BTC-USD"],"channels":["moon"]}',
        '{"type":"subscribe","product_ids":["REP-USD"],"channels":["matches"]}',
    ],
)
def test_nonsense_is_answered_with_an_error_and_subscribes_to_nothing(desk, text):
    (error,) = desk.say(text)
    assert error["type"] == "error"
    assert desk.link.names == {}


# --- the Advanced feed --------------------------------------------------------------------------


def ask(desk, channel, *products, kind="subscribe"):
    return desk.say({"type": kind, "product_ids": list(products), "channel": channel})


def acknowledged(answers):
    return answers[-1]["events"][0]["subscriptions"]


def test_one_channel_a_message_and_the_answer_has_all_of_the_connection(advanced):
    assert acknowledged(ask(advanced, "level2", "BTC-USD")) == {"level2": ["BTC-USD"]}
    assert acknowledged(ask(advanced, "heartbeats")) == {
        "level2": ["BTC-USD"], "heartbeats": ["heartbeats"],
    }  # fmt: skip
    left = acknowledged(ask(advanced, "level2", "BTC-USD", kind="unsubscribe"))
    assert left == {"heartbeats": ["heartbeats"]}


def test_unsubscribe_of_a_channel_of_advanced_without_products(advanced):
    ask(advanced, "ticker", "BTC-USD", "ETH-USD")
    assert acknowledged(ask(advanced, "ticker", kind="unsubscribe")) == {}
    assert not advanced.hub.wants("ticker|ETH-USD")


def test_an_alias_is_the_product_whose_book_it_is(advanced):
    answers = ask(advanced, "level2", "BTC-USDC")
    assert answers[0]["events"][0]["product_id"] == "BTC-USD"
    assert acknowledged(answers) == {"level2": ["BTC-USD"]}


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "[]",
        '{"type":"fly","channel":"level2"}',
        '{"type":["subscribe"],"channel":"level2"}',
        '{"type":"subscribe","product_ids":["BTC-USD"]}',
        '{"type":"subscribe","product_ids":["BTC-USD"],"channels":["level2"]}',
        '{"type":"subscribe","product_ids":["BTC-USD"],"channel":["level2"]}',
        '{"type":"subscribe","product_ids":["BTC-USD"],"channel":"l2_data"}',
        '{"type":"subscribe","product_ids":"BTC-USD","channel":"level2"}',
        '{"type":"subscribe","product_ids":["BTC-USD",["x"]],"channel":"level2"}',
        '{"type":"subscribe","channel":"level2"}',
        '{"type":"subscribe","product_ids":["BTC-USD"],"channel":"user"}',
    ],
)
def test_errors_of_advanced_have_no_number_and_leave_the_count_alone(advanced, text):
    (error,) = advanced.say(text)
    assert list(error) == ["type", "message"]
    assert advanced.link.names == {}
    assert ask(advanced, "heartbeats")[0]["sequence_num"] == 0


def test_idle_times_differ_between_sixty_and_ninety_seconds():
    times = {idle_secs(doubles.link(number)) for number in range(100)}
    assert min(times) >= 60
    assert max(times) <= 90
    assert len(times) > 10
