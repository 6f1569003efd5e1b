"""One flow with reasons: isolation and connections (semantics A8), special ends (A9), and what a trace tells."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.model import Direction
from outgate.policy import OUTGATE, PROFILES, Endpoint, Flow, Judge, Policies, Verdict, judge, matched, unstoppable
from outgate.policy.profile import AWS_VPC_CNI, CALICO, CILIUM, REASONS
from outgate.policy.trace import as_seen
from outgate.testing import Manifest, clusters, node, pod, points, policy, snapshot_of
from tests.policy.asking import TOWN, Asked, Row, answer, ask, names, sides

DENY_ALL: dict[str, Any] = {"policyTypes": ["Egress", "Ingress"]}
DENY_EGRESS: dict[str, Any] = {"policyTypes": ["Egress"]}
DENY_INGRESS: dict[str, Any] = {"policyTypes": ["Ingress"]}
ALLOW_ALL: dict[str, Any] = {"policyTypes": ["Egress", "Ingress"], "egress": [{}], "ingress": [{}]}
TO_PODS: dict[str, Any] = {**DENY_EGRESS, "egress": [{"to": [{"namespaceSelector": {}}]}]}


def to_block(*cidrs: str, **more: object) -> dict[str, Any]:
    """A policy of all pods with one egress rule, to these blocks."""
    return {**DENY_EGRESS, "egress": [{"to": [{"ipBlock": {"cidr": cidr}} for cidr in cidrs], **more}]}


A8 = [
    Row(
        "A8 egress and ingress are isolated separately",
        DENY_EGRESS,
        "shop/web data/db TCP/1 deny",
        "data/db shop/web TCP/1 allow",
    ),
    Row(
        "A8 not isolated is open",
        None,
        "shop/web data/db SCTP/1 allow",
        "shop/web ip:2001:db8::1 UDP/1 allow",
        "ip:203.0.113.9 shop/web TCP/1 allow",
        "shop/web data/db ICMP allow",
    ),
    Row(
        "A8 policies are a union",
        DENY_EGRESS,
        "shop/web data/db TCP/443 allow",
        "shop/web data/db TCP/80 deny",
        "shop/api data/db TCP/443 deny",
    ).also(
        "shop/q",
        {**DENY_EGRESS, "podSelector": {"matchLabels": {"app": "web"}}, "egress": [{"ports": [{"port": 443}]}]},
    ),
    Row(
        "A8 both ends must allow: the receiver denies",
        DENY_INGRESS,
        "shop/web data/db TCP/1 allow",
        "data/db shop/web TCP/1 deny",
        "shop/web shop/api TCP/1 deny",
    ),
    Row(
        "A8 both ends must allow: the sender's rule alone does not do",
        {**DENY_EGRESS, "egress": [{}]},
        "shop/web data/db TCP/1 deny",
        "shop/web ip:203.0.113.9 TCP/1 allow",
    ).also("data/q", DENY_INGRESS),
    Row(
        "A8 an external end is never isolated",
        DENY_EGRESS,
        "ip:203.0.113.9 shop/web TCP/1 allow",
        "ip:203.0.113.9 ip:198.51.100.7 TCP/1 allow",
    ),
    Row(
        "A8 a policy selects pods of its own namespace",
        DENY_ALL,
        "data/db data/web TCP/1 allow",
        "mon/agent data/db TCP/1 allow",
        "shop/web data/db TCP/1 deny",
    ),
    Row(
        "A8 a policy of one namespace does not open another's",
        DENY_EGRESS,
        "shop/web data/db TCP/1 deny",
    ).also("data/q", ALLOW_ALL),
    Row(
        "A8 every address of a pod counts",
        {**DENY_EGRESS, "egress": [{"to": [{"podSelector": {"matchLabels": {"app": "api"}}}]}]},
        "shop/web shop/api TCP/1 allow",
        "shop/web shop/api TCPv6/1 allow",
        "shop/web shop/plain TCPv6/1 deny",
    ),
]

A9 = [
    Row(
        "A9 a pod reaches itself by its own address",
        DENY_ALL,
        "shop/web shop/web TCP/8080 allow",
        "shop/web shop/web UDPv6/1 allow",
        "shop/web ip:10.1.0.10 SCTP/1 allow",
        "shop/web shop/web ICMP allow",
    ),
    Row(
        "A9 a pod reaches itself by loopback",
        DENY_ALL,
        "shop/web ip:127.0.0.1 TCP/1 allow",
        "shop/web ip:::1 TCP/1 allow",
    ),
    Row(
        "A9 hairpin through a Service under deny-all is not defined",
        DENY_ALL,
        "shop/web svc:shop/web TCP/80 unspecified",
        "shop/api svc:shop/web TCP/80 deny",
    ),
    Row(
        "A9 hairpin through a Service that rules allow is open in every reading",
        ALLOW_ALL,
        "shop/web svc:shop/web TCP/80 allow",
    ),
    Row(
        "A9 a node reaches its own pods",
        DENY_ALL,
        "node:n1 shop/web TCP/8080 allow",
        "node:n1 shop/web UDPv6/1 allow",
        "node:n1 shop/web ICMP allow",
        "ip:192.168.50.11 shop/plain TCP/1 allow",
    ),
    Row("A9 another node does not", DENY_ALL, "node:n2 shop/web TCP/8080 deny", "node:n1 shop/api TCP/1 deny"),
    Row(
        "A9 a pod to its own node under deny-all is not defined",
        DENY_EGRESS,
        "shop/web node:n1 TCP/10250 unspecified",
        "shop/web ip:192.168.50.11 TCP/1 unspecified",
        "shop/web node:n1 TCPv6/1 unspecified",
        "shop/api node:n1 TCP/10250 deny",
    ),
    Row(
        "A9 a pod to its own node by a block is open in every reading",
        to_block("192.168.50.0/24"),
        "shop/web node:n1 TCP/1 allow",
    ),
    Row(
        "A9 another node is an address like any outside",
        to_block("192.168.50.12/32"),
        "shop/web node:n2 TCP/10250 allow",
        "shop/api node:n1 TCP/1 deny",
    ),
    Row(
        "A9 a host-network pod as subject is not defined",
        DENY_EGRESS,
        "mon/host data/db TCP/1 unspecified",
        "mon/agent data/db TCP/1 deny",
        within="mon",
    ),
    Row(
        "A9 a host-network pod as subject of a policy that allows all is open in every reading",
        ALLOW_ALL,
        "mon/host data/db TCP/1 allow",
        within="mon",
    ),
    Row(
        "A9 a host-network pod as peer of a selector is not defined",
        TO_PODS,
        "shop/web mon/host TCP/1 unspecified",
        "shop/web node:n2 TCP/1 deny",
    ),
    Row("A9 a host-network pod under deny-all is denied in every reading", DENY_EGRESS, "shop/web mon/host TCP/1 deny"),
    Row(
        "A9 a host-network pod is matched by a block", to_block("192.168.50.12/32"), "shop/web mon/host TCP/9100 allow"
    ),
    Row(
        "A9 a port name of a host-network pod is not defined",
        {**DENY_EGRESS, "egress": [{"ports": [{"port": "http"}]}]},
        "shop/web mon/host TCP/9100 unspecified",
        "shop/web mon/host TCP/80 deny",
    ),
    Row(
        "A9 a host-network pod to a pod of its own node is its node or a pod: not defined",
        DENY_INGRESS,
        "mon/host shop/api TCP/1 unspecified",
        "mon/host shop/web TCP/1 deny",
        "node:n2 shop/api TCP/1 allow",
    ),
    Row(
        "A9 a Service is judged after translation",
        {**DENY_EGRESS, "egress": [{"to": [{"namespaceSelector": {}}], "ports": [{"port": 6379}]}]},
        "shop/web svc:data/cache TCP/80 allow",
        "shop/web ip:10.96.1.2 TCP/80 allow",
        "shop/web node:n1 TCP/30080 allow",
        "shop/web node:n2 TCP/30080 allow",
    ),
    Row(
        "A9 the Service's own port does not open it",
        {**DENY_EGRESS, "egress": [{"to": [{"namespaceSelector": {}}], "ports": [{"port": 80}, {"port": 30080}]}]},
        "shop/web svc:data/cache TCP/80 deny",
        "shop/web node:n2 TCP/30080 deny",
    ),
    Row(
        "A9 a named target port is the pod's",
        {**DENY_EGRESS, "egress": [{"ports": [{"port": 8080}]}]},
        "shop/api svc:shop/web TCP/80 allow",
    ),
    Row(
        "A9 a block of the ClusterIP is not defined",
        to_block("10.96.0.0/12"),
        "shop/api svc:shop/web TCP/80 unspecified",
    ),
    Row(
        "A9 a block of the node port's node is not defined",
        to_block("192.168.50.0/24"),
        "shop/web node:n2 TCP/30080 unspecified",
    ),
    Row(
        "A9 a block of the endpoint behind a Service is not defined",
        to_block("10.1.0.0/16"),
        "shop/api svc:shop/web TCP/80 unspecified",
    ),
    Row("A9 a block of both is open in every reading", to_block("10.0.0.0/8"), "shop/api svc:shop/web TCP/80 allow"),
    Row("A9 a Service under deny-all is denied in every reading", DENY_EGRESS, "shop/api svc:shop/web TCP/80 deny"),
    Row(
        "A9 a Service without selector leads to its endpoints",
        {**DENY_EGRESS, "egress": [{"ports": [{"port": 8443}]}]},
        "shop/web svc:data/ext TCP/443 allow",
    ),
    Row(
        "A9 and not to what its own port says",
        {**DENY_EGRESS, "egress": [{"ports": [{"port": 443}]}]},
        "shop/web svc:data/ext TCP/443 deny",
        "shop/web ip:203.0.113.50 TCP/443 allow",
    ),
    Row("A9 DNS has no exemption", DENY_EGRESS, "shop/web data/db UDP/53 deny", "shop/web ip:10.96.0.10 UDP/53 deny"),
    Row(
        "A9 link-local has no exemption",
        DENY_EGRESS,
        "shop/web ip:169.254.169.254 TCP/80 deny",
        "shop/web ip:169.254.20.10 UDP/53 deny",
        "shop/web ip:fe80::1 TCP/80 deny",
    ),
    Row(
        "A9 link-local is opened by a block",
        to_block("169.254.20.10/32", ports=[{"port": 53, "protocol": "UDP"}]),
        "shop/web ip:169.254.20.10 UDP/53 allow",
        "shop/web ip:169.254.20.10 TCP/53 deny",
        "shop/web ip:169.254.169.254 UDP/53 deny",
    ),
    Row(
        "A9 multicast and broadcast are not defined",
        DENY_EGRESS,
        "shop/web ip:224.0.0.251 UDP/5353 unspecified",
        "shop/web ip:ff02::fb UDP/5353 unspecified",
        "shop/web ip:255.255.255.255 UDP/67 unspecified",
        "data/db ip:224.0.0.251 UDP/5353 allow",
    ),
    Row(
        "A9 multicast inside a block is not defined either",
        to_block("0.0.0.0/0"),
        "shop/web ip:239.1.2.3 UDP/1 unspecified",
    ),
]


@pytest.mark.parametrize("row", [*A8, *A9], ids=names([*A8, *A9]))
def test_row(row: Row) -> None:
    """Each row is an end, or an open point, where a definite answer would be a guess or the opposite one is common."""
    assert row.complaints() == []


def test_a8_finished_pod_is_no_peer() -> None:
    """A8: the address of a pod that has ended may be somebody else's by now."""
    ended = [
        pod("shop/job", ["10.1.0.99"], app="web", phase="Succeeded", on="n1"),
        pod("mon/heir", ["10.1.0.99"], on="n1"),
    ]
    web = {"to": [{"podSelector": {"matchLabels": {"app": "web"}}}]}
    snapshot = snapshot_of([*TOWN, *ended, policy("shop/p", {**DENY_EGRESS, "egress": [web]})])
    assert answer(ask(snapshot, Asked("shop/plain", "mon/heir", port=80))) == "deny"
    assert answer(ask(snapshot, Asked("shop/plain", "ip:10.1.0.99", port=80))) == "deny"
    assert answer(ask(snapshot, Asked("shop/plain", "shop/web", port=80))) == "allow"


def test_sides_are_told_apart() -> None:
    """Who denies is the first thing that anybody wants to know."""
    snapshot = snapshot_of([*TOWN, policy("shop/e", DENY_EGRESS), policy("data/i", DENY_INGRESS)])
    both = ask(snapshot, Asked("shop/web", "data/db", port=1))
    assert sides(both) == {Direction.EGRESS: "deny", Direction.INGRESS: "deny"}
    one = ask(snapshot, Asked("mon/agent", "data/db", port=1))
    assert sides(one) == {Direction.EGRESS: "allow", Direction.INGRESS: "deny"}
    assert (one.egress.isolated, one.ingress.isolated) == (False, True)
    assert one.verdict is Verdict.DENY


def test_reason_names_rule_and_place() -> None:
    """Every verdict can say which line decided it: rule, file and line."""
    spec = {**DENY_EGRESS, "egress": [{"ports": [{"port": 53}]}, {"ports": [{"port": 443}]}]}
    snapshot = snapshot_of([*TOWN, policy("shop/p", spec)], file="town.yaml")
    side = ask(snapshot, Asked("shop/web", "data/db", port=443)).egress
    assert str(side.decided_by) == "shop/p egress[1]"
    assert side.reason == "allowed by shop/p egress[1] (town.yaml)"
    assert [str(one) for one in side.isolated_by] == ["shop/p"]


def test_refusal_names_every_isolating_policy() -> None:
    """Whoever reads a denial must know all the policies that could have allowed it."""
    manifests = [policy(f"shop/{name}", DENY_EGRESS) for name in ("b", "a")]
    side = ask(snapshot_of([*TOWN, *manifests]), Asked("shop/web", "data/db", port=1)).egress
    assert side.reason == "shop/web is isolated for egress by a, b, and no rule there allows it"
    assert str(side.decided_by) == "shop/a"
    assert [str(one) for one in side.isolated_by] == ["shop/a", "shop/b"]


@pytest.mark.parametrize(
    ("asked", "direction", "words"),
    [
        (Asked("data/db", "data/web", port=1), Direction.EGRESS, "no policy selects data/db for egress"),
        (Asked("data/db", "ip:203.0.113.9", port=1), Direction.INGRESS, "203.0.113.9 is not a pod"),
        (Asked("data/db", "node:n2", port=1), Direction.INGRESS, "node n2 is not a pod"),
        (Asked("shop/web", "shop/web", port=1), Direction.EGRESS, "a pod always reaches itself"),
        (Asked("shop/web", "ip:127.0.0.1", port=1), Direction.EGRESS, "loopback never leaves the pod"),
        (Asked("node:n1", "shop/web", port=1), Direction.INGRESS, "node n1 is the node of shop/web"),
        (Asked("mon/host", "data/db", port=1), Direction.EGRESS, "mon/host is on the host network"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_reason_where_no_policy_decides(asked: Asked, direction: Direction, words: str) -> None:
    """An allowance that no rule gives needs its reason all the more, and names nobody."""
    trace = ask(snapshot_of([*TOWN, policy("shop/p", DENY_ALL)]), asked)
    side = trace.egress if direction is Direction.EGRESS else trace.ingress
    assert words in side.reason
    assert side.decided_by is None
    assert side.verdict is Verdict.ALLOW


@pytest.mark.parametrize(
    ("spec", "asked", "words"),
    [
        (DENY_ALL, Asked("shop/web", "data/db", "ICMP"), "TCP, UDP and SCTP alone"),
        (DENY_ALL, Asked("shop/web", "node:n1", port=1), "its own node"),
        (DENY_ALL, Asked("shop/web", "svc:shop/web", port=80), "through a Service"),
        (TO_PODS, Asked("shop/web", "mon/host", port=1), "host-network pods"),
        (to_block("10.96.0.0/12"), Asked("shop/api", "svc:shop/web", port=80), "service address"),
        (DENY_ALL, Asked("shop/web", "ip:224.0.0.251", "UDP", 5353), "multicast"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_open_point_is_said_in_words(spec: dict[str, Any], asked: Asked, words: str) -> None:
    """`unspecified` without the reason is no answer: the reader must learn what it depends on."""
    trace = ask(snapshot_of([*TOWN, policy("shop/p", spec)]), asked)
    assert not trace.specified
    assert any(words in point for point in trace.open_points)


def test_pod_without_an_address_is_in_no_known_block() -> None:
    """A manifest has no address yet: whether a block will cover the pod is not known, and it is said."""
    manifests = [pod("data/new", on="n1"), policy("shop/p", to_block("10.0.0.0/8")), policy("mon/p", TO_PODS)]
    snapshot = snapshot_of([*TOWN, *manifests])
    unknown = ask(snapshot, Asked("shop/web", "data/new", port=1))
    assert answer(unknown) == "unspecified"
    assert any("gives the pod no address" in point for point in unknown.open_points)
    assert answer(ask(snapshot, Asked("mon/agent", "data/new", port=1))) == "allow"


def test_pod_without_an_address_may_be_in_an_exception() -> None:
    """`0.0.0.0/0` covers it wherever it will be; with an exception nobody knows."""
    for excepts, expected in (([], "allow"), (["10.0.0.0/8"], "unspecified")):
        spec = {"policyTypes": ["Egress"], "egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": excepts}}]}]}
        trace = ask(
            snapshot_of([*TOWN, pod("data/new"), policy("shop/p", spec)]), Asked("shop/web", "data/new", port=1)
        )
        assert (answer(trace), len(trace.open_points)) == (expected, len(excepts))


def test_one_question_needs_no_judge() -> None:
    """`judge` for one flow and a kept `Judge` for many give the same trace."""
    snapshot = snapshot_of([*TOWN, policy("shop/p", DENY_EGRESS)])
    trace = ask(snapshot, Asked("shop/web", "data/db", port=1))
    assert judge(Policies(snapshot), trace.flow) == trace


# ---- under other profiles --------------------------------------------------------------------------------------------


def test_egress_is_seen_as_dialled_before_translation() -> None:
    """Only on the way out, only where something was translated, and only where the profile says so."""
    snapshot = snapshot_of([*TOWN, policy("shop/p", DENY_ALL)])
    through = ask(snapshot, Asked("shop/api", "svc:shop/web", port=80)).flow
    plain = ask(snapshot, Asked("shop/api", "shop/web", port=8080)).flow
    aws, ours = Policies(snapshot, AWS_VPC_CNI), Policies(snapshot)
    seen = as_seen(aws, through, Direction.EGRESS)
    assert (str(seen.destination), seen.coordinate, seen.dialled) == ("10.96.1.1", 80, None)
    assert as_seen(aws, through, Direction.INGRESS) is through
    assert as_seen(ours, through, Direction.EGRESS) is through
    assert as_seen(aws, plain, Direction.EGRESS) is plain


def test_service_without_an_address_is_covered_by_its_name() -> None:
    """Manifests seldom have a clusterIP: the flow then says which Service was dialled."""
    spec = {**DENY_EGRESS, "egress": [{"to": [{"podSelector": {"matchLabels": {"app": "web"}}}]}]}
    bare = {**TOWN_SERVICE, "spec": {key: value for key, value in TOWN_SERVICE["spec"].items() if key != "clusterIP"}}
    snapshot = snapshot_of([*[one for one in TOWN if one is not TOWN_SERVICE], bare, policy("shop/p", spec)])
    source, web, found = snapshot.pod("shop", "api"), snapshot.pod("shop", "web"), snapshot.service("shop", "web")
    assert source is not None
    assert web is not None
    stand_in = ipaddress.ip_address("240.0.0.0")
    ends = Endpoint(source.addresses[0], source), Endpoint(web.addresses[0], web)
    flow = Flow(*ends, 6, 8080, (stand_in, 80), found)
    judge_of_aws = Judge(Policies(snapshot, AWS_VPC_CNI))
    assert judge_of_aws.judge(flow).egress.verdict.allows
    assert not judge_of_aws.judge(Flow(*ends, 6, 8080, (stand_in, 80))).egress.verdict.allows


def test_external_address_of_a_covered_service_is_not_covered() -> None:
    """The controller adds cluster addresses and no others."""
    spec = {**DENY_EGRESS, "egress": [{"to": [{"podSelector": {"matchLabels": {"app": "web"}}}]}]}
    outside = {**TOWN_SERVICE, "spec": {**TOWN_SERVICE["spec"], "externalIPs": ["198.51.100.80"]}}
    snapshot = snapshot_of([*[one for one in TOWN if one is not TOWN_SERVICE], outside, policy("shop/p", spec)])
    flow = ask(snapshot, Asked("shop/api", "ip:198.51.100.80", port=80)).flow
    assert flow.dialled == (ipaddress.ip_address("198.51.100.80"), 80)
    assert not Judge(Policies(snapshot, AWS_VPC_CNI)).judge(flow).egress.verdict.allows
    inside = ask(snapshot, Asked("shop/api", "svc:shop/web", port=80)).flow
    assert Judge(Policies(snapshot, AWS_VPC_CNI)).judge(inside).egress.verdict.allows


TOWN_SERVICE = next(one for one in TOWN if one["kind"] == "Service" and one["metadata"]["name"] == "web")


def test_profile_is_held_against_the_other_readings_too() -> None:
    """As AWS does it the flow is allowed; that another plugin would deny it stays true."""
    snapshot = snapshot_of([*TOWN, policy("shop/p", to_block("10.96.0.0/12"))])
    trace = ask(snapshot, Asked("shop/api", "svc:shop/web", port=80), AWS_VPC_CNI)
    assert (trace.verdict, trace.specified) == (Verdict.ALLOW, False)
    assert trace.open_points == (REASONS["before_translation"],)


def test_reasons_for_another_verdict() -> None:
    """The points that turn it by themselves; all that differ where it takes several; none where nothing turns."""
    snapshot = snapshot_of([*TOWN, policy("shop/p", to_block("10.1.0.0/16"))])
    pods_flow = ask(snapshot, Asked("shop/web", "data/db", port=1)).flow
    ours = Judge(Policies(snapshot, OUTGATE))
    assert ours.why_otherwise(pods_flow, CILIUM) == (REASONS["blocks_match_pods"],)
    assert ours.why_otherwise(pods_flow, CALICO) == ()
    assert ours.why_otherwise(pods_flow, OUTGATE) == ()
    assert Judge(Policies(snapshot, CILIUM)).why_otherwise(pods_flow, OUTGATE) == (REASONS["blocks_match_pods"],)
    # Out and in are both let through by Cilium alone, and OVN-Kubernetes's half of it would not do.
    itself = ask(snapshot_of([*TOWN, policy("shop/p", DENY_ALL)]), Asked("shop/web", "svc:shop/web", port=80)).flow
    assert Judge(Policies(snapshot_of([*TOWN, policy("shop/p", DENY_ALL)]))).why_otherwise(itself, CILIUM) == (
        REASONS["hairpin_exempt"],
    )


@given(clusters(), st.sampled_from(Direction), st.data())
def test_a_rule_matches_a_set_of_ports_exactly_as_it_matches_each(
    manifests: list[Manifest], direction: Direction, data: st.DataObject
) -> None:
    """The set is what whole questions are answered from; a single packet is what the kernel decides."""
    profile = PROFILES[data.draw(st.sampled_from(sorted(PROFILES)))]
    policies = Policies(snapshot_of(manifests), profile)
    pods = [Endpoint(one, each) for each in policies.snapshot.endpoints for one in each.addresses]
    if not pods:
        return
    subject, peer = data.draw(st.sampled_from(pods)), data.draw(st.sampled_from(pods))
    assert subject.pod is not None
    if subject.pod.host_network or subject.pod == peer.pod:
        return
    source, destination = (subject, peer)[:: 1 if direction is Direction.EGRESS else -1]
    rules = policies.isolation(subject.pod, direction).rules
    if not rules:
        return
    sets = [matched(policies, rule, peer, destination) for rule in rules]
    for _ in range(8):
        protocol, coordinate = data.draw(points())
        trace = judge(policies, Flow(source, destination, protocol, coordinate))
        side = trace.egress if direction is Direction.EGRESS else trace.ingress
        if side.verdict is Verdict.ALLOW and side.decided_by is None:
            return
        first = next((rule for rule, one in zip(rules, sets, strict=True) if one.contains(protocol, coordinate)), None)
        assert side.verdict.allows is (first is not None)
        assert first is None or side.decided_by == first.origin


def test_what_no_policy_can_come_between() -> None:
    """Whatever is written: a pod and itself, its node towards it, and loopback; not the pod towards its node."""
    made = [
        node("n", ["10.9.0.1"]),
        pod("a/x", ["10.0.0.1"], on="n"),
        pod("a/h", ["10.9.0.1"], on="n", host_network=True),
    ]
    snapshot = snapshot_of(made)
    policies = Policies(snapshot)
    x, host = (Endpoint(one.addresses[0], one) for one in (snapshot.pods[1], snapshot.pods[0]))
    there = Endpoint.at(snapshot, host.address)
    assert there.node is not None
    assert "reaches itself" in unstoppable(policies, x, x)
    assert "is the node of a/x" in unstoppable(policies, there, x)
    assert "is the node of a/x" in unstoppable(policies, host, x)
    assert "loopback" in unstoppable(policies, x, Endpoint(ipaddress.ip_address("127.0.0.1")))
    assert unstoppable(policies, x, there) == ""
    assert unstoppable(policies, Endpoint(ipaddress.ip_address("10.9.0.2")), x) == ""
    assert unstoppable(policies, there, there) == ""
