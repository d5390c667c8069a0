"""Settings for tests: a plug-in of each kind, and `read(text)`."""

import pytest
from msgspec import Struct

from tapewatch.model.channel import ChannelConfig
from tapewatch.model.errors import NotFound
from tapewatch.model.secret import Secret
from tapewatch.ports import FeedConfig
from tapewatch.settings.loader import load


class VenueConfig(FeedConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    ws_url: str = "wss://example.org"


class DetectorConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    intervals: tuple[str, ...] = ("1m",)
    short: int | str | None = None


class SlackConfig(ChannelConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    webhook_url: Secret


class WebhookConfig(ChannelConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    url: Secret


PLUGINS = {
    "venues": {"binance": VenueConfig},
    "process": {"candles": DetectorConfig},
    "stores": {
        "memory": DetectorConfig,
        "parquet": DetectorConfig,
        "duckdb": DetectorConfig,
        "mine": DetectorConfig,
    },
    "notify": {"slack": SlackConfig, "webhook": WebhookConfig},
}


def config_of(kind, name):
    if name not in PLUGINS[kind]:
        word = {"venues": "venue", "process": "detector", "stores": "store"}.get(kind, kind)
        raise NotFound(word, name, tuple(PLUGINS[kind]))
    return PLUGINS[kind][name]


@pytest.fixture
def read(tmp_path):
    def read(text=None, *, environ=None, dotenv=None, options=()):
        if text is not None:
            (tmp_path / "tapewatch.yaml").write_bytes(
                text if isinstance(text, bytes) else text.encode()
            )
        if dotenv is not None:
            (tmp_path / ".env").write_text(dotenv)
        return load(
            None, config_of=config_of, environ=environ or {}, options=options, folder=tmp_path
        )

    return read


@pytest.fixture
def plugins():
    return PLUGINS
