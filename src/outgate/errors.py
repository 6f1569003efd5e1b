"""The tree of errors, split by whose fault it is.

An error carries data; sentences are made at the edge (`cli`). Each class owns the exit code
that the command ends with, so that a script can tell *your input* from *our kernel*.

    OutgateError                      never raised itself
    ├── InvalidInput          2       files, flags or objects that cannot be used, all of them at once
    │   ├── UsageError        2       the command line contradicts itself
    │   └── UnknownName       2       a pod, service, node or name that the input does not have
    ├── TooComplex            2       a named cap was passed: a refusal, never an approximation
    ├── Unsupported           2       something the target cannot express: refused by name, never ignored
    ├── ClusterError          3       the API server could not be reached or did not answer
    └── KernelError           3       the kernel, or a tool that speaks to it, refused
        └── NotPermitted      3       it would work with more rights; says which

A broken *policy* in good input is not an exception: it is an `InputError` record beside the result.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = [
    "ClusterError",
    "InputError",
    "InvalidInput",
    "KernelError",
    "NotPermitted",
    "OutgateError",
    "TooComplex",
    "UnknownName",
    "Unsupported",
    "UsageError",
    "one_line",
    "unusable",
]


def one_line(text: str) -> str:
    """The text with whatever would move the cursor or start a line written out: names come from strangers."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


@dataclass(frozen=True, slots=True, order=True)
class InputError:
    """One thing that is wrong in the input, and where.

    `line` counts from 1 and is 0 where no line can be named; `path` is written as the API server
    writes it (``spec.egress[0].to[0]``) and is empty where the whole document is meant.
    """

    file: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.path, self.message) if part)


def unusable(file: str, doing: str, error: OSError) -> InputError:
    """That the system does not let a file be read, or written, in its own words."""
    return InputError(file, 0, "", f"cannot be {doing}: {(error.strerror or str(error)).lower()}")


class OutgateError(Exception):
    """Base of every error that Outgate raises on purpose; never raised itself."""

    exit_code: int = 2

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        """What the reader can do about it; empty where the message already says so."""


class InvalidInput(OutgateError):
    """Input that cannot be used. Carries every error found, not only the first."""

    def __init__(self, errors: Iterable[InputError] | str, *, hint: str = "") -> None:
        self.errors: tuple[InputError, ...] = () if isinstance(errors, str) else tuple(errors)
        super().__init__(errors if isinstance(errors, str) else "\n".join(map(str, self.errors)), hint=hint)


class UsageError(InvalidInput):
    """The command line asks for something impossible."""


class UnknownName(InvalidInput):
    """A name that the input does not have."""


class TooComplex(OutgateError):
    """A named cap was passed. The answer would be an approximation, so there is none."""


class Unsupported(OutgateError):
    """The target cannot express what was asked; it is refused, never ignored."""


class ClusterError(OutgateError):
    """The API server could not be reached."""

    exit_code = 3


class KernelError(OutgateError):
    """The kernel, or a tool that speaks to it, refused."""

    exit_code = 3


class NotPermitted(KernelError):
    """The kernel would do it for somebody with more rights."""
