"""Diffs with something of everything, and with nothing: what the tests of each format write."""

from __future__ import annotations

from outgate.analysis.causes import Causes
from outgate.analysis.diff import ConnectionDiff, diff
from outgate.model import Direction, NetworkPolicy, Pod, Snapshot
from outgate.testing import Manifest, namespace, pod, snapshot_of
from outgate.testing_cilium import cilium_policy
from tests.analysis.two_sides import CLUSTER, allow, outwards, pods, two

__all__ = ["ASKED", "CONDITIONS", "EVERYTHING", "NOTHING", "WILD", "reported"]


def _asking(method: str, path: str) -> Snapshot:
    """Pods of one namespace under a rule about requests; of those for the database only where it is GET."""
    request = {"rules": {"http": [{"method": method, "path": path, "headers": ["X-A"]}]}}
    ports = [{"port": "80", "protocol": "TCP"}]
    egress = [
        {"toEndpoints": [{"matchLabels": {"app": "b"}}], "toPorts": [{"ports": ports, **request}]},
        {"toCIDR": ["192.0.2.0/24"], "toPorts": [{"ports": ports, **(request if method == "GET" else {})}]},
    ]
    policy = cilium_policy("shop/p", {"endpointSelector": {}, "egress": egress})
    return snapshot_of(
        [namespace("shop"), pod("shop/a", ["10.0.0.1"], app="a"), pod("shop/b", ["10.0.0.2"], app="b"), policy]
    )


BLOCKS = [{"ipBlock": {"cidr": "10.0.0.0/8"}}, {"ipBlock": {"cidr": "fd00::/8"}}]
OLD: list[Manifest] = [
    *CLUSTER,
    *pods("gone", 1, first=30),
    *pods("far", 2, first=40),
    outwards("192.0.2.0/24", 80, app="web"),
    allow("db", {"policyTypes": ["Egress"], "egress": [{"to": BLOCKS}]}, app="db"),
    allow("far", {"policyTypes": ["Egress"]}, app="far"),
]
NEW: list[Manifest] = [
    *CLUSTER,
    *pods("come", 1, first=50),
    *pods("far", 2, first=40),
    outwards("192.0.2.0/24", 443, app="web"),
    outwards("203.0.113.0/24", 443, "more", app="web"),
    allow("db", {"policyTypes": ["Egress"], "egress": [{"to": BLOCKS[:1]}]}, app="db"),
    allow("far", {"ingress": [{"ports": [{"port": 80}]}]}, app="far"),
]

EVERYTHING = two(OLD, NEW)
"""Opened, closed, changed both ways and by one family; isolated and no longer isolated; a workload new and one gone."""
NOTHING = two(CLUSTER, CLUSTER)

_NAME = 'a|b`<c>*_[d](e)#;\\"\n&'
_WILD = Snapshot.of(pods=[Pod("shop", "x"), Pod("shop", _NAME)])
WILD = diff(_WILD, _WILD.with_policies([NetworkPolicy("shop", "p", types=frozenset({Direction.EGRESS}))]))
"""A name that the API server would never let in; what reads manifests must not rely on that."""


CONDITIONS = diff(_asking("GET", "/v1|<b>"), _asking("POST", "/v1|<b>"))
"""One rule about requests that becomes another, and one that goes."""


def _toward(app: str, *entries: tuple[str, str]) -> Snapshot:
    """A pod that sends requests of a method to a port of one app, and another to a block."""
    ports = [
        {"ports": [{"port": port, "protocol": "TCP"}], "rules": {"http": [{"method": method}]}}
        for port, method in entries
    ]
    egress = [{"toEndpoints": [{"matchLabels": {"app": app}}], "toPorts": ports}]
    egress += [{"toCIDR": ["192.0.2.0/25"], "toPorts": ports[:1]}] if app == "c" else []
    egress += [{"toCIDR": ["192.0.2.128/25"], "toPorts": [{"ports": ports[0]["ports"]}]}] if app == "c" else []
    pods = [pod(f"shop/{name}", [f"10.0.0.{place}"], app=name) for place, name in enumerate("abc", 1)]
    policy = cilium_policy("shop/p", {"endpointSelector": {"matchLabels": {"app": "a"}}, "egress": egress})
    return snapshot_of([namespace("shop"), *pods, policy])


ASKED = diff(_toward("b", ("80", "GET")), _toward("c", ("80", "GET"), ("81", "PUT")))
"""What is asked of something closed with it; what opens, opens on conditions, of a block in one half of it."""


def reported(found: ConnectionDiff) -> tuple[ConnectionDiff, Causes]:
    """What every format is given."""
    return found, Causes(found)
