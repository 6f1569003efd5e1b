"""Fingerprints: names of findings, for whoever compares the report of today with that of yesterday.

A fingerprint lives on while lines move: it is made of what was found, in which object, and at which value.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from outgate.checks.finding import Finding
from outgate.model import Place

__all__ = ["fingerprints"]

_ENCODER = json.JSONEncoder(sort_keys=True, default=str)


def fingerprints(findings: Iterable[Finding]) -> tuple[str, ...]:
    """The fingerprint of each finding, in their order.

    Numbers in paths are left out, for they move when a rule is put in front; the value itself is taken instead. Where
    two are alike after that, they are counted.
    """
    seen: dict[str, int] = {}
    found = []
    for one in findings:
        path = ".".join(step for step in one.place.at if isinstance(step, str))
        parts = (one.rule, one.subject.kind, one.subject.namespace, one.subject.name, path, _value(one.place))
        text = "\n".join(parts)
        count = seen[text] = seen.get(text, 0) + 1
        found.append(hashlib.sha256(f"{text}\n{count}".encode()).hexdigest()[:32])
    return tuple(found)


def _value(place: Place) -> str:
    value = place.document.value
    for step in place.at:
        try:
            value = value[step]  # type: ignore[index]  # what cannot be indexed says so
        except (KeyError, IndexError, TypeError):
            return ""
    # Of a whole object the fields that a server adds would change the name.
    return _ENCODER.encode(value) if len(place.at) > 1 else ""
