"""Look at this machine, the stores, the detectors, every venue, source of news and channel: what does not work, and why."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from tapewatch.runtime.plan import Plan


def command(
    *,
    config: Annotated[Path | None, Parameter(name=["--config", "-c"])] = None,
    only: str | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Say what works and what does not: machine, stores, detectors, every venue, news, channels.

    Parameters
    ----------
    config
        The settings file; without it `tapewatch.yaml` here, or the defaults.
    only
        machine, stores, detectors, venues, news or channels.
    json
        One JSON object a line, for programs.
    """
    from tapewatch.model.errors import NotFound
    from tapewatch.runtime import launch, logs

    parts = ("machine", "stores", "detectors", "venues", "news", "channels")
    if only is not None and only not in parts:
        raise NotFound("part", only, parts)
    logs.set_up("ERROR", "console")
    loaded = launch.load(config)
    plan = launch.plan_of(loaded)
    report = _Report(as_json=json)
    server = loaded.settings.server
    launch.run(lambda _: _examine(plan, only, (server.host, server.port), report))
    return report.end()


async def _examine(
    plan: object, only: str | None, address: tuple[str, int], report: "_Report"
) -> int:
    from tapewatch.runtime import ccxt_checkup, checkup
    from tapewatch.runtime.clock import wall_clock
    from tapewatch.runtime.plan import Plan

    assert isinstance(plan, Plan)
    if only in (None, "machine"):
        for finding in (*checkup.machine(), *checkup.port(*address)):
            report.tell(finding)
    if only in (None, "stores"):
        for finding in (*checkup.folder(plan.data_dir), *await checkup.stores(plan.data_dir)):
            report.tell(finding)
    if only in (None, "detectors"):
        for finding in checkup.detectors(plan.detectors):
            report.tell(finding)
    if only in (None, "venues"):
        for place in plan.venues:
            async for finding in checkup.venue(place, wall_clock):
                report.tell(finding)
        for other in plan.ccxt:
            async for finding in ccxt_checkup.venue(other, wall_clock):
                report.tell(finding)
    await _examine_others(plan, only, report)
    return 0


async def _examine_others(plan: "Plan", only: str | None, report: "_Report") -> None:
    """What is no exchange: the news that come in, the channels that go out."""
    from tapewatch.runtime import news_checkup, notify_checkup

    if only in (None, "news") and plan.news is not None:
        for finding in await news_checkup.sources(plan.news):
            report.tell(finding)
    if only in (None, "channels"):
        for finding in await notify_checkup.channels(plan.telling.channels):
            report.tell(finding)


class _Report:
    """Prints findings as they come, counts, and knows the exit code."""

    _MARKS = {"good": "✓", "warning": "▲", "bad": "✗"}

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._counts = dict.fromkeys(self._MARKS, 0)

    def tell(self, finding: object) -> None:
        import msgspec

        from tapewatch.runtime.finding import Finding

        assert isinstance(finding, Finding)
        self._counts[finding.verdict] += 1
        if self._as_json:
            print(msgspec.json.encode(finding).decode(), flush=True)
            return
        advice = f" → {finding.advice}" if finding.advice else ""
        mark = self._MARKS[finding.verdict]
        print(f" {mark} {finding.what:<20} {finding.detail}{advice}", flush=True)

    def end(self) -> int:
        if not self._as_json:
            failed, warned = self._counts["bad"], self._counts["warning"]
            print(f"{failed} failed, {warned} warned, {self._counts['good']} good", file=sys.stderr)
        return 1 if self._counts["bad"] else 0
