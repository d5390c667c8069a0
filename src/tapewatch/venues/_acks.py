"""Acks: what was asked of the venue and not answered yet, and what was accepted but never spoke.

A venue may forget a request, or say yes to a name that does not exist and stay silent. Both are
told once; neither closes the connection. Some venues answer a request as a whole, by its number,
others each subscription for itself.
"""

from collections.abc import Container, Iterable

from tapewatch.model.events import Micros
from tapewatch.model.times import SECOND
from tapewatch.ports import Subscription

ANSWER_SECS = 10
SPEAK_SECS = 60


class Acks:
    def __init__(self) -> None:
        self._number = 0
        self._asked: dict[int, tuple[tuple[Subscription, ...], Micros]] = {}
        self._silent: dict[Subscription, Micros] = {}

    def ask(self, subscriptions: tuple[Subscription, ...], now: Micros) -> int:
        """Note a request; gives the number to send with it."""
        self._number += 1
        # What was asked before may still wait to be sent: a venue takes some frames a second.
        until = Micros(now + (ANSWER_SECS + len(self._asked)) * SECOND)
        self._asked[self._number] = subscriptions, until
        return self._number

    def answered(self, number: object) -> tuple[Subscription, ...]:
        """Give what this number asked for; empty if nobody asked or it was answered already."""
        found = self._asked.pop(number, None) if type(number) is int else None
        return found[0] if found else ()

    def settled(self, subscriptions: Iterable[Subscription]) -> tuple[Subscription, ...]:
        """These were answered, each for itself; gives those of them that were asked for."""
        named = set(subscriptions)
        found: list[Subscription] = []
        for number, (asked, until) in list(self._asked.items()):
            hit = tuple(sub for sub in asked if sub in named)
            if not hit:
                continue
            found.extend(hit)
            left = tuple(sub for sub in asked if sub not in named)
            if left:
                self._asked[number] = left, until
            else:
                del self._asked[number]
        return tuple(found)

    def waiting(self) -> tuple[Subscription, ...]:
        """Everything that was asked for and not answered, oldest first."""
        return tuple(sub for asked, _ in self._asked.values() for sub in asked)

    def only(self) -> int | None:
        """The one request under way: an answer without a number can only be for it."""
        return next(iter(self._asked)) if len(self._asked) == 1 else None

    def oldest(self, named: Container[Subscription] = ()) -> tuple[Subscription, ...]:
        """Take what an answer without a number is for: the oldest request, if none has `named`."""
        numbers = [n for n, (asked, _) in self._asked.items() if any(s in named for s in asked)]
        number = next(iter(numbers or self._asked), None)
        return self._asked.pop(number)[0] if number is not None else ()

    def overdue(self, now: Micros) -> list[tuple[Subscription, ...]]:
        """Requests whose time is over. Each is given once."""
        late = [number for number, (_, until) in self._asked.items() if now >= until]
        return [self._asked.pop(number)[0] for number in late]

    def expect(self, subscriptions: Iterable[Subscription], now: Micros) -> None:
        """These will speak soon if they exist."""
        until = Micros(now + SPEAK_SECS * SECOND)
        self._silent.update(dict.fromkeys(subscriptions, until))

    def heard(self, subscription: Subscription) -> None:
        self._silent.pop(subscription, None)

    def silent(self, now: Micros) -> tuple[Subscription, ...]:
        """What should have spoken by now. Each is given once."""
        late = tuple(s for s, until in self._silent.items() if now >= until)
        for subscription in late:
            del self._silent[subscription]
        return late
