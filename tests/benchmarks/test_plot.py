"""A drawing is well-formed, has a point for each measurement at its place, and text in it stays text."""

from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.plot import Axis, Chart, Datum, Guide, Series, count, draw, seconds

SVG = "{http://www.w3.org/2000/svg}"
EVIL = "a <script> & \"b\" 'c' ]]> --"
SIZES = st.floats(1, 1e6, allow_nan=False)
TIMES = st.floats(1e-6, 1e4, allow_nan=False)


def chart(*series: Series, guides: tuple[Guide, ...] = (), text: str = "t") -> Chart:
    """A drawing of some series, with one text everywhere."""
    return Chart(text, text, Axis(text, count), Axis(text, seconds), series, guides)


def line(name: str, *places: tuple[float, float]) -> Series:
    """A series whose rounds all gave the same."""
    return Series(name, tuple(Datum(x, y, y, y) for x, y in places))


def points(svg: str) -> list[tuple[float, float]]:
    """Where the points are, in pixels."""
    circles = ElementTree.fromstring(svg).iter(f"{SVG}circle")
    return [(float(one.attrib["cx"]), float(one.attrib["cy"])) for one in circles]


def texts(svg: str) -> list[tuple[str, float, float]]:
    """What is written, and where."""
    found = ElementTree.fromstring(svg).iter(f"{SVG}text")
    return [(one.text or "", float(one.attrib["x"]), float(one.attrib["y"])) for one in found]


def test_text_stays_text() -> None:
    """A name with brackets, quotes and ampersands is shown, and makes no element."""
    svg = draw(chart(line(EVIL, (1, 1), (10, 2)), guides=(Guide(EVIL, 1, 1),), text=EVIL))
    written = [words for words, _, _ in texts(svg)]
    assert written.count(EVIL) == 6
    assert not list(ElementTree.fromstring(svg).iter(f"{SVG}script"))


@given(st.lists(st.lists(st.tuples(SIZES, TIMES, TIMES, TIMES), min_size=1, max_size=6), min_size=1, max_size=4))
def test_one_point_for_each_datum_within_the_axes(many: list[list[tuple[float, float, float, float]]]) -> None:
    """Whatever was measured is drawn once, and nothing is drawn off the paper."""
    series = [
        Series(str(number), tuple(Datum(x, sorted(ys)[1], min(ys), max(ys)) for x, *ys in data))
        for number, data in enumerate(many)
    ]
    svg = draw(chart(*series, guides=(Guide("g", series[0].data[0].x, series[0].data[0].y, 2),)))
    found = points(svg)
    assert len(found) == sum(map(len, many))
    width, height = map(float, ElementTree.fromstring(svg).attrib["viewBox"].split()[2:])
    assert all(0 < x < width and 0 < y < height for x, y in found)
    assert len(re.findall('class="range"', svg)) == sum(one.high > one.low for each in series for one in each.data)
    assert len(texts(svg)) < 60


def test_equal_factors_are_equal_distances() -> None:
    """Ten times as much is as far everywhere, to the right and upwards."""
    found = points(draw(chart(line("one", (10, 0.1), (100, 1), (1000, 10)))))
    steps = [(bx - ax, by - ay) for (ax, ay), (bx, by) in itertools.pairwise(found)]
    assert steps[0] == pytest.approx(steps[1], abs=0.2)
    assert steps[0][0] > 0 > steps[0][1]


def test_guide_runs_along_what_grows_in_proportion() -> None:
    """A guide of power 1 from the first point of such a series meets its last point."""
    svg = draw(chart(line("one", (10, 0.2), (1000, 20)), guides=(Guide("g", 10, 0.2),)))
    path = next(
        one.attrib["d"] for one in ElementTree.fromstring(svg).iter(f"{SVG}path") if one.get("class") == "guide"
    )
    ends = [float(number) for number in re.findall(r"[\d.]+", path)]
    assert ends == pytest.approx([*points(svg)[0], *points(svg)[1]], abs=0.2)


def test_guide_ends_at_the_top() -> None:
    """A steep guide does not leave the drawing: it stops where the highest line is."""
    svg = draw(chart(line("one", (10, 1), (1000, 2)), guides=(Guide("g", 10, 1, 3),)))
    end = re.search(r'class="guide" d="M[\d.]+ [\d.]+L([\d.]+) ([\d.]+)"', svg)
    assert end
    assert points(svg)[0][0] < float(end[1]) < points(svg)[1][0]
    assert 0 < float(end[2]) < points(svg)[1][1]


def test_names_do_not_lie_on_each_other() -> None:
    """Three lines that end at one place: each name has a line of its own."""
    svg = draw(chart(*(line(f"name {n}\nmore of it", (1, 1), (10, 5 + n / 100)) for n in range(3))))
    heights = sorted(y for words, _, y in texts(svg) if words.startswith(("name", "more")))
    assert len(heights) == 6
    assert all(below - above >= 15 for above, below in itertools.pairwise(heights))


@pytest.mark.parametrize("datum", [Datum(0, 1, 1, 1), Datum(1, 0, 0, 0), Datum(1, 1, 0, 2), Datum(-5, 1, 1, 1)])
def test_zero_has_no_place(datum: Datum) -> None:
    """A logarithmic axis has no zero; drawing it anywhere would be a lie."""
    with pytest.raises(ValueError, match="above zero"):
        draw(chart(Series("one", (datum,))))


def test_nothing_is_no_drawing() -> None:
    """An empty drawing would look like a measurement."""
    with pytest.raises(ValueError, match="needs data"):
        draw(chart(Series("one", ())))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.001, "1 ms"), (0.02, "20 ms"), (0.5, "500 ms"), (1, "1 s"), (20, "20 s"), (5e-5, "50 µs"), (2e-8, "20 ns")],
)
def test_times_have_small_numbers(value: float, text: str) -> None:
    """No tick says 0.001 s."""
    assert seconds(value).replace("\N{NO-BREAK SPACE}", " ") == text


def test_thousands_stand_apart() -> None:
    """100000 and 1000000 look the same at a glance."""
    assert count(100_000).replace("\N{NO-BREAK SPACE}", " ") == "100 000"
