"""Documents and policies for the tests of the model, made without any file."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from outgate.model.parse import Parsed, parse
from outgate.model.place import Document

__all__ = ["document", "egress", "parsed", "policy", "refusals"]

Object = dict[str, Any]


def document(value: object, file: str = "input.yaml") -> Document:
    """A document that knows no lines."""
    return Document(file, value)


def parsed(*values: object, **options: Any) -> Parsed:
    """What the parser makes of these objects; each is copied, so that a parser that changes its input is harmless."""
    return parse([document(copy.deepcopy(value)) for value in values], **options)


def policy(spec: object = None, **metadata: object) -> Object:
    """A NetworkPolicy with that spec, named `web` in `shop` unless told."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "web", "namespace": "shop", **metadata},
        "spec": {"podSelector": {}} if spec is None else spec,
    }


def egress(*rules: object, **more: object) -> Object:
    """A NetworkPolicy with those egress rules."""
    return policy({"podSelector": {}, "policyTypes": ["Egress"], "egress": list(rules), **more})


def refusals(value: Mapping[str, Any], **options: Any) -> list[str]:
    """What is said of one object, `path: message` for each error."""
    return [f"{error.path}: {error.message}" for error in parsed(value, **options).errors]
