"""The contract of who may import whom covers every room; import-linter itself holds it (`make lint`)."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from tests.house.sources import ROOT, SOURCE, modules

# Rooms that touch no clock, no file and no socket, so that a test needs none of them either.
PURE = {"errors", "packets", "model", "policy", "analysis", "checks", "nft", "proxy", "recipes", "records", "report"}


@pytest.fixture(scope="module")
def contracts() -> dict[str, dict[str, Any]]:
    """The contracts of pyproject.toml, by id."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return {contract["id"]: contract for contract in settings["tool"]["importlinter"]["contracts"]}


def rooms() -> set[str]:
    """What lies directly in the package."""
    return {path.relative_to(SOURCE).parts[0].removesuffix(".py") for path in modules(SOURCE)}


def test_every_room_has_a_layer(contracts: dict[str, dict[str, Any]]) -> None:
    """A room outside the layers may import anything and be imported by anyone."""
    placed = {name for layer in contracts["layers"]["layers"] for name in re.findall(r"\w+", layer)}
    assert rooms() - placed <= {"__init__", *contracts["layers"]["exhaustive_ignores"]}
    assert contracts["layers"]["exhaustive"] is True


def test_every_pure_room_is_held_to_it(contracts: dict[str, dict[str, Any]]) -> None:
    """A pure room that is missing from the contract could open a socket and nobody would be told."""
    held = {module.removeprefix("outgate.") for module in contracts["pure"]["source_modules"]}
    assert PURE & rooms() <= held <= PURE
