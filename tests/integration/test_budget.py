"""The listing at start and the feed behind it ask a venue out of one budget."""

from tapewatch.wire import limiter
from tests.integration.fleet import VENUES, fleets


async def test_what_the_listing_cost_is_missing_from_what_the_feed_may_ask(tmp_path, monkeypatch):
    spent = []
    spend = limiter.Window.spend

    def noted(window, now, amount=1.0):
        spent.append(window)
        spend(window, now, amount)

    monkeypatch.setattr(limiter.Window, "spend", noted)
    async with fleets(tmp_path) as fleet:
        budgets = {venue: fleet.app._budgets[venue] for venue in VENUES}
        assert {id(fleet.app.feeds[venue]._weights) for venue in VENUES} == {
            id(budget) for budget in budgets.values()
        }
        # Each was asked for its listing; the Binances for the snapshots of two books as well.
        assert spent.count(budgets["coinbase"]) == 1
        for venue in ("binance", "binance_futures"):
            assert spent.count(budgets[venue]) >= 3
