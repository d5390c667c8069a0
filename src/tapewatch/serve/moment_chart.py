"""The price around a moment as SVG: candles of a minute, and a line for what happened when."""

from collections.abc import Sequence
from html import escape

from tapewatch.model.events import Candle, Micros
from tapewatch.model.times import MINUTE, iso

WIDTH, HEIGHT = 900, 280
_LEFT, _BOTTOM, _TOP = 80, 24, 24
_UP, _DOWN, _MARK, _INK = "#0b63c5", "#9a4200", "#b4232f", "#55606c"


def svg(candles: Sequence[Candle], moments: Sequence[tuple[Micros, str]], title: str) -> str:
    """Draw them. A minute without a candle stays empty."""
    scale = _Scale(candles)
    bars = "".join(_bar(candle, scale) for candle in candles)
    marks = "".join(
        _mark(scale.x(at), word, row) for row, (at, word) in enumerate(moments) if scale.holds(at)
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-size="12" fill="{_INK}">'
        f"<title>{escape(title)}</title>{_axes(scale)}{bars}{marks}</svg>"
    )


class _Scale:
    def __init__(self, candles: Sequence[Candle]) -> None:
        self.begin, self.end = candles[0].ts, candles[-1].ts + MINUTE
        self.low = min(candle.low for candle in candles)
        self.high = max(candle.high for candle in candles)

    def holds(self, ts: Micros) -> bool:
        return self.begin <= ts <= self.end

    def x(self, ts: int) -> float:
        share = (ts - self.begin) / (self.end - self.begin)
        return round(_LEFT + share * (WIDTH - _LEFT - 8), 1)

    def y(self, price: float) -> float:
        height = HEIGHT - _BOTTOM - _TOP
        share = (price - self.low) / (self.high - self.low or 1.0)
        return round(HEIGHT - _BOTTOM - share * height, 1)


def _bar(candle: Candle, scale: _Scale) -> str:
    left, right = scale.x(candle.ts), scale.x(candle.ts + MINUTE)
    top = scale.y(max(candle.open, candle.close))
    height = max(1.0, scale.y(min(candle.open, candle.close)) - top)
    middle, width = (left + right) / 2, max(1.0, (right - left) * 0.7)
    colour = _UP if candle.close >= candle.open else _DOWN
    return (
        f'<path d="M{middle:.1f} {scale.y(candle.high)}V{scale.y(candle.low)}" stroke="{colour}"/>'
        f'<rect x="{middle - width / 2:.1f}" y="{top}" width="{width:.1f}" height="{height:.1f}"'
        f' fill="{colour}"/>'
    )


def _mark(x: float, word: str, row: int) -> str:
    side, gap = ("end", -4) if x > WIDTH * 0.85 else ("start", 4)
    return (
        f'<path d="M{x} {_TOP - 12}V{HEIGHT - _BOTTOM}" stroke="{_MARK}" stroke-dasharray="4 3"/>'
        f'<text x="{x + gap}" y="{14 + 12 * (row % 3)}" text-anchor="{side}" fill="{_MARK}">'
        f"{escape(word)}</text>"
    )


def _axes(scale: _Scale) -> str:
    prices = "".join(
        f'<text x="{_LEFT - 6}" y="{scale.y(price) + 4}" text-anchor="end">{price:.8g}</text>'
        for price in dict.fromkeys((scale.low, scale.high))
    )
    ends = ((scale.begin, "start"), (scale.end, "end"))
    times = "".join(
        f'<text x="{scale.x(ts)}" y="{HEIGHT - 6}" text-anchor="{side}">'
        f"{iso(Micros(ts))[:16].replace('T', ' ')}</text>"
        for ts, side in ends
    )
    return prices + times
