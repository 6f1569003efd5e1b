"""`__all__` tells the truth. Its order is ruff's affair (RUF022), and a module without one makes nothing public."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

from tests.house.sources import SOURCE, dotted, modules, syntax


def exported(path: Path) -> list[str]:
    """The public names of a module, as it declares them."""
    return list(getattr(importlib.import_module(dotted(path)), "__all__", []))


@pytest.mark.parametrize("path", modules(SOURCE), ids=dotted)
def test_all_names_what_exists(path: Path) -> None:
    """A name in `__all__` that the module lacks breaks `from outgate.room import *` and every reader's trust."""
    module = importlib.import_module(dotted(path))
    names = exported(path)
    assert len(names) == len(set(names))
    assert [name for name in names if not hasattr(module, name)] == []


@pytest.mark.parametrize("path", modules(SOURCE), ids=dotted)
def test_all_names_no_private_thing(path: Path) -> None:
    """A name cannot be both private by its underscore and public by `__all__`."""
    assert [name for name in exported(path) if name.startswith("_") and name != "__version__"] == []


@pytest.mark.parametrize("path", [path for path in modules(SOURCE) if path.name != "__init__.py"], ids=dotted)
def test_all_names_every_public_definition(path: Path) -> None:
    """A public class or function outside `__all__` is either private in truth or forgotten."""
    definitions = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    public = {
        node.name for node in syntax(path).body if isinstance(node, definitions) and not node.name.startswith("_")
    }
    assert public - set(exported(path)) == set()
