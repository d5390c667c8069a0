"""The page about stored data says what is stored."""

import re
from pathlib import Path

import pytest

from tapewatch.stores._arrow import schema
from tapewatch.stores._kinds import KINDS

PAGE = (Path(__file__).parents[3] / "docs" / "data.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", KINDS)
def test_the_columns_of_each_kind_are_documented(kind):
    match = re.search(rf"^### {kind}\n`([^`]+)`", PAGE, re.MULTILINE)
    assert match is not None
    assert match[1].split() == schema(kind).names


def test_no_kind_is_documented_that_is_not_stored():
    assert set(re.findall(r"^### (\w+)$", PAGE, re.MULTILINE)) == set(KINDS)
