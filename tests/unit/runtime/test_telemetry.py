from tapewatch.model.events import Micros, Side, Ticker, Trade
from tapewatch.ports import Counters, LinkState, LinkStatus, Stage, WorkerHealth
from tapewatch.runtime.telemetry import Facts, Processing, Telemetry, source_of
from tapewatch.stores.memory import Memory
from tapewatch.wire.calls import Calls

NOW = Micros(2_000_000)


def telemetry(**more) -> Telemetry:
    hot = Memory()
    hot.update([Trade(Micros(1), NOW, "binance:BTC/USDT", "1", Side.BUY, 70_717.9, 1.0)])
    facts = {
        "clock": lambda: NOW, "hot": hot, "processing": Processing(),
        "counters": dict, "links": list, "workers": list, "clients": lambda: 3,
        "api_calls": lambda: {"binance": Calls(2, 0.5, 0.2)},
    }  # fmt: skip
    return Telemetry(Facts(**(facts | more)))


def lines(made: Telemetry) -> list[str]:
    return [line for line in made.text().decode().splitlines() if not line.startswith("#")]


def test_names_of_earlier_systems_are_kept_letter_by_letter():
    processing = Processing()
    processing.events["trade", "binance"] = 7
    processing.spent(4e-6, 2)
    found = lines(telemetry(processing=processing))
    assert 'crypto_price{symbol="BTC/USDT"} 70717.9' in found
    assert 'api_latency_seconds{venue="binance"} 0.2' in found
    assert "collector_errors_total 0.0" in found
    assert "last_update_timestamp 2.0" in found
    assert "websocket_connections_total 3.0" in found
    assert 'events_processed_total{source="binance",type="trade"} 7.0' in found
    assert "event_processing_seconds_count 2.0" in found
    assert 'event_processing_seconds_bucket{le="2e-06"} 2.0' in found
    assert "rss_fetch_total" in telemetry().text().decode()


def test_requests_for_news_are_counted_by_what_came_of_them():
    found = lines(telemetry(news_fetches=lambda: {"ok": 3, "blocked": 1}))
    assert 'rss_fetch_total{status="ok"} 3.0' in found
    assert 'rss_fetch_total{status="blocked"} 1.0' in found


def test_every_drop_and_error_of_every_worker_is_there():
    counters = Counters(received=5, sent=4, buffered=1)
    counters.drop("buffer full", 9)
    counters.error("decode", 2)
    found = lines(telemetry(counters=lambda: {"feed": counters}))
    assert 'tapewatch_events_dropped_total{reason="buffer full",worker="feed"} 9.0' in found
    assert 'tapewatch_errors_total{kind="decode",worker="feed"} 2.0' in found
    assert "collector_errors_total 2.0" in found
    assert 'tapewatch_buffer_events{worker="feed"} 1.0' in found


def test_links_and_restarts_are_facts():
    link = LinkStatus("binance", "binance-0", LinkState.STREAMING, last_data=Micros(1_500_000))
    health = WorkerHealth("hub", Stage.SERVE, "running", Micros(0), restarts=2)
    found = lines(telemetry(links=lambda: [link], workers=lambda: [health]))
    assert 'tapewatch_link_up{route="binance-0",venue="binance"} 1.0' in found
    assert 'tapewatch_link_data_age_seconds{route="binance-0",venue="binance"} 0.5' in found
    assert 'tapewatch_worker_restarts_total{worker="hub"} 2.0' in found


def test_labels_are_bounded():
    event = Ticker(Micros(1), Micros(1), "okx:BTC/USDT", 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0)
    assert source_of(event) == "okx"
