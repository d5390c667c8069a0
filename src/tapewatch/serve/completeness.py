"""`GET /completeness`: how complete the stored trades are, by instrument and hour."""

from msgspec import Struct

from tapewatch.analysis.completeness import Stream, completeness
from tapewatch.model.times import DAY, iso
from tapewatch.serve.ask import Ask
from tapewatch.serve.context import Context
from tapewatch.serve.problem import BadParameters, Fault


class AbsentIds(Struct, kw_only=True):
    """Ids that are not stored, and the times of the trades around them."""

    first: int
    last: int
    after: str
    before: str
    reason: str
    claimed: bool  # the ledger says that they are held: files are damaged


class HourView(Struct, kw_only=True):
    hour: str
    trades: int
    repaired: int
    first_id: int | None
    last_id: int | None
    proven_percent: float | None  # None: ids of this stream prove nothing
    missing: int | None  # None: nothing can be counted
    absent: list[AbsentIds]
    gaps: int


class StreamView(Struct, kw_only=True):
    inst: str
    symbol: str
    channel: str
    numbered: bool
    proof: str  # by what completeness is proven, or why it cannot be
    complete: bool
    hours: list[HourView]


class Completeness(Struct, kw_only=True):
    start: str
    end: str
    streams: list[StreamView]


async def get_completeness(context: Context, ask: Ask) -> Completeness:
    start, end = ask.span(DAY)
    symbol = ask.text("symbol")
    ask.done()
    inst = context.instrument(symbol).id if symbol else None
    try:
        found = await completeness(context.query, context.ledger, inst, start, end)
    except ValueError as error:  # more than one answer can hold
        raise BadParameters(Fault("?start", str(error))) from error
    views = [_view(stream, context) for stream in found]
    return Completeness(start=iso(start), end=iso(end), streams=views)


def _view(stream: Stream, context: Context) -> StreamView:
    return StreamView(
        inst=stream.inst,
        symbol=context.native(stream.inst),
        channel=stream.channel,
        numbered=stream.numbered,
        proof=stream.proof,
        complete=stream.complete,
        hours=[
            HourView(
                hour=iso(hour.hour),
                trades=hour.trades,
                repaired=hour.repaired,
                first_id=hour.first,
                last_id=hour.last,
                proven_percent=None if hour.share is None else round(100 * hour.share, 4),
                missing=hour.missing if stream.numbered else None,
                absent=[
                    AbsentIds(
                        first=each.first,
                        last=each.last,
                        after=iso(each.after),
                        before=iso(each.before),
                        reason=each.reason,
                        claimed=each.claimed,
                    )
                    for each in hour.absent
                ],
                gaps=hour.gaps,
            )
            for hour in stream.hours
        ],
    )
