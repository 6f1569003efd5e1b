"""What a check says of itself.

The documentation is the docstring of the check's module, in one shape, so that it is read where the code is, printed
by ``outgate explain`` and laid out in `docs/checks/`:

    A title: what is found, in a few words.

    What it does:
        ...
    Why it matters:
        ...
    Example:
        manifests in which it finds something
    Fixed example:
        the same, mended
    When to ignore:
        ...
    References:
        - ...

The examples are manifests, and the tests run the check on both.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from outgate.records import dataclass

__all__ = ["SECTIONS", "Documentation"]

SECTIONS = ("What it does", "Why it matters", "Example", "Fixed example", "When to ignore", "References")


@dataclass(frozen=True, slots=True)
class Documentation:
    """What a check's docstring says."""

    title: str
    sections: Mapping[str, str]

    @classmethod
    def of(cls, docstring: str) -> Documentation:
        """The parts of a docstring. Raises ValueError where its shape is another one."""
        title, _, rest = docstring.strip("\n").partition("\n")
        sections: dict[str, list[str]] = {}
        here: list[str] | None = None
        for line in rest.split("\n"):
            if line and not line.startswith(" ") and line.endswith(":"):
                here = sections.setdefault(line[:-1], [])
            elif here is not None:
                here.append(line)
            elif line:
                raise ValueError(f"this stands in no section: {line}")
        if tuple(sections) != SECTIONS:
            raise ValueError(f"the sections are {', '.join(sections)}")
        return cls(
            title.rstrip("."), {name: textwrap.dedent("\n".join(lines)).strip("\n") for name, lines in sections.items()}
        )
