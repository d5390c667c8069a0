"""`tapewatch decode` as its caller sees it: lines in, JSON lines out, a summary, an exit code."""

import gzip
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tapewatch.cli.decode import command, split_line

TRADE = (
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":%d,'
    b'"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}'
)
DEPTH = (
    b'{"stream":"%b@depth@100ms","data":{"e":"depthUpdate","E":1789295138745,"U":%d,'
    b'"u":%d,"b":[["10.0","1.0"]],"a":[]}}'
)
BODY = b'{"lastUpdateId":%d,"bids":[["10.0","2.0"]],"asks":[["11.0","3.0"]]}'
LISTING = (
    b'{"timezone":"UTC","symbols":[{"symbol":"ABCDUSD","status":"TRADING","baseAsset":"ABC",'
    b'"quoteAsset":"DUSD","filters":[]}]}'
)


@pytest.fixture
def decode(tmp_path, capfdbinary):
    def run(*lines, name="frames.jsonl", **options):
        body = b"\n".join(lines)
        path = tmp_path / name
        path.write_bytes(gzip.compress(body) if name.endswith("gz") else body)
        code = command("binance", str(path), **options)
        captured = capfdbinary.readouterr()
        events = [json.loads(line) for line in captured.out.splitlines()]
        return code, events, captured.err.decode()

    return run


def test_events_are_json_lines_and_the_summary_is_on_stderr(decode):
    code, events, summary = decode(TRADE % 1, TRADE % 2)
    assert code == 0
    assert [event["type"] for event in events] == ["trade", "trade", "coverage"]
    first = events[0]
    assert (first["inst"], first["id"], first["side"]) == ("binance:BTC/USDT", "1", "sell")
    assert "frames 2\n" in summary
    assert "events trade 2" in summary


def test_receive_times_are_nanoseconds_or_seconds_or_unknown():
    for head, recv in (
        (b"1723161253937085768", 1723161253937085),
        (b"1633998523.9637", 1633998523963700),
        (b"1633998523.96370019", 1633998523963700),
        (b"0", 0),
        (b" 5000 ", 5),
    ):
        assert split_line(head + b"\t{}") == (recv, b"{}")
    for line in (b"{}", b'{"a":\t1}', b"x\t{}", b"1.x\t{}", b"-1\t{}"):
        assert split_line(line) == (0, line)


def test_what_the_client_sent_blank_lines_and_line_ends_are_no_frames(decode):
    lines = b"\xef\xbb\xbf" + TRADE % 1, b'SENT 12\t{"method":"SUBSCRIBE"}', b"", b" \r"
    code, events, summary = decode(*lines, b"1723161255.4\t" + TRADE % 2 + b"\r")
    assert code == 0
    assert [e["recv"] for e in events if e["type"] == "trade"] == [0, 1723161255400000]
    assert "frames 2\n" in summary


@pytest.mark.parametrize("bad", [b"not json", b"\xff\xfe", b"{" * 50_000, b'{"x":1}'])
def test_what_cannot_be_read_is_a_dead_letter_and_the_rest_is_read(decode, bad):
    code, events, summary = decode(TRADE % 1, b"7000\t" + bad, TRADE % 2)
    assert code == 0
    (letter,) = (event for event in events if event["type"] == "dead_letter")
    assert (letter["source"], letter["stage"], letter["recv"]) == ("binance", "decode", 7)
    assert letter["error"]
    assert len([event for event in events if event["type"] == "trade"]) == 2
    assert "dead letters 1\n" in summary


def test_books_of_several_symbols_find_their_snapshots(decode):
    code, events, _ = decode(
        BODY % 505,
        DEPTH % (b"btcusdt", 100, 101),
        DEPTH % (b"ethusdt", 501, 503),
        BODY % 103,
        DEPTH % (b"btcusdt", 102, 104),
        DEPTH % (b"ethusdt", 504, 506),
        BODY % 9_000,
    )
    assert code == 0
    assert [(event["inst"], event["seq"]) for event in events] == [
        ("binance:BTC/USDT", 103), ("binance:BTC/USDT", 104),
        ("binance:ETH/USDT", 505), ("binance:ETH/USDT", 506),
    ]  # fmt: skip


def test_a_listing_names_the_pair_from_a_file_or_between_the_frames(decode, tmp_path):
    frame = (TRADE % 1).replace(b"btcusdt", b"abcdusd").replace(b"BTCUSDT", b"ABCDUSD")
    assert decode(frame)[1][0]["inst"] == "binance:ABCD/USD"
    assert decode(LISTING, frame)[1][0]["inst"] == "binance:ABC/DUSD"
    (tmp_path / "listing.json.gz").write_bytes(gzip.compress(LISTING))
    events = decode(frame, catalogue=str(tmp_path / "listing.json.gz"))[1]
    assert events[0]["inst"] == "binance:ABC/DUSD"


def test_missing_trades_stay_missing_and_are_said_to_be(decode):
    _, events, _ = decode(TRADE % 1, TRADE % 4)
    assert [event["type"] for event in events] == [
        "trade", "coverage", "coverage", "gap", "coverage", "trade", "coverage",
    ]  # fmt: skip
    assert events[4]["reason"] == "missing in the recording"


def test_gzip_is_read_whatever_the_name(decode):
    assert len(decode(TRADE % 1, name="frames.gz")[1]) == 2


def test_a_torn_gzip_is_said_in_a_sentence(tmp_path, capfdbinary):
    path = tmp_path / "torn.gz"
    path.write_bytes(gzip.compress(b"\n".join(TRADE % n for n in range(1000)))[:-40])
    assert command("binance", str(path)) == 2
    assert b"cannot be read to its end" in capfdbinary.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("binanc", "-"), "did you mean binance?"),
        (("binance", "/no/such/file"), "cannot read /no/such/file: No such file"),
        (("binance", "/"), "cannot read /: Is a directory"),
    ],
)
def test_what_cannot_be_begun_is_one_sentence_and_exit_2(arguments, words, capfdbinary):
    assert command(*arguments) == 2
    captured = capfdbinary.readouterr()
    assert words in captured.err.decode()
    assert not captured.out
    assert captured.err.count(b"\n") == 1


def test_a_catalogue_that_is_none_is_said(decode, tmp_path):
    (tmp_path / "x").write_bytes(b"{}")
    code, _, words = decode(TRADE % 1, catalogue=str(tmp_path / "x"))
    assert code == 2
    assert "is no symbol listing of binance" in words


def test_standard_input_is_read(monkeypatch, capfdbinary):
    stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(TRADE % 1)))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert command("binance") == 0
    assert b'"type":"trade"' in capfdbinary.readouterr().out


def test_a_reader_that_goes_away_ends_it_quietly(tmp_path):
    path = tmp_path / "frames"
    path.write_bytes(b"\n".join(TRADE % n for n in range(20_000)))
    script = (
        "import sys; from tapewatch.cli.decode import command; sys.exit(command(*sys.argv[1:]))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, "binance", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout.readline().startswith(b'{"type":"trade"')
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0


@pytest.mark.parametrize("arguments", [(), ("-",)])
def test_the_installed_command_reads_standard_input(arguments):
    done = subprocess.run(
        [Path(sys.executable).with_name("tapewatch"), "decode", "binance", *arguments],
        input=b'{"u":5,"s":"BTCUSDT","b":"1.0","B":"2","a":"1.1","A":"3"}\n',
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b'"type":"quote"' in done.stdout
