"""Findings for people."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from outgate.errors import one_line
from outgate.report.lint_text import lint_text
from tests.report.findings import CLUSTER, HELM, empty, report


def plain(text: str) -> str:
    """Without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def lines(text: str = CLUSTER, file: str = "k8s/np.yaml") -> list[str]:
    """The report of a text, line by line."""
    return [plain(line) for line in lint_text(report(text, file))]


def test_place_sentence_line_packet_and_help() -> None:
    """In this order, for each."""
    text = lines()
    begin = next(number for number, line in enumerate(text) if "[union-widens]" in line)
    sentence = "shop/block-metadata egress[1] blocks nothing: it lets shop/web reach the whole internet but "
    assert text[begin].startswith(f"k8s/np.yaml:21: error: {sentence}169.254.169.254/32, which shop/default-deny")
    assert text[begin + 1 : begin + 4] == [
        "   21 |     - ipBlock: {cidr: 0.0.0.0/0, except: [169.254.169.254/32]}",
        "      |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^",
        "  packet  shop/web -> 1.0.0.0:443/TCP passes",
    ]
    assert text[begin + 4].startswith("  also    k8s/np.yaml:2: shop/default-deny isolates shop/web too")
    assert any(line.startswith("  help    take the policy away") for line in text[begin + 5 : begin + 8])


def test_the_caret_is_below_the_key() -> None:
    """Of a label in braces, and not below what follows."""
    text = lines()
    shown = next(number for number, line in enumerate(text) if "matchLabels: {name: data}" in line)
    assert text[shown + 1].index("^") == text[shown].index("name: data")


def test_a_whole_object_is_marked_at_its_first_line() -> None:
    """A namespace has no line of its own in the finding."""
    text = lines("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\n" + CLUSTER.split("---\n")[-1])
    shown = next(number for number, line in enumerate(text) if line.endswith("| apiVersion: v1"))
    assert text[shown + 1].endswith("| ^^^^^^^^^^^^^^")


def test_one_line_sums_up() -> None:
    """Counts, what can be mended, and what was put away."""
    assert re.fullmatch(r"2 errors, \d warnings, \d notes; --fix mends \d \(put away: 1 by annotation\)", lines()[-1])
    assert re.fullmatch(r"nothing found by \d+ checks", plain(list(lint_text(empty()))[-1]))


def test_a_template_is_named_and_its_line_is_not_made_up() -> None:
    """The line is one of the rendered text."""
    (first, *_) = lines(HELM, "-")
    assert first.startswith("chart/templates/np.yaml (rendered line 9): error: ")


@pytest.mark.parametrize(("text", "shown"), [("a\x1b[2Jb", "a\\x1b[2Jb"), ("a\u202eb", "a\\u202eb"), ("é ✓", "é ✓")])
def test_nothing_that_a_terminal_would_obey(text: str, shown: str) -> None:
    """It is written out."""
    assert one_line(text) == shown


def test_very_long_lines_are_not_shown() -> None:
    """JSON on one line has no line to show."""
    policy = yaml.safe_load(CLUSTER.split("---\n")[1])
    pod = yaml.safe_load(CLUSTER.split("---\n")[-1])
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": [policy, pod]})
    assert not [line for line in lines(text, "x.json") if " | " in line]
