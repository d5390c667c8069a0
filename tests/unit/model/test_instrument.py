import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewatch.model.errors import Ambiguous, NotFound
from tapewatch.model.instrument import Catalogue, Instrument, guess, split_id, squeeze


def spot(base: str, quote: str, venue: str = "binance") -> Instrument:
    return Instrument(venue, base, quote, f"{base}{quote}")


SWAP = Instrument("okx", "BTC", "USDT", "BTC-USDT-SWAP", settle="USDT", contract_size=0.01)
CATALOGUE = Catalogue(
    [
        spot("BTC", "USDT"), spot("BTC", "USDC"), spot("BTC", "USD", "coinbase"),
        spot("ETH", "USDT"), Instrument("okx", "BTC", "USDT", "BTC-USDT"), SWAP,
    ]
)  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["binance:BTC/USDT", "binance:btcusdt", "BINANCE:BTC-USDT", "binance:BTC_USDT", " binance:BTCUSDT "],
)  # fmt: skip
def test_every_spelling_with_a_venue_is_read(text):
    assert CATALOGUE.resolve(text).id == "binance:BTC/USDT"


@pytest.mark.parametrize("text", ["ETH/USDT", "ETH-USDT", "ethusdt", "ETHUSDT", "eth_usdt"])
def test_a_venue_is_not_needed_where_only_one_has_it(text):
    assert CATALOGUE.resolve(text).id == "binance:ETH/USDT"


def test_an_ambiguous_symbol_names_the_candidates():
    with pytest.raises(Ambiguous, match="'BTCUSDT' is ambiguous; say which: binance") as caught:
        CATALOGUE.resolve("BTCUSDT")
    assert caught.value.suggestions == ("binance:BTC/USDT", "okx:BTC/USDT")
    assert [i.id for i in CATALOGUE.spelled("BTCUSDT", "okx")] == ["okx:BTC/USDT"]


def test_a_venue_given_beside_the_text_decides():
    assert CATALOGUE.resolve("BTCUSDT", "okx").id == "okx:BTC/USDT"


def test_derivatives_are_found_by_unified_and_native_text():
    assert CATALOGUE.resolve("okx:BTC/USDT:USDT") is SWAP
    assert CATALOGUE.resolve("BTC-USDT-SWAP") is SWAP
    assert SWAP.id == "okx:BTC/USDT:USDT"


def test_an_unknown_symbol_is_answered_with_the_nearest():
    with pytest.raises(NotFound, match="did you mean BTC/USDT or BTC/USDC"):
        CATALOGUE.resolve("BTCUSTD", "binance")


def test_dollars_are_never_merged():
    ids = {CATALOGUE.resolve(t).id for t in ("BTC/USD", "binance:BTC/USDC", "binance:BTC/USDT")}
    assert len(ids) == 3


def test_two_instruments_with_one_native_text_are_refused():
    with pytest.raises(ValueError, match="are both 'BTCUSDT'"):
        Catalogue([spot("BTC", "USDT"), Instrument("binance", "BTCU", "SDT", "BTCUSDT")])


def test_an_instrument_is_replaced_by_its_newer_listing():
    catalogue = Catalogue([spot("BTC", "USDT")])
    newer = Instrument("binance", "BTC", "USDT", "BTCUSDT", tick=0.01)
    catalogue.add(newer)
    assert len(catalogue) == 1
    assert catalogue.resolve("btcusdt") is newer


@pytest.mark.parametrize(
    ("native", "symbol"),
    [
        ("BTCUSDT", "BTC/USDT"), ("ethbtc", "ETH/BTC"), ("BTCFDUSD", "BTC/FDUSD"),
        ("BTC-USD", "BTC/USD"), ("1000SATSUSDT", "1000SATS/USDT"), ("NKNUSDT", "NKN/USDT"),
        ("USDCUSDT", "USDC/USDT"),
    ],
)  # fmt: skip
def test_without_a_catalogue_a_pair_is_split_by_known_quotes(native, symbol):
    found = guess("binance", native)
    assert found is not None
    assert found.symbol == symbol


@pytest.mark.parametrize("native", ["", "USDT", "XYZ", "-", "BTC-"])
def test_what_cannot_be_split_is_not_guessed(native):
    assert guess("binance", native) is None


@given(st.text(max_size=30))
def test_any_text_is_resolved_or_refused_in_words(text):
    refusal = ""
    try:
        found = CATALOGUE.resolve(text)
    except NotFound as error:
        refusal = str(error)
    assert repr(text) in refusal or found in CATALOGUE.all()


@given(st.sampled_from(["BTC", "1INCH", "ETH"]), st.sampled_from(["USDT", "USD"]),
       st.sampled_from(["/", "-", "_", ""]))  # fmt: skip
def test_squeezing_forgets_only_marks_and_case(base, quote, mark):
    assert squeeze(f"{base}{mark}{quote}".lower()) == base + quote


def test_split_id():
    assert split_id("okx:BTC/USDT:USDT") == ("okx", "BTC/USDT:USDT")
