"""Figures go between their marks and nowhere else, and the document has a mark for every table of the analysis part."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import document
from benchmarks.analysis import Point
from benchmarks.cluster import Shape
from benchmarks.plot import draw
from benchmarks.tables import markdown, print_table, spread

DOCS = Path(__file__).parents[2] / "docs"
BEFORE = (
    "a\n<!-- figures: one -->\nold\n<!-- end of figures -->\nb\n<!-- figures: two -->\n<!-- end of figures -->\nc\n"
)


def points(*sizes: tuple[int, int]) -> list[Point]:
    """Measurements of some numbers of pods and kinds, in three rounds."""
    return [
        Point(Shape(pods, 2 * kinds, 5, kinds), (pods / 1e4, pods / 9e3, pods / 8e3), (kinds / 1e3,) * 3, kinds)
        for pods, kinds in sizes
    ]


def test_tables_go_between_their_marks() -> None:
    """What a person wrote stays, an old table goes, and a second run changes nothing."""
    tables: dict[str, list[dict[str, object]]] = {"one": [{"x": 1}], "two": [{"y": 2}, {"z": 12_345}]}
    after = document.filled(BEFORE, tables)
    assert "old" not in after
    assert after.index("| x |") < after.index("\nb\n") < after.index("| 12 345 |") < after.index("\nc\n")
    assert document.filled(after, tables) == after


def test_a_mark_without_a_table_is_an_error() -> None:
    """A misspelled mark would keep old figures for ever."""
    with pytest.raises(KeyError, match="two"):
        document.filled(BEFORE, {"one": [{"x": 1}]})


def test_all_is_written(tmp_path: Path) -> None:
    """The document and both drawings."""
    (tmp_path / "performance.md").write_text(BEFORE)
    document.write(tmp_path, {"one": [{"x": 1}], "two": [{"y": 2}]}, points((10, 4), (20, 4)), points((10, 4), (10, 8)))
    assert "| x |" in (tmp_path / "performance.md").read_text()
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == [
        "list-against-kinds.svg",
        "list-against-pods.svg",
    ]


@pytest.mark.parametrize("size", ["pods", "kinds"])
def test_charts_have_all_points(size: str) -> None:
    """Reading and listing at every size."""
    many = points((10, 4), (30, 4), (90, 4)) if size == "pods" else points((10, 4), (10, 8), (10, 16))
    chart = document.against_pods(many) if size == "pods" else document.against_kinds(many)
    svg = ElementTree.fromstring(draw(chart))
    assert len(list(svg.iter("{http://www.w3.org/2000/svg}circle"))) == 6
    assert [datum.x for datum in chart.series[0].data] == [getattr(point.shape, size) for point in many]


def test_the_page_has_its_marks_and_drawings() -> None:
    """Each table of the analysis part has its place, with figures in it, and the drawings are well-formed."""
    text = (DOCS / "performance.md").read_text(encoding="utf-8")
    marks = re.findall(r"<!-- figures: (.*?) -->\n\n\| .*?<!-- end of figures -->", text, re.DOTALL)
    assert sorted(marks) == [
        "one policy changed",
        "one question",
        "the list against kinds",
        "the list against pods",
        "the list, step by step",
        "whole commands",
    ]
    for name in re.findall(r"\((images/.*?\.svg)\)", text):
        assert ElementTree.parse(DOCS / name).getroot().tag.endswith("svg")


def test_tables_align(capsys: pytest.CaptureFixture[str]) -> None:
    """Rows may lack cells; columns stay columns, in both forms."""
    rows: list[dict[str, object]] = [{"a": 1, "bb": "long cell"}, {"bb": 20_000, "c": True}]
    print_table(rows)
    lines = capsys.readouterr().out.splitlines()
    assert {line.find(word) for line, word in zip(lines, ("bb", "long", "20 000"), strict=True)} == {5}
    assert markdown(rows).splitlines() == [
        "| a | bb | c |",
        "| --- | --- | --- |",
        "| 1 | long cell |  |",
        "|  | 20 000 | True |",
    ]
    print_table([])
    assert capsys.readouterr().out == ""


def test_spread_has_lowest_and_highest() -> None:
    """In whichever order the rounds were."""
    assert spread([3, 1, 2], 1) == "1.0–3.0"
