"""The REST handlers: a question becomes one call into the product, a value becomes JSON.

No web framework here: a handler takes the context and an `Ask`, and gives a Struct or a `Reply`.
Which address leads to which is in `operations`. The paths and fields of S2 and S4 are kept as they
were.
"""

from collections import Counter
from itertools import islice

from tapewatch.model.errors import NotFound, Unavailable
from tapewatch.model.events import Micros
from tapewatch.model.instrument import split_id
from tapewatch.model.times import iso
from tapewatch.ports import Counters, Stage, Subscription
from tapewatch.serve import health, stats, views
from tapewatch.serve.ask import Ask, Reply
from tapewatch.serve.context import Context
from tapewatch.serve.problem import KINDS, BadParameters, Fault, Kind

MAX_BARS = 10_000
_PUMP = "pump"  # `pump-parquet` writes into the store `parquet`


async def get_health(context: Context, ask: Ask) -> Reply:
    ask.done()
    verdict = health.judge(context)
    return Reply(health.health(context, verdict), verdict.code)


async def get_health_detailed(context: Context, ask: Ask) -> Reply:
    ask.done()
    verdict = health.judge(context)
    return Reply(health.detailed(context, verdict), verdict.code)


async def get_live(context: Context, ask: Ask) -> views.Alive:
    """Answer at all: the process lives and its loop turns."""
    ask.done()
    return views.Alive(status="alive", timestamp=iso(context.clock()))


async def get_ready(context: Context, ask: Ask) -> Reply:
    ask.done()
    verdict = health.judge(context)
    word = "ready" if verdict.code == 200 else "not ready"
    return Reply(views.Alive(status=word, timestamp=iso(context.clock())), verdict.code)


async def get_config(context: Context, ask: Ask) -> views.Configuration:
    ask.done()
    return views.Configuration(context.settings_view())


async def get_stats(context: Context, ask: Ask) -> stats.Stats:
    ask.done()
    return stats.stats(context)


async def get_metrics(context: Context, ask: Ask) -> Reply:
    ask.done()
    return Reply(context.metrics(), content_type="text/plain; version=0.0.4; charset=utf-8")


async def get_prices(context: Context, ask: Ask) -> Reply:
    """Map S2's symbol to its price; the full id of each where several venues share a symbol."""
    ask.done()
    now = context.clock()
    every = context.hot.get_all()
    natives = {inst: context.native(inst) for inst in every}
    holders = Counter(natives.values())
    prices: dict[str, views.Price] = {}
    for inst, latest in every.items():
        native = natives[inst]
        fields = views.price_fields(latest, native, now)
        if fields is not None:
            prices[native if holders[native] == 1 else inst] = views.Price(**fields)
    return Reply(prices)


async def get_symbols(context: Context, ask: Ask) -> views.Symbols:
    ask.done()
    hot = context.hot.get_all()
    channels: dict[str, list[str]] = {}
    for subscription in sorted(context.control.subscriptions()):
        channels.setdefault(subscription.inst, []).append(subscription.channel)
    cached = [inst for inst, latest in hot.items() if latest.price is not None]
    states = []
    for inst in sorted({*channels, *cached}):  # numbers of `all:` and `binance:*` are no symbols
        latest = hot.get(inst)
        states.append(
            views.SymbolState(
                symbol=context.native(inst),
                inst=inst,
                streams=channels.get(inst, []),
                price=None if latest is None else latest.price,
                has_book=context.books.book(inst, 1) is not None,
                updated=iso(latest.updated) if latest is not None and latest.updated else None,
            )
        )
    return views.Symbols(
        symbols=sorted({context.native(inst) for inst in channels}),
        subscribed_streams=stats.streams(context),
        cached_symbols=sorted({context.native(inst) for inst in cached}),
        instruments=states,
        timestamp=iso(context.clock()),
    )


async def get_exchanges(context: Context, ask: Ask) -> views.Exchanges:
    ask.done()
    now, links = context.clock(), context.links()
    sections = context.settings_view().get("exchanges") or {}
    subscriptions = context.control.subscriptions()
    exchanges = []
    for name in sorted({*sections, *(link.venue for link in links)}):
        mine = [link for link in links if link.venue == name]
        live = sum(health.flow(link, now) == "live" for link in mine)
        section = sections.get(name)
        enabled = bool(mine) or (isinstance(section, dict) and section.get("enabled", True))
        down = "live" if live == len(mine) else "degraded" if live else "down"
        exchanges.append(
            views.Exchange(
                name=name,
                enabled=enabled,
                state=down if mine else ("down" if enabled else "off"),
                links=len(mine),
                links_live=live,
                subscriptions=sum(split_id(s.inst)[0] == name for s in subscriptions),
                instruments=len(context.catalogue.all(name)),
            )
        )
    return views.Exchanges(exchanges)


async def get_storage(context: Context, ask: Ask) -> views.Storage:
    ask.done()
    counters = context.counters()
    stores = []
    for worker in context.workers():
        kind, _, store = worker.name.partition("-")
        if kind == _PUMP and worker.stage is Stage.STORE:
            counter = counters.get(worker.name, Counters())
            stores.append(
                views.Store(
                    name=store,
                    state=worker.state,
                    written=counter.sent,
                    waiting=counter.buffered,
                    dropped=counter.dropped,
                    errors=counter.errors,
                    error=worker.error,
                )
            )
    return views.Storage(stores=stores, settings=context.settings_view().get("storage") or {})


async def get_historical(context: Context, ask: Ask) -> views.History:
    """Give stored candles: the newest before `end`, or with `start` the first from there."""
    interval = ask.interval("interval", views.BASE_INTERVAL)
    end = ask.moment("end", ask.now)
    start = ask.moment("start", Micros(0))
    limit = ask.whole("limit", 1_000, 1, MAX_BARS)
    offset = ask.whole("offset", 0, 0, 10_000_000)
    if start >= end and not ask.faults:
        ask.fault("start", f"{iso(start)} is not before the end, {iso(end)}")
    ask.done()
    instrument = context.instrument(ask.path["symbol"])
    newest = "start" not in ask.query
    try:
        candles = await context.query.candles(
            instrument.id, interval.name, start, end, limit + 1, offset=offset, newest=newest
        )
    except ValueError as error:  # not made of whole candles that are stored
        raise BadParameters(Fault("?interval", str(error))) from error
    has_more = len(candles) > limit
    if has_more:  # the one too many is the farthest from where we began
        candles = candles[1:] if newest else candles[:limit]
    symbol = context.native(instrument.id)
    return views.History(
        symbol=symbol,
        inst=instrument.id,
        interval=interval.name,
        start=None if newest else iso(start),
        end=iso(end),
        limit=limit,
        offset=offset,
        count=len(candles),
        has_more=has_more,
        next_offset=offset + limit if has_more else None,
        data=[views.bar(candle, symbol) for candle in candles],
    )


async def get_coverage(context: Context, ask: Ask) -> views.CoverageReport:
    limit = ask.whole("limit", 1_000, 1, 100_000)
    ask.done()
    symbol = ask.text("symbol")
    inst = context.instrument(symbol).id if symbol else None
    entries = await context.ledger.coverage(inst, ask.text("channel") or None)
    return views.coverage(entries, limit)


async def get_book(context: Context, ask: Ask) -> views.Book:
    depth = ask.whole("depth", 20, 1, 5_000)
    ask.done()
    instrument = context.instrument(ask.path["symbol"])
    books = context.books
    found = books.book(instrument.id, depth)
    if found is not None:
        return views.book(found, context.native(instrument.id))
    reason = books.gap(instrument.id)
    if reason:
        raise Unavailable(
            f"the book of {instrument.id} is not in step with the venue now: {reason}"
        )
    others = (inst for inst in context.hot.get_all() if books.book(inst, 1) is not None)
    raise NotFound(
        "order book (subscribe to it with ?streams=depth)", instrument.id, tuple(islice(others, 3))
    )


async def subscribe_symbol(context: Context, ask: Ask) -> views.Changed:
    ask.done()
    symbol = ask.path["symbol"]
    added = await context.control.subscribe(symbol, ask.words("streams") or None)
    return _changed(context, f"Subscribed to {symbol.upper()}", symbol, added)


async def unsubscribe_symbol(context: Context, ask: Ask) -> views.Changed:
    ask.done()
    symbol = ask.path["symbol"]
    removed = await context.control.unsubscribe(symbol)
    return _changed(context, f"Unsubscribed from {symbol.upper()}", symbol, removed)


async def get_problem(_context: Context, ask: Ask) -> Kind:
    ask.done()
    slug = ask.path["slug"]
    if slug not in KINDS:
        raise NotFound("problem", slug, tuple(KINDS))
    return KINDS[slug]


def _changed(
    context: Context, message: str, symbol: str, changed: list[Subscription]
) -> views.Changed:
    inst = changed[0].inst if changed else context.instrument(symbol).id
    native = context.native(inst)
    return views.Changed(
        status="success",
        message=message,
        timestamp=iso(context.clock()),
        symbol=native,
        inst=inst,
        streams=[f"{native}@{s.channel}" for s in changed],
    )
