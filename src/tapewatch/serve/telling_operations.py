"""The addresses about who was told of alerts: the part of `operations` that is theirs."""

from tapewatch.serve import telling, why
from tapewatch.serve.ask import Operation, Param, query_param

_ALERT = Param("id", "As /alerts and /alerts/events give it", "path", example="surge%2Fall")
_SILENCE = Param("id", "As /alerts/silences gives it", "path", example="s1")

TELLING: tuple[Operation, ...] = (
    Operation(
        method="GET",
        path="/alerts",
        name="getAlerts",
        tag="alerts",
        text="What fires now, and why whom was not told yet.",
        handler=telling.get_firing,
        answer=telling.FiringNow,
    ),
    Operation(
        method="GET",
        path="/alerts/history",
        name="getAlertHistory",
        tag="alerts",
        text="The delivery log, newest first: each notice, and each alert that was not told.",
        handler=telling.get_history,
        answer=telling.History,
        params=(
            query_param("channel", "Only this one", "email"),
            query_param(
                "start", "ISO 8601, epoch, or relative: -7d; a day before the end if absent", "-24h"
            ),
            query_param("end", "As start; not included", "now"),
            query_param("limit", f"1 to {telling.MAX_LINES}; 100 if absent", "50", "integer"),
        ),
    ),
    Operation(
        method="GET",
        path="/alerts/why/{id}",
        name="getAlertWhy",
        tag="alerts",
        text="The whole story of one alert: why it fired, who was told, who was not and why.",
        handler=why.get_why,
        answer=why.Why,
        is_query=True,
        params=(_ALERT,),
    ),
    Operation(
        method="GET",
        path="/alerts/channels",
        name="getAlertChannels",
        tag="alerts",
        text="The channels: what waits, what was sent, the last error.",
        handler=telling.get_channels,
        answer=telling.Channels,
    ),
    Operation(
        method="GET",
        path="/alerts/silences",
        name="getSilences",
        tag="alerts",
        text="What is silenced, by which matchers, why and until when.",
        handler=telling.get_silences,
        answer=telling.Silences,
    ),
    Operation(
        method="POST",
        path="/alerts/silences",
        name="addSilence",
        tag="alerts",
        text="Hold the notices of some alerts for a while; kept over a restart.",
        handler=telling.add_silence,
        answer=telling.SilenceView,
        params=(
            query_param(
                "match",
                "Matchers with commas, all must fit: rule, inst, venue, symbol, severity, labels",
                "rule=big_trade,inst=binance:*",
            ),
            query_param("for", "How long: 30m, 1h, 2d; 1h if absent", "2h"),
            query_param("start", "From then; now if absent", "now"),
            query_param("comment", "Why", "planned work"),
        ),
    ),
    Operation(
        method="DELETE",
        path="/alerts/silences/{id}",
        name="dropSilence",
        tag="alerts",
        text="End a silence; what still fires is told.",
        handler=telling.drop_silence,
        answer=telling.Silences,
        params=(_SILENCE,),
    ),
)
