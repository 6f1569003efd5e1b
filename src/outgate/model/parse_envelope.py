"""What ``apiVersion`` and ``kind`` say: an object that is ours, somebody else's, or a mistake.

A policy that is passed over for a letter denies nothing, and nobody would miss it until it is needed. So what is nearly
a kind of ours is taken for a mistake, where the API group is one whose other kinds are all called something else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from outgate.model.cilium_kinds import CILIUM_KINDS
from outgate.model.cluster_policy_schemas import DEFINITIONS
from outgate.model.cluster_policy_schemas import GROUP as _POLICIES
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
_CILIUM = {kind: version for version, kind in reversed(CILIUM_KINDS)}
_KUBERNETES = re.compile(r"(?:.*\.)?(?:k8s|kubernetes)(?:\.io)?")
"""Groups that nobody but Kubernetes may use (``*.k8s.io`` and ``*.kubernetes.io`` are protected), and slips of them."""
_NOT_NEWER = re.compile(r"cilium\.io/v[12](?:(?:alpha|beta)[0-9]+)?")
"""Versions of Cilium's API up to the one of its policies: there is, and will be, no other of these."""
_NEAR = 0.8
"""How alike two kinds are that are taken for one (`difflib`). Of Cilium's other kinds none comes nearer than 0.7."""


def _by_group() -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for version, kind in OBJECTS:
        group = version.rpartition("/")[0]
        found[group] = (*found.get(group, ()), kind)
    return found


_KINDS = _by_group()
"""The kinds of ours by API group; that of the oldest ones is empty."""


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
    if kind == "NetworkPolicy" and ("." not in group or group == _NETWORKING.rpartition("/")[0]):
        return Flaw(("apiVersion",), wrong_version(version), ("apiVersion",))
    right = _of_another(version, group, kind)
    if right:
        return Flaw(("apiVersion",), f"{_no_match(version, kind)}; it is a kind of {right}", ("apiVersion",))
    if (version, kind.casefold()) in _SPELLINGS or (version == _NETWORKING and kind not in _NETWORKING_KINDS):
        return Flaw(("kind",), _no_match(version, kind), ("kind",))
    near = _nearest(group, kind)
    if near:
        return Flaw(("kind",), f"{_no_match(version, kind)}; is {near} meant?", ("kind",))
    return None


def _of_another(version: str, group: str, kind: str) -> str:
    """The version of which this kind is, where the one given can have none of its name; else empty.

    Of a version that is newer than what we know nobody can say that there is none. A NetworkPolicy, or a
    ClusterNetworkPolicy, of another dotted group is another product's.
    """
    strange = "." not in group or (group != _POLICIES and _KUBERNETES.fullmatch(group) is not None)
    if kind in _CILIUM:
        return _CILIUM[kind] if group != "cilium.io" or _NOT_NEWER.fullmatch(version) else ""
    if kind in _CLUSTER_POLICIES:
        return _CLUSTER_POLICIES[kind] if strange or version in _GENERATIONS else ""
    return _NETWORKING if kind == "NetworkPolicy" and (strange or group in {_POLICIES, "cilium.io"}) else ""


@lru_cache(maxsize=1024)
def _nearest(group: str, kind: str) -> str:
    """The kind of ours that is nearly called so, in the same group; empty where there is none.

    The core group has kinds of every sort, which are well known; nobody's policies are among them.
    """
    from difflib import SequenceMatcher  # noqa: PLC0415 - only a kind that is not ours pays for it

    known = _KINDS.get(group, ()) if group else ()
    if kind in known:  # of a newer version
        return ""
    alike = {one: SequenceMatcher(None, kind.casefold(), one.casefold()).ratio() for one in known}
    best = max(alike, key=alike.__getitem__, default="")
    return best if best and alike[best] >= _NEAR else ""


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
