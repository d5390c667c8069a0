import asyncio
import json
import os
import signal

import pytest

from tapewatch.model.errors import ConfigError
from tapewatch.ports import Latest, Plugin
from tapewatch.runtime import launch, plugins
from tapewatch.runtime.wiring import App
from tapewatch.stores.memory import Memory, MemoryConfig


def plan(tmp_path, storage=None, **sections):
    settings = {
        "exchanges": {"binance": {"symbols": ["BTC/USDT"]}},
        "storage": {"data_dir": str(tmp_path / "data"), **(storage or {})},
        **sections,
    }
    (tmp_path / "tapewatch.yaml").write_text(json.dumps(settings))
    return launch.plan_of(launch.load(tmp_path / "tapewatch.yaml", environ={}, folder=tmp_path))


def test_what_the_settings_say_reaches_the_plan(tmp_path):
    made = plan(
        tmp_path,
        {"batch_max_events": 7, "batch_max_age_secs": 2, "spill_max_bytes": 2_000_000,
         "parquet": {"grace_secs": 5}},
        bus={"max_events": 5_000},
        retention={"trades_days": 3},
        server={"port": 0, "cors_origins": ["https://a.example"]},
    )  # fmt: skip
    assert (made.pace.max_events, made.pace.max_age_secs) == (7, 2)
    assert (made.spill_max_bytes, made.max_events) == (2_000_000, 5_000)
    assert made.parquet.grace_secs == 5
    assert made.keep_days == {"trades": 3}
    assert made.options.cors_origins == ("https://a.example",)
    assert [venue.name for venue in made.venues] == ["binance"]
    assert {p.name for p in made.processors} == {*plugins.loadable("process"), "rules"}


def test_a_backend_of_ones_own_is_used_when_it_is_named(tmp_path, monkeypatch):
    class Mine:
        def update(self, events) -> None:
            pass

        def get_latest(self, inst) -> Latest:
            return Latest(inst)

        def get_all(self) -> dict:
            return {}

    real_names, real_load = plugins.names, plugins.load
    own = Plugin(config=MemoryConfig, build=lambda name, config: Mine())
    monkeypatch.setattr(
        plugins, "names", lambda kind: real_names(kind) + ["mine"] * (kind == "stores")
    )
    monkeypatch.setattr(
        plugins, "load", lambda kind, name: own if name == "mine" else real_load(kind, name)
    )
    hot = plan(tmp_path, {"backend": "mine"}).hot
    assert hot.get_latest("v:A/B") == Latest("v:A/B")


def test_a_backend_that_is_to_come_is_memory_for_now(tmp_path):
    assert isinstance(plan(tmp_path, {"backend": "redis"}).hot, Memory)


def test_without_parquet_nothing_starts(tmp_path):
    with pytest.raises(ConfigError, match=r"storage\.sinks must name parquet"):
        plan(tmp_path, {"sinks": []})


def test_an_app_of_a_plan_has_not_touched_the_disk(tmp_path):
    App(plan(tmp_path), lambda: 0)
    assert not (tmp_path / "data").exists()


def test_an_unknown_stream_is_refused_before_disk_or_network(tmp_path):
    settings = {"exchanges": {"binance": {"symbols": ["BTC/USDT"], "streams": ["depht"]}}}
    (tmp_path / "tapewatch.yaml").write_text(json.dumps(settings))
    loaded = launch.load(tmp_path / "tapewatch.yaml", environ={}, folder=tmp_path)
    with pytest.raises(ConfigError, match=r"(?s)depht.*depth"):
        launch.plan_of(loaded)
    assert [path.name for path in tmp_path.iterdir()] == ["tapewatch.yaml"]


def test_a_signal_that_comes_twice_at_once_is_one_wish(monkeypatch, capsys):
    forced = []

    async def main(stop):
        ended = asyncio.Event()
        monkeypatch.setattr(os, "_exit", lambda code: (forced.append(code), ended.set()))
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0)
        await stop.wait()
        await asyncio.sleep(0)
        assert not forced
        monkeypatch.setattr(launch, "_SAME_WISH_SECS", -1.0)  # a person takes longer than that
        os.kill(os.getpid(), signal.SIGINT)
        async with asyncio.timeout(60):
            await ended.wait()
        return 0

    assert launch.run(main) == 0
    assert forced == [130]
    assert capsys.readouterr().err.count("draining") == 1
