"""Where `lint` has its settings from: the command line, `.outgate.yaml`, and a baseline. Not a verb."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from outgate.cli.options import PROFILE_NAMES
from outgate.errors import InvalidInput
from outgate.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outgate.checks.config import Config
    from outgate.checks.lint import Selection
    from outgate.model import Document
    from outgate.packets import Address

__all__ = ["CONFIG", "Settings", "settings"]

CONFIG = ".outgate.yaml"
"""Read where the command runs, unless another file is named."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run is to do."""

    selection: Selection
    fail_on: str
    profile: str
    names: Mapping[str, tuple[Address, ...]]
    """What names outside of the cluster lead to."""


def settings(
    *,
    config: str | None,
    baseline: str | None,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    fail_on: str | None,
    profile: str | None,
    names: Mapping[str, tuple[Address, ...]],
) -> Settings:
    """The settings of the file under those of the command line.

    Raises:
        UsageError: a check that there is not.
        InvalidInput: a file that cannot be read, or that says what cannot be.
    """
    from outgate.checks import NAMES
    from outgate.checks.lint import Selection
    from outgate.checks.registry import check_names

    check_names((*select, *ignore))
    file = _config(config)
    chosen = select or file.select
    left_out = {*ignore, *(file.ignore if not select else ())}
    rules = tuple(name for name in NAMES if (not chosen or name in chosen) and name not in left_out)
    known = _baseline(baseline or file.baseline)
    return Settings(
        Selection(rules, file.severity, known),
        fail_on or file.fail_on or "warning",
        profile or file.profile or PROFILE_NAMES[0],
        {**file.names, **names},
    )


def _config(named: str | None) -> Config:
    from outgate.checks.config import Config, read_config

    file = named if named is not None else CONFIG
    if named is None and not os.path.isfile(CONFIG):
        return Config()
    document = _document(file)
    if document is None:
        return Config()
    found, errors = read_config(document, PROFILE_NAMES)
    if errors:
        raise InvalidInput(errors, hint="docs/lint.md has the settings")
    return found


def _baseline(file: str | None) -> frozenset[str]:
    if file is None:
        return frozenset()
    from outgate.checks.baseline import read_baseline

    document = _document(file)
    if document is None:
        raise InvalidInput(f"{file}: this is no baseline: it is empty", hint="--write-baseline makes one")
    found, errors = read_baseline(document)
    if errors:
        raise InvalidInput(errors, hint="--write-baseline makes one")
    return found


def _document(file: str) -> Document | None:
    """The one document of a file; None where it is empty."""
    from outgate.cluster.files import read_documents

    found = read_documents([file])
    if len(found) > 1:
        raise InvalidInput(f"{file}: has {len(found)} documents, where one is expected")
    return found[0] if found else None
