import zlib

import pytest

from tapewatch.model.events import AlertState
from tapewatch.notify import _chart, _words
from tests.notices import ETH, SECOND, START, alert, course, notice


def test_a_firing_alert_says_what_it_rests_on_and_how_good_the_data_are():
    lines = _words.details(alert())
    assert lines == [
        "5.2 over 5m, limit 4, usual 1; since 2026-11-21T01:30:00Z; warning",
        "rests on trade 4711 sell 3.2 @ 61837.63",
        "its data are known to be incomplete, or not proven complete",
    ]


def test_a_resolved_alert_says_how_it_is_now_how_long_it_was_and_what_it_was():
    over = alert(AlertState.RESOLVED, ts=START + 299 * SECOND, value_now=0.75)
    assert _words.details(over) == [
        "now 0.75: over after 4m 59s",
        "it fired with 5.2 over 5m, limit 4, usual 1; since 2026-11-21T01:30:00Z; warning",
        "rests on trade 4711 sell 3.2 @ 61837.63",
        "its data are known to be incomplete, or not proven complete",
    ]


def test_an_alert_of_which_nothing_is_known_any_more_says_so():
    over = alert(AlertState.RESOLVED, ts=START + 300 * SECOND)
    assert _words.details(over)[0] == "now unknown: over after 5m"


def test_of_many_alerts_the_first_are_told_and_the_rest_counted():
    many = notice(*(alert(number=n) for n in range(25)))
    assert _words.plain(many).count("FIRING") == 20
    assert "and 5 more" in _words.plain(many)


def test_a_link_leads_to_the_story():
    told = notice(alert(inst=ETH), site="https://w.example/")
    expected = "https://w.example/alerts/why/surge%2Fokx%3AETH%2FUSDT%2F1795224600000001"
    assert _words.link(told, told.alerts[0]) == expected
    assert expected in _words.plain(told)
    assert _words.link(notice(), alert()) == ""


@pytest.mark.parametrize(
    ("values", "expected"),
    [((1.0, 2.0, 3.0), "▁▄█"), ((5.0, 5.0), "▁▁"), ((1.0,), ""), ((), "")],
)
def test_a_course_in_one_line(values, expected):
    assert _words.sparkline(values).replace("▅", "▄") == expected


def test_courses_say_where_and_how_much():
    (line,) = _words.courses(notice(courses=(course(),)))
    assert line.startswith("BTC/USDT ")
    assert "in 59 minutes" in line


def decoded(image):
    """The pixels, as rows of palette indexes."""
    at, data = 8, b""
    while at < len(image):
        size = int.from_bytes(image[at : at + 4], "big")
        kind, body = image[at + 4 : at + 8], image[at + 8 : at + 8 + size]
        assert zlib.crc32(kind + body) == int.from_bytes(image[at + 8 + size : at + 12 + size])
        data += body if kind == b"IDAT" else b""
        at += 12 + size
    flat = zlib.decompress(data)
    width = _chart.WIDTH + 1
    return [flat[n + 1 : n + width] for n in range(0, len(flat), width)]


def test_the_chart_is_a_png_whose_line_rises_with_the_price():
    rows = decoded(_chart.png((1.0, 2.0)))
    assert len(rows) == _chart.HEIGHT
    line = [[row[x] for row in rows].index(2) for x in range(_chart.WIDTH)]
    assert line[0] > line[-1]
    assert line == sorted(line, reverse=True)


@pytest.mark.parametrize("values", [(5.0, 5.0), (1e-9, 2e-9, 1e-9), tuple(map(float, range(60)))])
def test_any_course_can_be_drawn_and_the_picture_is_small(values):
    image = _chart.png(values)
    assert len(decoded(image)) == _chart.HEIGHT
    assert len(image) < 4_000
