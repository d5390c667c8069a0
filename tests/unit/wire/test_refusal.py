import socket
import ssl

import pytest
from picows import WSHandshakeError, WSInvalidURL

from tapewatch.model.errors import Disconnected
from tapewatch.wire.refusal import Blocked, in_words

URL = "wss://stream.example:9443/stream?x=1"
SETTING = "exchanges.talk.ws_url"


def answer(head):
    return WSHandshakeError("no", head.replace("\n", "\r\n").encode(), b"")


def words(error, url=URL):
    return in_words(error, url, SETTING)


@pytest.mark.parametrize("status", [403, 451])
def test_a_forbidden_place_is_blocked_even_if_a_web_page_says_so(status):
    said = words(answer(f"HTTP/1.1 {status} No\nContent-Type: text/html"))
    assert isinstance(said, Blocked)
    assert f"HTTP {status}" in said.reason
    assert SETTING in said.reason
    assert "stream.example:9443" in said.reason


@pytest.mark.parametrize("status", [418, 429])
def test_too_many_connects_carry_the_time_to_wait(status):
    said = words(answer(f"HTTP/1.1 {status} Slow\nretry-after: 12"))
    assert (type(said), said.retry_after) == (Disconnected, 12)


@pytest.mark.parametrize(
    ("error", "parts"),
    [
        (
            answer("HTTP/1.1 302 Found\nLocation: https://elsewhere/"),
            ["redirects to https://elsewhere/ (HTTP 302)", SETTING],
        ),
        (
            answer("HTTP/1.1 200 OK\nContent-Type: text/html; charset=utf-8"),
            ["web page (HTTP 200)", SETTING, "login page"],
        ),
        (answer("HTTP/1.1 503 Away"), ["trouble of its own (HTTP 503 Service Unavailable)"]),
        (answer("HTTP/1.1 520 Odd"), ["trouble of its own (HTTP 520)"]),
        (answer("HTTP/1.1 404 Nope"), ["refused the WebSocket (HTTP 404 Not Found)", SETTING]),
        (answer("HTTP/1.1 101 Yes"), ["speaks no WebSocket"]),
        (answer("SSH-2.0-OpenSSH_9.2"), ["speaks no WebSocket"]),
        (WSHandshakeError("too large"), ["speaks no WebSocket", "too large"]),
        (TimeoutError(), ["stream.example:9443 did not answer within 10 s"]),
        (socket.gaierror(-2, "unknown"), ["cannot find stream.example:9443", SETTING]),
        (ConnectionResetError(), ["in the middle of the handshake"]),
        (ConnectionRefusedError(111, "Connection refused"), ["cannot connect", "refused"]),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong"), ["no TLS", SETTING]),
    ],
)
def test_other_failures_are_told_in_words_that_help(error, parts):
    said = words(error)
    assert type(said) is Disconnected
    for part in parts:
        assert part in said.reason


def test_a_certificate_that_is_not_trusted_names_what_may_be_wrong():
    error = ssl.SSLCertVerificationError(1, "bad")
    error.verify_message = "certificate has expired"
    said = words(error)
    assert "certificate has expired" in said.reason
    assert "clock" in said.reason


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://stream.example", WSInvalidURL("http://stream.example", "scheme")),
        ("ws://stream.example:99999x", ValueError("Port could not be cast")),
    ],
)
def test_an_address_that_is_none_waits_for_a_person(url, error):
    said = words(error, url)
    assert isinstance(said, Blocked)
    assert repr(url) in said.reason
    assert SETTING in said.reason


def test_a_bug_is_not_dressed_up_as_trouble_of_the_network():
    with pytest.raises(KeyError):
        words(KeyError("oops"))
