"""The verbs of a node, listed."""

from __future__ import annotations

import importlib

import pytest

from outgate.cli.agent import VERBS
from outgate.cli.main import main


@pytest.mark.parametrize("name", VERBS)
def test_each_verb_is_where_the_table_says(name: str) -> None:
    """A table that leads nowhere is found out on the node, at night."""
    module, _, attribute = VERBS[name].target.partition(":")
    assert getattr(importlib.import_module(module), attribute).name == name


def test_help_names_them(capsys: pytest.CaptureFixture[str]) -> None:
    """Help is read before the documentation is."""
    assert main(["agent", "--help"]) == 0
    said = capsys.readouterr().out
    assert [name for name in VERBS if f"  {name}" not in said] == []
