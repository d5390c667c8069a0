import pytest

from tapewatch.settings.schema import Retention, ServerSettings, Settings


def test_the_defaults_are_safe():
    settings = Settings()
    assert settings.server.host == "127.0.0.1"
    assert settings.server.cors_origins == ()
    assert settings.retention.by_kind() == {}


def test_retention_gives_days_by_kind():
    assert Retention(trades_days=30, orderbook_days=2.5).by_kind() == {
        "trades": 30,
        "orderbook": 2.5,
    }


def test_two_servers_cannot_share_a_port():
    with pytest.raises(ValueError, match="health_port"):
        ServerSettings(port=8080, health_port=8080)
