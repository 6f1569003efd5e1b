"""Manifests as JSON: one object as it is, several as the items of a List, as kubectl prints and takes them."""

from __future__ import annotations

from outgate.recipes import Scaffold

__all__ = ["scaffold_json"]


def scaffold_json(made: Scaffold) -> dict[str, object]:
    """What kubectl applies."""
    items = [dict(one.value) for one in made.manifests]
    return items[0] if len(items) == 1 else {"apiVersion": "v1", "kind": "List", "items": items}
