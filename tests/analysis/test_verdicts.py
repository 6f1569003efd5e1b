"""Whether assertions hold, and the packet that proves that one does not; see also tests/laws/test_assertions.py."""

from __future__ import annotations

import sys

import pytest

from outgate.analysis.demands import Demands
from outgate.analysis.ends import Places
from outgate.analysis.kinds import Kinds
from outgate.analysis.lookup import Lookup
from outgate.analysis.verdicts import Failure, allowed, evaluate, witness, wrong
from outgate.errors import InvalidInput
from outgate.packets import PacketSet
from outgate.policy import Judge, Policies, Verdict
from outgate.testing import Manifest, namespace, node, pod, policy, snapshot_of
from tests.analysis.shop import EGRESS_TO_DB, INGRESS_OF_DB, deployment, judge_of
from tests.analysis.suites import assertion, outcome, outcomes, suite

JUDGE = judge_of(EGRESS_TO_DB, INGRESS_OF_DB)
DENY_IN = policy("data/deny", {"podSelector": {}, "policyTypes": ["Ingress"]})


def failure(written: str, judge: Judge = JUDGE) -> Failure:
    """Why an assertion does not hold."""
    found = outcome(judge, written).failure
    assert found is not None, written
    return found


def proof(written: str, judge: Judge = JUDGE) -> str:
    """The witness, in words."""
    flow = failure(written, judge).trace.flow
    return f"{flow.source} → {flow.destination} {flow.protocol}:{flow.coordinate}"


@pytest.mark.parametrize(
    "written",
    [
        "{from: shop/web, allow: {to: data/db, port: sql}}",
        "{from: shop/web, allow: {to: svc/data/db}}",
        "{from: shop/web, allow: {to: data/db, port: [5432, 8050-8100]}}",
        "{from: shop/web, deny: {to: data/db, port: [5433-8049, UDP, SCTP]}}",
        "{from: shop/web, deny: {to: data/lone, port: 443}}",
        "{from: shop/web, allow: {to: 203.0.113.0/25, port: 443}}",
        "{from: shop/web, deny: {to: {any: anywhere, except: [203.0.113.0/25, data/*, node/node-b]}}}",
        "{from: shop/web, port: 5432, exactly: [data/db, data/lone]}",
        "{from: shop/web, only: [data/*, 203.0.113.0/24]}",
        "{to: data/db, only: {from: shop/web}, ignore: {from: node/node-b}}",
        "{to: data/db, exactly: {from: shop/web, port: [sql, 8050-8100]}}",
        "{from: shop/planned, allow: {to: {any: anywhere, except: data/db}}}",
        "{from: every node, deny: {to: data/db}}",
    ],
)
def test_what_holds(written: str) -> None:
    """Over every pod of the workload, both families, every port of the ranges."""
    assert outcome(JUDGE, written).failure is None


@pytest.mark.parametrize(
    ("written", "packet"),
    [
        ("{from: shop/web, allow: {to: data/db, port: 5432-5433}}", "shop/web-1 → data/db 6:5433"),
        ("{from: shop/web, deny: {to: data/db}}", "shop/web-1 → data/db 6:5432"),
        ("{from: shop/web, deny: data/*}", "shop/web-1 → data/db 6:5432"),
        ("{from: shop/web, allow: {to: 203.0.113.0/24, port: 443}}", "shop/web-1 → 203.0.113.128 6:443"),
        ("{from: shop/web, deny: 203.0.113.0/24}", "shop/web-1 → 203.0.113.1 6:443"),
        ("{from: shop/web, only: [data/db]}", "shop/web-1 → data/lone 6:5432"),
        ("{from: shop/web, exactly: [data/*, 203.0.113.0/25]}", "shop/web-1 → data/agent 6:9100"),
        ("{from: shop/planned, only: [every pod, every node]}", "shop/planned → 198.51.100.10 6:443"),
        ("{to: data/lone, only: shop/planned}", "data/db → data/lone 6:443"),
        ("{from: shop/planned, only: []}", "shop/planned → data/lone 6:443"),
        ("{from: every pod, allow: {to: data/db, port: UDP}}", "data/lone → data/db 17:1"),
        ("{from: 10.0.0.0/8, allow: {to: data/db, port: 5432}}", "data/lone → data/db 6:5432"),
        (
            "{from: {cidr: 10.0.0.0/8, except: every pod}, allow: {to: data/db, port: 5432}}",
            "10.0.0.1 → data/db 6:5432",
        ),
    ],
)
def test_the_witness_of_what_does_not_hold(written: str, packet: str) -> None:
    """A packet that contradicts the assertion, on a port that means something to the reader where one does."""
    assert proof(written) == packet


def test_a_failure_says_who_decided_and_all_that_is_wrong() -> None:
    """The rule, with its line; everything that is wrong between the two ends; the other pairs of ends."""
    found = failure("{from: shop/web, deny: [data/db, data/lone, 203.0.113.0/24]}")
    assert found.wanted is Verdict.DENY
    assert found.trace.verdict is Verdict.ALLOW
    assert str(found.trace.egress.decided_by) == "shop/to-db egress[0]"
    assert str(found.trace.ingress.decided_by) == "data/db-in ingress[0]"
    ((_, transports),) = found.packets
    assert [low for low, _ in transports.tcp] == [5432, 8050]
    assert [*map(str, found.more)] == ["shop/web-1 → data/lone", "shop/web-1 → 203.0.113.1"]


def test_mistakes_of_all_files_are_said_at_once() -> None:
    """Before anything is judged: half a report is none."""
    with pytest.raises(InvalidInput) as caught:
        evaluate(JUDGE, [suite("{from: shop/wep, deny: data/db}"), suite("{from: shop/web, deny: [data/bd, node/x]}")])
    assert [one.path for one in caught.value.errors] == [
        "assertions[0].from",
        "assertions[0].deny[0]",
        "assertions[0].deny[1]",
    ]


def test_a_subject_that_is_nowhere_is_said_once() -> None:
    """Though each entry looks for it."""
    with pytest.raises(InvalidInput) as caught:
        evaluate(JUDGE, [suite("{to: shop/nobody, deny: [{from: shop/web}, {from: data/db}]}")])
    assert [one.path for one in caught.value.errors] == ["assertions[0].to"]


def test_names_are_those_of_each_file_and_the_command_line_wins() -> None:
    """One file's name for an address is no other file's; who types it means it."""
    import ipaddress

    written = "{from: shop/web, allow: {to: api.example.com, port: 443}}"
    inside, beyond = (ipaddress.ip_address(one) for one in ("203.0.113.1", "203.0.113.200"))
    head = "names: {api.example.com: 203.0.113.200}\n"
    assert not outcome(JUDGE, written, head).holds
    (found,) = evaluate(JUDGE, [suite(written, head=head)], {"api.example.com": (inside,)})
    assert found.holds
    assert evaluate(JUDGE, [suite(written, head=f"names: {{api.example.com: [{inside}, {beyond}]}}\n")])[0].failure


def test_what_no_policy_can_forbid_counts_only_where_it_is_named() -> None:
    """A node reaches its own pods whatever is written: `deny` from everywhere must be possible all the same."""
    judge = judge_of(DENY_IN)
    assert outcome(judge, "{from: anywhere, deny: data/db}").holds
    assert outcome(judge, "{from: every node, deny: data/db}").holds
    assert outcome(judge, "{from: node/node-a, deny: data/db}").holds
    assert outcome(judge, "{to: data/db, only: []}").holds
    assert proof("{from: node/node-b, deny: data/db}", judge) == "node node-b → data/db 6:5432"
    assert proof("{from: data/db, deny: data/db}", judge) == "data/db → data/db 6:5432"


def planned_cluster(*more: Manifest) -> Judge:
    """A namespace that is declared, one that is not, and a workload whose pods have no address."""
    made = [
        namespace("a", team="red"),
        pod("a/x", ["10.0.0.1"]),
        pod("b/y", ["10.0.0.2"]),
        deployment("a/later", app="l"),
    ]
    return Judge(Policies(snapshot_of([*made, *more])))


def test_a_namespace_that_is_only_mentioned_is_said() -> None:
    """Its labels are not known, so the verdict hangs on what the input does not say."""
    rule = {"to": [{"namespaceSelector": {"matchLabels": {"team": "red"}}}]}
    judge = planned_cluster(policy("a/p", {"podSelector": {}, "policyTypes": ["Egress"], "egress": [rule]}))
    assert outcome(judge, "{from: a/x, deny: b/y}").notes == (
        "namespace b is not in the input: its labels are not known",
    )
    assert outcome(judge, "{from: b/y, allow: a/x}").notes == ()


def test_what_the_api_leaves_open_is_said() -> None:
    """A pod without an address may lie in the block or not; ICMP is not spoken of; a green tick must not hide it."""
    block = {"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}
    judge = planned_cluster(policy("a/p", {"podSelector": {}, "policyTypes": ["Egress"], "egress": [block]}))
    found = outcome(judge, "{from: a/x, deny: a/later}")
    assert found.holds
    assert any("gives the pod no address" in one for one in found.open_points)
    assert outcome(judge, "{from: a/x, allow: b/y}").open_points == ()
    assert any(
        "other protocols" in one for one in outcome(judge, "{from: a/x, allow: {to: b/y, port: ICMP}}").open_points
    )
    assert any("multicast" in one for one in outcome(judge, "{from: a/x, deny: 224.0.0.1}").open_points)


def test_host_network_pods_are_an_open_point() -> None:
    """Whether a policy selects them is up to the plugin."""
    deny = policy("a/p", {"podSelector": {}, "policyTypes": ["Ingress"]})
    made = [
        namespace("a"),
        node("n", ["10.9.0.1"]),
        pod("a/h", ["10.9.0.1"], on="n", host_network=True),
        pod("a/x", ["10.0.0.1"]),
    ]
    found = outcome(Judge(Policies(snapshot_of([*made, deny]))), "{from: a/x, allow: a/h}")
    assert any("host-network" in one for one in found.open_points)


def test_loopback_never_leaves_the_pod() -> None:
    """Asked for by itself it is judged, and no policy can forbid it."""
    judge = judge_of(policy("data/deny", {"podSelector": {}, "policyTypes": ["Egress"]}))
    assert outcome(judge, "{from: data/db, allow: 127.0.0.1}").holds
    assert outcome(judge, "{from: data/db, deny: 0.0.0.0/0}").holds


def test_a_set_of_packets_is_wrong_by_what_is_wanted() -> None:
    """The three functions that everything else stands on."""
    (demand,) = Demands(JUDGE, Places(Lookup(JUDGE.policies.snapshot))).of(
        assertion("{from: shop/web-1, allow: {to: 203.0.113.0/24, port: 443}}"), []
    )
    assert allowed(JUDGE, demand).addresses().cidrs() == ("203.0.113.0/25",)
    assert wrong(JUDGE, demand) == demand.packets() - allowed(JUDGE, demand)
    assert witness(JUDGE, demand, wrong(JUDGE, demand)).verdict is Verdict.DENY
    assert wrong(JUDGE, demand) != PacketSet.none()


def test_outcomes_come_in_the_order_of_the_file() -> None:
    """Whoever reads report and file side by side must not have to search."""
    found = outcomes(JUDGE, "{from: shop/web, deny: data/db}", "{from: shop/web, allow: svc/data/db}")
    assert [(one.assertion.place.line, one.holds) for one in found] == [(4, False), (5, True)]


def calls(replicas: int) -> int:
    """How many functions are called for a second `only` where a first has been judged; a kind has so many pods."""
    pods = [pod(f"a/x-{one}", [f"10.0.{one // 250}.{one % 250 + 1}"], app="x") for one in range(replicas)]
    made = [namespace("a"), pod("a/y", ["10.9.0.1"], app="y"), *pods]
    judge = Judge(Policies(snapshot_of([*made, policy("a/p", {"podSelector": {}, "policyTypes": ["Egress"]})])))
    kinds = Kinds(judge)
    demands = Demands(judge, Places(Lookup(judge.policies.snapshot), kinds.roll), kinds)
    asked = assertion("{from: a/y, only: [{to: anywhere, port: 443}, {to: 'a/*', port: 80}], ignore: dns}")
    assert demands.of(asked, [])
    counted = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        found = demands.of(asked, [])
    finally:
        sys.setprofile(None)
    assert {str(one.destination) for one in found} >= {"a/x-0"}
    return counted


def test_what_an_assertion_costs_follows_the_kinds_of_pods_and_not_the_pods() -> None:
    """Forty times the pods, the same kinds: the same work, but for the first look at every pod."""
    assert calls(400) < 1.5 * calls(10)


HOST_PORTS = [
    node("node-a", ["192.168.50.11"]),
    pod("shop/web", ["10.1.0.1"], on="node-b", ports=[{"name": "http", "containerPort": 8080}], app="web"),
    pod("shop/idle", ["10.1.0.2"], on="node-b", app="idle"),
    pod(
        "sys/agent", ["192.168.50.11"], on="node-a", host_network=True, ports=[{"name": "http", "containerPort": 9100}]
    ),
    pod("sys/proxy", ["192.168.50.11"], on="node-a", host_network=True, ports=[{"name": "http", "containerPort": 81}]),
]


def host_ports(*open_at: int) -> Judge:
    """`shop/idle` may reach these TCP ports of the node and nothing else; `shop/web` nothing at all."""
    rule = {"to": [{"ipBlock": {"cidr": "192.168.50.11/32"}}], "ports": [{"port": one} for one in open_at]}
    closed = {"podSelector": {}, "policyTypes": ["Egress"]}
    idle = {"podSelector": {"matchLabels": {"app": "idle"}}, "policyTypes": ["Egress"], "egress": [rule]}
    policies = [policy("shop/closed", closed), *([policy("shop/idle", idle)] if open_at else [])]
    return Judge(Policies(snapshot_of([*HOST_PORTS, *policies])))


@pytest.mark.parametrize(
    "written",
    [
        "{from: shop/idle, port: http, only: []}",
        "{from: shop/*, deny: {to: anywhere, port: http}}",
        "{from: shop/idle, deny: {to: every node, port: http}}",
        "{from: shop/idle, deny: {to: node/node-a, port: http}}",
        "{from: shop/idle, deny: {to: 192.168.50.0/24, port: http}}",
        "{from: shop/idle, deny: {to: every pod, port: http}}",
        "{from: shop/idle, deny: {to: {any: anywhere, except: shop/*}, port: http}}",
        "{from: shop/idle, only: {to: sys/agent, port: http}}",
        "{to: anywhere, port: http, only: [{from: shop/web}, {from: shop/idle, port: 53/UDP}], ignore: *others}",
        "{to: every node, port: http, deny: {from: shop/idle}}",
        "{to: every node, deny: {from: shop/*, port: http}}",
        "{to: 192.168.50.11, port: http, only: {from: shop/web}, ignore: *others}",
    ],
)
def test_a_port_name_is_looked_for_at_host_network_pods(written: str) -> None:
    """Green while a packet to the port of a host-network pod passes would be green by omission, on either side."""
    # Nobody keeps nodes and addresses outside from a node, whatever the port is called.
    written = written.replace("*others", "{from: {any: anywhere, except: shop/*}}")
    shut, opened = host_ports(), host_ports(81)
    assert outcome(shut, written).holds
    flow = failure(written, opened).trace.flow
    assert (str(flow.source), str(flow.destination.address), flow.coordinate) == ("shop/idle", "192.168.50.11", 81)


def test_a_pod_that_is_named_means_its_own_port_names() -> None:
    """Another pod of its node calls another port so: that one is neither demanded with it nor listed by it."""
    assert outcome(host_ports(9100), "{from: shop/idle, exactly: {to: sys/agent, port: http}}").holds
    assert outcome(host_ports(9100, 81), "{from: shop/idle, exactly: {to: every node, port: http}}").holds
    assert outcome(host_ports(9100, 81), "{from: shop/idle, port: http, exactly: node/node-a}").holds
    assert "6:81" in proof("{from: shop/idle, only: {to: sys/agent, port: http}}", host_ports(9100, 81))
    assert "6:81" in proof("{from: shop/idle, allow: {to: every node, port: http}}", host_ports(9100))
