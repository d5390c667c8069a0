import json
from datetime import UTC

import pytest

from tapewatch.model.errors import ConfigError
from tapewatch.news.sources import KNOWN
from tapewatch.runtime import launch


def plan(tmp_path, environ=None, **news):
    settings = {
        "exchanges": {"binance": {"enabled": False}},
        "storage": {"data_dir": str(tmp_path / "data")},
        "news": {"enabled": True, **news},
    }
    path = tmp_path / "tapewatch.yaml"
    path.write_text(json.dumps(settings))
    return launch.plan_of(launch.load(path, environ=environ or {}, folder=tmp_path))


def test_cryptopanic_alone_is_asked_unless_more_is_named(tmp_path):
    news = plan(tmp_path).news
    assert [(each.name, each.url) for each in news.sources] == [
        ("cryptopanic", KNOWN["cryptopanic"])
    ]
    assert (news.hours.day_secs, news.hours.night_secs, news.hours.zone) == (30, 90, UTC)


def test_the_names_of_the_datahub_in_the_environment_work(tmp_path):
    environ = {"NEWS_POLL_SECONDS_DAY": "60", "NEWS_POLL_SECONDS_NIGHT": "300"}
    hours = plan(tmp_path, environ).news.hours
    assert (hours.day_secs, hours.night_secs) == (60, 300)


def test_sources_hours_and_zone_reach_the_plan(tmp_path):
    news = plan(
        tmp_path,
        sources=["coindesk", "mine=https://a.example/rss"],
        zone="Asia/Tokyo",
        day_from_hour=8,
        day_until_hour=20,
        user_agent="me/1",
    ).news
    assert [each.name for each in news.sources] == ["coindesk", "mine"]
    assert str(news.hours.zone) == "Asia/Tokyo"
    assert (news.hours.day_from, news.hours.day_until, news.user_agent) == (8, 20, "me/1")


def test_news_that_are_off_are_not_in_the_plan(tmp_path):
    path = tmp_path / "tapewatch.yaml"
    path.write_text(json.dumps({"exchanges": {"binance": {"symbols": ["BTC/USDT"]}}}))
    assert launch.plan_of(launch.load(path, environ={}, folder=tmp_path)).news is None


@pytest.mark.parametrize(
    ("news", "told"),
    [
        ({"sources": ["cryptopanik"]}, "did you mean `cryptopanic`"),
        ({"sources": ["coindesk", "ftp://a.example"]}, "no address"),
        ({"sources": []}, "nothing to poll"),
        ({"zone": "Mars/Base"}, "unknown time zone 'Mars/Base'"),
        ({"poll_day_secs": 1}, "at least 5"),
    ],
)
def test_a_mistake_is_told_at_its_line_before_anything_starts(tmp_path, news, told):
    with pytest.raises(ConfigError, match="(?s)" + told):
        plan(tmp_path, **news)
    assert not (tmp_path / "data").exists()
