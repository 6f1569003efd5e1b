"""Which other namespaces a workload reaches, which reach it, and by which rules."""

from __future__ import annotations

from outgate.analysis.exposure import exposure
from outgate.analysis.exposure_namespaces import Neighbours
from outgate.policy import OUTGATE, Profile
from outgate.policy.profile import KUBE_ROUTER
from outgate.testing import Manifest, namespace, pod, policy, snapshot_of
from tests.analysis.estate import allow, standing_of

TO_BLUE = {"to": [{"namespaceSelector": {"matchLabels": {"team": "blue"}}}], "ports": [{"port": 5432}]}


def test_both_ways_without_policies() -> None:
    """All that have pods, and not one's own."""
    near = standing_of(namespace("empty")).neighbours
    assert (near.others, near.reaches) == (2, ("data", "kube-system"))
    assert near.reached_from == ("data", "kube-system")
    assert (near.out_by, near.in_by) == ((), ())


def test_only_what_both_ends_allow_is_reached() -> None:
    """The egress rule opens, the ingress policy of the other closes."""
    near = standing_of(allow({"to": [{"podSelector": {}}]}, TO_BLUE)).neighbours
    assert near.reaches == ("data",)
    assert [origin.rule for origin in near.out_by] == [1]
    closed = policy("data/in", {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"ports": [{"port": 80}]}]})
    near = standing_of(allow(TO_BLUE), closed).neighbours
    assert (near.reaches, near.out_by) == ((), ())


def test_a_rule_that_nobody_there_answers_to_is_not_to_blame() -> None:
    """It names the right pods and the wrong ports."""
    other = TO_BLUE | {"ports": [{"port": 22}]}
    rule = {"ports": [{"port": 5432}]}
    closed = policy("data/in", {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [rule]})
    near = standing_of(allow(other, TO_BLUE), closed).neighbours
    assert (near.reaches, [origin.rule for origin in near.out_by]) == (("data",), [1])


def test_who_lets_others_in_is_named() -> None:
    """The rule that names pods of the namespaces that come through."""
    rules = [{"from": [{"podSelector": {}}]}, {"from": [{"namespaceSelector": {"matchLabels": {"team": "blue"}}}]}]
    ingress = policy("shop/in", {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": rules})
    near = standing_of(ingress).neighbours
    assert near.reached_from == ("data",)
    assert [(origin.direction.value, origin.rule) for origin in near.in_by] == [("Ingress", 1)]


def neighbours_of(name: str, *cluster: Manifest, profile: Profile = OUTGATE) -> Neighbours:
    """Those of a pod of the namespace here."""
    report = exposure(snapshot_of(cluster), profile)
    (found,) = (one.standing for one in report.workloads for each in one.group.pods if each.key == ("here", name))
    return found.neighbours


def test_one_of_a_namespace_is_enough() -> None:
    """Whoever else is there, before or after it, and whether or not they come through."""
    rule = {"from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "b"}}}]}
    closed = policy("here/in", {"podSelector": {"matchLabels": {"app": "x"}}, "ingress": [rule]})
    there = [pod(f"there/{name}", app=name) for name in "abc"]
    for pods in (there, there[::-1]):
        assert neighbours_of("x", pod("here/x", app="x"), *pods, closed).reached_from == ("there",)


def test_blame_is_for_each_way_by_itself() -> None:
    """A rule lets in who comes; that another namespace is reached is not its doing, and no blame."""
    closed = policy("here/in", {"podSelector": {}, "ingress": [{"from": [{"namespaceSelector": {}}]}]})
    mute = policy("there/out", {"podSelector": {}, "policyTypes": ["Egress"]})
    near = neighbours_of("x", pod("here/x"), pod("there/a"), closed, mute)
    assert (near.reaches, near.reached_from, near.in_by) == (("there",), (), ())
    deaf = policy("there/in", {"podSelector": {}})
    near = neighbours_of("x", pod("here/x"), pod("there/a"), closed, deaf)
    assert (near.reaches, near.reached_from, len(near.in_by)) == ((), ("there",), 1)


def test_a_block_of_ipv6_lets_in_too() -> None:
    """By whichever family somebody comes."""
    rule = {"from": [{"ipBlock": {"cidr": "fd00:1::/64"}}]}
    closed = policy("here/in", {"podSelector": {}, "ingress": [rule]})
    near = neighbours_of("x", pod("here/x", ["10.1.0.1", "fd00::1"]), pod("there/a", ["10.2.0.1", "fd00:1::1"]), closed)
    assert (near.reached_from, len(near.in_by)) == (("there",), 1)


def test_pings_alone_reach_no_namespace() -> None:
    """What a plugin lets pass whatever the policies say is no exposure."""
    mute = policy("here/out", {"podSelector": {}, "policyTypes": ["Egress", "Ingress"]})
    near = neighbours_of("x", pod("here/x"), pod("there/a"), mute, profile=KUBE_ROUTER)
    assert (near.reaches, near.reached_from) == ((), ())


def test_ports_that_policies_do_not_govern_make_no_connection() -> None:
    """A rule for no port of TCP, UDP or SCTP that the other has is no way there: a port name that nobody gives."""
    unnamed = {"to": [{"namespaceSelector": {}}], "ports": [{"port": "nobody"}]}
    assert standing_of(allow(unnamed)).neighbours.reaches == ()


def test_a_finished_pod_is_nobody() -> None:
    """Its namespace is reached only if somebody else is there."""
    near = standing_of(namespace("old"), pod("old/job", ["10.1.9.9"], phase="Succeeded")).neighbours
    assert "old" not in near.reaches
