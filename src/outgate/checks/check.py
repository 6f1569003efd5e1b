"""A check: one question to a survey of the cluster, with its name, its severity and its documentation.

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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from outgate.checks.finding import Finding, Severity
from outgate.checks.survey import Survey

__all__ = ["SECTIONS", "Check", "Documentation"]

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


@dataclass(frozen=True, slots=True)
class Check:
    """One check. `find` yields what it finds; `docstring` is that of its module."""

    name: str
    severity: Severity
    find: Callable[[Survey], Iterator[Finding]]
    docstring: str | None
    fixable: bool = False
    """Whether it knows a fix for some of what it finds."""
    profiles: tuple[str, ...] = ()
    """The profiles under which there is something to find; empty for all."""

    @property
    def documentation(self) -> Documentation:
        """Its documentation. Raises ValueError where there is none, as without docstrings (``python -OO``)."""
        if self.docstring is None:
            raise ValueError("this Python runs without docstrings, which the documentation is in")
        return Documentation.of(self.docstring)
