"""Sharing subscriptions out over connections, so that one more moves few of the others."""

import zlib
from collections.abc import Iterable

from tapewatch.ports import Route, Subscription


def share_out(
    name: str, url: str, wanted: Iterable[Subscription], *, per_link: int, most: int
) -> list[Route]:
    """As few connections as `per_link` allows, none with more than `most`; by instrument."""
    subscriptions = sorted(set(wanted))
    links = -(-len(subscriptions) // per_link)
    while links:
        shards: dict[int, list[Subscription]] = {}
        for sub in subscriptions:
            shards.setdefault(_shard(sub.inst, links), []).append(sub)
        if all(len(shard) <= most for shard in shards.values()):
            return [
                Route(f"{name}-{number}", url, tuple(shard))
                for number, shard in sorted(shards.items())
            ]
        links += 1
    return []


def _shard(inst: str, links: int) -> int:
    """Jump consistent hash (Lamping, Veach 2014): one more link moves only its fair share."""
    key = zlib.crc32(inst.encode())
    shard, jump = -1, 0
    while jump < links:
        shard = jump
        key = (key * 2862933555777941757 + 1) & 0xFFFFFFFFFFFFFFFF
        jump = int((shard + 1) * ((1 << 31) / ((key >> 33) + 1)))
    return shard
