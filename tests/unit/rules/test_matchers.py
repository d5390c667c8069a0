import pytest

from tapewatch.rules.matchers import fields_of, fits_all, read, read_all
from tests.unit.rules.test_notices import alert

FIELDS = fields_of(alert(labels=("team=desk", "rule=hidden")))


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["rule=surge"], True),
        (["inst=binance:*", "severity=warning"], True),
        (["symbol=ETH/*"], False),
        (["venue!=okx"], True),
        (["venue!=binance"], False),
        (["team = desk"], True),
        (["nobody=*"], False),
        (["nobody!=x"], True),
        ([], True),
    ],
)
def test_all_matchers_must_hold(texts, expected):
    assert fits_all(read_all(texts), FIELDS) is expected


def test_a_label_does_not_hide_a_field_of_the_alert():
    assert FIELDS["rule"] == "surge"


@pytest.mark.parametrize("text", ["", "rule", "=x", "rule=", "a b=c"])
def test_what_is_no_matcher_is_told_with_the_form(text):
    with pytest.raises(ValueError, match="write name=pattern"):
        read(text)


def test_a_matcher_reads_as_it_was_written():
    assert [str(read(text)) for text in ("a=b*", "a!=b")] == ["a=b*", "a!=b"]
