"""What each network plugin does at each open point: a table of flows, and the conformance cases that speak of plugins.

Each row is a cluster, a flow, and the verdict under every profile. Rows where all agree are there where one could
expect otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from outgate.policy import Judge, Policies, Profile
from outgate.policy.label_filter import CILIUM_LABELS
from outgate.policy.profile import OUTGATE, PROFILES, REASONS
from outgate.testing import Manifest, pod, policy, service, snapshot_of
from tests.policy.asking import TOWN, ask, read
from tests.policy.test_truth_cases import asked, flows, snapshot_for, title, truth

DENY: dict[str, Any] = {"policyTypes": ["Egress"]}
DENY_INGRESS: dict[str, Any] = {"policyTypes": ["Ingress"]}


def egress(*rules: object) -> dict[str, Any]:
    """A policy of all pods with these egress rules."""
    return {"policyTypes": ["Egress"], "egress": list(rules)}


def block(cidr: str) -> dict[str, Any]:
    """A policy of all pods with one egress rule, to a block."""
    return egress({"to": [{"ipBlock": {"cidr": cidr}}]})


def pods(*named: object, **labels: str) -> dict[str, Any]:
    """A policy of all pods with one egress rule, to pods of any namespace."""
    peer = {"namespaceSelector": {}, "podSelector": {"matchLabels": labels}}
    return egress({"to": [peer], **({"ports": [{"port": one} for one in named]} if named else {})})


def ports(*named: object) -> dict[str, Any]:
    """A policy of all pods with one egress rule without `to`."""
    return egress({"ports": [{"port": one} for one in named]})


@dataclass(frozen=True)
class Point:
    """One row: what most say, and who says otherwise."""

    name: str
    spec: Mapping[str, Any]
    flow: str
    otherwise: tuple[str, ...] = ()
    within: str = "shop"
    more: tuple[Manifest, ...] = ()

    def expected(self, profile: Profile) -> bool:
        """Whether a profile allows the flow."""
        return read(self.flow)[1] == ("deny" if profile.name in self.otherwise else "allow")


AWS = ("aws-vpc-cni",)
BIG = pod("data/big", ["10.1.1.90"], on="n1", app="big", ver="v9", ports=[{"name": "http", "containerPort": 8080}])
WIDE = service("data/wide", "10.96.7.7", [{"port": 80, "targetPort": 8080}], app="big")
HASHED = pod("data/hashed", ["10.1.1.91"], on="n1", labels={"pod-template-hash": "5d8f"})
NAME_IN_BLOCK = egress({"to": [{"ipBlock": {"cidr": "10.1.1.22/32"}}], "ports": [{"port": "http"}]})
FROM_NODE = {"policyTypes": ["Ingress"], "ingress": [{"from": [{"ipBlock": {"cidr": "192.168.50.12/32"}}]}]}

POINTS = [
    Point("block: a pod's address", block("10.1.1.0/24"), "shop/web data/db TCP/1 allow", ("cilium",)),
    Point("block: another node", block("192.168.50.12/32"), "shop/web node:n2 TCP/1 allow", ("cilium",)),
    Point("block: everything, and another node", block("0.0.0.0/0"), "shop/web node:n2 TCP/1 allow", ("cilium",)),
    Point("block: a host-network pod", block("192.168.50.12/32"), "shop/web mon/host TCP/1 allow", ("cilium",)),
    Point("block: a sending node", FROM_NODE, "node:n2 shop/web TCP/1 allow", ("cilium",)),
    Point("block: an address outside", block("203.0.113.0/24"), "shop/web ip:203.0.113.9 TCP/1 allow"),
    Point("no `to`: another node", egress({}), "shop/web node:n2 TCP/1 allow"),
    Point("Service: its address in a block", block("10.96.1.1/32"), "shop/api svc:shop/web TCP/80 deny", AWS),
    Point(
        "Service: the pods behind it in a block",
        block("10.1.0.0/16"),
        "shop/api svc:shop/web TCP/80 allow",
        ("cilium", *AWS),
    ),
    Point("Service: a selector and the pod's port", pods(8080, app="web"), "shop/api svc:shop/web TCP/80 allow"),
    Point("Service: a selector and the Service's port", pods(80, app="web"), "shop/api svc:shop/web TCP/80 deny"),
    Point("Service: the pod's port alone", ports(8080), "shop/api svc:shop/web TCP/80 allow", AWS),
    Point("Service: the Service's port alone", ports(80), "shop/api svc:shop/web TCP/80 deny", AWS),
    Point(
        "Service: it selects by fewer labels than the policy",
        pods(app="big", ver="v9"),
        "shop/web svc:data/wide TCP/80 allow",
        AWS,
        more=(BIG, WIDE),
    ),
    Point(
        "Service: the pod behind such a one by its own address",
        pods(app="big", ver="v9"),
        "shop/web data/big TCP/8080 allow",
        more=(BIG, WIDE),
    ),
    Point("Service: its node port on another node", ports(6379), "shop/web node:n2 TCP/30080 allow", AWS),
    Point("own node: from the pod", DENY, "shop/web node:n1 TCP/1 deny", AWS),
    Point("own node: to the pod", DENY_INGRESS, "node:n1 shop/web TCP/1 allow"),
    Point("another node: from the pod", DENY, "shop/web node:n2 TCP/1 deny"),
    Point("another node: to the pod", DENY_INGRESS, "node:n2 shop/web TCP/1 deny"),
    Point("host network: the pod by a selector", pods(app="host"), "shop/web mon/host TCP/1 deny", AWS),
    Point("host network: its node with it", pods(app="host"), "shop/web node:n2 TCP/1 deny", AWS),
    Point("host network: a port name of the pod", pods("http", app="host"), "shop/web mon/host TCP/9100 deny", AWS),
    Point("host network: the pod as subject", DENY, "mon/host data/db TCP/1 allow", within="mon"),
    Point("itself: by its own address", DENY, "shop/web shop/web TCP/1 allow"),
    Point("itself: through a Service, out", DENY, "shop/web svc:shop/web TCP/80 deny", ("cilium",)),
    Point(
        "itself: through a Service, in",
        DENY_INGRESS,
        "shop/web svc:shop/web TCP/80 deny",
        ("cilium", "ovn-kubernetes"),
    ),
    Point("port name: without `to`", ports("http"), "shop/api data/web TCP/8080 allow", AWS),
    Point("port name: beside a block", NAME_IN_BLOCK, "shop/api data/web TCP/8080 allow", ("cilium", *AWS)),
    Point("port name: beside a selector", pods("http", app="web"), "shop/api data/web TCP/8080 allow"),
    Point("ICMP: under a denial", DENY, "shop/web data/db ICMP deny", ("kube-router",)),
    Point("ICMP: of IPv6 under a denial", DENY, "shop/web data/db ICMPV6v6 deny", ("kube-router",)),
    Point("ICMP: to an isolated pod", DENY_INGRESS, "data/db shop/web ICMP deny", ("kube-router",)),
    Point("ICMP: by a rule with ports", pods(5432, app="db"), "shop/web data/db ICMP deny", ("kube-router",)),
    Point("ICMP: by a rule without ports", pods(app="db"), "shop/web data/db ICMP allow"),
    Point(
        "labels: one that tells replicas apart",
        pods(**{"pod-template-hash": "5d8f"}),
        "shop/web data/hashed TCP/1 allow",
        ("cilium",),
        more=(HASHED,),
    ),
]
CASES = [(point, profile) for point in POINTS for profile in PROFILES.values()]


@pytest.mark.parametrize(("point", "profile"), CASES, ids=[f"{one.name} ({who.name})" for one, who in CASES])
def test_point(point: Point, profile: Profile) -> None:
    """A row of the table under one profile, by both evaluators."""
    snapshot = snapshot_of([*TOWN, *point.more, policy(f"{point.within}/p", point.spec)])
    trace = ask(snapshot, read(point.flow)[0], profile)
    assert trace.verdict.allows == point.expected(profile)
    ours = Judge(Policies(snapshot))
    # Whoever judges otherwise than we do is told apart by a reason, and nobody else is.
    assert bool(ours.why_otherwise(trace.flow, profile)) == (profile.name in point.otherwise)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_every_difference_has_a_row(profile: Profile) -> None:
    """A field that a profile sets and no row shows could be set to anything."""
    rows = [one for one in POINTS if profile.name in one.otherwise]
    reasons: set[str] = set()
    for one in rows:
        snapshot = snapshot_of([*TOWN, *one.more, policy(f"{one.within}/p", one.spec)])
        reasons.update(Judge(Policies(snapshot)).why_otherwise(ask(snapshot, read(one.flow)[0]).flow, profile))
    assert reasons == {REASONS[name] for name in OUTGATE.differing(profile)}


# ---- the document ----------------------------------------------------------------------------------------------------

# The rows of the table in docs/profiles.md, in its order.
ROWS = (
    "blocks_match_pods",
    "blocks_match_nodes",
    "before_translation",
    "own_node_exempt",
    "host_network_selected",
    "host_network_isolated",
    "hairpin_exempt",
    "hairpin_ingress_exempt",
    "names_need_selectors",
    "icmp_passes",
    "hidden_labels",
    "names_need_dns_rules",
)
# Readings that no plugin has: they are held against an answer to see if it is specified.
HYPOTHETICAL = {"blocks_see_service", "stand_ins_in_blocks", "stand_ins_out_of_blocks"}


def test_the_documented_table_is_the_profiles(repository: Path) -> None:
    """Who chooses a profile by the table must get what the table says."""
    text = (repository / "docs" / "profiles.md").read_text(encoding="utf-8")
    lines = text[text.index("| point |") :].split("\n\n", 1)[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0][1:] == list(PROFILES)
    expected = []
    for name in ROWS:
        said = ["yes" if getattr(profile, name) else "no" for profile in PROFILES.values()]
        # What differs from ours is printed bold.
        expected.append([word if word == said[0] else f"**{word}**" for word in said])
    assert [row[1:] for row in cells[2:]] == expected
    assert {*ROWS, *HYPOTHETICAL} == {*REASONS, "names_need_dns_rules"}
    assert not any(HYPOTHETICAL & set(OUTGATE.differing(one)) for one in PROFILES.values())


def test_the_documented_labels_are_the_hidden_ones(repository: Path) -> None:
    """Each pattern of the filter is named, or the reader looks for the fault elsewhere."""
    text = (repository / "docs" / "profiles.md").read_text(encoding="utf-8")
    named = [pattern.replace("\\", "").removeprefix(".*") for pattern in CILIUM_LABELS.hidden]
    assert [one for one in named if f"`{one}`" not in text] == []


# ---- the conformance cases -------------------------------------------------------------------------------------------

# What the cases say of practice is about these, and about products and modes that are no profile.
SPOKEN_OF = ("aws-vpc-cni", "calico", "cilium", "ovn-kubernetes")
# Flows that the API specifies and a plugin judges otherwise, all of them.
DEVIATIONS = {
    "cilium": {"A64 shop/web → pod:data/db TCP 5432", "A67 shop/web → node:n2 TCP 10250"},
    "aws-vpc-cni": {"A29 shop/api → pod:data/web TCP 8080"},
}


def practised() -> list[tuple[dict[str, Any], dict[str, Any], str, bool]]:
    """Every remark on a profile that says what it does: the case, the flow, the profile, and whether it allows."""
    found = []
    for case in truth()["cases"]:
        for flow in case.get("flows", ()) if case["group"] == "A" else ():
            for name, remark in flow.get("practice", {}).items():
                word = remark.split()[0]
                if name in SPOKEN_OF and word in ("allow", "deny"):
                    found.append((case, flow, name, word == "allow"))
    return found


def of_cilium() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The flows of group C that are about NetworkPolicies."""
    return [
        (case, flow)
        for case in truth()["cases"]
        if case["group"] == "C"
        and all(one["kind"] == "NetworkPolicy" for one in case.get("policies") or [{"kind": ""}])
        for flow in case.get("flows", ())
    ]


@pytest.mark.parametrize(
    ("case", "flow", "name", "allows"), practised(), ids=[f"{title(one[0], one[1])} ({one[2]})" for one in practised()]
)
def test_practice(case: dict[str, Any], flow: dict[str, Any], name: str, allows: bool) -> None:
    """What the cases tell of a plugin is what its profile says."""
    trace = ask(snapshot_for(case), asked(flow), PROFILES[name])
    assert trace.verdict.allows == allows, flow.get("why", case["title"])


@pytest.mark.parametrize(("case", "flow"), of_cilium(), ids=[title(*one) for one in of_cilium()])
def test_cilium_case(case: dict[str, Any], flow: dict[str, Any]) -> None:
    """Cases of Cilium's own reading of a NetworkPolicy."""
    trace = ask(snapshot_for(case), asked(flow), PROFILES["cilium"])
    assert trace.verdict.allows == (flow["expect"] == "allow"), flow.get("why", case["title"])


def test_the_file_has_what_is_asked_of_it(shared: Path) -> None:
    """If the file were read wrongly, the tests above would pass on nothing."""
    assert (shared / "conformance" / "truth_cases.yaml").is_file()
    assert "C16" in {case["id"] for case, _ in of_cilium()}
    assert {name for _, _, name, _ in practised()} == set(SPOKEN_OF)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_deviations_from_the_cases(profile: Profile) -> None:
    """Of all flows that NetworkPolicy specifies, a profile judges exactly those otherwise that are known for it."""
    found = set()
    for case, flow in (one for one in flows() if one[0]["group"] == "A"):
        if flow["expect"] != "unspecified" and not flow.get("reply") and not flow.get("established"):
            trace = ask(snapshot_for(case), asked(flow), profile)
            if trace.verdict.allows != (flow["expect"] == "allow"):
                found.add(title(case, flow))
    assert found == (DEVIATIONS.get(profile.name, set()) if flows() else set())
