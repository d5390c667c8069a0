"""The same rule with another threshold: the number in `when` that a metric is compared with."""

from msgspec.structs import replace

from tapewatch.rules.expression import Compared, numbers_in
from tapewatch.rules.rule import Compiled, Mistake, Rule


def variants(compiled: Compiled, values: str) -> list[Rule]:
    """Read `2%,3%,4%`, or `change_short=2%,3%` where `when` compares several metrics.

    Give a rule for each, called by its value. Raises Mistake.
    """
    metric, equals, numbers = values.rpartition("=")
    compared = _meant(compiled, metric.strip() if equals else "")
    column, number = _threshold(compared)
    when = compiled.rule.when
    begin = compared.column + column
    made = []
    for value in (text.strip() for text in numbers.split(",")):
        if not value or value.lstrip("-") not in (found for _, found in numbers_in(value)):
            raise Mistake("sweep", f"{value!r} is no number: write 2%,3%,4%")
        text = f"{when[:begin]}{value}{when[begin + len(number) :]}"
        made.append(replace(compiled.rule, name=value, when=text))
    return made


def _meant(compiled: Compiled, metric: str) -> Compared:
    named = [each for each in compiled.when.compared if metric in ("", each.metric) and each.metric]
    if not named:
        there = ", ".join(each.metric for each in compiled.when.compared if each.metric)
        raise Mistake("sweep", f"`when` does not compare {metric or 'anything'}; there is {there}")
    return named[0]


def _threshold(compared: Compared) -> tuple[int, str]:
    found = numbers_in(compared.text)
    if len(found) != 1:
        raise Mistake("sweep", f"which number is meant in `{compared.text}`? There must be one")
    column, number = found[0]
    if compared.text[:column].endswith("-"):  # its sign is part of it: `< -5%`
        return column - 1, f"-{number}"
    return column, number
