"""The manifests, the workflow and the guide call only what the command has."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
import pytest

from outgate.cli.main import VERBS, outgate
from tests.deploy.chart import CASES, containers, rendered
from tests.deploy.contract import AGENT_RUN, COMMANDS, variable
from tests.house.sources import ROOT

GUIDES = ("docs/agent-install.md", ".github/workflows/e2e-kind.yaml", "deploy/helm/outgate/templates/NOTES.txt")


def command(words: tuple[str, ...]) -> click.Command:
    """A command of the real command line, by the words that call it."""
    found: click.Command = outgate
    for word in words:
        assert isinstance(found, click.Group)
        inner = found.get_command(click.Context(found), word)
        assert inner is not None, f"there is no outgate {' '.join(words)}"
        found = inner
    return found


def called(text: str) -> Iterator[tuple[str, ...]]:
    """The verbs that a text calls."""
    for match in re.finditer(r"(?:^|[-`'(] |[`'(])outgate (agent [a-z]+|[a-z][a-z-]+)", text, re.MULTILINE):
        yield tuple(match[1].split())


@pytest.mark.parametrize("guide", GUIDES)
def test_guides_call_verbs_that_there_are(guide: str) -> None:
    """Whoever types what a guide says must not be told that there is no such verb."""
    words = set(called((ROOT / guide).read_text(encoding="utf-8")))
    assert words, "the pattern finds nothing"
    assert {word for word in words if word not in COMMANDS and word[0] not in VERBS} == set()


@pytest.mark.parametrize("case", CASES)
def test_containers_call_verbs_that_there_are(case: str) -> None:
    """A container without a command of its own calls `outgate` with these arguments."""
    for pod in rendered(case).pods():
        for container in containers(pod):
            if "command" not in container:
                verb = tuple(word for word in container["args"] if not word.startswith("-"))
                assert verb[: 1 if verb[0] == "status" else 2] in COMMANDS


@pytest.mark.parametrize("words", sorted(COMMANDS), ids=" ".join)
def test_the_command_has_the_verbs(words: tuple[str, ...]) -> None:
    """The table against the command."""
    assert command(words).name


def test_the_agent_has_the_options() -> None:
    """Each with the variable by which the manifests set it."""
    options = {name: one for one in command(("agent", "run")).params for name in one.opts}
    assert set(options) >= AGENT_RUN
    missing = []
    for name in AGENT_RUN:
        variables = options[name].envvar or ()
        if variable(name) not in ([variables] if isinstance(variables, str) else variables):
            missing.append(name)
    assert missing == []
