"""Whatever somebody does to a good file: it loads, or every fault says where it is."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from tapewatch.settings.environment import LISTED
from tapewatch.settings.loader import Loaded, load
from tapewatch.settings.problems import InvalidSettings, to_github, to_json

GOOD = """\
exchanges:
  binance: &b
    symbols: [BTC/USDT, 'ETH/USDT']
    streams: [ticker, aggTrade]
    reconnect_delay: 5  # seconds
    idle_secs: null
detectors:
  candles: {intervals: [1m, 5m]}
alerts:
  thresholds: {pct_24h: 0.05}
  email:
    smtp_host: "smtp.example.com"
    password: ${PASSWORD:-hunter2}
    from_addr: a@example.com
    to_addrs: [b@example.com]
storage: {backend: redis, sinks: [parquet]}
server:
  port: 8000
  cors_origins: ["*"]
"""
_PIECES = st.sampled_from(
    ["", "\t", "[", "]", "{", "}", ":", "- ", "'", '"', "&x", "*b", "*x", "!!", "${", "}", "null",
     "\n", "\n  ", "%", "@", "`", "#", "|", ">", "?", "-1", "1e999", "\x00", "\ud7ff", "\u2028",
     "é", "<<: *b\n", "---\n", "0x1F", "5" * 50]
) | st.text(max_size=4)  # fmt: skip


@st.composite
def mutants(draw):
    text = GOOD
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        text = text[:start] + draw(_PIECES) + text[end:]
    return text.encode("utf-8", "surrogatepass")


def look_at(error):
    assert error.problems
    for problem in error.problems:
        assert problem.place is not None, problem
        assert problem.place.line or not problem.place.source.endswith(".yaml"), problem
        assert problem.message
    assert str(error)
    assert to_json(error.problems)
    assert to_github(error.problems)


def attempt(data, environ, options, config_of):
    with TemporaryDirectory() as folder:
        Path(folder, "tapewatch.yaml").write_bytes(data)
        try:
            loaded = load(
                None, config_of=config_of, environ=environ, options=options, folder=Path(folder)
            )
        except InvalidSettings as error:
            look_at(error)
        else:
            assert isinstance(loaded, Loaded)
            assert loaded.values()
            assert all(str(notice) for notice in loaded.notices)


def _config_of(kind, name):
    from tapewatch.model.errors import NotFound
    from tapewatch.ports import FeedConfig

    known = {"venues": "binance", "process": "candles", "stores": "parquet", "notify": "slack"}
    if name != known[kind]:
        raise NotFound(kind, name, (known[kind],))
    return FeedConfig


@budget(max_examples=300, deadline=None)
@given(mutants())
def test_a_mutated_file_loads_or_every_fault_has_its_line(data):
    attempt(data, {}, [], _config_of)


@budget(max_examples=100, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_load_or_every_fault_has_its_place(data):
    attempt(data, {}, [], _config_of)


@budget(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([listed.name for listed in LISTED])
        | st.lists(st.sampled_from(["SERVER", "PORT", "EXCHANGES", "BINANCE", "0", "", "X"])).map(
            lambda steps: "TAPEWATCH__" + "__".join(steps)
        ),
        st.text(max_size=8) | st.sampled_from(["[", "{a: 1}", "[1, [2]]", "true", "-1"]),
        max_size=3,
    ),
    st.lists(
        st.text(max_size=12) | st.sampled_from(["server=1", "a.b.c=", "exchanges={}"]), max_size=2
    ),
)
def test_any_variables_and_options_load_or_every_fault_has_its_place(environ, options):
    attempt(GOOD.encode(), environ, options, _config_of)
