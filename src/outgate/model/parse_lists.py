"""Lists as the objects that are in them: of ``kubectl get``, of a chart, lists within lists."""

from __future__ import annotations

from collections.abc import Iterator

from outgate.model.place import Document

__all__ = ["implied_by_list", "items_of"]


def items_of(document: Document) -> Iterator[Document]:
    """The objects of a document: itself, or the items of a list one by one, of lists within lists as well."""
    waiting = [document]
    while waiting:
        one = waiting.pop()
        value = one.value
        if value is None:
            continue
        kind, items = (value.get("kind"), value.get("items")) if isinstance(value, dict) else (None, None)
        if not (isinstance(kind, str) and kind.endswith("List") and (isinstance(items, list) or items is None)):
            yield one
            continue
        assert isinstance(value, dict)
        implied = implied_by_list(kind, value.get("apiVersion"))
        within = [
            _item(one, i, {**implied, **item} if isinstance(item, dict) else item) for i, item in enumerate(items or ())
        ]
        waiting.extend(reversed(within))


def implied_by_list(kind: str, api_version: object) -> dict[str, object]:
    """What the items of a typed list may leave out; the items of kind List speak for themselves."""
    return {"apiVersion": api_version, "kind": kind.removesuffix("List")} if kind != "List" else {}


def _item(document: Document, index: int, value: object) -> Document:
    """An item of a list as a document of its own; an item that is null is an empty object."""
    at = ("items", index)
    repeated = {path[2:]: line for path, line in document.repeated.items() if path[:2] == at}
    return Document(
        document.file,
        {} if value is None else value,
        lambda path: document.locate((*at, *path)),
        document.template,
        repeated,
        document.stored,
        lambda path: document.text((*at, *path)),
        lambda: _item_of(document, index),
    )


def _item_of(document: Document, index: int) -> object:
    whole = document.whole()
    items = whole.get("items") if isinstance(whole, dict) else None
    return items[index] if isinstance(items, list) and index < len(items) else None
