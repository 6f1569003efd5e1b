"""kube-proxy's part: on every node, packets to a Service go to one of its backends.

A table of the lab's own, beside the one under test and shaped like kube-proxy's in nftables mode: verdict maps from
(address, protocol, port) to a chain for each Service port, which picks a backend at random. What kube-proxy
does besides is done here too, since it decides what the packets look like that policies see:

- a port that nobody serves is rejected at once, and so is every other port of a cluster address;
- traffic from outside a node's own pods to a node port or external address gets the node's address as source,
  so that answers return through the node that translated;
- so does a pod that reaches itself through a Service, for it would not accept its own address as a stranger's.

Text from manifests goes into comments alone, cut to letters that mean nothing to nft.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from outgate.host import namespaces
from outgate.host.namespaces import NetworkNamespace
from outgate.lab.topology import POD_INTERFACE_PREFIX
from outgate.model import Service, Snapshot
from outgate.model.services import Backend, ServiceRoute, resolve

__all__ = ["TABLE", "load", "transactions"]

TABLE = "lab_services"

_MASQUERADE = "0x4000"
"""kube-proxy's default mark (``--iptables-masquerade-bit`` 14): the rules under test must live with it."""

_PER_TRANSACTION = 100
"""Chains in one transaction. An ordinary user's nft 1.0.6 cannot send 1000 rules at once (EMSGSIZE)."""

_NFT_FAMILY = {4: "ip", 6: "ip6"}

_FRAME = """\
table inet {table} {{
	map services4 {{ type ipv4_addr . inet_proto . inet_service : verdict; }}
	map services6 {{ type ipv6_addr . inet_proto . inet_service : verdict; }}
	map ports4 {{ type inet_proto . inet_service : verdict; }}
	map ports6 {{ type inet_proto . inet_service : verdict; }}
	set cluster4 {{ type ipv4_addr; }}
	set cluster6 {{ type ipv6_addr; }}
	set nobody4 {{ type ipv4_addr . inet_proto . inet_service; }}
	set nobody6 {{ type ipv6_addr . inet_proto . inet_service; }}
	set closed4 {{ type inet_proto . inet_service; }}
	set closed6 {{ type inet_proto . inet_service; }}
	set hairpin4 {{ type ipv4_addr . ipv4_addr; }}
	set hairpin6 {{ type ipv6_addr . ipv6_addr; }}
	chain services {{
		ip daddr . meta l4proto . th dport vmap @services4
		ip6 daddr . meta l4proto . th dport vmap @services6
		meta nfproto ipv4 fib daddr type local meta l4proto . th dport vmap @ports4
		meta nfproto ipv6 fib daddr type local meta l4proto . th dport vmap @ports6
	}}
	chain outside {{
		iifname != "{pods}*" meta mark set meta mark | {mark}
	}}
	chain nobody {{
		ip daddr @cluster4 reject
		ip6 daddr @cluster6 reject
		ip daddr . meta l4proto . th dport @nobody4 reject
		ip6 daddr . meta l4proto . th dport @nobody6 reject
	}}
	chain prerouting {{
		type nat hook prerouting priority dstnat; policy accept;
		jump services
	}}
	chain output {{
		type nat hook output priority -100; policy accept;
		jump services
	}}
	chain reject_forward {{
		type filter hook forward priority -110; policy accept;
		ct state new jump nobody
	}}
	chain reject_output {{
		type filter hook output priority filter; policy accept;
		ct state new jump nobody
	}}
	chain reject_input {{
		type filter hook input priority -110; policy accept;
		ct state new jump nobody
		ct state new meta nfproto ipv4 fib daddr type local meta l4proto . th dport @closed4 reject
		ct state new meta nfproto ipv6 fib daddr type local meta l4proto . th dport @closed6 reject
	}}
	chain postrouting {{
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr . ip daddr @hairpin4 masquerade
		ip6 saddr . ip6 daddr @hairpin6 masquerade
		meta mark & {mark} == {mark} meta mark set meta mark ^ {mark} masquerade
	}}
}}
"""


def transactions(snapshot: Snapshot) -> tuple[str, ...]:
    """The table, in texts for `nft -f` that are to be loaded in turn. All nodes load the same."""
    routed = [(service, route) for service in snapshot.services for route in resolve(snapshot, service)]
    routed = [(service, route) for service, route in routed if route.address is not None or route.node_port]
    pieces = list(_pieces(routed))
    frame = _FRAME.format(table=TABLE, pods=POD_INTERFACE_PREFIX, mark=_MASQUERADE)
    return frame, *(_text(pieces[at : at + _PER_TRANSACTION]) for at in range(0, len(pieces), _PER_TRANSACTION))


def load(node: NetworkNamespace, texts: Iterable[str]) -> None:
    """Loads the table in a node's network namespace. Raises what `process.run` raises."""
    for text in texts:
        namespaces.run_in(node, ("nft", "-f", "-"), input=text)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A chain with its rules, and the elements that lead to it, as (set or map, element)."""

    chain: str
    rules: tuple[str, ...]
    elements: tuple[tuple[str, str], ...]


def _pieces(routed: Iterable[tuple[Service, ServiceRoute]]) -> Iterator[_Piece]:
    claimed: set[tuple[str, str]] = set()
    for number, (service, route) in enumerate(routed):
        for version in (4, 6) if route.address is None else (route.address.version,):
            backends = [end for end in route.backends if end.address.version == version]
            piece = _piece(f"s{number}_{version}", service, route, backends, version)
            # Two Services may claim one external address and port, and a set takes a key once: the first has it.
            fresh = {(name, element.partition(" : ")[0]): element for name, element in piece.elements}
            elements = tuple((key[0], element) for key, element in fresh.items() if key not in claimed)
            claimed.update(fresh)
            yield _Piece(piece.chain, piece.rules, elements)


def _piece(chain: str, service: Service, route: ServiceRoute, backends: Sequence[Backend], version: int) -> _Piece:
    ends = f"{route.protocol.lower()} . {route.port}"
    key = ends if route.address is None else f"{route.address} . {ends}"
    elements = []
    if backends:
        elements.append((f"{'ports' if route.address is None else 'services'}{version}", f"{key} : goto {chain}"))
    else:
        elements.append((f"{'closed' if route.address is None else 'nobody'}{version}", key))
    if route.address is not None and not route.external:
        elements.append((f"cluster{version}", str(route.address)))
    elements += [(f"hairpin{version}", f"{end.address} . {end.address}") for end in backends if end.pod]
    return _Piece(chain, tuple(_rules(service, route, backends, version)), tuple(elements))


def _rules(service: Service, route: ServiceRoute, backends: Sequence[Backend], version: int) -> Iterator[str]:
    if not backends:
        return
    if route.external or route.node_port:
        yield "jump outside"
    named = f'comment "{_harmless(f"{service}:{route.name or route.port}")}"'
    family, protocol = _NFT_FAMILY[version], route.protocol.lower()
    for at, end in enumerate(backends):
        # One in those that are left: each backend gets an equal share of the whole (as kube-proxy's iptables mode).
        left = len(backends) - at
        chance = f"numgen random mod {left} 0 " if left > 1 else ""
        target = f"{end.address}:{end.port}" if version == 4 else f"[{end.address}]:{end.port}"
        yield f"{chance}meta l4proto {protocol} dnat {family} to {target} {named}"


def _text(pieces: Sequence[_Piece]) -> str:
    """Chains first, then what leads to them."""
    lines = [f"add chain inet {TABLE} {piece.chain}" for piece in pieces]
    lines += [f"add rule inet {TABLE} {piece.chain} {rule}" for piece in pieces for rule in piece.rules]
    filled: dict[str, list[str]] = {}
    for piece in pieces:
        for name, element in piece.elements:
            filled.setdefault(name, []).append(element)
    lines += [f"add element inet {TABLE} {name} {{ {', '.join(elements)} }}" for name, elements in filled.items()]
    return "\n".join(lines) + "\n"


def _harmless(text: str) -> str:
    """Letters of Kubernetes names and no others, at most 100 (a comment in nft holds 128)."""
    return re.sub(r"[^A-Za-z0-9./:_-]", "?", text)[:100]
