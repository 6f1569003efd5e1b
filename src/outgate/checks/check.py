"""A check: one question to a survey of the cluster, with its name, its severity and its documentation.

The documentation is the docstring of the check's module, in the shape that `outgate.checks.documentation` reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from outgate.checks.finding import Finding, Severity
from outgate.checks.survey import Survey
from outgate.records import dataclass

if TYPE_CHECKING:
    from outgate.checks.documentation import Documentation

__all__ = ["Check"]


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
        from outgate.checks.documentation import Documentation  # noqa: PLC0415 - only who explains a check reads it

        if self.docstring is None:
            raise ValueError("this Python runs without docstrings, which the documentation is in")
        return Documentation.of(self.docstring)
