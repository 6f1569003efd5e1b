"""Files and functions stay small enough to be read, and every module says what it is for."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.house.sources import ROOT, SOURCE, functions, modules, repository_files, syntax

LONGEST_FILE = 500
LONGEST_FUNCTION = 80

# What no person writes, or reads from top to bottom.
GENERATED = {"requirements/dev.txt", "requirements/image.txt", "requirements/run.txt"}
PROSE = {".md", ".json", ".jsonl", ".svg", ".png", ".html"}


def name(path: Path) -> str:
    """A file as the reader of a failure knows it."""
    return str(path.relative_to(ROOT))


def test_the_house_has_rooms() -> None:
    """If the listing of files broke, every test below would pass on nothing."""
    assert {"src/outgate/errors.py", "src/outgate/cli/main.py", "tests/conftest.py"} <= set(map(name, modules()))
    assert {"pyproject.toml", "Makefile"} <= set(map(name, repository_files()))


def test_no_file_is_too_long() -> None:
    """A file of more than 500 lines is one that readers dread: split it by what it is about."""
    lengths = {
        name(path): len(path.read_bytes().splitlines())
        for path in repository_files()
        if path.suffix not in PROSE and name(path) not in GENERATED
    }
    assert {file: lines for file, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_no_function_is_too_long() -> None:
    """A function of more than 80 lines does not fit a screen, so nobody sees what it does at once."""
    lengths = {
        f"{name(path)}: {function.name}": (function.end_lineno or 0) - function.lineno + 1
        for path in modules()
        for function in functions(path)
    }
    assert len(lengths) > 1
    assert {function: lines for function, lines in lengths.items() if lines > LONGEST_FUNCTION} == {}


@pytest.mark.parametrize("path", modules(), ids=name)
def test_module_says_what_it_is_for(path: Path) -> None:
    """A module without a docstring leaves its reader to guess why it exists."""
    docstring = ast.get_docstring(syntax(path))
    assert docstring
    assert docstring.splitlines()[0].strip()


@pytest.mark.parametrize("room", sorted({path.parent for path in modules(SOURCE)}), ids=name)
def test_room_has_a_front_door(room: Path) -> None:
    """A folder of sources without `__init__.py` is missing from the layers contract and from the wheel's types."""
    assert (room / "__init__.py").is_file()


def test_nothing_is_called_by_a_word_that_says_nothing() -> None:
    """`utils`, `helpers` and `manager` gather what nobody found a place for."""
    empty_words = {"util", "utils", "helper", "helpers", "manager", "managers", "misc", "common"}
    assert [name(path) for path in modules() if path.stem in empty_words or path.parent.name in empty_words] == []
