"""What can be read besides files: whoever has the bytes, or the objects, hands them over under a name.

This room starts no process, so the bytes of a git revision come from elsewhere; and the objects of a live cluster are
no text any more by the time they are here.
"""

from __future__ import annotations

from collections.abc import Sequence

from outgate.model.place import Document
from outgate.records import dataclass

__all__ = ["Objects", "Source", "Text"]


@dataclass(frozen=True, slots=True)
class Text:
    """The bytes of one file, YAML or JSON. `name` is what places begin with."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Objects:
    """Documents that are read already; each names its own place."""

    name: str
    documents: Sequence[Document]


Source = Text | Objects
