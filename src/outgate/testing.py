"""Builders and Hypothesis strategies for whoever tests against Outgate, and for its own tests.

A cluster is made as a list of manifests: plain dictionaries, as YAML would give them, with everything spelled the
ways people spell it (a list that is absent, null or empty). From there it takes the way of every input, so a test
of the model is one of the reader too:

    cluster = [namespace("shop", team="red"), pod("shop/web", ["10.1.0.10"], app="web"), policy("shop/deny", {...})]
    snapshot = snapshot_of(cluster)

The strategies draw from small alphabets on purpose: labels that match, addresses on the borders of blocks, ports
next to those that rules name. Wide alphabets test nothing, because nothing in them ever meets.

This module needs Hypothesis, which nothing else in the package does.
"""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from hypothesis import strategies as st

from outgate.model import Document, Snapshot
from outgate.model.parse import parse
from outgate.packets import Address, AddressSet, IntervalSet, PacketSet, Protocol, TransportSet
from outgate.packets.addresses import Network, address_of
from outgate.packets.packetset import Cube

__all__ = [
    "Manifest",
    "address_sets",
    "addresses",
    "blocks",
    "clusters",
    "cubes",
    "interval_sets",
    "labels",
    "namespace",
    "networks",
    "node",
    "packet_sets",
    "pod",
    "points",
    "policies",
    "policy",
    "port_numbers",
    "selectors",
    "service",
    "snapshot_of",
    "transport_sets",
]

Manifest = dict[str, Any]
"""One object as YAML or JSON gives it."""

_TOP_PORT = 65535
_NAME_LABEL = "kubernetes.io/metadata.name"
_PORTS = (0, 1, 52, 53, 54, 79, 80, 81, 443, 8080, 8081, _TOP_PORT - 1, _TOP_PORT)
_PORT_NAMES = ("http", "dns", "web")
_NAMESPACES = ("alpha", "beta", "gamma")
_NODES = {"node-a": ("192.168.50.11", "fd00:50::11"), "node-b": ("192.168.50.12", "fd00:50::12")}
_POD_LABELS = {"app": ("web", "db", ""), "tier": ("front", "back")}
_NAMESPACE_LABELS = {"team": ("red", "blue", ""), _NAME_LABEL: _NAMESPACES}
# Blocks inside blocks, around the pods (10.1.0.10 and on), the nodes, addresses outside, and the edges of each family.
_BLOCKS = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/24", "10.1.0.8/29", "10.1.0.10/31", "10.1.0.11/32", "10.1.0.12/30"),
        *("192.168.50.0/24", "192.168.50.11/32", "203.0.113.0/24", "203.0.113.0/25", "203.0.113.16/28"),
        *("203.0.113.20/32", "240.0.0.0/4", "0.0.0.0/32", "255.255.255.255/32"),
        *("::/0", "fd00:1::/64", "fd00:1::8/125", "fd00:1::a/127", "fd00:1::b/128", "fd00:50::/64"),
        *("2001:db8::/32", "2001:db8:1::/48", "2001:db8:1::20/128", "::/128", "ffff::/16"),
    )
)


# ---- builders: one object each, in the words of its manifest ---------------------------------------------------------


def namespace(name: str, /, **labels: str) -> Manifest:
    """A Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def node(name: str, addresses: Iterable[str], **labels: str) -> Manifest:
    """A Node with these internal addresses."""
    status = {"addresses": [{"type": "InternalIP", "address": one} for one in addresses]}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "status": status}


def pod(
    path: str,
    addresses: Sequence[str] = (),
    *,
    on: str = "",
    ports: Iterable[Mapping[str, object]] = (),
    host_network: bool = False,
    phase: str = "Running",
    labels: Mapping[str, str] | None = None,
    **more_labels: str,
) -> Manifest:
    """A Pod, named ``namespace/name``, with one container that declares `ports` (``{"containerPort": 80}``)."""
    space, _, name = path.rpartition("/")
    spec: Manifest = {"containers": [{"name": "main", "image": "example/main", "ports": [dict(one) for one in ports]}]}
    if on:
        spec["nodeName"] = on
    if host_network:
        spec["hostNetwork"] = True
    status: Manifest = {"phase": phase}
    if addresses:
        status |= {"podIP": addresses[0], "podIPs": [{"ip": one} for one in addresses]}
    metadata = {"name": name, "namespace": space or "default", "labels": {**(labels or {}), **more_labels}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}


def service(path: str, cluster_ip: str, ports: Iterable[Mapping[str, object]], **selector: str) -> Manifest:
    """A Service, named ``namespace/name``; without a selector its endpoints must come from a slice."""
    space, _, name = path.rpartition("/")
    spec: Manifest = {"clusterIP": cluster_ip, "ports": [dict(one) for one in ports]}
    if selector:
        spec["selector"] = selector
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": space or "default"},
        "spec": spec,
    }


def policy(path: str, spec: Mapping[str, object]) -> Manifest:
    """A NetworkPolicy, named ``namespace/name``, with this ``spec`` as it would be written."""
    space, _, name = path.rpartition("/")
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": space or "default"},
        "spec": dict(spec),
    }


def snapshot_of(manifests: Iterable[Manifest], *, file: str = "test.yaml") -> Snapshot:
    """The snapshot that the reader makes of these manifests.

    Raises ValueError, with every complaint, where it refuses one: a test that means to give bad input asks
    the reader itself.
    """
    found = parse(Document(file, one) for one in manifests)
    if found.errors:
        raise ValueError("\n".join(map(str, found.errors)))
    return found.snapshot


# ---- strategies for sets of packets ----------------------------------------------------------------------------------


def port_numbers() -> st.SearchStrategy[int]:
    """Ports 0 to 65535, mostly those that other strategies draw too, and their neighbours."""
    return st.sampled_from(_PORTS) | st.integers(0, _TOP_PORT)


@cache
def points() -> st.SearchStrategy[tuple[int, int]]:
    """A protocol number and a coordinate: a port, an ICMP type and code, or 0."""
    fine = st.tuples(st.sampled_from([int(one) for one in Protocol]), port_numbers())
    coarse = st.tuples(st.integers(0, 255).filter(lambda one: one not in tuple(Protocol)), st.just(0))
    return fine | coarse


def interval_sets(top: int = _TOP_PORT, *, max_spans: int = 4) -> st.SearchStrategy[IntervalSet]:
    """Sets of integers from 0 to `top`, empty ones and such as reach both edges among them."""
    border = st.sampled_from([one for one in (*_PORTS, top - 1, top) if 0 <= one <= top]) | st.integers(0, top)
    spans = st.tuples(border, border).map(lambda pair: (min(pair), max(pair)))
    return st.lists(spans, max_size=max_spans).map(lambda many: IntervalSet.of(*many))


def addresses() -> st.SearchStrategy[Address]:
    """Addresses of both families, mostly on or next to a border of one of the `networks`."""
    return st.sampled_from(_BORDERS) | st.ip_addresses()


def _near(block: Network, step: int, *, last: bool) -> Address:
    value = int(block.broadcast_address if last else block.network_address) + step
    return address_of(block.version, value % (1 << block.max_prefixlen))


_BORDERS = tuple(_near(block, step, last=last) for block in _BLOCKS for step in (0, -1, 1) for last in (False, True))
# What sets are put together from. Drawing one of many is quick; drawing each of their borders is not.
_ADDRESS_PIECES = (*map(AddressSet.network, _BLOCKS), *(AddressSet.of([one]) for one in dict.fromkeys(_BORDERS)))
_TRANSPORT_PIECES = (
    *(
        TransportSet.ports(one, low, high)
        for one in Protocol
        for low, high in ((53, 53), (0, 80), (81, 65535), (443, 8080))
    ),
    *map(TransportSet.protocol, (*Protocol, 0, 2, 47, 255)),
    TransportSet.governed(),
    TransportSet.any(),
)


def networks() -> st.SearchStrategy[Network]:
    """Address blocks of both families that contain, touch and miss each other."""
    return st.sampled_from(_BLOCKS)


def address_sets() -> st.SearchStrategy[AddressSet]:
    """Unions of blocks and single addresses less others of that kind; of both families, of one, or empty."""
    union = st.lists(st.sampled_from(_ADDRESS_PIECES), max_size=3).map(AddressSet.union_of)
    return union | st.tuples(union, union).map(lambda pair: pair[0] - pair[1])


def transport_sets() -> st.SearchStrategy[TransportSet]:
    """Sets of ports of several protocols, whole protocols, everything and nothing."""
    some = st.tuples(st.sampled_from(Protocol), interval_sets(max_spans=2)).map(lambda one: TransportSet.ports(*one))
    piece = st.sampled_from(_TRANSPORT_PIECES)
    union = st.tuples(piece, piece | some).map(lambda pair: pair[0] | pair[1])
    return piece | some | union | st.tuples(piece, piece).map(lambda pair: pair[0] - pair[1])


def cubes() -> st.SearchStrategy[Cube]:
    """Some addresses with some transports; either may be empty."""
    return st.tuples(address_sets(), transport_sets())


def packet_sets() -> st.SearchStrategy[PacketSet]:
    """Unions of up to three cubes that may overlap, the whole and the empty set."""
    return st.lists(cubes(), max_size=3).map(PacketSet.union_of) | st.just(PacketSet.any())


# ---- strategies for clusters -----------------------------------------------------------------------------------------


def labels(alphabet: Mapping[str, Sequence[str]] = _POD_LABELS) -> st.SearchStrategy[dict[str, str]]:
    """Labels from a small alphabet: any of the keys, each with one of its values."""
    return st.fixed_dictionaries({}, optional={key: st.sampled_from(values) for key, values in alphabet.items()})


def selectors(alphabet: Mapping[str, Sequence[str]] = _POD_LABELS) -> st.SearchStrategy[Manifest]:
    """Label selectors as they are written: both halves, either one, null, empty; all four operators."""
    exact = [{key: value} for key, values in alphabet.items() for value in values]
    bare = list(itertools.chain.from_iterable(_expressions(key, values) for key, values in alphabet.items()))
    nothing: list[Manifest] = [{}, {"matchLabels": {}}, {"matchLabels": None}, {"matchExpressions": []}]
    nothing.append({"matchLabels": None, "matchExpressions": None})
    simple: list[Manifest] = [{"matchLabels": one} for one in exact] + [{"matchExpressions": [one]} for one in bare]
    both: list[Manifest] = [{"matchLabels": one, "matchExpressions": [other]} for one in exact for other in bare]
    pairs: list[Manifest] = [{"matchExpressions": [one, other]} for one in bare for other in bare]
    pairs += [{"matchLabels": one | other, "matchExpressions": []} for one in exact for other in exact]
    return st.one_of([st.sampled_from(pool) for pool in (nothing, simple, simple, both + pairs)])


def _expressions(key: str, values: Sequence[str]) -> Iterator[Manifest]:
    """Every requirement on one key, in every spelling."""
    for operator in ("In", "NotIn"):
        for many in (*((one,) for one in values), tuple(values[:2])):
            yield {"key": key, "operator": operator, "values": list(many)}
    for operator in ("Exists", "DoesNotExist"):
        bare = {"key": key, "operator": operator}
        yield from (bare, bare | {"values": None}, bare | {"values": []})


_ABSENT = object()


def _spelled(fields: Mapping[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Manifest]:
    """A mapping in which each list is given two times out of three, and else absent, null or empty."""
    ways = {key: st.one_of(st.sampled_from([_ABSENT, None, []]), some, some) for key, some in fields.items()}
    return st.fixed_dictionaries(ways).map(lambda made: {key: one for key, one in made.items() if one is not _ABSENT})


def blocks() -> st.SearchStrategy[Manifest]:
    """An ``ipBlock``: without exceptions in every spelling, or with one or two, which may lie inside each other."""
    plain: list[Manifest] = [{"cidr": str(one)} for one in _BLOCKS]
    plain += [one | {"except": None} for one in plain] + [one | {"except": []} for one in plain]
    holed = [
        {"cidr": str(block), "except": [str(one) for one in holes]}
        for block in _BLOCKS
        for count in (1, 2)
        for holes in itertools.permutations([one for one in _BLOCKS if one != block and _covers(block, one)], count)
    ]
    return st.sampled_from(plain) | st.sampled_from(holed)


def _covers(outer: Network, inner: Network) -> bool:
    return outer.version == inner.version and AddressSet.network(inner) <= AddressSet.network(outer)


def _peers() -> st.SearchStrategy[Manifest]:
    pods, spaces = selectors(), selectors(_NAMESPACE_LABELS)
    return st.one_of(
        st.fixed_dictionaries({"podSelector": pods}, optional={"namespaceSelector": st.none()}),
        st.fixed_dictionaries({"namespaceSelector": spaces}, optional={"podSelector": st.none()}),
        st.fixed_dictionaries({"podSelector": pods, "namespaceSelector": spaces}),
        st.fixed_dictionaries({"ipBlock": blocks()}),
    )


def _policy_ports() -> st.SearchStrategy[Manifest]:
    numbers = [port for port in _PORTS if port]
    entries: list[Manifest] = [{}, {"port": None}, *({"port": one} for one in (*_PORT_NAMES, *_PORT_NAMES, *numbers))]
    entries += [{"port": low, "endPort": high} for low in numbers for high in numbers if low <= high]
    protocols: list[Manifest] = [{}, *({"protocol": one} for one in (None, "TCP", "UDP", "SCTP"))]
    few = [entry | protocol for entry in entries[:8] for protocol in protocols]
    many = [entry | protocol for entry in entries for protocol in protocols]
    return st.sampled_from(few) | st.sampled_from(many)


def _rules(peers: str) -> st.SearchStrategy[list[Manifest]]:
    rule = _spelled(
        {peers: st.lists(_peers(), min_size=1, max_size=3), "ports": st.lists(_policy_ports(), min_size=1, max_size=3)}
    )
    return st.lists(rule, min_size=1, max_size=3)


@cache
def policies() -> st.SearchStrategy[Manifest]:
    """NetworkPolicies that the API server accepts, with everything optional left out, null, empty or given."""
    types = st.lists(st.sampled_from(["Egress", "Ingress"]), min_size=1, max_size=2)
    lists = _spelled({"policyTypes": types, "egress": _rules("to"), "ingress": _rules("from")})
    subject = st.fixed_dictionaries({}, optional={"podSelector": st.none() | selectors()})
    parts = st.tuples(st.sampled_from(_NAMESPACES), subject, lists)
    return parts.map(lambda three: policy(f"{three[0]}/p", three[1] | three[2]))


@cache
def _container_ports() -> st.SearchStrategy[list[Manifest]]:
    port = st.fixed_dictionaries(
        {"containerPort": st.sampled_from([port for port in _PORTS if port]), "name": st.sampled_from(_PORT_NAMES)},
        optional={"protocol": st.sampled_from(["TCP", "UDP", "SCTP"])},
    )
    return st.lists(port, max_size=3)


@st.composite
def clusters(draw: st.DrawFn, *, max_pods: int = 6, max_policies: int = 4) -> list[Manifest]:
    """A whole cluster: two nodes, three namespaces, pods of every sort, and policies about them.

    Among the pods: IPv4, IPv6 or both; without an address; on the host network; finished, with an address that
    another pod has by now; the same port name for different numbers. A namespace or a node may be only mentioned.
    """
    made = [namespace(name, **draw(labels({"team": ("red", "blue", "")}))) for name in draw(_some(_NAMESPACES))]
    made += [node(name, _NODES[name]) for name in draw(_some(sorted(_NODES)))]
    for number in range(draw(st.integers(2, max_pods))):
        made.append(_draw_pod(draw, number))
    for number in range(draw(st.integers(1, max_policies))):
        one = draw(policies())
        made.append(one | {"metadata": one["metadata"] | {"name": f"p{number}"}})
    return made


def _some(names: Sequence[str]) -> st.SearchStrategy[Sequence[str]]:
    """All of them, mostly; rarely one is missing."""
    return st.integers(0, 9).map(lambda dice: names[1:] if dice == 9 else names)


def _draw_pod(draw: st.DrawFn, number: int) -> Manifest:
    host = draw(st.integers(0, 7)) == 7
    finished = draw(st.integers(0, 7)) == 7
    on = draw(st.sampled_from(sorted(_NODES)))
    # A finished pod may show an address that somebody else has by now: the next pod's.
    last = 10 + number + (1 if finished and draw(st.booleans()) else 0)
    mine = _NODES[on] if host else (f"10.1.0.{last}", f"fd00:1::{last:x}")
    families = draw(st.sampled_from([(0, 1), (0, 1), (0,), (1,), ()]))
    return pod(
        f"{draw(st.sampled_from(_NAMESPACES))}/pod-{number}",
        [mine[family] for family in ((0, 1) if host else families)],
        on=on,
        ports=draw(_container_ports()),
        host_network=host,
        phase=draw(st.sampled_from(["Succeeded", "Failed"])) if finished else "Running",
        labels=draw(labels()),
    )
