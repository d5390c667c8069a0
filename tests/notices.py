"""Alerts and notices to send, for all tests of channels."""

from typing import Any

from tapewatch.model.channel import Course, Notice
from tapewatch.model.events import Alert, AlertState, Micros, Quality

SECOND = 1_000_000
START = Micros(1_795_224_600 * SECOND)
BTC, ETH = "binance:BTC/USDT", "okx:ETH/USDT"


def alert(
    state: AlertState = AlertState.FIRING, inst: str = BTC, number: int = 1, **more: Any
) -> Alert:
    fields: dict[str, Any] = {
        "value": 5.2, "text": "5.2 times the usual volume in 5m", "quality": Quality.PARTIAL,
        "threshold": 4.0, "baseline": 1.0, "window": "5m", "since": START,
        "evidence": ("trade 4711 sell 3.2 @ 61837.63",), "rule": "surge", "severity": "warning",
    }  # fmt: skip
    fields |= more
    at = more.get("ts", START)
    fields.pop("ts", None)
    rule = fields.pop("rule")
    return Alert(
        at, at, inst, fields.pop("id", f"{rule}/{inst}/{START + number}"), rule, state,
        fields.pop("severity"), fields.pop("value"), fields.pop("text"), **fields,
    )  # fmt: skip


def notice(*alerts: Alert, number: int = 1, channel: str = "mail", **more: Any) -> Notice:
    told = alerts or (alert(),)
    return Notice(f"{channel}-{number}", channel, START, told[0].rule, told, **more)


def course(inst: str = BTC) -> Course:
    return Course(inst, tuple(61_800.0 + (n * 7) % 11 for n in range(60)), 60.0)
