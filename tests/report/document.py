"""A page as a tree, read as strictly as a person would write it: every element closed, every identifier there once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

__all__ = ["Element", "parse"]

_VOID = {"meta", "input", "br", "link"}


@dataclass(slots=True, eq=False)
class Element:
    """An element, its attributes, and what is in it."""

    tag: str
    attributes: dict[str, str]
    children: list[Element] = field(default_factory=list)
    pieces: list[str | Element] = field(default_factory=list)
    """Elements and texts, in their order."""

    def every(self, tag: str = "", **attributes: str) -> Iterator[Element]:
        """The elements in this one, itself too, that have this tag and these attributes."""
        wanted = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
        if tag in {"", self.tag} and all(self.attributes.get(key) == value for key, value in wanted.items()):
            yield self
        for child in self.children:
            yield from child.every(tag, **attributes)

    def one(self, tag: str = "", **attributes: str) -> Element:
        """The only such element."""
        (found,) = self.every(tag, **attributes)
        return found

    def classes(self) -> set[str]:
        """Its classes."""
        return set(self.attributes.get("class", "").split())

    def text(self) -> str:
        """All text in it."""
        return "".join(piece if isinstance(piece, str) else piece.text() for piece in self.pieces)

    def data(self) -> Any:
        """The JSON in it."""
        return json.loads(self.text())


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.stack = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"an attribute twice in {tag}: {names}"
        made = Element(tag, {name: value or "" for name, value in attrs})
        self.stack[-1].children.append(made)
        self.stack[-1].pieces.append(made)
        if tag not in _VOID:
            self.stack.append(made)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack[-1].tag == tag, f"</{tag}> ends <{self.stack[-1].tag}>"
        self.stack.pop()

    def handle_data(self, data: str) -> None:
        self.stack[-1].pieces.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data!r}")


def parse(markup: str) -> Element:
    """The root of a document or of a piece of one."""
    builder = _Builder()
    builder.feed(markup)
    builder.close()
    assert len(builder.stack) == 1, f"not closed: {[one.tag for one in builder.stack[1:]]}"
    return builder.stack[0]
