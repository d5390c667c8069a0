"""Simulated exchanges in a process of their own, so that their work is not on the product's core."""

import subprocess
import sys
from collections.abc import Sequence
from functools import cached_property
from types import TracebackType
from typing import Self

from tapewatch.model.errors import Unavailable

_GOODBYE_SECS = 10.0


class SimulatedWorld:
    """A context: running inside, stopped outside."""

    def __init__(
        self, names: Sequence[str], seed: int, rate: float, symbols: int, scenario: str | None
    ) -> None:
        self.names = tuple(names)
        self._symbols = symbols
        self._arguments = {
            "port": 0, "seed": seed, "rate": rate, "symbols": symbols, "scenario": scenario,
        }  # fmt: skip
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        call = f"command({','.join(self.names)!r}, **{self._arguments!r})"
        program = f"from tapewatch.cli.simulate import command; raise SystemExit({call})"
        # A group of its own: Ctrl-C goes to the product, which stops the exchanges last.
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.communicate(timeout=_GOODBYE_SECS)
            except subprocess.TimeoutExpired:  # a machine may stand still for so long
                self._process.kill()
                self._process.communicate()

    @cached_property
    def addresses(self) -> dict[str, tuple[str, str]]:
        """For each venue its address for sockets and that for requests; waits until it listens."""
        if len(self.names) == 1:
            return {self.names[0]: (self._words(2)[1], self._words(2)[1])}
        lines = [self._words(5) for _ in self.names]
        return {name: (ws_url, rest_url) for name, _, ws_url, _, rest_url in lines}

    def symbols(self, name: str) -> list[str]:
        """All that a venue of it trades, as the simulator names them."""
        from tapewatch.sim.venues import listings_of

        return [pair.symbol for pair in listings_of(name, self._symbols)]

    def _words(self, count: int) -> list[str]:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline().split()
        if len(line) != count:  # it said why on stderr
            assert self._process.stderr is not None
            raise Unavailable(f"no simulated exchange: {self._process.stderr.read().strip()}")
        return line
