from functools import partial
from types import SimpleNamespace

import pytest

from tapewatch.cli._exchange import SimulatedWorld
from tests.e2e.product import Product


@pytest.fixture
def exchange():
    """Binance alone."""
    with SimulatedWorld(("binance",), seed=7, rate=3.0, symbols=6, scenario=None) as world:
        ws_url, rest_url = world.addresses["binance"]
        symbols = partial(world.symbols, "binance")
        yield SimpleNamespace(ws_url=ws_url, rest_url=rest_url, symbols=symbols)


@pytest.fixture
def start(tmp_path):
    """Start the product in the test's folder; whatever happens, it does not outlive the test."""
    started: list[Product] = []

    def begin(*arguments: str) -> Product:
        started.append(Product(*arguments, cwd=tmp_path))
        return started[-1]

    yield begin
    for product in started:
        if product.runs:
            product.kill()
