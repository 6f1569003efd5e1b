"""The options that all verbs share: what a verb receives, and what is refused."""

from __future__ import annotations

import pytest

from outgate.cli.main import VERBS, Verb, main
from outgate.cli.options import PROFILE_NAMES, color_choice
from outgate.policy import PROFILES


@pytest.fixture(autouse=True)
def _verb(monkeypatch: pytest.MonkeyPatch) -> None:
    """A verb that prints what it received; an environment that says nothing about colours."""
    monkeypatch.setitem(VERBS, "echo", Verb("tests.cli.verbs:echo_options", "A test's verb."))
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)


def received(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, str]:
    """What the verb printed, by option."""
    assert main(["echo", *arguments]) == 0
    return dict(line.split("=", 1) for line in capsys.readouterr().out.splitlines() if "=" in line)


def test_nothing_given(capsys: pytest.CaptureFixture[str]) -> None:
    """The defaults are part of the contract with every verb."""
    assert received(capsys) == {
        "all_namespaces": "False",
        "filename": "()",
        "namespace": "None",
        "output": "'text'",
        "quiet": "False",
        "strict": "False",
        "verbose": "0",
    }


def test_everything_given(capsys: pytest.CaptureFixture[str]) -> None:
    """Files keep their order (the first definition wins), and standard input is one of them."""
    arguments = ["-f", "b.yaml", "--filename", "-", "-f", "a", "-n", "shop", "--strict", "-o", "json", "-vv"]
    assert received(capsys, *arguments) == {
        "all_namespaces": "False",
        "filename": "('b.yaml', '-', 'a')",
        "namespace": "'shop'",
        "output": "'json'",
        "quiet": "False",
        "strict": "True",
        "verbose": "2",
    }


@pytest.mark.parametrize(
    ("first", "second"), [(["-n", "shop"], ["-A"]), (["-q"], ["-v"])], ids=["namespaces", "verbosity"]
)
def test_contradictions_are_refused(first: list[str], second: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """If one silently won, the answer would be about something else than was asked; the order must not matter."""
    for arguments in (first + second, second + first):
        assert main(["echo", *arguments]) == 2
        assert "contradict each other" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "environment", "wanted"),
    [
        ("auto", {}, None),
        ("auto", {"NO_COLOR": "1"}, False),
        ("auto", {"NO_COLOR": "0"}, False),
        ("auto", {"NO_COLOR": ""}, None),
        ("auto", {"FORCE_COLOR": "1"}, True),
        ("auto", {"FORCE_COLOR": ""}, None),
        ("auto", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ("always", {"NO_COLOR": "1"}, True),
        ("never", {"FORCE_COLOR": "1"}, False),
    ],
)
def test_who_decides_about_colours(option: str, environment: dict[str, str], wanted: bool | None) -> None:
    """What was typed wins, then NO_COLOR if it is not empty, then FORCE_COLOR, then the terminal."""
    assert color_choice(option, environment) is wanted


@pytest.mark.parametrize(
    ("arguments", "variable", "colored"),
    [
        ([], None, False),
        (["--color", "always"], None, True),
        (["--color", "always"], "NO_COLOR", True),
        (["--color", "never"], "FORCE_COLOR", False),
        ([], "FORCE_COLOR", True),
    ],
)
def test_colours_reach_the_output_where_wanted(
    arguments: list[str],
    variable: str | None,
    colored: bool,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An escape sequence in a file is noise; a pipe into `less -R` without colours ignores what was asked."""
    if variable:
        monkeypatch.setenv(variable, "1")
    assert main(["echo", *arguments]) == 0
    assert ("\x1b[31mred" in capsys.readouterr().out) is colored


def test_profile_names_are_those_of_the_profiles() -> None:
    """They are written out twice; a name that is offered and unknown would end in a traceback."""
    assert tuple(PROFILES) == PROFILE_NAMES
