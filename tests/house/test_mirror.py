"""The tests mirror the sources, so that nobody has to search for the tests of a file.

`src/outgate/<room>/<file>.py` is tested by `tests/<room>/test_<file>.py`. The table below has all the exceptions.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.house.sources import SOURCE, TESTS, modules, syntax

# Source file: where it is tested instead, and why that is better.
ELSEWHERE = {
    "__init__.py": "tests/cli/test_main.py",  # only the version, which `--version` prints
    "version.py": "tests/cli/test_main.py",  # likewise
    "__main__.py": "tests/cli/test_main.py",  # only runs there: in a process of its own
    "agent/agent.py": "tests/lab/agent/test_farm.py",  # agents that run, with real kernels and an API server
    "agent/meaning.py": "tests/agent/test_world.py",  # whether a policy means something else than before
    "agent/news.py": "tests/agent/test_step.py",  # what the step makes of the API server's news
    "agent/state.py": "tests/agent/test_step.py",  # only what the step holds, and what it asks for
    "analysis/reachability.py": "tests/analysis/test_reach.py",  # only the values that `reach` makes
}


def relative(path: Path) -> str:
    """A source file as the table names it."""
    return str(path.relative_to(SOURCE))


def is_front_door(path: Path) -> bool:
    """Say if a file is a room's `__init__.py` that defines nothing, only names what its files define."""
    if path.name != "__init__.py" or path.parent == SOURCE:
        return False
    return not any(hasattr(statement, "body") for statement in syntax(path).body)


@pytest.mark.parametrize("path", modules(SOURCE), ids=relative)
def test_source_has_its_test(path: Path) -> None:
    """A source file without a test file of its name is one whose tests nobody can find, or that has none."""
    if relative(path) in ELSEWHERE:
        test = TESTS.parent / ELSEWHERE[relative(path)]
    elif is_front_door(path):
        return
    else:
        test = TESTS / path.relative_to(SOURCE).with_name(f"test_{path.name.strip('_')}")
    assert test.is_file(), f"write {test.relative_to(TESTS.parent)}, or add a reasoned line to ELSEWHERE"


def test_every_exception_is_still_needed() -> None:
    """A line of the table that names no source file is left over from something that was removed."""
    assert [file for file in ELSEWHERE if not (SOURCE / file).is_file()] == []
