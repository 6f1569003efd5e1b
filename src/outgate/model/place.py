"""Where a value stands: file, line and path.

A `Document` is one object as it was read, before anything is made of it. Lines are looked up when
somebody asks for one (an error, a verdict), not while reading: of a hundred thousand values only a
handful is ever named, and the reader that knows the text hands over the function that finds them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field

from outgate.errors import InputError
from outgate.records import dataclass

__all__ = ["NOWHERE", "Document", "Path", "Place", "complaint", "spell"]

Path = tuple[str | int, ...]
"""Keys and list indices from the top of the object down to a value."""


def _no_line(_: Path) -> int:
    return 0


def _no_text(_: Path) -> tuple[int, str]:
    return 0, ""


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """One object of the input: a YAML document, or one item of a `List`.

    `value` is what JSON would hold (dict, list, str, int, float, bool, None); of kinds other than policies a reader may
    leave out what `outgate.model.parse` does not look at. `locate` gives the line
    (from 1; 0 if unknown) of the value at a path; for a missing path it gives the nearest parent's line.
    `template` is the Helm template named by a ``# Source:`` comment above the document, or empty.
    `stored` says that a server held it: what it says was accepted once, and is read as the server reads it.
    `repeated` has the path of every key that its mapping holds more than once, with the line of the last repetition
    (the value is the last one's); what may not be repeated is for the reader of the object to say.
    `text` gives a value as it was written, with the line on which that begins; nothing where it was never written.
    `again` reads the object once more, with all that is in it, for when its value was let go.
    """

    file: str
    value: object
    locate: Callable[[Path], int] = field(default=_no_line, repr=False)
    template: str = ""
    repeated: Mapping[Path, int] = field(default_factory=dict, repr=False)
    stored: bool = False
    text: Callable[[Path], tuple[int, str]] = field(default=_no_text, repr=False)
    again: Callable[[], object] | None = field(default=None, repr=False)

    def whole(self) -> object:
        """All that the object says, read again where its value was let go; None where it was never written."""
        return self.value if self.value is not None or self.again is None else self.again()


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """The place of one value. Two places are never compared: equality of objects ignores them."""

    document: Document
    at: Path = ()

    @property
    def file(self) -> str:
        """The file as the user named it; ``-`` for standard input; empty where there is none."""
        return self.document.file

    @property
    def line(self) -> int:
        """The line, counted from 1; 0 where it is not known."""
        return self.document.locate(self.at)

    @property
    def path(self) -> str:
        """The path as the API server writes it."""
        return spell(self.at)

    def __truediv__(self, step: str | int) -> Place:
        return Place(self.document, (*self.at, step))

    def __str__(self) -> str:
        line = self.line
        return f"{self.file}:{line}" if line else self.file


def complaint(place: Place, message: str) -> InputError:
    """An error about the value at a place."""
    return InputError(place.file, place.line, place.path, message)


def spell(path: Path) -> str:
    """``("spec", "egress", 0, "to")`` as ``spec.egress[0].to``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


NOWHERE = Place(Document("", None))
"""The place of what no input names: a namespace that only a pod mentions, say."""
