"""What is served: every address, its parameters, its answer. The one list.

`web` binds it, `openapi` describes it, and a test holds `docs/api.md` and `docs/api.http`
against it. A new address is a handler and an entry here.
"""

from tapewatch.serve import (
    compare,
    completeness,
    detectors,
    health,
    measured,
    news,
    openapi,
    rest,
    stats,
    status,
    views,
)
from tapewatch.serve.alert_operations import ALERTS
from tapewatch.serve.ask import Ask, Operation, Param, Reply, query_param
from tapewatch.serve.context import Context
from tapewatch.serve.problem import Kind
from tapewatch.serve.telling_operations import TELLING

_SYMBOL = Param("symbol", "Any spelling: BTCUSDT, binance:BTC/USDT", "path", example="BTCUSDT")
_WELL_OR_NOT = {200: "It works, if need be with problems that are named", 503: "It does not work"}
_UPGRADE = {101: "A WebSocket"}


async def get_openapi(context: Context, ask: Ask) -> Reply:
    ask.done()
    return Reply(openapi.describe(OPERATIONS, context.version))


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="GET",
        path="/",
        name="getStatus",
        tag="status",
        text="Status: a page for people, JSON with `Accept: application/json`.",
        handler=status.get_root,
        answer=status.Status,
    ),
    Operation(
        method="GET",
        path="/health",
        name="getHealth",
        tag="health",
        text="How it is, judged from facts now; 503 when nothing works.",
        handler=rest.get_health,
        answer=health.Health,
        statuses=_WELL_OR_NOT,
    ),
    Operation(
        method="GET",
        path="/health/live",
        name="getHealthLive",
        tag="health",
        text="The process lives.",
        handler=rest.get_live,
        answer=views.Alive,
    ),
    Operation(
        method="GET",
        path="/health/ready",
        name="getHealthReady",
        tag="health",
        text="Data flows: 200, else 503.",
        handler=rest.get_ready,
        answer=views.Alive,
        statuses=_WELL_OR_NOT,
    ),
    Operation(
        method="GET",
        path="/health/detailed",
        name="getHealthDetailed",
        tag="health",
        text="Each component, worker, link and buffer.",
        handler=rest.get_health_detailed,
        answer=health.Detailed,
        statuses=_WELL_OR_NOT,
    ),
    Operation(
        method="GET",
        path="/config",
        name="getConfig",
        tag="system",
        text="The settings in force; secrets are `***`.",
        handler=rest.get_config,
        answer=views.Configuration,
    ),
    Operation(
        method="GET",
        path="/stats",
        name="getStats",
        tag="system",
        text="What went through, was dropped, failed: by worker, and of the live clients.",
        handler=rest.get_stats,
        answer=stats.Stats,
    ),
    Operation(
        method="GET",
        path="/prices",
        name="getPrices",
        tag="market",
        text="The newest price of every symbol, by symbol.",
        handler=rest.get_prices,
        answer=dict[str, views.Price],
    ),
    Operation(
        method="GET",
        path="/symbols",
        name="getSymbols",
        tag="market",
        text="What is subscribed, and what there is data of.",
        handler=rest.get_symbols,
        answer=views.Symbols,
    ),
    Operation(
        method="GET",
        path="/exchanges",
        name="getExchanges",
        tag="system",
        text="The exchanges of the settings and how their links are.",
        handler=rest.get_exchanges,
        answer=views.Exchanges,
    ),
    Operation(
        method="GET",
        path="/detectors",
        name="getDetectors",
        tag="system",
        text="The processors that run: numbers, settings, and whether each has shown that it works.",
        handler=detectors.get_detectors,
        answer=views.Detectors,
    ),
    Operation(
        method="GET",
        path="/storage",
        name="getStorage",
        tag="system",
        text="The stores: written, waiting, dropped.",
        handler=rest.get_storage,
        answer=views.Storage,
    ),
    Operation(
        method="GET",
        path="/metrics",
        name="getMetrics",
        tag="system",
        text="Prometheus text.",
        handler=rest.get_metrics,
        content_type="text/plain",
    ),
    Operation(
        method="GET",
        path="/metrics/{symbol}",
        name="getMeasured",
        tag="market",
        text="The newest metrics of one instrument, each with its quality.",
        handler=measured.get_measured,
        answer=measured.MeasuredOf,
        params=(
            _SYMBOL,
            query_param("names", "With commas; all if absent", "volatility,volume_surge"),
        ),
    ),
    Operation(
        method="GET",
        path="/historical/{symbol}",
        name="getHistorical",
        tag="market",
        text="Stored candles, ascending; `[start, end)`. Without `start` the newest before `end`.",
        handler=rest.get_historical,
        is_query=True,
        answer=views.History,
        params=(
            _SYMBOL,
            query_param("interval", "Any length: 1m, 7m, 3d, 1w", "7m"),
            query_param("start", "ISO 8601, epoch, or relative: -24h", "-24h"),
            query_param("end", "As start; not included", "now"),
            query_param("limit", f"1 to {rest.MAX_BARS}; 1000 if absent", "500", "integer"),
            query_param("offset", "Rows to skip", "0", "integer"),
        ),
    ),
    Operation(
        method="GET",
        path="/coverage",
        name="getCoverage",
        tag="market",
        text="The ledger: which ids of each stream are in hand, repaired, missing, lost.",
        handler=rest.get_coverage,
        is_query=True,
        answer=views.CoverageReport,
        params=(
            query_param("symbol", "Only this one", "BTCUSDT"),
            query_param("channel", "Only this channel, in the venue's word", "aggTrade"),
            query_param("limit", "Ranges to list; holes come first", "1000", "integer"),
        ),
    ),
    Operation(
        method="GET",
        path="/completeness",
        name="getCompleteness",
        tag="market",
        text="How complete the stored trades are, by instrument and hour, proven by their ids.",
        handler=completeness.get_completeness,
        is_query=True,
        answer=completeness.Completeness,
        params=(
            query_param("symbol", "Only this one", "BTCUSDT"),
            query_param("start", "From here; a day before the end if absent", "2025-08-25T14:00Z"),
            query_param("end", "Until here; now if absent", "2025-08-25T15:00Z"),
        ),
    ),
    Operation(
        method="GET",
        path="/book/{symbol}",
        name="getBook",
        tag="market",
        text="The order book, if it is proven in step with the venue; else 503 with the reason.",
        handler=rest.get_book,
        answer=views.Book,
        params=(_SYMBOL, query_param("depth", "Levels a side; 20 if absent", "20", "integer")),
    ),
    Operation(
        method="GET",
        path="/compare",
        name="getCompare",
        tag="market",
        text="One coin at all exchanges: best bid and offer, divergence, leads, and who does not count.",
        handler=compare.get_compare,
        answer=compare.Comparison,
        params=(
            query_param("base", "The coin; if absent every symbol that two or more trade", "BTC"),
            query_param("quote", "Only pairs in this one; USD and USDT are different", "USDT"),
        ),
    ),
    Operation(
        method="GET",
        path="/news",
        name="getNews",
        tag="market",
        text="Stored news, the newest first, and how each source is.",
        handler=news.get_news,
        is_query=True,
        answer=news.News,
        params=(
            query_param("asset", "Only what names this one", "BTC"),
            query_param("source", "Only this source", "cryptopanic"),
            query_param(
                "start", "ISO 8601, epoch, or relative: -24h; a week back if absent", "-24h"
            ),
            query_param("end", "As start; not included", "now"),
            query_param("limit", f"1 to {news.MAX_ITEMS}; 50 if absent", "20", "integer"),
        ),
    ),
    *ALERTS,
    *TELLING,
    Operation(
        method="POST",
        path="/symbol/{symbol}/subscribe",
        name="subscribeSymbol",
        tag="control",
        text="Collect a symbol from now on; kept over a restart.",
        handler=rest.subscribe_symbol,
        answer=views.Changed,
        params=(
            _SYMBOL,
            query_param(
                "streams", "With commas; the exchange's usual ones if absent", "ticker,depth"
            ),
            query_param(
                "interval", "Taken for old scripts' sake; candles come in all intervals", "1m"
            ),
        ),
    ),
    Operation(
        method="POST",
        path="/symbol/{symbol}/unsubscribe",
        name="unsubscribeSymbol",
        tag="control",
        text="Stop collecting a symbol; kept over a restart. What is stored stays.",
        handler=rest.unsubscribe_symbol,
        answer=views.Changed,
        params=(
            _SYMBOL,
            query_param("interval", "Taken for old scripts' sake", "1m"),
        ),
    ),
    Operation(
        method="GET",
        path="/openapi.json",
        name="getOpenapi",
        tag="system",
        text="This description.",
        handler=get_openapi,
    ),
    Operation(
        method="GET",
        path="/problems/{slug}",
        name="getProblem",
        tag="system",
        text="What a problem's `type` means.",
        handler=rest.get_problem,
        answer=Kind,
        params=(Param("slug", "The last part of a problem's type", "path", example="not-found"),),
    ),
    Operation(
        method="GET",
        path="/ws/price",
        name="openPrices",
        tag="live",
        text="WebSocket: prices as they change. `subscribe:ETHUSDT`, `unsubscribe:ETHUSDT`, `ping`.",
        answer=views.PriceUpdate,
        statuses=_UPGRADE,
        params=(query_param("symbols", "With commas; all if absent", "BTCUSDT,ETHUSDT"),),
    ),
    Operation(
        method="GET",
        path="/ws",
        name="openEvents",
        tag="live",
        text="WebSocket: events as `{type, data}`. Client text `ping` is answered by `pong`.",
        statuses=_UPGRADE,
        params=(
            query_param("types", "With commas; all but metric if absent", "trade,alert"),
            query_param("symbols", "With commas; all if absent", "BTCUSDT"),
        ),
    ),
)
