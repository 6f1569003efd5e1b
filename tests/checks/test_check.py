"""A check and where its documentation comes from."""

from __future__ import annotations

import dataclasses

import pytest

from outgate.checks import load


def test_documentation_is_the_docstring() -> None:
    """It is read where the code is."""
    check = load("empty-block")
    assert check.docstring is not None
    assert check.docstring.startswith(check.documentation.title)


def test_without_docstrings_there_is_none() -> None:
    """Python takes them out with -OO, and that is said."""
    with pytest.raises(ValueError, match="without docstrings"):
        _ = dataclasses.replace(load("empty-block"), docstring=None).documentation
