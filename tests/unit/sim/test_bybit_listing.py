import pytest

from tapewatch.sim.bybit_listing import linear_row, listings, page, spot_row


def test_any_count_is_half_spot_and_half_linear():
    kinds = [pair.kind for pair in listings(9)]
    assert kinds == ["spot", "linear"] * 4 + ["spot"]
    assert [pair.symbol for pair in listings(2)] == ["spot/BTCUSDT", "linear/BTCUSDT"]


def test_a_thousand_instruments_have_names_of_their_own():
    pairs = listings(1_000)
    assert len({pair.symbol for pair in pairs}) == 1_000
    assert sum(pair.kind == "linear" for pair in pairs) == 500


@pytest.mark.parametrize("count", [0, 1_001])
def test_counts_beyond_what_there_is_are_refused(count):
    with pytest.raises(ValueError, match="1 to 1000"):
        listings(count)


def test_a_name_does_not_tell_its_coins():
    listed = {pair.symbol: pair for pair in listings(24)}
    usdc, thousand = listed["linear/BTCPERP"], listed["linear/1000PEPEUSDT"]
    row = linear_row(1, usdc)
    assert (row["baseCoin"], row["quoteCoin"], row["settleCoin"]) == ("BTC", "USDC", "USDC")
    row = linear_row(2, thousand)
    assert (row["baseCoin"], row["settleCoin"]) == ("1000PEPE", "USDT")
    assert thousand.base == "PEPE"


def test_steps_are_told_as_prices_and_sizes_are_written():
    spot, linear = listings(2)
    assert spot_row(1, spot)["priceFilter"]["tickSize"] == "0.1"
    assert spot_row(1, spot)["lotSizeFilter"]["basePrecision"] == "0.000001"
    assert linear_row(2, linear)["priceFilter"]["tickSize"] == "0.10"
    assert linear_row(2, linear)["lotSizeFilter"]["qtyStep"] == "0.001"


@pytest.mark.parametrize("resolved", [False, True])
def test_pages_join_and_the_last_one_has_no_cursor(resolved):
    rows, cursor, seen = [{"symbol": f"S{n}"} for n in range(7)], None, []
    for _ in range(3):
        shown, cursor = page(rows, cursor, 3)
        seen += shown
        if resolved:
            cursor = cursor.replace("%3D", "=").replace("%26", "&")
    assert (seen, cursor) == (rows, "")
