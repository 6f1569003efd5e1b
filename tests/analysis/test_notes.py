"""Hints and notes: what helps, and what the input does not say."""

from __future__ import annotations

from outgate.analysis.spelling import spell_transports
from outgate.model import Direction
from outgate.policy import PROFILES, Judge, Policies
from outgate.testing import pod, policy, service
from tests.analysis.shop import EGRESS_TO_DB, INGRESS_OF_DB, ask, judge_of


def test_a_denial_names_the_rule_that_allows_other_ports() -> None:
    """The usual mistake is the port: the rule that is meant should be in sight."""
    answer = ask(judge_of(EGRESS_TO_DB, INGRESS_OF_DB), "shop/web-1", "data/db:80")
    assert [(one.direction, str(one.origin), spell_transports(one.transports)) for one in answer.hints] == [
        (Direction.EGRESS, "shop/to-db egress[0]", "TCP 5432, TCP 8000-8100"),
        (Direction.INGRESS, "data/db-in ingress[0]", "TCP 5432, TCP 8050-9000"),
    ]


def test_no_hint_where_nothing_is_near_or_nothing_is_denied() -> None:
    """A hint about another destination would be noise."""
    judge = judge_of(EGRESS_TO_DB)
    assert ask(judge, "shop/web-1", "198.51.100.7:443").hints == ()
    assert ask(judge, "shop/web-1", "data/db:5432").hints == ()


def test_an_end_that_allows_gets_no_hint() -> None:
    """Where ingress alone denies, egress rules are not the place to look."""
    answer = ask(judge_of(EGRESS_TO_DB, INGRESS_OF_DB), "shop/web-1", "data/db:8000")
    assert [one.direction for one in answer.hints] == [Direction.INGRESS]


def test_unknown_labels_of_a_namespace_are_said() -> None:
    """A Namespace that is not in the input has labels in the cluster that the selector would see."""
    ghost = pod("ghost/x", ["10.1.2.1"])
    answer = ask(judge_of(EGRESS_TO_DB, ghost), "shop/web-1", "ghost/x:5432")
    assert answer.notes == ("namespace ghost is not in the input: its labels are not known",)


def test_a_selector_on_the_name_label_needs_no_note() -> None:
    """The server itself sets that label, so nothing is unknown."""
    by_name = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ghost"}}}
    rules = policy("shop/p", {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": [by_name]}]})
    assert ask(judge_of(rules, pod("ghost/x", ["10.1.2.1"])), "shop/web-1", "ghost/x:1").notes == ()
    assert ask(judge_of(EGRESS_TO_DB), "shop/web-1", "data/db:1").notes == ()


def test_a_family_that_the_source_lacks_is_said() -> None:
    """A verdict about IPv6 from a pod without IPv6 is about its policies only."""
    (note,) = ask(judge_of(), "data/lone", "[2001:db8::1]:443").notes
    assert note == "data/lone has no IPv6 address in the input: this is what its policies say"


def test_before_translation_a_hint_is_about_what_was_dialled() -> None:
    """What rules allow at the pod behind a Service does not help where policy sees the Service."""
    judge = judge_of(EGRESS_TO_DB, service("data/other", "10.96.0.3", [{"port": 81, "targetPort": 80}], app="db"))
    aws = Judge(Policies(judge.policies.snapshot, PROFILES["aws-vpc-cni"]))
    assert [spell_transports(hint.transports) for hint in ask(judge, "shop/web-1", "svc/data/other:81").hints] == [
        "TCP 5432, TCP 8000-8100"
    ]
    assert ask(aws, "shop/web-1", "svc/data/other:81").hints == ()
