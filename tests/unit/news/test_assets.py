import pytest

from tapewatch.news._coins import NAMES
from tapewatch.news.assets import assets_in


@pytest.mark.parametrize(
    ("title", "found"),
    [
        ("Bitcoin (BTC) slides as Ether ETFs bleed", ("BTC", "ETH")),
        ("BITCOIN AND ETHEREUM CRASH", ("BTC", "ETH")),
        ("Ethereum Classic forks", ("ETC",)),
        ("Bitcoin Cash is not bitcoin", ("BCH",)),
        ("XRP's big day, Solana-based memecoins follow", ("XRP", "SOL")),
        ("$near, $Pepe and $100", ("NEAR", "PEPE")),
        ("ONE/USDT and BTCUSDT are listed", ("ONE", "BTC")),
        ("Sun Token (SUN) burned", ("SUN",)),
        ("NEAR jumps 12% after upgrade", ("NEAR",)),
        ("Near Protocol and Near token unlocks", ("NEAR",)),
        ("SOL, ADA and DOT lead", ("SOL", "ADA", "DOT")),
        ("OP token unlock", ("OP",)),
        ("Tron founder Justin Sun buys $TRUMP", ("TRX", "TRUMP")),
    ],
)
def test_assets_are_found_in_the_order_of_the_title(title, found):
    assert assets_in(title) == found


@pytest.mark.parametrize(
    "title",
    [
        "",
        "Near the top? One more day in the Sun",
        "Altcoins Trade Near Price Floor",
        "BREAKING: ONE MORE BANK NEAR COLLAPSE",
        "This ONE coin will win",
        "Avalanche of liquidations hits the market",
        "Trump signs an order; Ripple effects follow",
        "The OP said that AR glasses render the flow of sand",
        "Visit bitcoin.com or ETH.link",
        "methane, catoms, ADApt, wETHer",
        "$100 and $ETHX",
    ],
)
def test_words_that_mean_something_else_name_nothing(title):
    assert assets_in(title) == ()


def test_a_long_title_of_one_kind_of_sign_costs_little():
    assert assets_in("$" * 100_000 + "(" * 100_000) == ()


def test_no_name_leads_to_two_tickers():
    assert NAMES["BTC"] == "BTC"
    assert all(ticker in NAMES for ticker in NAMES.values())
