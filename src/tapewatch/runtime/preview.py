"""Would it have fired? A rule over what a data folder holds: for the command line and the server."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from msgspec.structs import replace

from tapewatch.model.errors import ConfigError
from tapewatch.ports import Measure
from tapewatch.rules import preview as stored
from tapewatch.rules.notices import Policy
from tapewatch.rules.preview import Question, Report
from tapewatch.rules.rule import Mistake
from tapewatch.runtime.aside import Aside
from tapewatch.runtime.plan import Plan

_MEMORY_MB = 2_048
_TIMEOUT_SECS = 3_600.0


async def preview(
    folder: Path,
    question: Question,
    plan: Plan,
    *,
    from_trades: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Report:
    """Ask a folder, which is there. Raises ConfigError with what is wrong with the question."""
    question = _grouped(question, plan.telling.policy)
    try:
        if from_trades:
            from tapewatch.runtime.past_trades import replay

            return await replay(folder, question, plan.processors, say)
        return await _stored(folder, question, plan.rules.measures)
    except Mistake as mistake:
        raise ConfigError(f"{mistake.field}: {mistake}") from mistake
    except ValueError as error:
        raise ConfigError(str(error)) from error


def beside(
    aside: Aside, measures: Sequence[Measure], policy: Policy
) -> Callable[[Question], Awaitable[Report]]:
    """Ask in a process beside ours: a week of metrics takes seconds, which our loop has not."""

    async def ask(question: Question) -> Report:
        grouped = _grouped(question, policy)
        report: Report = await aside.run(stored.preview, grouped, measures)
        return report

    return ask


def _grouped(question: Question, policy: Policy) -> Question:
    """By the settings of `notify:`, without what other rules do."""
    return replace(question, policy=replace(policy, rules={}, inhibitions=()))


async def _stored(folder: Path, question: Question, measures: Sequence[Measure]) -> Report:
    from tapewatch.stores.duckdb import DuckDb, DuckDbConfig

    store = DuckDb(folder, config=DuckDbConfig(timeout_secs=_TIMEOUT_SECS, memory_mb=_MEMORY_MB))
    try:
        return await stored.preview(store, question, measures)
    finally:
        store.close()
