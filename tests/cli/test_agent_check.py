"""`outgate agent check`: yes or no, and the words why."""

from __future__ import annotations

import contextlib
import io
import json

import pytest

from outgate.agent import preflight
from outgate.cli.main import main
from outgate.host import process
from tests.lab.alone import alone
from tests.report.schema import complaints

pytestmark = pytest.mark.kernel


def said(*words: str, rules: str = "") -> tuple[int, str]:
    """The exit code and the output of the verb, in a network namespace of its own."""

    def inside() -> tuple[int, str]:
        if rules:
            process.run(("nft", "-f", "-"), input=rules)
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            code = main(["agent", "check", *words])
        return code, output.getvalue()

    return alone(inside)


def test_an_empty_node_can() -> None:
    """The last line is the answer."""
    code, text = said()
    assert code == 0
    assert text.splitlines()[-1] == "this node can enforce"


def test_json_says_the_same() -> None:
    """For whoever asks a thousand nodes."""
    code, text = said("-o", "json")
    document = json.loads(text)
    assert (code, document["kind"], document["hindrances"], document["table"]) == (0, "NodePreflight", [], "none")
    assert complaints(document) == []


@pytest.mark.parametrize("hidden", [False, True])
def test_json_keeps_to_its_schema(hidden: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a table of ours, a warning, and something in the way."""
    if hidden:
        monkeypatch.setattr(preflight, "hindrances", lambda *_: ("a bridge hides its packets",))
    chain = "add chain ip theirs c { type filter hook output priority 0; }"
    theirs = f"add table ip theirs\n{chain}\nadd rule ip theirs c ct mark set 0x80000000\n"
    code, text = said("-o", "json", rules=f"{theirs}add table inet outgate\n")
    document = json.loads(text)
    assert complaints(document) == []
    assert (code, len(document["hindrances"]), len(document["warnings"])) == (int(hidden), int(hidden), 1)
    assert document["table"] != "none"
    assert complaints({**document, "warnings": "none"}) != []


def test_a_warning_is_no_hindrance() -> None:
    """Somebody who writes connection marks elsewhere does not stop anything, and is named."""
    chain = "add chain ip theirs c { type filter hook output priority 0; }"
    code, text = said(rules=f"add table ip theirs\n{chain}\nadd rule ip theirs c ct mark set 0x80000000\n")
    assert code == 0
    assert "warning: " in text
