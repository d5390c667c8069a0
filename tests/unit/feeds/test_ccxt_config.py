import pytest

from tapewatch.feeds import ccxt_config
from tapewatch.feeds.ccxt_config import BOOK, TRADES, CcxtConfig, CcxtWords, exchange_ids
from tapewatch.model.errors import ConfigError, NotFound
from tapewatch.runtime import ccxt_venues, launch
from tapewatch.settings.problems import InvalidSettings


@pytest.fixture
def read(tmp_path):
    def load(text, environ=None):
        file = tmp_path / "tapewatch.yaml"
        file.write_text(text)
        return launch.load(file, environ=environ or {}, folder=tmp_path)

    return load


@pytest.fixture
def _without_ccxt(monkeypatch):
    monkeypatch.setattr(ccxt_venues, "exchange_ids", tuple)


def test_an_id_of_ccxt_names_a_venue(read):
    loaded = read("exchanges: {kraken: {symbols: [BTC/USD], streams: [ticker, trades, book]}}")
    plan = launch.plan_of(loaded)
    assert [venue.name for venue in plan.ccxt] == ["kraken"]
    assert not plan.venues


def test_a_native_venue_wins_and_the_prefix_asks_for_the_other(read):
    loaded = read("exchanges: {binance: {symbols: [a]}, ccxt_binance: {symbols: [a]}}")
    plan = launch.plan_of(loaded)
    assert [venue.name for venue in plan.venues] == ["binance"]
    assert [venue.name for venue in plan.ccxt] == ["ccxt_binance"]


@pytest.mark.parametrize(("text", "near"), [("krakn", "kraken"), ("binanse", "binance")])
def test_a_name_that_is_neither_is_told_with_the_nearest_of_both(read, text, near):
    with pytest.raises(InvalidSettings) as caught:
        read(f"exchanges: {{{text}: {{symbols: [a]}}}}")
    (problem,) = caught.value.problems
    assert problem.path == f"exchanges.{text}"
    assert near in problem.hint


@pytest.mark.usefixtures("_without_ccxt")
def test_without_ccxt_the_extra_is_named():
    with pytest.raises(ConfigError, match=r"pip install 'tapewatch\[ccxt\]'"):
        ccxt_venues.config_of("kraken")
    with pytest.raises(ConfigError, match=r"tapewatch\[ccxt\]"):
        ccxt_venues.config_of("ccxt_binance")
    with pytest.raises(NotFound, match="did you mean binance"):
        ccxt_venues.config_of("binanse")


def test_a_folder_without_ccxt_has_no_ids(monkeypatch):
    monkeypatch.setattr(ccxt_config.importlib.util, "find_spec", lambda _: None)
    assert exchange_ids.__wrapped__() == ()


@pytest.mark.parametrize("text", ["book", "orderbook", "depth", " Watch_Order_Book "])
def test_streams_have_the_words_that_people_use(text):
    assert CcxtWords("kraken").channel(text) == BOOK
    assert CcxtWords("kraken").channel("trade") == TRADES


def test_an_unknown_stream_is_told_at_its_line_with_the_nearest(read):
    loaded = read("exchanges: {kraken: {symbols: [BTC/USD], streams: [tradez]}}")
    with pytest.raises(InvalidSettings) as caught:
        launch.plan_of(loaded)
    (problem,) = caught.value.problems
    assert problem.path == "exchanges.kraken.streams.0"
    assert "trades" in problem.hint


@pytest.mark.parametrize("setting", ["hold_secs: 3", "repair_max_ids: 5", "max_age_secs: 60"])
def test_a_setting_that_has_no_meaning_through_ccxt_is_refused(read, setting):
    with pytest.raises(InvalidSettings) as caught:
        read(f"exchanges: {{kraken: {{symbols: [a], {setting}}}}}")
    assert caught.value.problems[0].path == f"exchanges.kraken.{setting.partition(':')[0]}"


def test_the_poll_interval_of_the_environment_goes_to_venues_of_ccxt_alone(read):
    text = "exchanges: {binance: {symbols: [a]}, kraken: {symbols: [b]}}"
    environ = {"POLL_INTERVAL": "7", "SYMBOL": "ETH/USD"}
    loaded = read(text, environ)
    kraken = loaded.settings.exchanges["kraken"]
    assert isinstance(kraken, CcxtConfig)
    assert (kraken.poll_secs, kraken.symbols) == (7.0, ("ETH/USD",))
    assert loaded.settings.exchanges["binance"].symbols == ("ETH/USD",)
    assert loaded.origin("exchanges.kraken.poll_secs") == "environment variable POLL_INTERVAL"


def test_a_stream_that_ccxt_does_not_have_there_is_complained_about(read):
    (venue,) = launch.plan_of(
        read("exchanges: {kraken: {symbols: [a], streams: [ticker, trades]}}")
    ).ccxt
    listing = ccxt_venues.Listing([], {}, {"ticker": False, "trades": False, "orderbook": True})
    told = []
    ccxt_venues.check(venue, listing, lambda *words: told.append(words))
    (complaint,) = told  # tickers can be polled
    assert complaint[0] == "exchanges.kraken.streams.1"
    assert "orderbook, ticker" in complaint[2]
