"""What reading text found wrong, collected beside the documents that it could read."""

from __future__ import annotations

from dataclasses import dataclass, field

from outgate.errors import InputError

__all__ = ["Unreadable"]


@dataclass(slots=True)
class Unreadable:
    """Errors are texts that are no documents; warnings are documents that say more than one reader would take."""

    errors: list[InputError] = field(default_factory=list)
    warnings: list[InputError] = field(default_factory=list)
