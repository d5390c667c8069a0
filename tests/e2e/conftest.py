import pytest

from tapewatch.cli._exchange import SimulatedBinance
from tests.e2e.product import Product


@pytest.fixture
def exchange():
    with SimulatedBinance(seed=7, rate=3.0, symbols=6, scenario=None) as simulated:
        yield simulated


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
