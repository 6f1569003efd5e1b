"""A file of several documents: cut at the markers, each read alone, each with its own lines."""

from __future__ import annotations

import pytest

from outgate.cluster.reading import Unreadable
from outgate.cluster.yamltext import read_yaml
from outgate.model.place import Document
from tests.cluster.texts import errors_of, read, value_of


def values(text: str) -> list[object]:
    """The values of all documents."""
    return [document.value for document in read(text)[0]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\n---\nb: 2\n", [{"a": 1}, {"b": 2}]),
        ("---\na: 1\n---\nb: 2\n---\n", [{"a": 1}, {"b": 2}]),
        ("a: 1\r\n---\r\nb: 2\r\n", [{"a": 1}, {"b": 2}]),
        ("a: 1\n--- # next\nb: 2\n", [{"a": 1}, {"b": 2}]),
        ("--- {a: b}\n--- [1]\n--- x\n", [{"a": "b"}, [1], "x"]),
        ("a: 1\n---b: 2\n", [{"a": 1, "---b": 2}]),
        ("a: |\n  ---\n  x\n", [{"a": "---\nx\n"}]),
        ("", []),
        ("\n\n# nothing\n---\n   \n---\n# here\n", []),
        ("~", [None]),
        ("%YAML 1.1\n---\na: 1\n", [{"a": 1}]),
        ("a: 1\n---\n# c\n%TAG ! tag:x,2000:\n---\nb: !t 2\n", [{"a": 1}, {"b": "2"}]),
        ("a: 1\n---", [{"a": 1}]),
        ("a: 1\n...\n---\nb: 2\n", [{"a": 1}, {"b": 2}]),
    ],
)
def test_documents(text: str, expected: list[object]) -> None:
    """A marker is a line of its own that begins with three dashes and a blank, or ends there."""
    assert values(text) == expected


def test_an_error_in_one_document_leaves_the_others() -> None:
    """One typing mistake in a file of twenty policies must not hide nineteen."""
    documents, unreadable = read("a: 1\n---\nb: [\n---\nc: 3\n---\nd: {e: f\ng\n")
    assert [document.value for document in documents] == [{"a": 1}, {"c": 3}]
    assert [error.line for error in unreadable.errors] == [3, 8]


def test_lines_of_the_second_document() -> None:
    """Lines count from the top of the file, not of the document."""
    first, second = read("# c\na: 1\n---\n\nb:\n- 1\n- x: 2\n")[0]
    assert [first.locate(path) for path in ((), ("a",))] == [2, 2]
    assert [second.locate(path) for path in ((), ("b",), ("b", 1), ("b", 1, "x"), ("b", 5))] == [5, 5, 7, 7, 5]


def test_repeated_keys_have_lines_of_the_file() -> None:
    """The line of the repetition is where the reader must look."""
    (document,) = read("---\n---\nspec:\n  a: 1\n  a: 2\n")[0]
    assert document.repeated == {("spec", "a"): 5}


@pytest.mark.parametrize(
    ("text", "templates"),
    [
        ("---\n# Source: app/templates/a.yaml\na: 1\n---\n# Source: app/templates/b.yaml\nb: 1\n", ["a", "b"]),
        ("# Source: app/templates/a.yaml\n---\na: 1\n# Source: app/templates/b.yaml\n\n---\nb: 1\n", ["a", "b"]),
        ("a: 1 # Source: x\n---\nb: 1\n", ["", ""]),
        ("a: 1\nb: |\n  # Source: x\n---\nb: 1\n", ["", ""]),
    ],
)
def test_templates_of_helm(text: str, templates: list[str]) -> None:
    """Rendered manifests name their template in a comment, which leads a reader to the file that they can change."""
    expected = [f"app/templates/{one}.yaml" if one else "" for one in templates]
    assert [document.template for document in read(text)[0]] == expected


def test_advice() -> None:
    """The two mistakes that people make most are answered with what to do."""
    assert errors_of("a:\n\tb: 1\n") == [
        (
            "input.yaml:2: while scanning for the next token, found character that cannot start any token: "
            "YAML is not indented with tabs; use spaces"
        )
    ]
    (template,) = errors_of("a: 1\nb: {{ .Values.x }}\n")
    assert template.startswith("input.yaml:2: ")
    assert template.endswith("this looks like a template, which must be rendered first (helm template)")


def test_text_below_the_end_of_a_document_is_told() -> None:
    """Kubectl reads nothing below `...`; a policy that stands there is not applied."""
    documents, unreadable = read("---\na: 1\n...\nb: 2\n")
    assert [document.value for document in documents] == [{"a": 1}]
    assert [(one.line, one.message[:32]) for one in unreadable.warnings] == [(4, "kubectl does not read on after t")]


def test_many_comment_lines_do_not_take_for_ever() -> None:
    """A pattern that backtracks would be quadratic in comments: a file of them must be read at once."""
    text = "a: 1\n" + "# comment\n" * 200_000 + "b: 2\n"
    assert value_of(text) == {"a": 1, "b": 2}
    assert values("# comment\n" * 200_000 + "---\n" * 50_000) == []


def test_the_reader_can_be_used_alone() -> None:
    """Other doors bring bytes from elsewhere."""
    unreadable = Unreadable()
    found = list(read_yaml(b"a: 1\n", "elsewhere", unreadable))
    assert [(one.file, one.value, one.template) for one in found] == [("elsewhere", {"a": 1}, "")]
    assert isinstance(found[0], Document)
    assert unreadable.errors == []
