"""Executes what conversations ask to fetch, and brings each answer back to the one that asked.

The answer comes although the link of the asker may be gone: what a repair found belongs to the
stream, not to the connection.
"""

from typing import Protocol

from tapewatch.ports import Answer, Fetch
from tapewatch.wire.crew import Crew
from tapewatch.wire.http import Http
from tapewatch.wire.outflow import Outflow

MAX_UNDER_WAY = 1000


class Asker(Protocol):
    def answer(self, fetch: Fetch, answer: Answer) -> None: ...


class Fetcher:
    def __init__(self, http: Http, flow: Outflow, crew: Crew) -> None:
        self._http = http
        self._flow = flow
        self._crew = crew
        self._under_way = 0

    def fetch(self, asker: Asker, fetch: Fetch) -> None:
        """Begin. The answer comes later, never from inside this call."""
        self._crew.spawn(self._bring(asker, fetch))

    async def _bring(self, asker: Asker, fetch: Fetch) -> None:
        if self._under_way >= MAX_UNDER_WAY:
            answer = Answer(0, f"more than {MAX_UNDER_WAY} requests are under way".encode())
        else:
            self._under_way += 1
            try:
                answer = await self._http.get(fetch.url, fetch.weight)
            finally:
                self._under_way -= 1
        await self._flow.room()
        asker.answer(fetch, answer)
