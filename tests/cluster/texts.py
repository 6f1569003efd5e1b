"""Reading of texts for the tests of this room, without any file."""

from __future__ import annotations

from outgate.cluster.files import documents_of
from outgate.cluster.reading import Unreadable
from outgate.model.place import Document

__all__ = ["errors_of", "read", "value_of"]


def read(text: str | bytes, file: str = "input.yaml") -> tuple[list[Document], Unreadable]:
    """The documents of a text, and what was wrong with it."""
    unreadable = Unreadable()
    data = text.encode() if isinstance(text, str) else text
    return list(documents_of(data, file, unreadable)), unreadable


def value_of(text: str | bytes) -> object:
    """The value of a text that is one good document."""
    (document,), unreadable = read(text)
    assert unreadable.errors == []
    return document.value


def errors_of(text: str | bytes, file: str = "input.yaml") -> list[str]:
    """What is wrong with a text."""
    return [str(error) for error in read(text, file)[1].errors]
