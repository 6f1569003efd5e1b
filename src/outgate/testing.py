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
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from hypothesis import strategies as st

from outgate.model import Document, Snapshot
from outgate.model.parse import parse
from outgate.packets import Address, AddressSet, IntervalSet, PacketSet, TransportSet
from outgate.packets import Protocol as IpProtocol
from outgate.packets.addresses import Network, address_of
from outgate.packets.packetset import Cube
from outgate.testing_policies import Alphabet, Choose, cluster_policy, drawn_cluster_policy, drawn_old_policy

__all__ = [
    "Choose",
    "Manifest",
    "address_sets",
    "addresses",
    "blocks",
    "cluster_policies",
    "cluster_policy",
    "clusters",
    "cubes",
    "ingress",
    "interval_sets",
    "labels",
    "namespace",
    "networks",
    "node",
    "old_cluster_policies",
    "packet_sets",
    "pod",
    "points",
    "policies",
    "policy",
    "port_numbers",
    "random_cluster",
    "random_cluster_policies",
    "selectors",
    "service",
    "snapshot_of",
    "transport_sets",
]

T = TypeVar("T")

Manifest = dict[str, Any]
"""One object as YAML or JSON gives it."""

_TOP_PORT = 65535
_NAME_LABEL = "kubernetes.io/metadata.name"
_PORTS = (0, 1, 52, 53, 54, 79, 80, 81, 443, 8080, 8081, _TOP_PORT - 1, _TOP_PORT)
_PORT_NAMES = ("http", "dns", "web")
_NAMESPACES = ("alpha", "beta", "gamma")
# Where pods and policies are: mostly together, or no policy would ever meet a pod.
_CROWDED = ("alpha", "alpha", "alpha", "beta", "beta", "gamma")
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

_HALVES = ("0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1", "10.1.0.12/31", "fd00:1::c/128", "192.168.50.12/32")


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


def ingress(path: str, *backends: tuple[str, int | str], class_name: str = "") -> Manifest:
    """An Ingress, named ``namespace/name``, that leads to these ports of Services, by number or by name."""
    space, _, name = path.rpartition("/")
    ports = ((service, {"name" if isinstance(port, str) else "number": port}) for service, port in backends)
    paths = [{"backend": {"service": {"name": service, "port": port}}} for service, port in ports]
    spec: Manifest = {"rules": [{"http": {"paths": paths}}]}
    if class_name:
        spec["ingressClassName"] = class_name
    metadata = {"name": name, "namespace": space or "default"}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata, "spec": spec}


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
    fine = st.tuples(st.sampled_from([int(one) for one in IpProtocol]), port_numbers())
    coarse = st.tuples(st.integers(0, 255).filter(lambda one: one not in tuple(IpProtocol)), st.just(0))
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
        for one in IpProtocol
        for low, high in ((53, 53), (0, 80), (81, 65535), (443, 8080))
    ),
    *map(TransportSet.protocol, (*IpProtocol, 0, 2, 47, 255)),
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
    some = st.tuples(st.sampled_from(IpProtocol), interval_sets(max_spans=2)).map(lambda one: TransportSet.ports(*one))
    piece = st.sampled_from(_TRANSPORT_PIECES)
    union = st.tuples(piece, piece | some).map(lambda pair: pair[0] | pair[1])
    return piece | some | union | st.tuples(piece, piece).map(lambda pair: pair[0] - pair[1])


def cubes() -> st.SearchStrategy[Cube]:
    """Some addresses with some transports; either may be empty."""
    return st.tuples(address_sets(), transport_sets())


def packet_sets() -> st.SearchStrategy[PacketSet]:
    """Unions of up to three cubes that may overlap, the whole and the empty set."""
    return st.lists(cubes(), max_size=3).map(PacketSet.union_of) | st.just(PacketSet.any())


# ---- clusters: built from choices, which Hypothesis makes, or chance -------------------------------------------------


def random_cluster(seed: int, *, crowded: bool = False) -> list[Manifest]:
    """A cluster as `clusters` makes them, the same for the same seed.

    Much quicker than drawing, and each seed is another cluster, where Hypothesis tries variations of the last one;
    but nothing makes a failing one smaller. A `crowded` one has four to eleven pods, more of them on the host network,
    so that several share a node and its address; some have no node yet, and some IPv6 first; and one to seven policies,
    with blocks that are half of all addresses.
    """
    choose = random.Random(seed).choice  # noqa: S311 - chance, not secrecy
    return _crowd(choose) if crowded else _cluster(choose)


def random_cluster_policies(seed: int, count: int, *, names: bool = False) -> list[Manifest]:
    """So many ClusterNetworkPolicies, ``c0`` and on, for the pods of `random_cluster`; the same for the same seed.

    With `names`, some of their Accept rules have DNS names as peers.
    """
    choose, of = random.Random(seed).choice, _alphabet(names=names)  # noqa: S311 - chance, not secrecy
    return [drawn_cluster_policy(choose, of) | {"metadata": {"name": f"c{number}"}} for number in range(count)]


def clusters() -> st.SearchStrategy[list[Manifest]]:
    """A whole cluster: two nodes, three namespaces, two to six pods of every sort, and one to four policies.

    Among the pods: IPv4, IPv6 or both; without an address; on the host network; finished, with an address that
    another pod has by now; the same port name for different numbers. A namespace or a node may be only mentioned.
    """
    return _drawn(_cluster)


def labels() -> st.SearchStrategy[dict[str, str]]:
    """Labels of pods from a small alphabet, empty values among them."""
    return _drawn(_labels)


def selectors() -> st.SearchStrategy[Manifest]:
    """Selectors of pods as they are written: both halves, either one, null, empty; all four operators."""
    return _drawn(_selector)


def blocks() -> st.SearchStrategy[Manifest]:
    """An ``ipBlock``: without exceptions in every spelling, or with one or two, which may lie inside each other."""
    return _drawn(_block)


def policies() -> st.SearchStrategy[Manifest]:
    """NetworkPolicies that the API server accepts, with everything optional left out, null, empty or given."""
    return _drawn(_policy)


def cluster_policies(*, names: bool = False) -> st.SearchStrategy[Manifest]:
    """ClusterNetworkPolicies that the API server accepts; with `names`, DNS names among their peers."""
    return _drawn(lambda choose: drawn_cluster_policy(choose, _alphabet(names=names)))


def old_cluster_policies(*, names: bool = False) -> st.SearchStrategy[Manifest]:
    """Their forerunners of v1alpha1: an AdminNetworkPolicy, or the BaselineAdminNetworkPolicy."""
    return _drawn(lambda choose: drawn_old_policy(choose, _alphabet(names=names)))


@cache
def _alphabet(*, names: bool) -> Alphabet:
    def by(labels: Mapping[str, Sequence[str]]) -> Callable[[Choose], Manifest]:
        return lambda choose: _selector(choose, labels)

    dns = ("example.com", "www.example.com", "*.example.com", "a.b.example.org.") if names else ()
    selectors = (by(_POD_LABELS), by(_NAMESPACE_LABELS), by({"zone": ("a", "b")}))
    return Alphabet(*selectors, [*map(str, _BLOCKS)], _PORTS[1:], _PORT_NAMES, dns)


def _drawn(build: Callable[[Choose], T]) -> st.SearchStrategy[T]:
    @st.composite
    def strategy(draw: st.DrawFn) -> T:
        return build(lambda options: options[draw(_index(len(options)))])

    return strategy()


@cache
def _index(length: int) -> st.SearchStrategy[int]:
    return st.integers(0, length - 1)


def _labels(choose: Choose, alphabet: Mapping[str, Sequence[str]] = _POD_LABELS) -> dict[str, str]:
    return {key: choose(values) for key, values in alphabet.items() if choose((False, True))}


def _selector(choose: Choose, alphabet: Mapping[str, Sequence[str]] = _POD_LABELS) -> Manifest:
    def exact() -> Manifest:
        key = choose(sorted(alphabet))
        return {key: choose(alphabet[key])}

    match choose(("nothing", "labels", "labels", "expression", "expression", "two", "both")):
        case "labels":
            return {"matchLabels": exact()}
        case "expression":
            return {"matchExpressions": [_expression(choose, alphabet)]}
        case "two":
            return {"matchLabels": {}, "matchExpressions": [_expression(choose, alphabet) for _ in range(2)]}
        case "both":
            return {"matchLabels": exact(), "matchExpressions": [_expression(choose, alphabet)]}
    nothing: tuple[Manifest, ...] = ({}, {"matchLabels": {}}, {"matchLabels": None, "matchExpressions": []})
    return choose(nothing)


def _expression(choose: Choose, alphabet: Mapping[str, Sequence[str]]) -> Manifest:
    key = choose(sorted(alphabet))
    operator = choose(("In", "NotIn", "Exists", "DoesNotExist"))
    if operator in ("In", "NotIn"):
        values = dict.fromkeys(choose(alphabet[key]) for _ in range(choose((1, 2))))
        return {"key": key, "operator": operator, "values": list(values)}
    return {"key": key, "operator": operator} | choose(({}, {"values": None}, {"values": []}))


def _block(choose: Choose) -> Manifest:
    block = choose(_BLOCKS)
    holes = [str(one) for one in _BLOCKS if one != block and _covers(block, one)]
    count = choose((0, 0, 1, 2)) if holes else 0
    if not count:
        return {"cidr": str(block)} | choose(({}, {"except": None}, {"except": []}))
    return {"cidr": str(block), "except": list(dict.fromkeys(choose(holes) for _ in range(count)))}


def _covers(outer: Network, inner: Network) -> bool:
    return outer.version == inner.version and AddressSet.network(inner) <= AddressSet.network(outer)


def _peer(choose: Choose) -> Manifest:
    match choose(("pods", "namespaces", "both", "block", "block")):
        case "pods":
            return {"podSelector": _selector(choose)} | choose(({}, {"namespaceSelector": None}))
        case "namespaces":
            return {"namespaceSelector": _selector(choose, _NAMESPACE_LABELS)} | choose(({}, {"podSelector": None}))
        case "both":
            return {"podSelector": _selector(choose), "namespaceSelector": _selector(choose, _NAMESPACE_LABELS)}
    return {"ipBlock": _block(choose)}


def _port(choose: Choose) -> Manifest:
    numbers = [port for port in _PORTS if port]
    entry: Manifest
    match choose(("name", "number", "range", "all", "name")):
        case "name":
            entry = {"port": choose(_PORT_NAMES)}
        case "number":
            entry = {"port": choose(numbers)}
        case "range":
            low = choose(numbers)
            entry = {"port": low, "endPort": choose([one for one in numbers if one >= low])}
        case _:
            entry = choose(({}, {"port": None}))
    protocols: tuple[Manifest, ...] = ({}, {"protocol": "TCP"}, {"protocol": None}, {"protocol": "UDP"})
    return entry | choose((*protocols, {"protocol": "SCTP"}))


def _given(choose: Choose, key: str, make: Callable[[Choose], object], most: int = 3) -> Manifest:
    """A field with a list: absent, null or empty, and mostly with something in it."""
    nothing: tuple[Manifest, ...] = ({}, {key: None}, {key: []})
    if choose(range(9)) < 3:
        return choose(nothing)
    return {key: [make(choose) for _ in range(choose(range(1, most + 1)))]}


def _policy(choose: Choose) -> Manifest:
    everybody: tuple[Manifest, ...] = ({}, {"podSelector": None}, {"podSelector": {}})
    spec = choose(everybody) if choose((True, True, True, False)) else {"podSelector": _selector(choose)}
    spec |= _given(choose, "policyTypes", lambda one: one(("Egress", "Ingress")), most=2)
    spec |= _given(choose, "egress", lambda one: _given(one, "to", _peer) | _given(one, "ports", _port))
    spec |= _given(choose, "ingress", lambda one: _given(one, "from", _peer) | _given(one, "ports", _port))
    return policy(f"{choose(_CROWDED)}/p", spec)


def _cluster(choose: Choose) -> list[Manifest]:
    made = _places(choose)
    made += [_pod(choose, number) for number in range(choose(range(2, 7)))]
    return made + _policies(choose, choose(range(1, 5)))


def _crowd(choose: Choose) -> list[Manifest]:
    made = _places(choose)
    for number in range(choose(range(4, 12))):
        one = _host_pod(choose, number) if choose((False, False, False, True)) else _pod(choose, number)
        if choose(range(6)) == 5 and not one["spec"].get("hostNetwork"):
            del one["spec"]["nodeName"]
        one["status"].get("podIPs", []).sort(key=lambda address: address["ip"], reverse=choose((False, True)))
        made.append(one)
    found = _policies(choose, choose(range(1, 8)))
    for one in found:
        for rule in one["spec"].get("egress") or []:
            if choose(range(6)) == 5:
                rule["to"] = [*(rule.get("to") or []), {"ipBlock": {"cidr": choose(_HALVES)}}]
    return made + found


def _places(choose: Choose) -> list[Manifest]:
    spaces = _NAMESPACES[1:] if choose(range(10)) == 9 else _NAMESPACES
    nodes = sorted(_NODES)[1:] if choose(range(10)) == 9 else sorted(_NODES)
    made = [namespace(name, **_labels(choose, {"team": ("red", "blue", "")})) for name in spaces]
    return made + [node(name, _NODES[name]) for name in nodes]


def _policies(choose: Choose, count: int) -> list[Manifest]:
    made = []
    for number in range(count):
        one = _policy(choose)
        made.append(one | {"metadata": one["metadata"] | {"name": f"p{number}"}})
    return made


def _pod(choose: Choose, number: int) -> Manifest:
    host, finished = (choose(range(8)) == 7 for _ in range(2))
    on = choose(sorted(_NODES))
    # A finished pod may show an address that somebody else has by now: the next pod's.
    last = 10 + number + (1 if finished and choose((False, True)) else 0)
    mine = _NODES[on] if host else (f"10.1.0.{last}", f"fd00:1::{last:x}")
    families = choose((mine, mine, mine, mine[:1], mine[1:], ()))
    return pod(
        f"{choose(_CROWDED)}/pod-{number}",
        mine if host else families,
        on=on,
        ports=[_container_port(choose) for _ in range(choose(range(4)))],
        host_network=host,
        phase=choose(("Succeeded", "Failed")) if finished else "Running",
        labels=_labels(choose),
    )


def _host_pod(choose: Choose, number: int) -> Manifest:
    on = choose(sorted(_NODES))
    ports = [_container_port(choose) for _ in range(choose(range(3)))]
    path = f"{choose(_CROWDED)}/pod-{number}"
    return pod(path, _NODES[on], on=on, ports=ports, host_network=True, labels=_labels(choose))


def _container_port(choose: Choose) -> Manifest:
    """Few numbers and names: the same name must mean this here and that there."""
    protocols: tuple[Manifest, ...] = ({}, {"protocol": "TCP"}, {"protocol": "UDP"}, {"protocol": "SCTP"})
    return {"containerPort": choose((80, 81, 53, 8080)), "name": choose(_PORT_NAMES)} | choose(protocols)
