"""Groups of verbs: the table is enough for the list, and a mistyped verb is answered with the nearest."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from outgate.cli.lazy import LazyGroup, Verb

VERBS = {"run": Verb("tests.cli.no_such_module:run", "Run it."), "check": Verb("tests.cli.no_such_module:c", "Look.")}


@click.group(cls=LazyGroup, verbs=VERBS)
def group() -> None:
    """A group of a test."""


def test_listing_imports_no_verb() -> None:
    """The modules of these verbs do not even exist."""
    said = CliRunner().invoke(group, ["--help"])
    assert said.exit_code == 0
    assert "Run it." in said.output


@pytest.mark.parametrize(("typed", "advice"), [("rum", "Did you mean run?"), ("xyz", "The verbs are: run, check.")])
def test_a_mistyped_verb_is_answered_with_the_nearest(typed: str, advice: str) -> None:
    """Within a group its own verbs are the ones that were meant."""
    said = CliRunner().invoke(group, [typed])
    assert said.exit_code == 2
    assert advice in said.output
