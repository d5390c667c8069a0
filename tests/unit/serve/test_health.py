import pytest

from tapewatch.model.events import Micros
from tapewatch.ports import Counters, LinkState, LinkStatus, Stage
from tapewatch.serve import health
from tests.serving import BTC, NOW, World, link, worker


def verdict(world: World) -> health.Verdict:
    return health.judge(world.context)


def test_healthy_when_data_flows_and_all_workers_run():
    world = World()
    assert verdict(world) == health.Verdict("healthy", [])
    assert verdict(world).code == 200


def test_a_link_that_claims_to_live_but_delivers_nothing_is_stale():
    world = World()
    world.links = [link(last_data=Micros(NOW - 61_000_000))]
    assert verdict(world).status == "unhealthy"
    assert verdict(world).code == 503
    assert "no data for 61 s" in verdict(world).problems[0]


def test_a_link_that_never_delivered_is_judged_from_when_it_went_live():
    world = World()
    world.links = [link(last_data=Micros(0), since=Micros(NOW - 90_000_000))]
    assert verdict(world).status == "unhealthy"


def test_one_dead_link_of_two_degrades():
    world = World()
    world.links = [
        link(),
        link(LinkState.BACKOFF, error="connection refused", retry_at=Micros(NOW + 4_000_000)),
    ]
    found = verdict(world)
    assert (found.status, found.code) == ("degraded", 200)
    assert "backing-off" in found.problems[0]
    assert "connection refused; next try in 4 s" in found.problems[0]


@pytest.mark.parametrize("state", ["restarting", "failed"])
def test_a_worker_that_does_not_run_degrades(state):
    world = World()
    world.workers.append(worker("pump-x", Stage.STORE, state, error="OSError: disk full"))
    assert verdict(world).status == "degraded"
    assert "disk full" in verdict(world).problems[0]


def test_a_feed_that_ended_degrades_but_a_reader_that_ended_does_not():
    world = World()
    world.workers = [worker("hub", Stage.SERVE, "ended")]
    assert verdict(world).status == "healthy"
    world.workers = [worker("feed-binance", Stage.INGEST, "ended")]
    assert verdict(world).status == "degraded"


def test_a_full_buffer_degrades():
    world = World()
    world.counters["pump-parquet"] = Counters(buffered=60_000)
    assert verdict(world).status == "degraded"
    assert "60,000 events waiting" in verdict(world).problems[0]
    assert health.detailed(world.context, verdict(world)).components.event_bus == "degraded"


def test_what_keeps_a_worker_from_its_work_is_told():
    world = World()
    world.counters["pump-parquet"] = Counters(trouble="cannot write x: the disk is full")
    assert verdict(world).status == "degraded"
    assert verdict(world).problems == ["pump-parquet: cannot write x: the disk is full"]


def test_the_first_seconds_are_no_failure_but_not_ready_either():
    world = World()
    world.links = []
    world.context.started = Micros(NOW - 1_000_000)
    assert (verdict(world).status, verdict(world).code) == ("starting", 503)


def test_collecting_nothing_is_unhealthy_and_says_so():
    world = World()
    world.links = []
    assert verdict(world).status == "unhealthy"
    assert "no exchange is enabled" in verdict(world).problems[0]


def test_a_clock_that_jumped_back_makes_no_negative_ages():
    world = World()
    world.links = [link(last_data=Micros(NOW + 5_000_000))]
    shown = health.detailed(world.context, verdict(world)).components.links[0]
    assert shown.data_age_secs == 0
    assert shown.state == "live"


def test_health_has_the_numbers_of_s2_and_s3():
    world = World()
    body = health.health(world.context, verdict(world))
    assert body.crypto_provider == "running"
    assert body.ws_connected is True
    assert (body.produced, body.dlq) == (990, 10)
    assert body.subscribed_symbols == ["BTCUSDT@aggTrade", "BTCUSDT@ticker"]
    assert body.provider_stats.messages_received == 1_000
    assert body.provider_stats.messages_processed == 990
    assert body.provider_stats.uptime_seconds == 3_600
    assert body.provider_stats.influxdb_stats.successful_writes == 980
    assert body.provider_stats.influxdb_stats.queue_size == 10


@pytest.mark.parametrize(
    ("states", "word"),
    [
        ((LinkState.STREAMING, LinkState.STREAMING), "connected"),
        ((LinkState.STREAMING, LinkState.BACKOFF), "degraded"),
        ((LinkState.BLOCKED, LinkState.BACKOFF), "disconnected"),
    ],
)
def test_an_ingestor_is_what_its_links_are(states, word):
    world = World()
    world.links = [link(state) for state in states]
    parts = health.detailed(world.context, verdict(world)).components
    assert parts.ingestors == {"binance": word}


def source(state: LinkState, **more):
    return LinkStatus("news", "cryptopanic", state, Micros(NOW - 5_000_000), **more)


def test_a_source_of_news_that_is_blocked_is_told_and_makes_no_exchange():
    world = World()
    retry_at = Micros(NOW + 1_800_000_000)
    world.news = [source(LinkState.BLOCKED, error="a web page came", retry_at=retry_at)]
    found = verdict(world)
    assert (found.status, found.code) == ("degraded", 200)
    assert found.problems == [
        "news cryptopanic is blocked for 5 s: a web page came; next try in 1800 s"
    ]
    detailed = health.detailed(world.context, found).components
    assert [view.state for view in detailed.news] == ["blocked"]
    assert detailed.enabled_exchanges == ["binance"]


def test_news_that_flow_do_not_hide_an_exchange_that_is_dead():
    world = World()
    world.links = [link(LinkState.BACKOFF)]
    world.news = [source(LinkState.STREAMING, last_data=NOW)]
    assert verdict(world).status == "unhealthy"


def test_where_nothing_but_news_is_collected_news_count():
    world = World()
    world.links, world.news = [], [source(LinkState.STREAMING, last_data=Micros(NOW - 90_000_000))]
    assert verdict(world) == health.Verdict("healthy", [])
    world.news = [source(LinkState.BLOCKED)]
    assert verdict(world).status == "unhealthy"


def test_a_stream_that_is_silent_beyond_its_rhythm_is_named_while_its_link_lives():
    world = World()
    words = f"{BTC} depth: silent for 4.0 s, of late never for 0.4 s"
    world.links = [link(stalled=(words,))]
    verdict = health.judge(world.context)
    assert verdict.status == "degraded"
    assert verdict.problems == [f"1 streams of {world.links[0].route} are silent, such as {words}"]
