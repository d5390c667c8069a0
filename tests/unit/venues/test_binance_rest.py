import pytest

from tapewatch.venues._binance_rest import (
    decode_agg_rows,
    decode_raw_rows,
    to_agg_rows,
    to_raw_rows,
)

AGG = '[{"a":5,"p":"%s","q":"%s","f":%d,"l":%d,"T":1698793709153,"m":true,"M":true}]'
RAW = '[{"id":5,"price":"%s","qty":"%s","time":1699865549590,"isBuyerMaker":true}]'


@pytest.mark.parametrize(
    ("row", "count"),
    [(("4.0", "1.0", 7, 9), 1), (("0", "1.0", 7, 9), 0), (("4.0", "0", 7, 9), 0),
     (("4.0", "1.0", -1, -1), 0), (("4.0", "1.0", 9, 7), 0)],
)  # fmt: skip
def test_aggregates_that_were_withdrawn_are_no_trades(row, count):
    found = to_agg_rows(decode_agg_rows((AGG % row).encode()), 1, "binance:A/B", echo=True)
    assert [(n, t.count, t.repaired, t.echo) for n, t in found] == [(5, 3, True, True)][:count]


@pytest.mark.parametrize(("row", "count"), [(("4", "1"), 1), (("0", "1"), 0), (("4", "0"), 0)])
def test_fills_that_were_withdrawn_are_no_trades(row, count):
    found = to_raw_rows(decode_raw_rows((RAW % row).encode()), 1, "binance:A/B")
    assert len(found) == count
