"""What is said of audited policies: of those that an answer rests on, and of no other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.analysis.audited import audited, audited_words, ends_of
from outgate.analysis.lookup import Lookup
from outgate.analysis.reach import reach
from outgate.analysis.reachability import Question
from outgate.analysis.targets import TransportAsked, parse
from outgate.model import Direction, Snapshot
from outgate.policy import Judge, Policies
from outgate.testing import Manifest, namespace, pod, policy, snapshot_of

MODES = (None, "audit", "enforce", "Audit", "")


def annotated(manifest: Manifest, mode: str | None) -> Manifest:
    """The object with the annotation, or without one."""
    if mode is not None:
        manifest["metadata"]["annotations"] = {"outgate.dev/enforcement": mode}
    return manifest


def cluster(policy_mode: str | None, namespace_mode: str | None = None, *, app: str = "web") -> Snapshot:
    """Two pods, and a policy that isolates one of them in what it sends."""
    deny = policy("shop/deny", {"podSelector": {"matchLabels": {"app": app}}, "policyTypes": ["Egress"]})
    pods = [pod("shop/web", ["10.0.0.1"], app="web"), pod("shop/db", ["10.0.0.2"], app="db")]
    return snapshot_of([annotated(namespace("shop"), namespace_mode), *pods, annotated(deny, policy_mode)])


def said(snapshot: Snapshot, source: str, destination: str, port: str | None = "80") -> tuple[str, ...]:
    """What is said beside one answer."""
    policies, lookup = Policies(snapshot), Lookup(snapshot)
    start, end = lookup.find(parse(source)), lookup.find(parse(destination))
    answer = reach(Judge(policies), Question(start, end, TransportAsked.read(port, None)))
    return audited(policies, ends_of(answer))


@given(st.sampled_from(MODES), st.sampled_from(MODES))
def test_the_policy_says_it_or_its_namespace(of_policy: str | None, of_namespace: str | None) -> None:
    """The nearest word counts, and a word that is none closes."""
    wanted = of_policy == "audit" if of_policy is not None else of_namespace == "audit"
    assert audited(Policies(cluster(of_policy, of_namespace))) == (("shop/deny",) if wanted else ())


def test_a_policy_that_selects_nobody_decides_nothing() -> None:
    """Nor does one that is about the other direction of the pods that are asked for."""
    assert audited(Policies(cluster("audit", app="nobody"))) == ()
    policies = Policies(cluster("audit"))
    pods = {one.name: one for one in policies.snapshot.pods}
    web, db = pods["web"], pods["db"]
    assert audited(policies, [(web, Direction.INGRESS), (db, Direction.EGRESS)]) == ()
    assert audited(policies, [(web, Direction.EGRESS)]) == ("shop/deny",)


@pytest.mark.parametrize("port", ["80", None])
def test_an_answer_rests_on_what_isolates_its_ends(port: str | None) -> None:
    """With a port and without; to a pod, an address and a block."""
    snapshot = cluster("audit")
    for target in ("shop/db", "1.1.1.1", "1.0.0.0/8"):
        assert said(snapshot, "shop/web", target, port) == ("shop/deny",), target
    assert said(snapshot, "shop/db", "shop/web", port) == ()


def test_many_are_not_all_named() -> None:
    """A note is one line."""
    words = audited_words(tuple(f"a/p{number}" for number in range(5)))
    assert "policies a/p0, a/p1, a/p2 and 2 more (outgate.dev/enforcement: audit)" in words
    assert "policy a/p0 (" in audited_words(("a/p0",))
