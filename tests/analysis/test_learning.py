"""Whom a pod may ask for a name, and that every answer about a name hangs on it alike."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterable
from typing import Any

import pytest

from outgate.analysis.assertions import read
from outgate.analysis.connections import connections
from outgate.analysis.exposure import exposure
from outgate.analysis.learning import Learning, Way
from outgate.analysis.lookup import Lookup
from outgate.analysis.names import patterns_of
from outgate.analysis.opened import Named
from outgate.analysis.reach import reach
from outgate.analysis.reachability import Question
from outgate.analysis.targets import TransportAsked, parse
from outgate.analysis.verdicts import evaluate
from outgate.model import Document, Snapshot
from outgate.packets import Protocol
from outgate.policy import OUTGATE, PROFILES, Judge, Policies, Profile
from outgate.policy.names import Dialect, Pattern
from outgate.testing import Manifest, cluster_policy, namespace, node, pod, policy, service, snapshot_of
from outgate.testing_cilium import cilium_policy
from tests.slices import endpoint_slice

NAME = "api.example.com"
UDP = {"ports": [{"port": "53", "protocol": "UDP"}]}
CLUSTER = {"toEndpoints": [{"matchLabels": {"k8s:io.kubernetes.pod.namespace": "kube-system", "k8s-app": "kube-dns"}}]}
OPEN: dict[str, Any] = {
    "toFQDNs": [{"matchName": NAME}],
    "toPorts": [{"ports": [{"port": "443", "protocol": "TCP"}]}],
}
DNS: list[Manifest] = [
    pod("kube-system/dns", ["10.0.0.53"], labels={"k8s-app": "kube-dns"}),
    service("kube-system/kube-dns", "10.96.0.10", [{"port": 53, "protocol": "UDP"}], **{"k8s-app": "kube-dns"}),
]
SHOP: list[Manifest] = [namespace("shop"), namespace("kube-system"), pod("shop/web", ["10.0.0.1"], app="web")]
OVER_TCP: list[Manifest] = [
    DNS[0],
    service(
        "kube-system/kube-dns",
        "10.96.0.10",
        [{"port": 53, "protocol": one, "name": one.lower()} for one in ("UDP", "TCP")],
        **{"k8s-app": "kube-dns"},
    ),
]
AT_A_NODE = endpoint_slice("kube-system/kube-dns", "192.168.50.11", port=53)
ON_A_NODE: list[Manifest] = [
    node("n1", ["192.168.50.11"]),
    service("kube-system/kube-dns", "10.96.0.10", [{"port": 53, "protocol": "UDP"}]),
    {**AT_A_NODE, "ports": [{"port": 53, "protocol": "UDP"}]},
]
DEAF_SERVERS = policy("kube-system/closed", {"podSelector": {}, "policyTypes": ["Ingress"]})


def only(*patterns: str, port: str = "53", protocol: str = "UDP") -> dict[str, Any]:
    """A port of DNS with a list of names."""
    rules = {"dns": [{"matchPattern": one} for one in patterns]}
    return {"ports": [{"port": port, "protocol": protocol}], "rules": rules}


def barring(*ports: int) -> Manifest:
    """A denial of the whole cluster for everything on some ports."""
    return cluster_policy(
        "bar",
        subject={"namespaces": {}},
        egress=[
            {
                "name": "dns",
                "action": "Deny",
                "to": [{"networks": ["0.0.0.0/0"]}],
                "protocols": [{"udp": {"destinationPort": {"number": one}}} for one in ports],
            }
        ],
    )


def for_the_api(ports: dict[str, Any], server: dict[str, Any] = CLUSTER, **keys: Any) -> Manifest:
    """What another pod may ask of some server."""
    egress = [server | {"toPorts": [ports]}]
    return cilium_policy("shop/api", {"endpointSelector": {"matchLabels": {"app": "api"}}, "egress": egress, **keys})


def for_all_pods(*egress: dict[str, Any]) -> Manifest:
    """A policy of Cilium's for the whole cluster."""
    made: Manifest = {**cilium_policy("all", {"endpointSelector": {}, "egress": list(egress)})}
    return {**made, "kind": "CiliumClusterwideNetworkPolicy", "metadata": {"name": "all"}}


def town(*egress: dict[str, Any], more: Iterable[Manifest] = DNS, **keys: Any) -> Snapshot:
    """A pod that a rule opens a name for, and what else its policy says."""
    spec = {"endpointSelector": {"matchLabels": {"app": "web"}}, "egress": [OPEN, *egress], **keys}
    return snapshot_of([*SHOP, cilium_policy("shop/p", spec), *more])


CASES: dict[str, tuple[Snapshot, Way]] = {
    "no rule for DNS": (town(), Way.NOWHERE),
    "all of the servers": (town(CLUSTER), Way.CLUSTER),
    "the servers on port 53": (town(CLUSTER | {"toPorts": [UDP]}), Way.CLUSTER),
    "the servers on another port": (
        town(CLUSTER | {"toPorts": [{"ports": [{"port": "54", "protocol": "UDP"}]}]}),
        Way.NOWHERE,
    ),
    "the name": (town(CLUSTER | {"toPorts": [only("*.example.com")]}), Way.CLUSTER),
    "another name": (town(CLUSTER | {"toPorts": [only("other.example.com")]}), Way.NOWHERE),
    "another name, and all by another rule": (
        town(CLUSTER | {"toPorts": [only("other.example.com")]}, CLUSTER | {"toPorts": [UDP]}),
        Way.CLUSTER,
    ),
    "another server": (town({"toCIDR": ["198.51.100.53/32"], "toPorts": [UDP]}), Way.ELSEWHERE),
    "another server, another name": (
        town({"toCIDR": ["198.51.100.53/32"], "toPorts": [only("other.example.com")]}),
        Way.NOWHERE,
    ),
    "another server, no DNS": (
        town({"toCIDR": ["198.51.100.53/32"], "toPorts": [{"ports": [{"port": "8443", "protocol": "TCP"}]}]}),
        Way.NOWHERE,
    ),
    "another server, denied": (
        town(
            {"toCIDR": ["198.51.100.0/24"], "toPorts": [UDP]},
            egressDeny=[{"toCIDR": ["198.51.100.0/24"], "toPorts": [UDP]}],
        ),
        Way.NOWHERE,
    ),
    "another server, half of it denied": (
        town(
            {"toCIDR": ["198.51.100.0/24"], "toPorts": [UDP]},
            egressDeny=[{"toCIDR": ["198.51.100.0/25"], "toPorts": [UDP]}],
        ),
        Way.ELSEWHERE,
    ),
    "another server, denied by a tier": (
        town({"toCIDR": ["198.51.100.0/24"], "toPorts": [UDP]}, more=[*DNS, barring(53)]),
        Way.NOWHERE,
    ),
    "the servers let nobody in": (town(CLUSTER | {"toPorts": [UDP]}, more=[*DNS, DEAF_SERVERS]), Way.NOWHERE),
    "behind a Service on another port": (
        town(
            {"toEndpoints": [{"matchLabels": {"app": "unbound"}}]},
            more=[
                *DNS,
                pod("shop/unbound", ["10.0.0.7"], app="unbound"),
                service("shop/u", "10.96.0.7", [{"port": 53, "protocol": "UDP", "targetPort": 1053}], app="unbound"),
                barring(53),
            ],
        ),
        Way.ELSEWHERE,
    ),
    "no cluster DNS in the input": (town(more=[]), Way.UNKNOWN),
}


ANOTHER = {"toCIDR": ["198.51.100.53/32"]}
API = pod("shop/api", ["10.0.0.2"], app="api")
LEARNS = for_the_api(only(NAME))
CILIUM: dict[str, tuple[Snapshot, Way]] = {
    "no rule for DNS": (town(), Way.NOWHERE),
    "all of the servers": (town(CLUSTER), Way.NOWHERE),
    "the servers on port 53": (town(CLUSTER | {"toPorts": [UDP]}), Way.NOWHERE),
    "nothing isolates, the name": (
        town(CLUSTER | {"toPorts": [only(NAME)]}, enableDefaultDeny={"egress": False}),
        Way.CLUSTER,
    ),
    "the name": (town(CLUSTER | {"toPorts": [only("*.example.com")]}), Way.CLUSTER),
    "another name": (town(CLUSTER | {"toPorts": [only("other.example.com")]}), Way.NOWHERE),
    "another name, and all by another rule": (
        town(CLUSTER | {"toPorts": [only("other.example.com")]}, CLUSTER | {"toPorts": [UDP]}),
        Way.CLUSTER,
    ),
    "another name, and all by a NetworkPolicy": (
        town(
            CLUSTER | {"toPorts": [only("other.example.com")]},
            more=[*DNS, policy("shop/all", {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]})],
        ),
        Way.CLUSTER,
    ),
    "another port of the servers": (town(CLUSTER, CLUSTER | {"toPorts": [only("*", port="54")]}), Way.NOWHERE),
    "another server that is listened to": (town(CLUSTER, ANOTHER | {"toPorts": [only("*")]}), Way.ELSEWHERE),
    "another server on another port": (town(ANOTHER | {"toPorts": [only("*", port="5353")]}), Way.ELSEWHERE),
    "over TCP alone": (town(CLUSTER | {"toPorts": [only(NAME, protocol="TCP")]}, more=OVER_TCP), Way.CLUSTER),
    "over TCP, and over UDP unheard": (
        town(CLUSTER | {"toPorts": [UDP]}, CLUSTER | {"toPorts": [only(NAME, protocol="TCP")]}, more=OVER_TCP),
        Way.NOWHERE,
    ),
    "the servers let nobody in": (town(CLUSTER | {"toPorts": [only("*")]}, more=[*DNS, DEAF_SERVERS]), Way.NOWHERE),
    "servers on a node, meant by a plain rule alone": (
        town(
            {"toEntities": ["host", "remote-node"], "toPorts": [UDP]},
            {"toCIDR": ["192.168.50.11/32"], "toPorts": [only("*")]},
            more=ON_A_NODE,
        ),
        Way.NOWHERE,
    ),
    "servers on a node": (
        town({"toEntities": ["host", "remote-node"], "toPorts": [only("*")]}, more=ON_A_NODE),
        Way.CLUSTER,
    ),
    "the servers themselves may ask themselves": (
        town(more=[*DNS, for_all_pods(CLUSTER | {"toPorts": [only("a.io")]})]),
        Way.NOWHERE,
    ),
    "another server": (town(ANOTHER | {"toPorts": [UDP]}), Way.NOWHERE),
    "another server, the name": (town(ANOTHER | {"toPorts": [only(NAME)]}), Way.ELSEWHERE),
    "another server, another name, and all by another rule": (
        town(ANOTHER | {"toPorts": [only("other.example.com")]}, ANOTHER),
        Way.ELSEWHERE,
    ),
    "another server, denied where names may be asked": (
        town(
            {"toCIDR": ["198.51.100.0/25"], "toPorts": [only("*")]},
            {"toCIDR": ["198.51.100.0/24"], "toPorts": [UDP]},
            egressDeny=[{"toCIDR": ["198.51.100.0/25"], "toPorts": [UDP]}],
        ),
        Way.NOWHERE,
    ),
    "a pod beside that may ask another server": (
        town(CLUSTER, more=[*DNS, API, for_the_api(only(NAME), ANOTHER)]),
        Way.BESIDE,
    ),
    "a pod beside that nothing isolates, with other names": (
        town(
            CLUSTER,
            more=[*DNS, API, for_the_api(only("other.example.com"), ANOTHER, enableDefaultDeny={"egress": False})],
        ),
        Way.NOWHERE,
    ),
    "a pod beside": (town(CLUSTER, more=[*DNS, API, LEARNS]), Way.BESIDE),
    "a pod beside that asks for others": (
        town(CLUSTER, more=[*DNS, API, for_the_api(only("*.example.net"))]),
        Way.NOWHERE,
    ),
    "a pod beside on the network of its node": (
        town(CLUSTER, more=[*DNS, pod("shop/api", ["192.168.50.11"], on="n1", host_network=True, app="api"), LEARNS]),
        Way.NOWHERE,
    ),
    "no cluster DNS in the input": (town(more=[]), Way.UNKNOWN),
}
RUNS = [
    pytest.param(snapshot, way, profile, name, id=f"{profile.name}: {name}")
    for profile, cases in ((OUTGATE, CASES), (PROFILES["cilium"], CILIUM))
    for name, (snapshot, way) in cases.items()
]
IN_VAIN = {
    "another port of the servers",
    "another server, denied where names may be asked",
    "over TCP, and over UDP unheard",
    "servers on a node, meant by a plain rule alone",
    "the servers let nobody in",
}
"""The rules of the pod let it ask for the name, and it is not heard all the same."""
NOTES = {
    ("outgate", Way.NOWHERE): "shop/web may not ask any DNS server for api.example.com: it never learns it, and "
    "shop/p egress[0] opens nothing",
    (
        "outgate",
        Way.ELSEWHERE,
    ): "shop/web may not ask the cluster DNS for api.example.com; shop/p egress[0] opens it if "
    "another resolver tells it",
    ("outgate", Way.UNKNOWN): "api.example.com is known to shop/web once it has asked for it, and no cluster DNS is in "
    "the input",
    (
        "cilium",
        Way.NOWHERE,
    ): "no rule with rules.dns lets shop/web ask for api.example.com: Cilium never learns it, and "
    "shop/p egress[0] opens nothing",
    ("cilium", Way.ELSEWHERE): "shop/web may not ask the cluster DNS for api.example.com by a rule with rules.dns; "
    "shop/p egress[0] opens it if another resolver tells it",
    ("cilium", Way.UNKNOWN): "api.example.com is known to shop/web once it has asked for it by a rule with rules.dns, "
    "and no cluster DNS is in the input",
    (
        "cilium",
        Way.BESIDE,
    ): "no rule with rules.dns is about questions of shop/web for api.example.com: shop/p egress[0] "
    "opens it only while a pod on the same node has asked, as shop/api may, wherever that runs now",
}
HEARD_BY_NOBODY = (
    "no question of shop/web for api.example.com gets through and is heard by Cilium, though rules.dns are about some: "
    "it never learns it, and shop/p egress[0] opens nothing"
)


@pytest.mark.parametrize(("snapshot", "way", "profile", "case"), RUNS)
def test_whom_a_pod_may_ask(snapshot: Snapshot, way: Way, profile: Profile, case: str) -> None:
    """One way is enough; and what every verb says of the name hangs on it."""
    web = next(one for one in snapshot.pods if one.name == "web")
    judge = Judge(Policies(snapshot, profile))
    assert Learning(judge).of(web, NAME) is way
    found = connections(snapshot, profile)
    assert Learning(judge, found.grid).of(web, NAME) is way
    opens = way is not Way.NOWHERE

    lookup = Lookup(snapshot, "shop", {}, tuple(patterns_of(snapshot)))
    question = Question(lookup.find(parse("web")), lookup.find(parse(NAME)), TransportAsked(443, int(Protocol.TCP)))
    answer = reach(judge, question)
    assert answer.verdict.allows is opens
    said = [one for one in answer.notes if NAME in one]
    in_vain = profile is not OUTGATE and case in IN_VAIN
    assert said == ([HEARD_BY_NOBODY] if in_vain else [NOTES[profile.name, way]] if way is not Way.CLUSTER else [])
    portless = reach(judge, dataclasses.replace(question, transport=TransportAsked(None, None)))
    assert [one for one in portless.notes if NAME in one] == said
    given = Lookup(snapshot, "shop", {NAME: (ipaddress.ip_address("203.0.113.9"),)})
    known = Question(question.source, given.find(parse(NAME)), question.transport)
    assert reach(judge, known).verdict.allows is opens

    assert [str(one.destination) for one in found if isinstance(one.destination, Named)] == [NAME] * opens
    report = next(one for one in exposure(snapshot, profile).workloads if one.group.name == "web")
    assert [one.named.name for one in report.standing.outside.names] == [NAME] * opens

    for verb, holds in (("allow", opens), ("deny", not opens)):
        entry = {"from": "shop/web", verb: {"to": NAME, "port": 443}}
        value: Any = {"apiVersion": "outgate.dev/v1", "kind": "ReachabilityTest", "assertions": [entry]}
        (one,) = evaluate(judge, read([Document("t.yaml", value)]))
        assert one.holds is holds
        if verb == "allow" and way is Way.NOWHERE:
            assert said[0] in one.notes


def test_names_that_patterns_share() -> None:
    """A name that all of them mean has to be one that may be asked for."""
    snapshot = town(CLUSTER | {"toPorts": [only("a.*.com")]})
    web = next(one for one in snapshot.pods if one.name == "web")
    learning = Learning(Judge(Policies(snapshot)))

    def way(*texts: str) -> Way:
        return learning.some(web, [Pattern(one, Dialect.CILIUM) for one in texts])

    assert way("*.example.com") is Way.CLUSTER
    assert way("*.example.com", "a*.*.com") is Way.CLUSTER
    assert way("*.example.com", "b*.*.com") is Way.NOWHERE
    assert way("*.*.example.com") is Way.NOWHERE
    assert way("*") is Way.CLUSTER


def test_who_is_on_the_network_of_its_node_is_told_nothing_here() -> None:
    """No policy holds for it; it asks whom it likes."""
    alone = pod("shop/web", ["192.168.50.11"], on="n1", host_network=True, app="web")
    snapshot = snapshot_of(
        [namespace("shop"), alone, cilium_policy("shop/p", {"endpointSelector": {}, "egress": [OPEN]})]
    )
    (web,) = (one for one in snapshot.endpoints if one.name == "web")
    assert Learning(Judge(Policies(snapshot))).of(web, NAME) is Way.CLUSTER


def test_pods_of_one_policy_are_told_apart_by_who_lets_them_in() -> None:
    """The servers choose whom they answer; and where nobody comes between a pod and itself, one of them asks itself."""
    web = {"podSelector": {"matchLabels": {"app": "web"}}, "namespaceSelector": {}}
    choosing = policy("kube-system/in", {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [web]}]})
    api = pod("shop/api", ["10.0.0.2"], app="api")

    def told(*more: Manifest, profile: Profile = OUTGATE) -> list[str]:
        found = connections(snapshot_of([*SHOP, api, *DNS, *more]), profile)
        return [str(one.source) for one in found if isinstance(one.destination, Named)]

    asking = for_all_pods(OPEN, CLUSTER | {"toPorts": [UDP]})
    assert told(asking) == ["kube-system/dns", "shop/api", "shop/web"]
    assert told(asking, choosing) == ["shop/web"]
    assert told(for_all_pods(OPEN)) == []
    assert told(for_all_pods(OPEN), profile=dataclasses.replace(OUTGATE, hairpin_exempt=True)) == ["kube-system/dns"]
