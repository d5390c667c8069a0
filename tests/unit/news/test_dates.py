import pytest

from tapewatch.model.times import iso
from tapewatch.news.dates import moment


@pytest.mark.parametrize(
    "text",
    [
        "Fri, 20 Nov 2026 10:00:00 GMT",
        "Fri, 20 Nov 2026 10:00:00 +0000",
        "20 Nov 2026 12:00:00 +02:00",
        "Friday, 20-Nov-26 10:00 UT",
        "fri, 20 november 2026 05:00:00 EST",
        "Fri, 20 Nov 2026 10:00:00",
        "2026-11-20T10:00:00Z",
        "2026-11-20T11:00:00+01:00",
        "  2026-11-20 10:00:00  ",
    ],
)
def test_every_usual_spelling_is_read(text):
    assert iso(moment(text)) == "2026-11-20T10:00:00.000000Z"


@pytest.mark.parametrize(
    "text",
    [
        "", "yesterday", "31 Feb 2026 10:00:00 GMT", "Fri, 20 Foo 2026 10:00:00 GMT",
        "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "1999-01-01", "2101-01-01",
        "20 Nov 2026 25:00:00 GMT", "20 Nov 2026 10:00:00 +9999", "1795168800",
    ],
)  # fmt: skip
def test_what_is_no_time_of_ours_is_none(text):
    assert moment(text) is None
