"""The files of the repository, as the house tests see them: what git tracks or would track."""

from __future__ import annotations

import ast
import subprocess
from functools import cache
from pathlib import Path

__all__ = ["ROOT", "SOURCE", "TESTS", "dotted", "functions", "modules", "repository_files", "syntax"]

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "outgate"
TESTS = ROOT / "tests"

# Where there is no git (a source archive), these are what .gitignore would have left out.
_NOT_OURS = {".git", ".venv", "__pycache__", "build", "dist", ".hypothesis", ".mypy_cache", ".pytest_cache"}
_NOT_OURS |= {".ruff_cache", ".import_linter_cache"}


@cache
def repository_files() -> tuple[Path, ...]:
    """Every file of the project, tracked or new, without what is ignored."""
    try:
        listing = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        found = (path for path in ROOT.rglob("*") if not _NOT_OURS.intersection(path.relative_to(ROOT).parts))
    else:
        found = (ROOT / name for name in listing.split("\0") if name)
    # A tracked file may have been deleted and not committed yet.
    return tuple(sorted({path for path in found if path.is_file()}))


def modules(folder: Path = ROOT) -> list[Path]:
    """The Python files under a folder."""
    return [path for path in repository_files() if path.suffix == ".py" and path.is_relative_to(folder)]


@cache
def syntax(path: Path) -> ast.Module:
    """The parsed module."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function of a module, nested ones and methods too."""
    return [node for node in ast.walk(syntax(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def dotted(path: Path) -> str:
    """The name by which a source file is imported."""
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
