"""Reading the input of a verb, with what has to be said about it on standard error.

Not a verb: the half of each verb that is the same. A broken object is set apart and said, and the rest of the work
goes on; what an answer does not rest on must not be silent.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from outgate.errors import UsageError

if TYPE_CHECKING:
    from outgate.cluster import Loaded
    from outgate.packets import Address

__all__ = ["dns_names", "note", "read_input", "read_side"]

MOST_LINES = 20
"""Errors that are listed one by one; `outgate validate` lists all of them."""


def note(words: str, quiet: bool = False) -> None:
    """One line on standard error, where notes go."""
    if not quiet:
        click.echo(words, err=True)


def read_input(filename: Sequence[str], *, namespace: str | None, strict: bool, quiet: bool = False) -> Loaded:
    """The objects of the input. Raises InvalidInput for what cannot be opened and, with `strict`, for any error."""
    from outgate.cluster import load

    if not filename:
        raise UsageError("no input", hint="give manifests with -f FILE, -f FOLDER, or -f - for standard input")
    loaded = load(filename, strict=strict, namespace=namespace or "default")
    for error in loaded.errors[:MOST_LINES]:
        note(f"set apart: {error}", quiet)
    if loaded.errors:
        more = len(loaded.errors) - MOST_LINES
        rest = f" and {more} more errors" if more > 0 else ""
        count = len(loaded.refused) + len(loaded.unreadable)
        # Said even with -q: an answer that leaves a policy out is another answer.
        note(f"note: {_things(count)} not part of the answer{rest}; see outgate validate")
    if not loaded.objects and not loaded.errors:
        note("note: the input has no objects", quiet)
    for warning in loaded.warnings[:MOST_LINES]:
        note(f"warning: {warning}", quiet)
    return loaded


def read_side(text: str, *, namespace: str | None, strict: bool, quiet: bool = False) -> Loaded:
    """One of two inputs that are compared: a file, a folder, or ``-``. Raises what `read_input` raises."""
    return read_input([text], namespace=namespace, strict=strict, quiet=quiet)


def _things(count: int) -> str:
    return "1 object was refused and is" if count == 1 else f"{count} objects were refused and are"


def dns_names(texts: Sequence[str]) -> dict[str, tuple[Address, ...]]:
    """What ``--dns-name NAME=ADDRESS`` says; a name may be given several times. Raises UsageError."""
    names: dict[str, tuple[Address, ...]] = {}
    for text in texts:
        name, equals, address = text.partition("=")
        name = name.strip().lower().removesuffix(".")
        try:
            found = ipaddress.ip_address(address.strip())
        except ValueError:
            found = None
        if not (name and equals) or found is None:
            raise UsageError(f"--dns-name {text}: write it NAME=ADDRESS, as in example.com=203.0.113.10")
        names[name] = (*names.get(name, ()), found)
    return names
