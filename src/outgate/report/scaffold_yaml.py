"""Manifests as YAML with comments: text for people to read, keep and change.

Written here and not by a library, because a comment belongs above the line that it is about, and a library that writes
values does not know of lines. It is only a small part of YAML: block style, short lists of words in brackets, and what
is not plainly a word in double quotes as JSON has them, which YAML reads alike.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence

from outgate.model.place import Path
from outgate.recipes import Manifest, Scaffold

__all__ = ["scaffold_yaml"]

_WIDTH = 110
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9./_-]*")
_BLOCK = re.compile(r"\d+\.\d+\.\d+\.\d+/\d+")
_OTHER_THINGS = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n", "null"})
"""Words that some reader of YAML takes for something else."""


def scaffold_yaml(made: Scaffold) -> str:
    """All manifests, one document each."""
    return "---\n".join("".join(f"{line}\n" for line in _document(one)) for one in made.manifests)


def _document(manifest: Manifest) -> Iterator[str]:
    yield from _comments(manifest.head, 0)
    yield from _mapping(manifest.value, (), manifest, 0)
    yield from _comments(manifest.tail, 0)


def _comments(many: Sequence[str], indent: int) -> Iterator[str]:
    room = _WIDTH - indent
    for one in many:
        # Names from the input are in here: what would end the line, or hide in it, is not printed.
        text = "".join(character if character.isprintable() else "?" for character in one)
        for line in [text] if text.startswith(" ") else textwrap.wrap(text, room, break_on_hyphens=False):
            yield f"{' ' * indent}# {line}"


def _mapping(value: Mapping[str, object], at: Path, manifest: Manifest, indent: int) -> Iterator[str]:
    for key, one in value.items():
        here = (*at, key)
        yield from _comments(manifest.comments.get(here, ()), indent)
        label = f"{' ' * indent}{_scalar(key)}:"
        if isinstance(one, Mapping) and one:
            yield label
            yield from _mapping(one, here, manifest, indent + 2)
        elif isinstance(one, list) and one and not _is_short(one):
            yield label
            yield from _sequence(one, here, manifest, indent + 2)
        else:
            yield f"{label} {_inline(one)}"


def _sequence(value: Sequence[object], at: Path, manifest: Manifest, indent: int) -> Iterator[str]:
    for number, one in enumerate(value):
        here = (*at, number)
        yield from _comments(manifest.comments.get(here, ()), indent)
        if isinstance(one, Mapping) and one:
            first, *rest = _mapping(one, here, manifest, indent + 2)
            yield f"{' ' * indent}- {first[indent + 2 :]}"
            yield from rest
        else:
            yield f"{' ' * indent}- {_inline(one)}"


def _is_short(value: Sequence[object]) -> bool:
    return all(isinstance(one, str) for one in value) and sum(len(str(one)) + 2 for one in value) < _WIDTH // 2


def _inline(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_scalar(key)}: {_inline(one)}' for key, one in value.items())}}}"
    return _scalar(value)


def _scalar(value: object) -> str:
    is_word = isinstance(value, str) and (_WORD.fullmatch(value) or _BLOCK.fullmatch(value))
    return str(value) if is_word and str(value).lower() not in _OTHER_THINGS else json.dumps(value)
