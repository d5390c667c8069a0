"""A simulated exchange in a process of its own, so that its work is not on the product's core."""

import json
import subprocess
import sys
from types import TracebackType
from typing import Self
from urllib.request import urlopen

from tapewatch.model.errors import Unavailable


class SimulatedBinance:
    """A context: running inside, stopped outside."""

    def __init__(self, seed: int, rate: float, symbols: int, scenario: str | None) -> None:
        self.ws_url = ""
        self.rest_url = ""
        self._arguments = {"port": 0, "seed": seed, "rate": rate, "symbols": symbols}
        self._scenario = scenario
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        call = f"command('binance', scenario={self._scenario!r}, **{self._arguments!r})"
        program = f"from tapewatch.cli.simulate import command; raise SystemExit({call})"
        # A group of its own: Ctrl-C goes to the product, which stops the exchange last.
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self.ws_url = self._address("websocket")
        self.rest_url = self._address("rest")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.communicate(timeout=10)

    def symbols(self) -> list[str]:
        """All pairs that it trades, as it writes them."""
        with urlopen(f"{self.rest_url}/api/v3/exchangeInfo", timeout=10) as answer:  # noqa: S310
            listing = json.load(answer)
        return [row["symbol"] for row in listing["symbols"] if row["status"] == "TRADING"]

    def _address(self, word: str) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline().split()
        if len(line) != 2 or line[0] != word:  # it said why on stderr
            assert self._process.stderr is not None
            raise Unavailable(f"no simulated exchange: {self._process.stderr.read().strip()}")
        return line[1]
