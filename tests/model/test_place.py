"""A place names file, line and path, and asks for the line only when somebody does."""

from __future__ import annotations

import pytest

from outgate.model import NOWHERE, Document, Place
from outgate.model.place import Path, spell


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("spec",), "spec"),
        (("spec", "egress", 0, "to", 12), "spec.egress[0].to[12]"),
        (("items", 0, 1), "items[0][1]"),
        (("metadata", "labels", "app.kubernetes.io/name"), "metadata.labels.app.kubernetes.io/name"),
    ],
)
def test_paths_are_spelled_as_the_api_server_spells_them(path: Path, text: str) -> None:
    """A reader compares our path with the server's."""
    assert spell(path) == text


def test_lines_are_looked_up_when_asked_for() -> None:
    """Of a hundred thousand values a handful is named: looking up all lines would cost more than the reading."""
    asked: list[Path] = []

    def locate(path: Path) -> int:
        asked.append(path)
        return 7

    place = Place(Document("a.yaml", None, locate)) / "spec" / "egress" / 0
    assert asked == []
    assert (place.file, place.line, place.path) == ("a.yaml", 7, "spec.egress[0]")
    assert str(place) == "a.yaml:7"
    assert asked == [("spec", "egress", 0)] * 2


def test_what_no_input_names_stands_nowhere() -> None:
    """A namespace that only a pod mentions has no line, and must not be given one."""
    assert (NOWHERE.file, NOWHERE.line, NOWHERE.path, str(NOWHERE)) == ("", 0, "", "")
    assert str(Place(Document("a.yaml", None))) == "a.yaml"
