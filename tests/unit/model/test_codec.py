import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewatch.model import codec
from tapewatch.model.events import (
    AnyEvent,
    BookDelta,
    Event,
    Gap,
    Micros,
    Side,
    Trade,
)

EVENTS = st.one_of(
    st.builds(
        Trade,
        ts=st.integers(0, 2**53).map(Micros), recv=st.integers(0, 2**53).map(Micros),
        inst=st.text(max_size=20), id=st.text(max_size=20), side=st.sampled_from(Side),
        price=st.floats(allow_nan=False, allow_infinity=False),
        size=st.floats(allow_nan=False, allow_infinity=False),
        channel=st.text(max_size=8), count=st.integers(1, 1000), repaired=st.booleans(),
    ),
    st.builds(
        BookDelta,
        ts=st.integers(0, 2**53).map(Micros), recv=st.integers(0, 2**53).map(Micros),
        inst=st.text(max_size=20), first_seq=st.integers(0, 2**60), seq=st.integers(0, 2**60),
        bids=st.lists(st.tuples(st.floats(0, 1e9), st.floats(0, 1e9)), max_size=5).map(tuple),
        asks=st.lists(st.tuples(st.floats(0, 1e9), st.floats(0, 1e9)), max_size=5).map(tuple),
    ),
    st.builds(
        Gap,
        ts=st.integers(0, 2**53).map(Micros), recv=st.integers(0, 2**53).map(Micros),
        inst=st.text(max_size=20), channel=st.text(max_size=8), reason=st.text(max_size=50),
        first=st.integers(0, 2**60), last=st.integers(0, 2**60),
    ),
)  # fmt: skip


@given(EVENTS)
def test_an_event_reads_back_from_json_and_messagepack(event):
    assert codec.decode_json(codec.encode_json(event)) == event
    assert codec.decode_msgpack(codec.encode_msgpack(event)) == event


@given(st.lists(EVENTS, max_size=5))
def test_json_lines_are_one_event_a_line(batch):
    lines = codec.json_lines(batch).splitlines()
    assert [codec.decode_json(line) for line in lines] == batch


def test_type_comes_first_in_json():
    event = Gap(Micros(1), Micros(2), "v:A/B", "trade", "cut")
    assert codec.encode_json(event).startswith(b'{"type":"gap"')


def test_an_event_of_an_older_version_reads_with_defaults():
    old = (
        b'{"type":"trade","ts":1,"recv":2,"inst":"v:A/B","id":"7","side":"buy","price":1,"size":2}'
    )
    assert codec.decode_json(old) == Trade(Micros(1), Micros(2), "v:A/B", "7", Side.BUY, 1.0, 2.0)


def test_an_event_of_a_newer_version_reads_without_what_is_unknown():
    new = b'{"type":"tick","ts":1,"recv":2,"source":"v","colour":"red"}'
    assert codec.decode_json(new).source == "v"


@given(st.binary(max_size=200))
def test_a_dead_letter_keeps_the_bytes_exactly(raw):
    letter = codec.dead_letter("binance", "decode", "bad", raw, Micros(5))
    assert codec.raw_of(letter) == raw
    assert codec.raw_of(codec.decode_json(codec.encode_json(letter))) == raw


def test_every_event_type_has_its_own_tag_and_is_in_the_union():
    def leaves(kind: type) -> list[type]:
        below = [leaf for child in kind.__subclasses__() for leaf in leaves(child)]
        return below or [kind]

    kinds = leaves(Event)
    tags = [kind.__struct_config__.tag for kind in kinds]
    assert len(set(tags)) == len(tags) == len(AnyEvent.__args__)
    assert set(kinds) == set(AnyEvent.__args__)


def test_events_are_immutable_and_untracked():
    for kind in AnyEvent.__args__:
        config = kind.__struct_config__
        assert config.frozen
        assert not config.gc


def test_an_unknown_type_is_an_error_not_a_guess():
    with pytest.raises(msgspec.ValidationError, match="order"):
        codec.decode_json(b'{"type":"order","ts":1,"recv":2}')
