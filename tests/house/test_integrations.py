"""What other tools read of this repository: hooks, the action, examples for pipelines; each names what there is."""

from __future__ import annotations

import re
import shlex
from typing import Any

import click
import pytest
import yaml

from outgate.cli.lint import lint
from outgate.cli.lint_output import FORMATS
from tests.house.sources import ROOT


def read(name: str) -> Any:
    """A file of YAML."""
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def options() -> set[str]:
    """Every option of the verb."""
    return {name for one in lint.params if isinstance(one, click.Option) for name in one.opts}


def commands() -> list[str]:
    """Each call of `lint` in those files."""
    found = [f"{one['entry']} {' '.join(one['args'])}" for one in read(".pre-commit-hooks.yaml")]
    for step in read("action.yml")["runs"]["steps"]:
        found += [line.strip() for line in step["run"].splitlines() if "outgate lint" in line or "options+=" in line]
    for job in read("examples/ci/gitlab.yaml").values():
        found += [line for line in job["script"] if "outgate lint" in line]
    return found


@pytest.mark.parametrize("command", commands())
def test_options_that_there_are(command: str) -> None:
    """A renamed option would be found by somebody's pipeline."""
    given = {word for word in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", command) if word != "-n"}
    assert given - {"-m"} <= options()
    for form in re.findall(r"--write[= \"]+([a-z]+)=", command) + re.findall(r"-o ([a-z]+)", command):
        assert form in FORMATS


def test_inputs_reach_the_shell_as_variables() -> None:
    """A path from a pull request that is pasted into a script is a command."""
    action = read("action.yml")
    scripts = [step["run"] for step in action["runs"]["steps"]]
    assert not [script for script in scripts if "${{" in script]
    used = {
        name for step in action["runs"]["steps"] for name in re.findall(r"inputs\.([a-z-]+)", str(step.get("env", {})))
    }
    assert used == set(action["inputs"])


def test_the_hooks_can_be_called() -> None:
    """With arguments that a shell would split alike."""
    for hook in read(".pre-commit-hooks.yaml"):
        assert shlex.split(hook["entry"])[:2] == ["outgate", "lint"]
        assert hook["language"] == "python"


def test_the_example_for_github_gives_inputs_that_there_are() -> None:
    """Of our own action."""
    (job,) = read("examples/ci/github.yaml")["jobs"].values()
    (ours,) = [step for step in job["steps"] if step.get("uses", "").startswith("outgate/")]
    assert set(ours["with"]) <= set(read("action.yml")["inputs"])
