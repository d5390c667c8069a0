import pytest

from tapewatch.sim.listing import MOST, assets, listings


def test_first_pairs_are_the_well_known_ones():
    names = [pair.symbol for pair in listings(20)]
    assert names[:4] == ["BTCUSDT", "ETHUSDT", "SOLUSDT", "PEPEUSDT"]
    assert {"BTCUSDC", "BTCFDUSD", "ETHBTC"} <= set(names)


def test_a_thousand_pairs_have_different_names_and_usable_rules():
    pairs = listings(MOST)
    assert len({pair.symbol for pair in pairs}) == MOST
    assert all(pair.tick >= 1 and pair.lot >= 1 for pair in pairs)
    usd = {asset.name: asset.usd for asset in assets(pairs)}
    for pair in pairs:
        ticks = usd[pair.base] / usd[pair.quote] * 1e8 / pair.tick
        assert ticks > 500, f"{pair.symbol} would have too few prices"


@pytest.mark.parametrize("count", [0, -1, MOST + 1])
def test_impossible_count_is_refused_with_the_range(count):
    with pytest.raises(ValueError, match=f"1 to {MOST}"):
        listings(count)
