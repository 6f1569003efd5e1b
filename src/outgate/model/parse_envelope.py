"""What ``apiVersion`` and ``kind`` say: an object that is ours, somebody else's, or a mistake."""

from __future__ import annotations

from outgate.model.cluster_policy_schemas import DEFINITIONS
from outgate.model.parse_decode import Flaw
from outgate.model.parse_shapes import OBJECTS
from outgate.model.validate import wrong_version
from outgate.model.validate_text import quote

__all__ = ["envelope_problem", "type_of"]

_NETWORKING = "networking.k8s.io/v1"
_NETWORKING_KINDS = ("IngressClass", "IPAddress", "ServiceCIDR")
_SPELLINGS = {(version, kind.casefold()) for version, kind in OBJECTS}
_CLUSTER_POLICIES = {kind: version for version, kind in DEFINITIONS}
_GENERATIONS = {version for version, _ in DEFINITIONS}


def envelope_problem(version: object, kind: object) -> Flaw | None:
    """What is wrong with ``apiVersion`` and ``kind``; None for kinds that are ours or somebody else's."""
    for name, value, missing in (("kind", kind, "Kind"), ("apiVersion", version, "apiVersion")):
        if value is None or value == "":
            words = f"Object '{missing}' is missing: every object needs apiVersion and kind; leave the file out if"
            return Flaw((name,), f"{words} it is no manifest", (name,))
        if not isinstance(value, str):
            return Flaw((name,), f"{name} must be a string, not {type_of(value)}", (name,))
    assert isinstance(version, str)
    assert isinstance(kind, str)
    if (version, kind) in OBJECTS:
        return None
    group = version.rpartition("/")[0]
    # A group without a dot, or this one, is Kubernetes' own; NetworkPolicy of a dotted group is another product's.
    if kind == "NetworkPolicy" and ("." not in group or group == "networking.k8s.io"):
        return Flaw(("apiVersion",), wrong_version(version), ("apiVersion",))
    if kind in _CLUSTER_POLICIES and ("." not in group or version in _GENERATIONS):
        # Of a version that is newer than what we know, nobody can say that there is none.
        words = f"{_no_match(version, kind)}; it is a kind of {_CLUSTER_POLICIES[kind]}"
        return Flaw(("apiVersion",), words, ("apiVersion",))
    mistyped = (version, kind.casefold()) in _SPELLINGS
    if mistyped or (version == _NETWORKING and kind not in _NETWORKING_KINDS):
        return Flaw(("kind",), _no_match(version, kind), ("kind",))
    return None


def _no_match(version: str, kind: str) -> str:
    return f"no matches for kind {quote(kind)} in version {quote(version)}"


def type_of(value: object) -> str:
    """The type of a value, as a reader of YAML would call it."""
    match value:
        case list():
            return "a list"
        case dict():
            return "a mapping"
        case str():
            return "a string"
        case bool():
            return "true or false"
        case None:
            return "nothing"
        case _:
            return "a number"
