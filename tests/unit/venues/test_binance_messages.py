import json

import pytest
from msgspec import ValidationError

from tapewatch.venues._binance_messages import decode_book, decode_depth

BAD_PRICES = ("0", "-1", "-0.0", "NaN", "nan", "Infinity", "-Infinity", "1e301", "1e400", "")
BAD_SIZES = ("-1", "NaN", "Infinity", "-inf", "1e301", "1e400", "")
GOOD = ["61837.63000000", "1.00000000"]


def sides(level, place):
    return [level if n == place else GOOD for n in range(20)]


@pytest.mark.parametrize("place", [0, 7, 19])
@pytest.mark.parametrize("side", ["b", "a"])
@pytest.mark.parametrize(
    "level", [*([price, "1"] for price in BAD_PRICES), *(["1", size] for size in BAD_SIZES)]
)
@pytest.mark.parametrize("extra", [[], [[]]], ids=["now", "until 2019"])
def test_a_bad_level_anywhere_in_a_depth_frame_is_refused(level, side, place, extra):
    """The gate behind relies on this: it looks at the ends only."""
    depth = {"E": 1_789_295_138_745, "U": 1, "u": 2, "b": [GOOD + extra], "a": [GOOD + extra]}
    depth[side] = [one + extra for one in sides(level, place)]
    with pytest.raises(ValidationError):
        decode_depth(json.dumps(depth).encode())
    depth[side] = [one + extra for one in sides(GOOD, place)]
    assert len(getattr(decode_depth(json.dumps(depth).encode()), side)) == 20


@pytest.mark.parametrize("side", ["bids", "asks"])
@pytest.mark.parametrize("level", [["NaN", "1"], ["0", "1"], ["1", "-1"], ["1", "Infinity"]])
def test_a_bad_level_anywhere_in_a_snapshot_is_refused(level, side):
    book = {"lastUpdateId": 1, "bids": [], "asks": [], side: sides(level, 7)}
    with pytest.raises(ValidationError):
        decode_book(json.dumps(book).encode())
