"""The addresses about rules and alerts: the part of `operations` that is theirs."""

from tapewatch.serve import alerts, preview
from tapewatch.serve.ask import Operation, query_param

ALERTS: tuple[Operation, ...] = (
    Operation(
        method="GET",
        path="/alerts/rules",
        name="getAlertRules",
        tag="alerts",
        text="The rules in force, and where each is pending or fires now.",
        handler=alerts.get_rules,
        answer=alerts.Rules,
    ),
    Operation(
        method="GET",
        path="/alerts/events",
        name="getAlertEvents",
        tag="alerts",
        text="What the rules said, newest first: each change in the life of an alert.",
        handler=alerts.get_events,
        is_query=True,
        answer=alerts.AlertEvents,
        params=(
            query_param("symbol", "Only this one, in any spelling", "BTCUSDT"),
            query_param(
                "inst", "Only this instrument, as it is written: all:USDT", "binance:BTC/USDT"
            ),
            query_param("rule", "Only this rule", "volume_surge"),
            query_param("state", "pending, firing or resolved", "firing"),
            query_param(
                "start", "ISO 8601, epoch, or relative: -7d; a day before the end if absent", "-24h"
            ),
            query_param("end", "As start; not included", "now"),
            query_param("limit", f"1 to {alerts.MAX_EVENTS}; 100 if absent", "50", "integer"),
        ),
    ),
    Operation(
        method="POST",
        path="/alerts/preview",
        name="previewAlerts",
        tag="alerts",
        text="Would this rule have fired? Coverage, firings, notices, and other thresholds.",
        handler=preview.post_preview,
        is_query=True,
        answer=preview.Preview,
        params=(
            query_param("rule", "The name of a rule in force, or with `when` a new one", "surge"),
            query_param("when", "Another condition", "volume_surge_5m > 3"),
            query_param("resolve_when", "Another condition to end", "volume_surge_5m < 2"),
            query_param("instruments", "Other patterns, with commas", "binance:*"),
            query_param("hold_secs", "Another time that it must hold", "10", "integer"),
            query_param("sweep", "Other thresholds beside it", "3,4,5"),
            query_param("start", "ISO 8601, epoch, or relative; a week back if absent", "-7d"),
            query_param("end", "As start; not included", "now"),
        ),
    ),
)
