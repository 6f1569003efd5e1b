"""The options that all verbs share: what a verb receives, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from outgate.cli.main import VERBS, Verb, main, outgate
from outgate.cli.options import PROFILE_NAMES, chosen_kubeconfig, color_choice
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
        "kubeconfig": "None",
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
        "kubeconfig": "None",
        "namespace": "'shop'",
        "output": "'json'",
        "quiet": "False",
        "strict": "True",
        "verbose": "2",
    }


@pytest.mark.parametrize(
    ("arguments", "filename"),
    [
        (["--context", "prod"], "('cluster:prod',)"),
        (["--kubeconfig", "k"], "('cluster:',)"),
        (["--kubeconfig", "k", "--context", "prod"], "('cluster:prod',)"),
        (["-f", "a", "--context", "prod", "-f", "b"], "('cluster:prod', 'a', 'b')"),
        (["-f", "git:HEAD:a"], "('git:HEAD:a',)"),
    ],
)
def test_a_live_cluster_is_one_more_filename(
    arguments: list[str], filename: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first, wherever it is typed: what files say replaces what the cluster has."""
    assert received(capsys, *arguments)["filename"] == filename


def test_the_kubeconfig_that_was_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    """Known while the command runs and forgotten after it, so that no other command asks that cluster."""
    assert received(capsys, "--kubeconfig", "k")["kubeconfig"] == "'k'"
    assert received(capsys)["kubeconfig"] == "None"
    assert chosen_kubeconfig() is None


def completed(*words: str) -> list[str]:
    """What a shell offers for the last word."""
    from click.shell_completion import ShellComplete

    complete = ShellComplete(outgate, {}, "outgate", "_OUTGATE_COMPLETE")
    return [item.value for item in complete.get_completions(["echo", *words[:-1]], words[-1])]


def test_contexts_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the kubeconfig that counts; a broken one completes nothing, and says nothing into the prompt."""
    for name, text in (("one", "contexts: [{name: dev}, {name: prod}]"), ("two", "contexts: [{name: drill}]")):
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "one"))
    assert completed("--context", "") == ["dev", "prod"]
    assert completed("--context", "p") == ["prod"]
    assert completed("--kubeconfig", str(tmp_path / "two"), "--context", "d") == ["drill"]
    (tmp_path / "one").write_text("contexts: 5")
    assert completed("--context", "") == []


@pytest.mark.parametrize("option", ["--context", "--kubeconfig", "--namespace", "--filename"])
def test_an_empty_name_is_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An unset variable of a script would ask the current cluster, which may be any, or about no namespace."""
    assert main(["echo", option, ""]) == 2
    assert f"{option} is empty" in capsys.readouterr().err


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
