"""Check the settings: every fault with file, line and column; nothing is started."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from tapewatch.rules.defaults import RuleSet
    from tapewatch.rules.rule import Rule
    from tapewatch.settings.loader import Loaded

_STRICT = 1  # it ran and found something


def command(
    *,
    config: Annotated[Path | None, Parameter(name=["--config", "-c"])] = None,
    set_: Annotated[tuple[str, ...], Parameter(name="--set", negative="")] = (),
    show: Annotated[bool, Parameter(negative="")] = False,
    schema: Annotated[bool, Parameter(negative="")] = False,
    strict: Annotated[bool, Parameter(negative="")] = False,
    form: Annotated[Literal["text", "json", "github"], Parameter(name="--format")] = "text",
) -> int:
    """Check the settings without starting anything: every fault with its file, line and column.

    Parameters
    ----------
    config
        The settings file; without it `tapewatch.yaml` here, or the defaults.
    set_
        One setting over all others, such as `--set server.port=9000`; may be repeated.
    show
        Print every value in effect and where it came from. Secrets are `***`.
    schema
        Print the JSON Schema of the file, for the completion of editors.
    strict
        Exit with 1 for what is only worth a notice.
    form
        How faults are told: text on stderr, or json or github (annotations) on stdout.
    """
    from tapewatch.settings.problems import InvalidSettings

    if schema:
        return _print_schema()
    try:
        loaded, rules = _load(config, set_)
    except InvalidSettings as error:
        if form == "text":
            raise
        _report(form, (*error.problems, *error.notices))
        return 2
    if show:
        _print_values(loaded)
    if form != "text":
        _report(form, loaded.notices)
    else:
        _talk(loaded, rules)
    return _STRICT if strict and loaded.notices else 0


def _load(config: Path | None, options: tuple[str, ...]) -> "tuple[Loaded, RuleSet]":
    from tapewatch.runtime import launch

    loaded = launch.load(config, options)
    plan = launch.plan_of(loaded)  # builds every plug-in, so that they may object
    loaded.refuse()
    return loaded, plan.rules


def _talk(loaded: "Loaded", rules: "RuleSet") -> None:
    from tapewatch.cli._complain import tell
    from tapewatch.model.address import shown

    for notice in loaded.notices:
        tell(f"{notice}\n")
    collected = [
        f"{name} ({len(config.symbols)} symbols, {len(config.streams)} streams)"
        for name, config in loaded.settings.exchanges.items()
        if config.enabled
    ]
    news = loaded.settings.news
    collected += [f"news ({', '.join(map(shown, news.sources))})"] if news.enabled else []
    count = len(loaded.notices)
    notices = f", {count} notice{'s' if count != 1 else ''}" if count else ""
    tell(f"The settings are valid{notices}: {', '.join(collected)}.")
    tell("\n".join(_rules(rules)))


def _rules(rules: "RuleSet") -> list[str]:
    width = max((len(rule.name) for rule in rules.rules), default=0)
    lines = [f"  {rule.name:<{width}}  {_words(rule)}" for rule in rules.rules]
    left = [f"  {name} is left out: {reason}" for name, reason in rules.left_out]
    return [f"Rules: {len(rules.rules)}.", *lines, *left]


def _words(rule: "Rule") -> str:
    parts = [rule.when]
    parts += [f"for {rule.hold_secs:g} s"] if rule.hold_secs else []
    parts += [f"until {rule.resolve_when}"] if rule.resolve_when else []
    parts += [f"on {', '.join(rule.instruments)}"] if rule.instruments != ("*",) else []
    parts += [f"tells {', '.join(rule.notify)}"] if rule.notify else []
    return ", ".join(parts) if rule.enabled else "off"


def _print_values(loaded: "Loaded") -> None:
    values = loaded.values()
    left = max(len(value.path) for value in values)
    for value in values:
        print(f"{value.path:<{left}} = {value.value}  # {value.origin}")


def _print_schema() -> int:
    import msgspec

    from tapewatch.feeds.ccxt_config import PREFIX, CcxtConfig, exchange_ids
    from tapewatch.runtime import plugins
    from tapewatch.settings.json_schema import json_schema

    types: dict[str, dict[str, Any]] = {
        kind: {name: plugin.config for name, plugin in plugins.loadable(kind).items()}
        for kind in ("venues", "process", "stores", "notify")
    }
    ccxt = {name: CcxtConfig for id_ in exchange_ids() for name in (id_, f"{PREFIX}{id_}")}
    types["venues"] = ccxt | types["venues"]
    print(msgspec.json.format(msgspec.json.encode(json_schema(types)), indent=2).decode())
    return 0


def _report(form: str, problems: tuple[Any, ...]) -> None:
    from tapewatch.settings.problems import to_github, to_json

    text = to_json(problems) if form == "json" else to_github(problems)
    if text:
        print(text)
