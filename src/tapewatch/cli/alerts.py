"""`tapewatch alerts`: would a rule have fired, and what became of those that did."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from tapewatch.cli import _alert_channels, _alert_log
from tapewatch.cli._alert_silence import silences
from tapewatch.cli._span import span
from tapewatch.model.errors import ConfigError

if TYPE_CHECKING:
    from tapewatch.rules.preview import Report
    from tapewatch.rules.rule import Rule
    from tapewatch.runtime.plan import Plan

app = App(name="alerts", help="Try rules on the past; see what became of alerts.")
app.command(_alert_log.list_alerts, name="list")
app.command(_alert_log.history)
app.command(_alert_log.why)
app.command(silences)
app.command(_alert_channels.send_test, name="send-test")

_NO_DATA = 1
_Text = Annotated[str | None, Parameter(allow_leading_hyphen=True)]


@Parameter(name="*")
@dataclass(frozen=True)
class Wish:
    """The rule otherwise than it is in force.

    Parameters
    ----------
    when
        Another condition.
    resolve_when
        Another condition to end.
    instruments
        Other patterns over instruments, such as `binance:*`.
    hold_secs
        Another time that the condition must hold.
    sweep
        Other thresholds beside it: `2%,3%,4%`, or `change_short=2%,3%` where there are several.
    """

    when: _Text = None
    resolve_when: _Text = None
    instruments: tuple[str, ...] = ()
    hold_secs: float | None = None
    sweep: Annotated[str, Parameter(allow_leading_hyphen=True)] = ""


@Parameter(name="*")
@dataclass(frozen=True)
class Source:
    """Of what it is asked.

    Parameters
    ----------
    since
        Begin: -7d, 2026-11-20T14:00Z, or an epoch number.
    until
        End, likewise.
    from_trades
        Compute the metrics anew from stored trades, where they were not stored.
    config
        The settings with the rules; without it `tapewatch.yaml` here, or the defaults.
    data_dir
        Where tapewatch stores; without it the settings' folder.
    """

    since: Annotated[str, Parameter(name="--from", allow_leading_hyphen=True)] = "-7d"
    until: Annotated[str, Parameter(name="--to", allow_leading_hyphen=True)] = "now"
    from_trades: Annotated[bool, Parameter(negative="")] = False
    config: Annotated[Path | None, Parameter(name=["--config", "-c"])] = None
    data_dir: Annotated[Path | None, Parameter(env_var="DATA_DIR")] = None


@Parameter(name="*")
@dataclass(frozen=True)
class Form:
    """How the answer is given.

    Parameters
    ----------
    limit
        So many firings and notices of a rule are listed.
    json
        One JSON object a line for each rule, for programs.
    """

    limit: int = 20
    json: Annotated[bool, Parameter(negative="")] = False


@app.command(name="test")
def would_it_have_fired(
    rule: str,
    *,
    wish: Wish | None = None,
    source: Source | None = None,
    form: Form | None = None,
) -> int:
    """Would this rule have fired? What is stored is asked first; where there is nothing, there is no count.

    Parameters
    ----------
    rule
        The name of a rule in force, or, with --when, of a new one.
    """
    from tapewatch.rules.change import Change

    wish, source = wish or Wish(), source or Source()
    plan = _plan(source)
    change = Change(
        rule=rule, when=wish.when, resolve_when=wish.resolve_when, instruments=wish.instruments,
        hold_secs=wish.hold_secs,
    )  # fmt: skip
    report = _report(change.of(plan.rules.rules), wish.sweep, source, plan)
    return _show(report, form or Form())


@app.command
def preview(
    *,
    file: Annotated[Path, Parameter(name=["--file", "-f"])],
    sweep: Annotated[str, Parameter(allow_leading_hyphen=True)] = "",
    source: Source | None = None,
    form: Form | None = None,
) -> int:
    """Would the rules of a file have fired? Each is asked as by `test`, and none is put in force.

    Parameters
    ----------
    file
        A rule as settings have it (`name`, `when`, ...), or several under `rules`.
    sweep
        Other thresholds beside those of the rules: `2%,3%,4%`.
    """
    from tapewatch.rules.rulebook import words_of
    from tapewatch.runtime.rule_file import rules_in

    source, form = source or Source(), form or Form()
    plan = _plan(source)
    try:
        text = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from error
    worst = 0
    for number, rule in enumerate(rules_in(str(file), text, words_of(plan.rules.measures))):
        if number and not form.json:
            print()
        worst = max(worst, _show(_report(rule, sweep, source, plan), form))
    return worst


def _show(report: "Report", form: Form) -> int:
    import sys

    import msgspec

    from tapewatch.cli._preview import lines

    if form.json:
        print(msgspec.json.encode(report).decode())
    else:
        print("\n".join(lines(report, form.limit)))
    if report.firings is None:
        print("nothing is stored of it, so nothing is known", file=sys.stderr)
        return _NO_DATA
    return 0


def _plan(source: Source) -> "Plan":
    from tapewatch.runtime import launch

    return launch.plan_of(launch.load(source.config))


def _report(rule: "Rule", sweep: str, source: Source, plan: "Plan") -> "Report":
    import asyncio
    import sys
    from functools import partial

    from tapewatch.rules.preview import Question
    from tapewatch.runtime.preview import preview

    folder = source.data_dir or plan.data_dir
    if not folder.is_dir():
        raise ConfigError(f"there is no data folder {folder}: name the right one with --data-dir")
    since, until = span(source.since, source.until)
    question = Question(rule=rule, since=since, until=until, sweep=sweep)
    say = partial(print, file=sys.stderr)
    return asyncio.run(preview(folder, question, plan, from_trades=source.from_trades, say=say))
