"""A rule that fires, a stop or a kill, and a start: the rules and the notices agree about it."""

import asyncio

from msgspec import structs

from benchmarks.alerts import SIGNAL, Beacon
from tapewatch.model.events import Micros, Side, Trade
from tapewatch.rules.defaults import RuleSet
from tapewatch.rules.rule import Rule
from tapewatch.rules.rulebook import measures_of
from tapewatch.runtime import launch
from tapewatch.runtime.clock import wall_clock
from tapewatch.runtime.rules_settings import with_rules
from tapewatch.runtime.wiring import App
from tapewatch.stores.alert_log import FILE
from tests.integration.test_alerts_product import Product
from tests.notices import BTC, SECOND

RULE = Rule(name="beacon", when="seen > 0.5", forget_secs=3600.0)


class Ruled(Product):
    """The product with one rule, which a trade of a certain size makes fire."""

    number = 0

    async def start(self, **notify):
        loaded = launch.load(self.write(**notify), environ={}, folder=self.folder)
        plan = launch.plan_of(loaded)
        plan.data_dir.mkdir(exist_ok=True)
        bare = (*(each for each in plan.processors if each.name != "rules"), Beacon())
        rules = RuleSet((RULE,), measures=measures_of(bare))
        plan = structs.replace(plan, processors=with_rules(bare, rules), rules=rules)
        self.app, self.stop = App(plan, wall_clock), asyncio.Event()
        await self.app.start()
        self.running = asyncio.create_task(self.app.run(self.stop))

    async def trade(self, size):
        self.number += 1
        now = wall_clock()
        fill = Trade(now, now, BTC, str(self.number), Side.BUY, 100.0, size, "aggTrade")
        await self.app.bus.publish([fill])

    def told(self):
        return [each["alerts"][0]["state"] for each in self.hook.got]


async def test_what_fires_over_a_restart_is_told_once_and_its_end_is_told(tmp_path):
    async with Ruled(tmp_path) as product:
        await product.start()
        await product.trade(SIGNAL)
        await product.until(lambda: len(product.hook.got) == len(product.mail.postman.mails) == 1)
        await product.end()

        await product.start()
        _, now = await product.ask("/alerts")
        assert [each["rule"] for each in now["alerts"]] == ["beacon"]
        await product.trade(1.0)
        await product.until(lambda: len(product.hook.got) == len(product.mail.postman.mails) == 2)
        await product.end()
        assert product.told() == ["firing", "resolved"]


async def test_what_fired_and_ended_after_the_last_checkpoint_is_told_once(tmp_path):
    """A kill: the rules go on from an older checkpoint and say again what is over."""
    checkpoint = tmp_path / "data" / "checkpoint"
    async with Ruled(tmp_path) as product:
        await product.start()
        await product.trade(1.0)
        await product.end()
        older = checkpoint.read_bytes()

        await product.start()
        await product.trade(SIGNAL)
        await product.until(lambda: len(product.hook.got) == 1)
        await product.trade(1.0)
        await product.until(lambda: len(product.hook.got) == 2)
        await product.end()
        checkpoint.write_bytes(older)

        await product.start()
        await product.trade(SIGNAL)
        await product.until(lambda: len(product.hook.got) > 2)
        await product.end()
        told = [(a["id"], a["state"]) for each in product.hook.got for a in each["alerts"]]
        assert [state for _, state in told] == ["firing", "resolved", "firing"]
        assert told[0][0] == told[1][0] != told[2][0]


async def test_what_the_log_lost_is_told_from_the_memory_of_the_rules(tmp_path):
    async with Ruled(tmp_path) as product:
        await product.start()
        await product.trade(SIGNAL)
        await product.until(lambda: len(product.hook.got) == 1)
        await product.end()
        for file in (tmp_path / "data").glob(f"{FILE}*"):
            file.unlink()

        await product.start()
        await product.until(lambda: len(product.hook.got) == 2)
        await product.end()
        first, second = (each["alerts"][0] for each in product.hook.got)
        assert first["id"] == second["id"]
        assert second["value"] == first["value"] == 1.0
        assert second["text"] == first["text"]


async def test_what_the_rules_lost_is_over(tmp_path):
    async with Ruled(tmp_path) as product:
        await product.start()
        await product.trade(SIGNAL)
        await product.until(lambda: len(product.hook.got) == 1)
        await product.end()
        (tmp_path / "data" / "checkpoint").unlink()

        await product.start()
        await product.until(lambda: len(product.hook.got) == 2)
        await product.end()
        assert product.told() == ["firing", "resolved"]
        assert product.hook.got[1]["at"] > Micros(0) + SECOND
