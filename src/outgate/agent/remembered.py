"""What the cluster said, as an agent remembers it across its own death.

It answers nothing by itself. No rule is made of it, and nothing is written to the kernel for its sake: that waits until
the API server has said everything anew. A restarted agent can name with it what it logs meanwhile: whose address that
is, of which workload, and what its labels were.

Pods of this node are kept in full, of others what they are known by. Labels and ports stand once for all the pods of a
template, addresses are bytes, and all of it is one MessagePack array, whose first element is the format.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import msgspec

from outgate.model import (
    BlockPeer,
    ContainerPort,
    Direction,
    Namespace,
    NetworkPolicy,
    Node,
    Owner,
    Pod,
    PodPeer,
    PolicyPort,
    PolicyRule,
)
from outgate.model.labels import LabelSelector, Operator, Requirement
from outgate.packets import Address

__all__ = ["FORMAT", "Memory", "Unreadable", "recalled", "remembered"]

FORMAT = 1
_PIECE = 64
"""Objects that are encoded at once."""
_T = TypeVar("_T")


class Unreadable(Exception):
    """The bytes are no memory of this format."""


@dataclass(frozen=True, slots=True)
class Memory:
    """The objects that an agent knew."""

    node: str
    written: str = ""
    """When, as RFC 3339 has it."""
    pods: tuple[Pod, ...] = ()
    namespaces: tuple[Namespace, ...] = ()
    policies: tuple[NetworkPolicy, ...] = ()
    nodes: tuple[Node, ...] = ()


_Labels = Mapping[str, str]
_Port = tuple[int, str, str]
_Requirement = tuple[str, str, tuple[str, ...]]
_Selector = tuple[_Requirement, ...] | None


class _Pod(NamedTuple):
    namespace: str
    name: str
    kind: int
    """The number of its labels and ports among `_File.kinds`."""
    addresses: tuple[bytes, ...]
    node: str
    flags: int
    owner: tuple[str, str] | None
    uid: str


class _Peer(NamedTuple):
    cidr: str
    """Empty for a peer by selectors."""
    excepts: tuple[str, ...]
    pods: _Selector
    namespaces: _Selector


class _Rule(NamedTuple):
    peers: tuple[_Peer, ...]
    ports: tuple[tuple[str, int | str | None, int | None], ...]


class _Policy(NamedTuple):
    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    pods: tuple[_Requirement, ...]
    types: tuple[Direction, ...]
    egress: tuple[_Rule, ...]
    ingress: tuple[_Rule, ...]
    annotations: _Labels


class _File(msgspec.Struct, array_like=True):
    format: int
    node: str
    written: str
    pods: tuple[_Pod, ...]
    kinds: tuple[tuple[_Labels, tuple[_Port, ...]], ...]
    namespaces: tuple[tuple[str, _Labels, _Labels, bool], ...]
    policies: tuple[_Policy, ...]
    nodes: tuple[tuple[str, _Labels, tuple[bytes, ...], tuple[str, ...]], ...]


_HOST_NETWORK, _FINISHED, _READY = 1, 2, 4


# ---- to bytes --------------------------------------------------------------------------------------------------------


def remembered(memory: Memory) -> Iterator[bytes]:
    """A memory as bytes, in pieces. Ports of the pods of other nodes, and hints, are left out.

    Each piece is made when it is asked for and nothing is kept of it: ten thousand objects at once would set Python
    searching all of the agent's memory for garbage, and everybody waits for that.
    """
    encode = msgspec.msgpack.Encoder().encode
    kinds = _Kinds(memory.node)
    yield _array(len(_File.__struct_fields__))
    yield from map(encode, (FORMAT, memory.node, memory.written))
    yield from _all(memory.pods, lambda pod: encode(_pod(pod, kinds.number(pod))))
    yield from _all(kinds.shapes, encode)
    yield from _all(memory.namespaces, lambda one: encode((one.name, one.labels, one.annotations, one.declared)))
    yield from _all(memory.policies, lambda one: encode(_policy(one)))
    yield from _all(
        memory.nodes, lambda one: encode((one.name, one.labels, _packed(one.addresses), _words(one.pod_cidrs)))
    )


def _all(many: Sequence[_T], encode: Callable[[_T], bytes]) -> Iterator[bytes]:
    yield _array(len(many))
    for start in range(0, len(many), _PIECE):
        yield b"".join(map(encode, many[start : start + _PIECE]))


def _array(length: int) -> bytes:
    """What an array begins with (MessagePack specification, "array 32")."""
    return b"\xdd" + length.to_bytes(4, "big")


class _Kinds:
    """Numbers for labels and ports that pods share."""

    def __init__(self, node: str) -> None:
        self.shapes: list[tuple[_Labels, tuple[_Port, ...]]] = []
        self._node = node
        self._numbers: dict[object, int] = {}
        # Pods of one template share one mapping of labels (`World`), so most are found by identity, quickly.
        self._known: dict[tuple[int, int, bool], int] = {}

    def number(self, pod: Pod) -> int:
        """The number of a pod's labels and ports."""
        here = pod.node == self._node
        short = (id(pod.labels), id(pod.ports), here)
        if short not in self._known:
            ports = tuple((one.port, one.protocol, one.name) for one in pod.ports) if here else ()
            found = self._numbers.setdefault((frozenset(pod.labels.items()), ports), len(self.shapes))
            if found == len(self.shapes):
                self.shapes.append((dict(pod.labels), ports))
            self._known[short] = found
        return self._known[short]


def _pod(pod: Pod, kind: int) -> _Pod:
    flags = _HOST_NETWORK * pod.host_network | _FINISHED * pod.finished | _READY * pod.ready
    owner = (pod.owner.kind, pod.owner.name) if pod.owner is not None else None
    addresses = _packed(pod.addresses) if pod.addressed else ()
    return _Pod(pod.namespace, pod.name, kind, addresses, pod.node, flags, owner, pod.uid)


def _packed(addresses: Iterable[Address]) -> tuple[bytes, ...]:
    return tuple(one.packed for one in addresses)


def _words(many: Iterable[object]) -> tuple[str, ...]:
    return tuple(map(str, many))


def _policy(one: NetworkPolicy) -> _Policy:
    types = tuple(direction for direction in Direction if direction in one.types)
    egress, ingress = tuple(map(_rule, one.egress)), tuple(map(_rule, one.ingress))
    named = one.api_version, one.kind, one.namespace, one.name, one.uid
    return _Policy(*named, _requirements(one.pods), types, egress, ingress, one.annotations)


def _rule(rule: PolicyRule) -> _Rule:
    return _Rule(tuple(map(_peer, rule.peers)), tuple((one.protocol, one.port, one.end_port) for one in rule.ports))


def _peer(peer: BlockPeer | PodPeer) -> _Peer:
    if isinstance(peer, BlockPeer):
        return _Peer(str(peer.cidr), _words(peer.excepts), None, None)
    pods = _requirements(peer.pods) if peer.pods is not None else None
    return _Peer("", (), pods, _requirements(peer.namespaces) if peer.namespaces is not None else None)


def _requirements(selector: LabelSelector) -> tuple[_Requirement, ...]:
    return tuple((one.key, one.operator.value, one.values) for one in selector.requirements)


# ---- from bytes ------------------------------------------------------------------------------------------------------


def recalled(data: bytes) -> Memory:
    """What `remembered` wrote. Raises `Unreadable`, for a later format too."""
    try:
        format_ = msgspec.msgpack.decode(data, type=tuple[object, ...])[:1]
        if format_ != (FORMAT,):
            raise Unreadable("it has another format")
        whole = msgspec.msgpack.decode(data, type=_File)
        kinds = [(labels, tuple(ContainerPort(*port) for port in ports)) for labels, ports in whole.kinds]
        return Memory(
            whole.node,
            whole.written,
            tuple(_pods(whole.pods, kinds)),
            tuple(
                Namespace(name, labels, annotations=annotations, declared=declared)
                for name, labels, annotations, declared in whole.namespaces
            ),
            tuple(_policies(whole.policies)),
            tuple(
                Node(name, labels, _unpacked(addresses), tuple(map(ipaddress.ip_network, blocks)))
                for name, labels, addresses, blocks in whole.nodes
            ),
        )
    except (msgspec.MsgspecError, ValueError, LookupError, RecursionError, OverflowError) as error:
        raise Unreadable(str(error)) from error


def _pods(pods: Iterable[_Pod], kinds: list[tuple[_Labels, tuple[ContainerPort, ...]]]) -> Iterator[Pod]:
    for one in pods:
        if one.kind < 0:
            raise ValueError("a pod of no kind")
        labels, ports = kinds[one.kind]
        yield Pod(
            one.namespace,
            one.name,
            labels,
            _unpacked(one.addresses),
            one.node,
            ports,
            host_network=bool(one.flags & _HOST_NETWORK),
            finished=bool(one.flags & _FINISHED),
            ready=bool(one.flags & _READY),
            owner=Owner(*one.owner) if one.owner is not None else None,
            uid=one.uid,
        )


def _unpacked(addresses: Iterable[bytes]) -> tuple[Address, ...]:
    return tuple(map(ipaddress.ip_address, addresses))


def _policies(policies: Iterable[_Policy]) -> Iterator[NetworkPolicy]:
    for one in policies:
        yield NetworkPolicy(
            one.namespace,
            one.name,
            _selector(one.pods),
            frozenset(one.types),
            tuple(map(_rule_of, one.egress)),
            tuple(map(_rule_of, one.ingress)),
            one.uid,
            one.annotations,
            one.api_version,
            one.kind,
        )


def _rule_of(rule: _Rule) -> PolicyRule:
    return PolicyRule(tuple(map(_peer_of, rule.peers)), tuple(PolicyPort(*port) for port in rule.ports))


def _peer_of(peer: _Peer) -> BlockPeer | PodPeer:
    if peer.cidr:
        return BlockPeer(ipaddress.ip_network(peer.cidr), tuple(map(ipaddress.ip_network, peer.excepts)))
    pods = _selector(peer.pods) if peer.pods is not None else None
    return PodPeer(pods, _selector(peer.namespaces) if peer.namespaces is not None else None)


def _selector(requirements: tuple[_Requirement, ...]) -> LabelSelector:
    return LabelSelector(tuple(Requirement(key, Operator(word), values) for key, word, values in requirements))
