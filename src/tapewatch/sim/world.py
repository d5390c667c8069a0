"""Several simulated venues at once: one world of prices, a port for each venue, one event loop.

The markets share seed and start, so that their prices agree but for what each venue does by
itself. A shock asked for at one of them hits all.
"""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import Self

from tapewatch.sim.exchange import SimulatedExchange
from tapewatch.sim.faults import Faults
from tapewatch.sim.market import Shock
from tapewatch.sim.scenarios import Scenario, unleash
from tapewatch.sim.venues import open_venue

# All that one world shows at once: Coinbase speaks two dialects over one market.
WORLD = ("binance", "binance_futures", "okx", "bybit", "coinbase")
_PORTS_TRIED = 100


class World:
    """Made by `open_world`. Start it, use `addresses`, stop it; or an async context manager."""

    def __init__(self, exchanges: Mapping[str, SimulatedExchange]) -> None:
        self.exchanges = exchanges
        self._running = AsyncExitStack()
        for exchange in exchanges.values():
            exchange.api.shock = self.shock

    @property
    def addresses(self) -> dict[str, tuple[str, str]]:
        """For each venue its address for sockets and that for requests."""
        return {name: (each.ws_url, each.rest_url) for name, each in self.exchanges.items()}

    def shock(self, shock: Shock) -> None:
        """Let the prices of all venues fall (or jump) and come back."""
        for exchange in self.exchanges.values():
            exchange.market.shock(shock)

    def unleash(self, scenario: Scenario) -> None:
        """Put a scenario in force."""
        unleash(scenario, [(each.market, each.faults) for each in self.exchanges.values()])

    async def start(self) -> None:
        """Open the ports. A world of one venue takes the port given or fails (OSError)."""
        try:
            for exchange in self.exchanges.values():
                await self._open(exchange)
        except OSError:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Cut all clients and free the ports."""
        await self._running.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        await self.stop()

    async def advance(self, micros: int) -> None:
        """Move the time of all (manual drive)."""
        for exchange in self.exchanges.values():
            await exchange.advance(micros)

    async def _open(self, exchange: SimulatedExchange) -> None:
        """The port wished for or, where there are several venues, the next that is free."""
        *others, last = self._ports(exchange)
        for port in others:
            exchange.port = port
            with suppress(OSError):
                await self._running.enter_async_context(exchange)
                return
        exchange.port = last
        await self._running.enter_async_context(exchange)

    def _ports(self, exchange: SimulatedExchange) -> list[int]:
        wished = exchange.port
        if not wished or len(self.exchanges) == 1:
            return [wished]
        taken = {each.port for each in self.exchanges.values() if each is not exchange}
        return [port for port in range(wished, wished + _PORTS_TRIED) if port not in taken]


def open_world(  # noqa: PLR0913 - options by name, each with its default
    names: Sequence[str] = WORLD, *, start: int, seed: int = 1, symbols: int = 20,
    rate: float = 1.0, host: str = "127.0.0.1", port: int = 0, live: bool = True,
) -> World:  # fmt: skip
    """Venues over one seed and start, on ports from `port` upward (0: any that are free).

    Binance by itself is the market that it always was, not a part of the world.
    """
    exchanges: dict[str, SimulatedExchange] = {}
    for number, name in enumerate(dict.fromkeys(names)):
        market, make, rules = open_venue(
            name, start=start, seed=seed, symbols=symbols, rate=rate,
            alone=tuple(names) == ("binance",),
        )  # fmt: skip
        exchanges[name] = SimulatedExchange(
            market, venue=make, rules=rules, faults=Faults(seed), host=host,
            port=port + number if port else 0, live=live,
        )  # fmt: skip
    return World(exchanges)
