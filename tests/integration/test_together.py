"""What was collected from several venues at once is replayed byte for byte, alerts included."""

import json

from tapewatch.cli import replay
from tapewatch.model.events import Alert, AlertState, Candle, Metric
from tests.integration.together import collect


def has_fired_and_ended(collected):
    states = {alert.state for alert in collected.of(Alert) if alert.rule == "divergence"}
    return {AlertState.FIRING, AlertState.RESOLVED} <= states


async def test_a_replay_of_three_venues_gives_the_live_output_and_its_alerts(
    tmp_path, capsysbinary
):
    live = await collect(tmp_path, seed=5, rate=0.3, astray_secs=10.0, until=has_fired_and_ended)
    assert replay.command(tmp_path, seal=True) == 0
    output = capsysbinary.readouterr().out
    digest = tmp_path.with_name(f"{tmp_path.name}.sha256").read_text().split("\n")[1]
    assert digest == f"{live.output.hexdigest()}  output"
    found = [json.loads(line) for line in output.splitlines()]
    fired = [e for e in found if e["type"] == "alert" and e["state"] == "firing"]
    assert "okx:BTC/USDT" in {e["inst"] for e in fired if e["rule"] == "divergence"}
    assert {"candle", "metric", "alert"} <= {e["type"] for e in found}
    assert len([e for e in found if e["type"] == "metric"]) == len(live.of(Metric))
    assert len([e for e in found if e["type"] == "candle"]) == len(live.of(Candle))
    venues = [e["inst"].partition(":")[0] for e in found if e["type"] == "quote"]
    assert {"binance", "okx", "bybit"} == set(venues)
