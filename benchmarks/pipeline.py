"""The duel and the symbols: which contestants, which loads, which targets."""

from benchmarks.duel import Contestant, Outcome, cryptofeed, fight, ours, row
from benchmarks.table import Figure, Row
from benchmarks.whole import whole

_PARSE = "tapewatch, receive and parse"
_WHOLE = "tapewatch, whole pipeline"
_COUNTS = {"aggTrade": 400_000, "depth": 60_000, "flow": 400_000, "mix": 150_000}
_WHOLE_TARGETS = {"aggTrade": 1.4, "mix": 4.0}  # times quicker than the peer's parsing alone


def duel(*, quick: bool) -> list[Row]:
    rows: list[Row] = []
    contestants: dict[str, Contestant] = {
        "cryptofeed": cryptofeed,
        _PARSE: ours("client_parse"),
        _WHOLE: whole,
    }
    for case in ("aggTrade", "depth", "mix"):
        count = _COUNTS[case]
        outcome = fight(contestants, case, 50, count // 4 if quick else count, _rounds(quick=quick))
        rows.append(row(outcome, f"{case}: receive and parse alone", _PARSE))
        rows.append(row(outcome, f"{case}: all the work", _WHOLE, target=_WHOLE_TARGETS.get(case)))
        if case == "mix":
            rows.append(_rate(outcome))
    return rows


def _rate(outcome: Outcome) -> Row:
    """The mix as a rate: what one core carries with all the work."""
    mine, theirs = outcome.costs[_WHOLE], outcome.costs["cryptofeed"]
    return Row(
        "mix: all the work, a core",
        "messages/s",
        200_000,
        Figure.of([1e6 / cost for cost in mine]) if mine else None,
        Figure.of([1e6 / cost for cost in theirs]) if theirs else None,
        note="cryptofeed: receive and parse alone",
    )


def symbols(*, quick: bool) -> list[Row]:
    """What a message costs with a hundred times as many instruments, everything else equal."""
    rows: list[Row] = []
    for case in ("aggTrade", "flow"):
        count = _COUNTS[case] // (4 if quick else 2)
        contestants: dict[str, Contestant] = {_WHOLE: whole}
        few = fight(contestants, case, 10, count, _rounds(quick=quick))
        many = fight(contestants, case, 1000, count, _rounds(quick=quick))
        rows.append(_growth(case, few, many))
    return rows


def _growth(case: str, few: Outcome, many: Outcome) -> Row:
    title = f"{case}: all the work, 1,000 symbols by 10"
    pairs = list(zip(many.costs[_WHOLE], few.costs[_WHOLE], strict=False))
    if not pairs:
        why = {**few.failures, **many.failures}
        return Row(title, "times", 1.3, note="; ".join(why.values()))
    figure = Figure.of([after / before for after, before in pairs])
    note = f"{few.figure(_WHOLE)} us with 10, {many.figure(_WHOLE)} us with 1,000"
    return Row(
        title, "times", 1.3, figure, target="at most 1.3", met=figure.median <= 1.3, note=note
    )


def _rounds(*, quick: bool) -> int:
    return 2 if quick else 5
