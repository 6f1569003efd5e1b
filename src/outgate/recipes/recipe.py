"""What a recipe is given, and what it makes: values, with their comments beside them.

A manifest is the value that JSON would hold, and comments by the path of what they stand above. So the same recipe is
written as YAML that explains itself and as JSON that cannot, and no recipe deals with text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from outgate.checks.survey import Survey
from outgate.model.place import Path

__all__ = ["Asked", "Manifest", "Recipe", "Scaffold"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options say. `sources` is ``--from``, a word that Python keeps for itself."""

    namespace: str | None = None
    """None: the manifest names none, and goes where it is applied."""
    name: str | None = None
    selector: str | None = None
    to: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    admin_tier: bool = False
    survey: Survey | None = None
    """The input; None where none was given."""

    @property
    def home(self) -> str:
        """The namespace that is meant where one must be named."""
        return self.namespace or "default"


@dataclass(frozen=True, slots=True)
class Manifest:
    """One object. A comment that begins with a space is text to be uncommented, and is never wrapped."""

    value: Mapping[str, object]
    head: tuple[str, ...] = ()
    """Comments above it."""
    comments: Mapping[Path, tuple[str, ...]] = field(default_factory=dict)
    """Comments above the value at a path."""
    tail: tuple[str, ...] = ()
    """Comments below it."""


@dataclass(frozen=True, slots=True)
class Scaffold:
    """What a recipe makes. `notes` are for whoever asked, now, and not for whoever reads the manifests later."""

    manifests: tuple[Manifest, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recipe:
    """One recipe. `takes`: which of the options that not all have, by their names without dashes."""

    name: str
    summary: str
    write: Callable[[Asked], Scaffold]
    takes: frozenset[str] = frozenset()
