"""Manifests as YAML: other readers have the same values, and comments stay comments."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from outgate.recipes import Manifest, Scaffold
from outgate.report.scaffold_yaml import scaffold_yaml

TEXTS = st.one_of(
    st.text(st.characters(max_codepoint=126), max_size=12),
    st.sampled_from(
        ["yes", "No", "null", "~", "1e3", "0x1f", "1:30", "::/0", "10.0.0.0/8", "#", "- a", "2026-01-01", "y"]
    ),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    TEXTS | st.integers(-5, 70000) | st.booleans(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=4))
def test_values_are_read_as_they_were(value: dict[str, Any]) -> None:
    """Whatever looks like a number, a date or a truth value."""
    assert yaml.safe_load(scaffold_yaml(Scaffold((Manifest(value),)))) == value


@given(st.lists(st.text(max_size=200), max_size=3), st.lists(st.text(max_size=200), max_size=3))
def test_comments_change_nothing(head: list[str], inside: list[str]) -> None:
    """Whatever is in them: names from the input are."""
    comments = {("spec", "egress", 0): tuple(inside), ("spec",): tuple(inside)}
    value = {"kind": "X", "spec": {"egress": [{"to": []}]}}
    text = scaffold_yaml(Scaffold((Manifest(value, tuple(head), comments, tuple(head)),)))
    assert yaml.safe_load(text) == value


def test_the_layout() -> None:
    """Comments stand above what they are about; text to be uncommented is not wrapped."""
    long = "  " + "x " * 80
    made = Scaffold(
        (
            Manifest(
                {"kind": "X", "spec": {"types": ["A", "B"], "rules": [{"to": [{}], "number": 1}, []], "none": {}}},
                ("word " * 30, long),
                {("spec", "rules", 1): ("second",)},
                ("end",),
            ),
            Manifest({"kind": "Z"}),
        )
    )
    assert scaffold_yaml(made).splitlines() == [
        f"# {'word ' * 21}word",
        f"# {'word ' * 7}word",
        f"# {long}",
        "kind: X",
        "spec:",
        "  types: [A, B]",
        "  rules:",
        "    - to:",
        "        - {}",
        "      number: 1",
        "    # second",
        "    - []",
        "  none: {}",
        "# end",
        "---",
        "kind: Z",
    ]
