"""The quality mark goes with every candle, metric and alert to wherever it is shown (P12)."""

import json

import msgspec
import pytest

from tapewatch.cli import tail
from tapewatch.model.codec import encode_json
from tapewatch.model.events import Alert, AlertState, Candle, Metric, Quality
from tapewatch.notify import _words, slack, webhook
from tapewatch.serve import alerts, measured, preview, telling, views
from tapewatch.stores import _arrow
from tests import notices
from tests.serving import candle

MARKED = (Candle, Metric, Alert)


@pytest.mark.parametrize("kind", MARKED)
def test_the_event_has_it_and_nobody_vouches_unless_he_says_so(kind):
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    assert fields["quality"].default is Quality.PARTIAL


@pytest.mark.parametrize("kind", ["candles", "metrics", "alerts"])
def test_files_have_a_column_for_it(kind):
    assert "quality" in _arrow.schema(kind).names


@pytest.mark.parametrize(
    "body",
    [
        views.Bar,
        views.Price,
        measured.Measured,
        alerts.AlertView,
        telling.Firing,
        preview.FiringView,
    ],
)
def test_answers_have_it(body):
    assert "quality" in body.__struct_fields__


@pytest.mark.parametrize("quality", list(Quality))
def test_live_clients_and_files_get_it_in_the_same_word(quality):
    event = candle(quality=quality)
    assert json.loads(encode_json(event))["quality"] == quality.value
    assert views.bar(event, "BTCUSDT").quality == quality.value


@pytest.mark.parametrize("state", [AlertState.FIRING, AlertState.RESOLVED])
@pytest.mark.parametrize(
    ("quality", "words"),
    [
        (Quality.PARTIAL, "known to be incomplete"),
        (Quality.SAMPLED, "a lower bound"),
        (Quality.REPAIRED, "came late"),
        (Quality.COMPLETE, ""),
    ],
)
def test_every_channel_says_it(state, quality, words):
    alert = msgspec.structs.replace(notices.alert(state), quality=quality)
    notice = notices.notice(alert)
    told = [_words.plain(notice), json.dumps(slack.message(notice))]
    doubts = ("incomplete", "lower bound", "came late")
    for text in told:
        assert words in text
        assert bool(words) is any(doubt in text for doubt in doubts)
    (sent,) = webhook.payload(notice)["alerts"]
    assert sent["quality"] == quality.value


def test_the_command_line_says_it():
    data = {"severity": "info", "rule": "r", "state": "firing", "text": "t", "inst": "x:A/B"}
    assert tail.line("alert", {**data, "quality": "sampled"}).endswith("t (sampled data)")
    assert tail.line("alert", {**data, "quality": "complete"}).endswith(": t")
