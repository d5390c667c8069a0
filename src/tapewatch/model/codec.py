"""Events to JSON and MessagePack and back. One encoder each, made once: they hold no state."""

import base64
from typing import Any

import msgspec

from tapewatch.model.events import AnyEvent, Batch, DeadLetter, Micros

encode_json = msgspec.json.Encoder().encode
encode_msgpack = msgspec.msgpack.Encoder().encode
decode_json = msgspec.json.Decoder(AnyEvent).decode
decode_msgpack = msgspec.msgpack.Decoder(AnyEvent).decode
decode_msgpack_batch = msgspec.msgpack.Decoder(list[AnyEvent]).decode


def json_lines(batch: Batch) -> bytes:
    """One event a line, each line ended."""
    return b"".join(encode_json(event) + b"\n" for event in batch)


def dead_letter(source: str, stage: str, error: str, raw: bytes, recv: Micros) -> DeadLetter:
    """Keep what could not be read, whole: as text if it is UTF-8, else as base64."""
    try:
        return DeadLetter(recv, recv, source, stage, error, raw.decode())
    except UnicodeDecodeError:
        text = base64.b64encode(raw).decode()
        return DeadLetter(recv, recv, source, stage, error, text, "base64")


def raw_of(letter: DeadLetter) -> bytes:
    """Give the bytes of a dead letter back exactly."""
    if letter.encoding == "base64":
        return base64.b64decode(letter.raw)
    return letter.raw.encode()


def to_builtins(event: AnyEvent) -> dict[str, Any]:
    """Give a plain dict, `type` first, as the JSON has it."""
    plain: dict[str, Any] = msgspec.to_builtins(event)
    return plain
