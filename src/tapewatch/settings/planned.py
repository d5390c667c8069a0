"""What settings may name although this version does not have it yet.

Files and environments of the earlier systems are accepted as they are. What stands there and has
no effect yet is told, each once; it is never ignored in silence. An entry leaves this table in the
change that builds the thing: as soon as a plug-in of that name exists it is used and checked.
"""

from tapewatch.settings.node import Items, Node, Path, Section, Text, find, key_place
from tapewatch.settings.problems import Problem
from tapewatch.settings.scalars import truth

_PLUGINS = {
    "venues": {
        name: f"{name} is not in this version: nothing is collected from it"
        for name in ("binance_futures", "okx", "bybit", "coinbase")
    },
    "stores": {
        "redis": "the Redis backend is not in this version: memory is used",
        "postgres": "PostgreSQL is not in this version: nothing is written to it",
        "timescale": "TimescaleDB is not in this version: nothing is written to it",
        "influx": "InfluxDB is not in this version: nothing is written to it",
        "influx3": "InfluxDB is not in this version: nothing is written to it",
    },
    "process": {
        name: f"the detector {name} is not in this version: it reports nothing"
        for name in (
            "big_trade",
            "liquidation_spike",
            "volume_surge",
            "volatility",
            "flow_ratio",
            "whale",
        )
    },
}

_SETTINGS: dict[Path, str] = {
    ("bus", "kafka"): "Kafka is not in this version: the local bus is used",
    ("storage", "redis_url"): "the Redis backend is not in this version: memory is used",
    ("storage", "max_memory_gb"): "nothing is evicted to Redis in this version: memory is used",
}


def not_yet(kind: str, name: str) -> str:
    """A sentence about a plug-in that is to come, empty if none of that name is planned."""
    return _PLUGINS.get(kind, {}).get(name, "")


def planned_names(kind: str) -> list[str]:
    """What may be named already."""
    return list(_PLUGINS.get(kind, {}))


def unused(root: Section) -> list[Problem]:
    """A notice for every setting that was written and has no effect yet."""
    backend = find(root, ("storage", "backend"))
    told = isinstance(backend, Text) and bool(not_yet("stores", backend.text))
    return [
        Problem("CFG101", sentence, key_place(root, path), ".".join(path))
        for path, sentence in _SETTINGS.items()
        if _says_something(find(root, path)) and not (told and path[0] == "storage")
    ]


def _says_something(node: Node | None) -> bool:
    if isinstance(node, Section):
        enabled = node.fields.get("enabled")
        off = isinstance(enabled, Text) and truth(enabled.text) is False
        return not off and any(_says_something(below) for below in node.fields.values())
    if isinstance(node, Items):
        return bool(node.items)
    return node is not None and not node.empty
