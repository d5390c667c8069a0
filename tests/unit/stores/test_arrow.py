import msgspec
import pyarrow as pa
import pytest

from tapewatch.model.events import Trade
from tapewatch.stores._arrow import accepts, from_table, schema, to_batch
from tapewatch.stores._kinds import KINDS
from tests.rows import one_of_each, trade

FLAT = [kind for kind in KINDS if kind != "orderbook"]


@pytest.mark.parametrize("kind", FLAT)
def test_rows_come_back_as_the_events_they_were(kind):
    events = one_of_each()[kind]
    table = pa.Table.from_batches([to_batch(kind, events)])
    assert from_table(KINDS[kind].events[0], table) == events


def test_a_book_has_levels_with_price_and_size():
    rows = to_batch("orderbook", one_of_each()["orderbook"]).to_pylist()
    assert [row["kind"] for row in rows] == ["snapshot", "delta"]
    assert [(row["first_seq"], row["seq"]) for row in rows] == [(1, 1), (2, 2)]
    assert rows[0]["asks"] == [{"price": 101.0, "size": 1.5}, {"price": 102.0, "size": 3.0}]
    assert rows[1]["bids"] == [{"price": 98.5, "size": 4.0}]
    assert rows[1]["asks"] == []


@pytest.mark.parametrize("kind", KINDS)
def test_times_are_microseconds_utc_and_instruments_are_words(kind):
    columns = schema(kind)
    assert columns.field("ts").type == pa.timestamp("us", "UTC")
    assert columns.field("recv").type == pa.timestamp("us", "UTC")
    if kind != "news":
        assert columns.field("inst").type == pa.dictionary(pa.int32(), pa.string())


@pytest.mark.parametrize("kind", KINDS)
def test_no_rows_make_an_empty_table_of_the_right_shape(kind):
    assert to_batch(kind, []).num_rows == 0
    assert to_batch(kind, []).schema == schema(kind)


@pytest.mark.parametrize("kind", FLAT)
def test_every_field_of_an_event_is_a_column(kind):
    fields = [field.name for field in msgspec.structs.fields(KINDS[kind].events[0])]
    assert schema(kind).names == fields


def test_an_older_file_without_a_column_gives_the_default():
    table = pa.Table.from_batches([to_batch("trades", [trade(1)])]).drop_columns(["echo", "count"])
    assert from_table(Trade, table) == [trade(1)]


def test_a_number_that_fits_no_column_is_found_out():
    assert accepts(trade(1))
    assert not accepts(trade(1, count=2**63))
