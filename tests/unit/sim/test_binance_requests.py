import json

import pytest

from tapewatch.sim.binance_requests import Requests
from tapewatch.sim.binance_streams import Publisher
from tapewatch.sim.faults import Faults
from tapewatch.sim.link import Hub
from tapewatch.sim.market import open_market
from tests.unit.sim import doubles


class Desk:
    def __init__(self, max_streams=1_024):
        self.hub = Hub(Faults())
        publisher = Publisher(open_market(start=1_790_000_000_000_000, symbols=3), self.hub)
        self.requests = Requests(self.hub, lambda _, name: publisher.opens(name), max_streams)
        self.link = doubles.link()

    def ask(self, request):
        text = request if isinstance(request, str) else json.dumps(request)
        return json.loads(self.requests.answer(self.link, text))

    def send(self, method, params=None, request_id=1):
        request = {"method": method, "id": request_id}
        return self.ask(request if params is None else {**request, "params": params})


@pytest.fixture
def desk():
    return Desk()


def test_subscribing_is_acknowledged_and_listed_and_heard(desk):
    assert desk.send("SUBSCRIBE", ["btcusdt@trade", "btcusdt@depth@100ms"]) == {
        "result": None,
        "id": 1,
    }
    assert desk.send("LIST_SUBSCRIPTIONS")["result"] == ["btcusdt@trade", "btcusdt@depth@100ms"]
    assert desk.hub.wants("btcusdt@trade")
    desk.send("UNSUBSCRIBE", ["btcusdt@trade"])
    assert desk.send("LIST_SUBSCRIPTIONS")["result"] == ["btcusdt@depth@100ms"]
    assert not desk.hub.wants("btcusdt@trade")


@pytest.mark.parametrize("name", ["BTCUSDT@trade", "nope@trade", "btcusdt@kline_7m", "x", ""])
def test_unknown_stream_is_acknowledged_and_silent(desk, name):
    assert desk.send("SUBSCRIBE", [name]) == {"result": None, "id": 1}
    assert not desk.hub.wants(name)


@pytest.mark.parametrize("request_id", [0, -5, 2**63 - 1, "abc-123", "x" * 36, None])
def test_id_comes_back_as_it_was(desk, request_id):
    assert desk.send("LIST_SUBSCRIPTIONS", request_id=request_id) == {
        "result": [],
        "id": request_id,
    }


@pytest.mark.parametrize("request_id", [1.5, True, [], "x" * 37, 2**63, "a b"])
def test_impossible_id_is_code_2(desk, request_id):
    assert desk.send("LIST_SUBSCRIPTIONS", request_id=request_id)["code"] == 2


@pytest.mark.parametrize(
    ("request_text", "code", "text"),
    [
        ("hello", 3, "Invalid JSON: expected value at line 1 column 1"),
        ("[]", 2, "Invalid request"),
        ('{"id":1}', 2, "missing field `method`"),
        ('{"method":"LIST_SUBSCRIPTIONS"}', 2, "missing field `id`"),
        ('{"method":"FLY","id":1}', 2, "unknown variant `FLY`"),
        ('{"method":"SUBSCRIBE","id":1}', 2, "no stream names"),
        ('{"method":"SUBSCRIBE","params":"x","id":1}', 2, "list of stream names"),
        ('{"method":"SET_PROPERTY","params":["combined",1],"id":1}', 1, "expected Boolean"),
        ('{"method":"SET_PROPERTY","params":["speed",true],"id":1}', 0, "Unknown property"),
        ('{"method":"GET_PROPERTY","params":["speed"],"id":1}', 0, "Unknown property"),
        ('{"method":"SET_PROPERTY","params":["combined",true,1],"id":1}', 2, "too many"),
        ('{"method":"SET_PROPERTY","params":[5,true],"id":1}', 2, "must be a string"),
    ],
)
def test_bad_request_gets_the_documented_code(desk, request_text, code, text):
    answer = desk.ask(request_text)
    assert answer["code"] == code
    assert text in answer["msg"]


def test_unknown_property_names_the_request(desk):
    assert desk.send("GET_PROPERTY", ["speed"], 9)["id"] == 9


def test_wrapper_can_be_switched_and_read(desk):
    assert desk.send("GET_PROPERTY", ["combined"])["result"] is True
    assert desk.send("SET_PROPERTY", ["combined", False]) == {"result": None, "id": 1}
    assert desk.send("GET_PROPERTY", ["combined"])["result"] is False
    assert desk.link.combined is False


def test_too_many_streams_are_refused_and_none_is_added():
    desk = Desk(max_streams=2)
    assert desk.send("SUBSCRIBE", ["btcusdt@trade", "a@b"])["result"] is None
    assert desk.send("SUBSCRIBE", ["btcusdt@trade"])["result"] is None
    assert desk.send("SUBSCRIBE", ["ethusdt@trade"])["code"] == 2
    assert desk.send("LIST_SUBSCRIPTIONS")["result"] == ["btcusdt@trade", "a@b"]
    assert not desk.hub.wants("ethusdt@trade")
