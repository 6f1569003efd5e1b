"""Which other namespaces a workload reaches, which reach it, and by which rules."""

from __future__ import annotations

from outgate.testing import namespace, pod, policy
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


def test_ports_that_policies_do_not_govern_make_no_connection() -> None:
    """A rule for no port of TCP, UDP or SCTP that the other has is no way there: a port name that nobody gives."""
    unnamed = {"to": [{"namespaceSelector": {}}], "ports": [{"port": "nobody"}]}
    assert standing_of(allow(unnamed)).neighbours.reaches == ()


def test_a_finished_pod_is_nobody() -> None:
    """Its namespace is reached only if somebody else is there."""
    near = standing_of(namespace("old"), pod("old/job", ["10.1.9.9"], phase="Succeeded")).neighbours
    assert "old" not in near.reaches
