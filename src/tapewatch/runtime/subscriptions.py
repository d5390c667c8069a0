"""Which channels of which instruments are wanted: the settings', and what people asked for later.

What is asked for at run time is kept in the registry and loaded again at start; it wins over the
settings, so that a symbol that was unsubscribed by hand stays away.
"""

from collections.abc import Iterable, Mapping

from tapewatch.model.errors import NotFound, Unavailable
from tapewatch.model.events import InstrumentId
from tapewatch.model.instrument import Catalogue, split_id
from tapewatch.ports import Feed, Registry, Subscription
from tapewatch.settings.venue_words import Words


class Subscriptions:
    def __init__(
        self,
        feeds: Mapping[str, Feed],
        dialects: Mapping[str, Words],
        streams: Mapping[str, tuple[str, ...]],
        catalogue: Catalogue,
        registry: Registry,
    ) -> None:
        self._feeds = feeds
        self._dialects = dialects
        self._streams = streams  # each venue's usual channels
        self._catalogue = catalogue
        self._registry = registry
        self._wanted: set[Subscription] = set()

    def start(self, wanted: Iterable[Subscription]) -> None:
        """Note what the feeds were started with."""
        self._wanted = set(wanted)

    def subscriptions(self) -> frozenset[Subscription]:
        return frozenset(self._wanted)

    async def subscribe(
        self, symbol: str, streams: Iterable[str] | None = None
    ) -> list[Subscription]:
        """Add channels of one instrument. Raises NotFound, with the nearest that exist."""
        inst = self._resolve(symbol)
        venue = split_id(inst)[0]
        dialect = self._dialects[venue]
        channels = self._streams[venue] if streams is None else tuple(streams)
        added = [Subscription(inst, dialect.channel(channel)) for channel in channels]
        self._wanted.update(added)
        await self._registry.save(added, wanted=True)
        await self._tell(venue)
        return added

    async def unsubscribe(self, symbol: str) -> list[Subscription]:
        """Take every channel of one instrument away. Nothing subscribed: NotFound."""
        inst = self._resolve(symbol)
        removed = sorted(s for s in self._wanted if s.inst == inst)
        if not removed:
            raise NotFound(
                "subscription", symbol, tuple(sorted({s.inst for s in self._wanted})[:3])
            )
        self._wanted.difference_update(removed)
        await self._registry.save(removed, wanted=False)
        await self._tell(split_id(inst)[0])
        return removed

    async def _tell(self, venue: str) -> None:
        mine = frozenset(s for s in self._wanted if split_id(s.inst)[0] == venue)
        await self._feeds[venue].want(mine)

    def _resolve(self, symbol: str) -> InstrumentId:
        waiting = [venue for venue in self._feeds if not self._catalogue.all(venue)]
        try:
            instrument = self._catalogue.resolve(symbol)
        except NotFound:
            if waiting:
                raise Unavailable(
                    f"the symbol listing of {' and '.join(waiting)} has not been read yet; "
                    "see /health/detailed for why, and ask again"
                ) from None
            raise
        if instrument.venue not in self._feeds:
            raise NotFound("venue", instrument.venue, tuple(self._feeds))
        return instrument.id


def merge(
    configured: Iterable[Subscription], kept: Iterable[tuple[Subscription, bool]]
) -> frozenset[Subscription]:
    """Settings first, then what people did at run time, in the order in which they did it."""
    wanted = set(configured)
    for subscription, is_wanted in kept:
        if is_wanted:
            wanted.add(subscription)
        else:
            wanted.discard(subscription)
    return frozenset(wanted)
