"""Whether the API server would accept a NetworkPolicy, and what it would say.

Written after the rules of Kubernetes 1.36 (``ValidateNetworkPolicy`` and what it calls). The order of the errors is the
server's too: metadata, the pod selector, ingress, egress, the policy types; within a rule the ports come before the
peers. This is the one place where ingress stands first, because the server's answer does.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from outgate.errors import InputError
from outgate.model.parse_decode import STRICT_PREFIX, Flaw
from outgate.model.place import Path
from outgate.model.validate_cidr import cidr_problem, cidr_warning, read_cidr, strictly_inside
from outgate.model.validate_text import (
    dns_label,
    dns_subdomain,
    json_text,
    label_key,
    label_value,
    path_segment,
    port_name,
    port_number,
    quote,
)

__all__ = [
    "identity_flaws",
    "label_flaws",
    "metadata_flaws",
    "network_policy_flaws",
    "network_policy_warnings",
    "selector_flaws",
    "server_message",
    "wrong_version",
]

_ANNOTATIONS_LIMIT = 256 * 1024
_PROTOCOLS = ("TCP", "UDP", "SCTP")
_POLICY_TYPES = ("Ingress", "Egress")
_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")
_DECODING = ("json: ", STRICT_PREFIX, "parsing time ")


class _Reason(enum.StrEnum):
    """The server's kinds of field errors (``field.ErrorType``), as it prints them."""

    REQUIRED = "Required value"
    INVALID = "Invalid value"
    UNSUPPORTED = "Unsupported value"
    FORBIDDEN = "Forbidden"
    TOO_LONG = "Too long"


def wrong_version(given: str) -> str:
    """What the server answers to a NetworkPolicy of a version that it does not serve."""
    return f"the API version in the data ({given}) does not match the expected API version (networking.k8s.io/v1)"


def _flaw(path: Path, reason: _Reason, detail: str = "", shown: str | None = None, at: Path | None = None) -> Flaw:
    """A field error. `shown` is the value as the server prints it; Required, Forbidden and Too long print none."""
    message = ": ".join(part for part in (str(reason), shown, detail) if part)
    return Flaw(path, message, path if at is None else at)


def server_message(kind: str, name: str, errors: Iterable[InputError], *, version: str = "v1") -> str:
    """The whole message of the server, put together from the errors of one object.

    `kind` is spelled ``NetworkPolicy.networking.k8s.io``, kind and group; `version` is that of the group. A value that
    cannot be decoded makes the server answer with that alone (HTTP 400); everything else is a list of field errors
    (HTTP 422), no two alike.
    """
    several = list(errors)
    if several and several[0].message.startswith(_DECODING):
        short = kind.partition(".")[0]
        words = several[0].message
        if words.startswith(STRICT_PREFIX):
            words = STRICT_PREFIX + ", ".join(one.message.removeprefix(STRICT_PREFIX) for one in several)
        return f'{short} in version "{version}" cannot be handled as a {short}: {words}'
    if several and several[0].path in ("apiVersion", "kind"):
        # Without a type that is served nothing is decoded, and no field is there to be invalid.
        return several[0].message
    distinct = list(dict.fromkeys(f"{one.path}: {one.message}" for one in several))
    listed = distinct[0] if len(distinct) == 1 else f"[{', '.join(distinct)}]"
    return f"{kind} {quote(name)} is invalid: {listed}"


def network_policy_flaws(policy: Mapping[str, Any], *, stored: bool = False) -> Iterator[Flaw]:
    """What the server would refuse in a decoded NetworkPolicy that has its namespace, in the server's order.

    With `stored`, what was let in under older rules stays in, as on an update: sloppy blocks and bad label values.
    """
    metadata = policy["metadata"]
    yield from metadata_flaws(metadata)
    spec = policy.get("spec", {})
    yield from selector_flaws(spec.get("podSelector", {}), ("spec", "podSelector"), stored=stored)
    for section, peers in (("ingress", "from"), ("egress", "to")):
        for i, rule in enumerate(spec.get(section, ())):
            at: Path = ("spec", section, i)
            for k, port in enumerate(rule.get("ports", ())):
                if not _is_sound_port(port.get("protocol"), port.get("port"), port.get("endPort")):
                    yield from _port(port, (*at, "ports", k))
            for k, peer in enumerate(rule.get(peers, ())):
                if not _is_sound_peer(peer, stored):
                    yield from _peer(peer, (*at, peers, k), stored)
    yield from _policy_types(spec.get("policyTypes", ()), ("spec", "policyTypes"))


_sound: set[tuple[object, ...]] = set()
_SOUND_LIMIT = 1 << 14


def _is_sound_peer(peer: Mapping[str, Any], stored: bool) -> bool:
    """Whether a peer has no flaw. Policies name the same few peers again and again, and a sound one is known again."""
    key = (
        stored,
        _selector_key(peer.get("podSelector")),
        _selector_key(peer.get("namespaceSelector")),
        _block_key(peer.get("ipBlock")),
    )
    if key in _sound:
        return True
    if any(True for _ in _peer(peer, (), stored)):
        return False
    if len(_sound) >= _SOUND_LIMIT:
        _sound.clear()
    _sound.add(key)
    return True


def _selector_key(selector: Mapping[str, Any] | None) -> tuple[object, ...] | None:
    """A selector as a value that can be looked up; None for none, which is not the empty one."""
    if selector is None:
        return None
    exact, expressions = selector.get("matchLabels"), selector.get("matchExpressions")
    listed = [(one.get("key"), one.get("operator"), tuple(one.get("values", ()))) for one in expressions or ()]
    return (tuple(exact.items()) if exact else (), *listed)


def _block_key(block: Mapping[str, Any] | None) -> tuple[object, ...] | None:
    return None if block is None else (block.get("cidr"), *block.get("except", ()))


@functools.lru_cache(maxsize=1 << 12)
def _is_sound_port(protocol: str | None, number: int | str | None, end: int | None) -> bool:
    given = {"protocol": protocol, "port": number, "endPort": end}
    return not any(True for _ in _port({name: value for name, value in given.items() if value is not None}, ()))


def network_policy_warnings(policy: Mapping[str, Any]) -> Iterator[Flaw]:
    """What the server accepts with a warning."""
    spec = policy.get("spec", {})
    for section, peers in (("ingress", "from"), ("egress", "to")):
        for i, rule in enumerate(spec.get(section, ())):
            for k, peer in enumerate(rule.get(peers, ())):
                block = peer.get("ipBlock")
                if block is None:
                    continue
                at: Path = ("spec", section, i, peers, k, "ipBlock")
                named = [((*at, "cidr"), block.get("cidr", ""))]
                named += [((*at, "except", n), one) for n, one in enumerate(block.get("except", ()))]
                for path, text in named:
                    warning = cidr_warning(text)
                    if warning:
                        yield Flaw(path, warning, path)


def metadata_flaws(metadata: Mapping[str, Any], *, custom: bool = False) -> Iterator[Flaw]:
    """What the server would refuse in the metadata of an object, and in its namespace, if it has one.

    `custom` resources are held to less: "standard finalizers" are a matter of Kubernetes' own kinds.
    """
    yield from identity_flaws(metadata, namespaced="namespace" in metadata)
    yield from _annotations(metadata.get("annotations", {}), ("metadata", "annotations"))
    yield from _owners(metadata.get("ownerReferences", ()), ("metadata", "ownerReferences"))
    yield from _finalizers(metadata.get("finalizers", ()), ("metadata", "finalizers"), standard=not custom)


def identity_flaws(
    metadata: Mapping[str, Any], *, namespaced: bool = True, freely_named: bool = False
) -> Iterator[Flaw]:
    """What the server would refuse in the name, the namespace and the labels of an object.

    Its name is a DNS subdomain, or, of an object that is `freely_named`, a step of a path.
    """
    names = path_segment if freely_named else dns_subdomain
    name, generated = metadata.get("name", ""), metadata.get("generateName", "")
    if generated:
        # A trailing dash is no fault of a prefix: what is generated goes on behind it.
        shown = f"{generated[:-2]}a" if len(generated) > 1 and generated.endswith("-") else generated
        for words in names(shown):
            yield _flaw(("metadata", "generateName"), _Reason.INVALID, words, quote(generated))
    if name:
        for words in names(name):
            yield _flaw(("metadata", "name"), _Reason.INVALID, words, quote(name))
    elif not generated:
        yield _flaw(("metadata", "name"), _Reason.REQUIRED, "name or generateName is required")
    if namespaced:
        for words in _namespace_problems(metadata["namespace"]):
            yield _flaw(("metadata", "namespace"), _Reason.INVALID, words, quote(metadata["namespace"]))
    yield from label_flaws(metadata.get("labels", {}), ("metadata", "labels"))


@functools.lru_cache(maxsize=1 << 12)
def _namespace_problems(name: str) -> tuple[str, ...]:
    return tuple(dns_label(name))


def label_flaws(labels: Mapping[str, str], path: Path) -> Iterator[Flaw]:
    """What the server would refuse in labels; it names the map and not the key."""
    for key, value in labels.items():
        for shown, words in _label_problems(key, value):
            yield _flaw(path, _Reason.INVALID, words, quote(shown), (*path, key))


@functools.lru_cache(maxsize=1 << 14)
def _label_problems(key: str, value: str) -> tuple[tuple[str, str], ...]:
    """What is wrong with one label, kept because a cluster has few labels and very many of each."""
    return (*((key, words) for words in label_key(key)), *((value, words) for words in label_value(value)))


def _annotations(annotations: Mapping[str, str], path: Path) -> Iterator[Flaw]:
    size = 0
    for key, value in annotations.items():
        size += len(key.encode("utf-8", "replace")) + len(value.encode("utf-8", "replace"))
        for words in label_key(key.lower()):
            yield _flaw(path, _Reason.INVALID, words, quote(key), (*path, key))
    if size > _ANNOTATIONS_LIMIT:
        yield _flaw(path, _Reason.TOO_LONG, f"may not be more than {_ANNOTATIONS_LIMIT} bytes")


def _owners(owners: Iterable[Mapping[str, Any]], path: Path) -> Iterator[Flaw]:
    shown = [_owner_as_json(owner) for owner in owners]
    controller = ""
    for i, owner in enumerate(owners):
        at = (*path, i)
        version, kind = owner.get("apiVersion", ""), owner.get("kind", "")
        if not version.rpartition("/")[2]:
            yield _owner_flaw(path, at, "apiVersion", version, "version must not be empty")
        if not kind:
            yield _owner_flaw(path, at, "kind", kind, "must not be empty")
        if not owner.get("name"):
            yield _owner_flaw(path, at, "name", "", "must not be empty")
        if not owner.get("uid"):
            # A uid is a string of a named type, printed as JSON; the empty one looks the same either way.
            yield _owner_flaw(path, at, "uid", "", "must not be empty")
        if (version, kind) == ("v1", "Event"):
            words = "/v1, Kind=Event is disallowed from being an owner"
            yield _flaw(path, _Reason.INVALID, words, json_text(shown[i]), at)
        if owner.get("controller"):
            this = f"{kind}/{owner.get('name', '')}"
            if controller:
                words = (
                    "Only one reference can have Controller set to true. "
                    f'Found "true" in references for {controller} and {this}'
                )
                yield _flaw(path, _Reason.INVALID, words, json_text(shown), at)
            else:
                controller = this


def _owner_flaw(path: Path, at: Path, name: str, value: str, words: str) -> Flaw:
    # The server does not number the references in the path.
    return _flaw((*path, name), _Reason.INVALID, words, quote(value), (*at, name))


def _owner_as_json(owner: Mapping[str, Any]) -> dict[str, Any]:
    """In the order of the Go struct, the two flags left out where they are not given."""
    always = {name: owner.get(name, "") for name in ("apiVersion", "kind", "name", "uid")}
    return always | {name: owner[name] for name in ("controller", "blockOwnerDeletion") if name in owner}


def _finalizers(finalizers: Iterable[str], path: Path, *, standard: bool) -> Iterator[Flaw]:
    several = list(finalizers)
    for i, one in enumerate(several):
        for words in label_key(one):
            yield _flaw(path, _Reason.INVALID, words, quote(one), (*path, i))
    if {"orphan", "foregroundDeletion"} <= set(several):
        words = "finalizer orphan and foregroundDeletion cannot be both set"
        yield _flaw(path, _Reason.INVALID, words, json_text(several))
    # Kubernetes' own objects are held to more than those of others (core's ValidateObjectMeta).
    for i, one in enumerate(several if standard else ()):
        if "/" not in one and one not in _FINALIZERS:
            words = "name is neither a standard finalizer name nor is it fully qualified"
            yield _flaw((*path, i), _Reason.INVALID, words, quote(one))


def selector_flaws(selector: Mapping[str, Any], path: Path, *, stored: bool = False) -> Iterator[Flaw]:
    """What the server would refuse in a selector of its own kinds; with `stored`, bad values are let pass."""
    yield from label_flaws(selector.get("matchLabels", {}), (*path, "matchLabels"))
    for i, requirement in enumerate(selector.get("matchExpressions", ())):
        at = (*path, "matchExpressions", i)
        operator, values = requirement.get("operator", ""), requirement.get("values", ())
        if operator in ("In", "NotIn"):
            if not values:
                words = "must be specified when `operator` is 'In' or 'NotIn'"
                yield _flaw((*at, "values"), _Reason.REQUIRED, words)
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                words = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                yield _flaw((*at, "values"), _Reason.FORBIDDEN, words)
        else:
            yield _flaw((*at, "operator"), _Reason.INVALID, "not a valid selector operator", json_text(operator))
        key = requirement.get("key", "")
        for words in label_key(key):
            yield _flaw((*at, "key"), _Reason.INVALID, words, quote(key))
        for k, value in enumerate(() if stored else values):
            for words in label_value(value):
                yield _flaw((*at, "values", k), _Reason.INVALID, words, quote(value))


def _port(port: Mapping[str, Any], at: Path) -> Iterator[Flaw]:
    protocol = port.get("protocol")
    if protocol is not None and protocol not in _PROTOCOLS:
        yield _flaw((*at, "protocol"), _Reason.UNSUPPORTED, _supported(_PROTOCOLS), json_text(protocol))
    number, end = port.get("port"), port.get("endPort")
    if isinstance(number, int):
        for words in port_number(number):
            yield _flaw((*at, "port"), _Reason.INVALID, words, str(number))
        if end is not None and end < number:
            # The server prints the value of `port` here, although it names endPort.
            words = "must be greater than or equal to `port`"
            yield _flaw((*at, "endPort"), _Reason.INVALID, words, str(number))
        for words in port_number(end) if end is not None else ():
            yield _flaw((*at, "endPort"), _Reason.INVALID, words, str(end))
        return
    if end is not None:
        words = "is non-numeric" if number is not None else "is not specified"
        yield _flaw((*at, "endPort"), _Reason.INVALID, f"may not be specified when `port` {words}", str(end))
    if number is not None:
        for words in port_name(number):
            yield _flaw((*at, "port"), _Reason.INVALID, words, quote(number))


def _peer(peer: Mapping[str, Any], at: Path, stored: bool) -> Iterator[Flaw]:
    given = [name for name in ("podSelector", "namespaceSelector", "ipBlock") if name in peer]
    for name in given:
        if name == "ipBlock":
            yield from _block(peer[name], (*at, name), stored)
        else:
            yield from selector_flaws(peer[name], (*at, name), stored=stored)
    if not given:
        yield _flaw(at, _Reason.REQUIRED, "must specify a peer")
    elif len(given) > 1 and "ipBlock" in given:
        yield _flaw(at, _Reason.FORBIDDEN, "may not specify both ipBlock and another peer")


def _block(block: Mapping[str, Any], at: Path, stored: bool) -> Iterator[Flaw]:
    text = block.get("cidr", "")
    if not text:
        yield _flaw((*at, "cidr"), _Reason.REQUIRED)
        return
    problem = cidr_problem(text, stored=stored)
    if problem:
        yield _flaw((*at, "cidr"), _Reason.INVALID, problem, quote(text))
    if read_cidr(text) is None:
        return
    for i, one in enumerate(block.get("except", ())):
        path = (*at, "except", i)
        problem = cidr_problem(one, stored=stored)
        if problem:
            yield _flaw(path, _Reason.INVALID, problem, quote(one))
        if read_cidr(one) is not None and not strictly_inside(one, text):
            yield _flaw(path, _Reason.INVALID, "must be a strict subset of `cidr`", quote(one))


def _policy_types(types: Iterable[str], path: Path) -> Iterator[Flaw]:
    several = list(types)
    if len(several) > len(_POLICY_TYPES):
        yield _flaw(path, _Reason.INVALID, "may not specify more than two policyTypes", json_text(several))
        return
    for i, one in enumerate(several):
        if one not in _POLICY_TYPES:
            yield _flaw((*path, i), _Reason.UNSUPPORTED, _supported(_POLICY_TYPES), json_text(one))


def _supported(values: Iterable[str]) -> str:
    return f"supported values: {', '.join(map(quote, values))}"
