"""Egress that the other end does not let in."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.checks import Survey, load
from outgate.policy import Endpoint, Flow
from outgate.testing import cluster_policy, pod, policy, snapshot_of
from tests.checks.asking import ask, block, cilium, egress, entry, one, pods, to, within
from tests.laws.test_cilium import drawn
from tests.laws.test_tiers import tiered

RULE = "peer-ingress-denies"
WEB, DB = pod("shop/web", ["10.1.0.1"], app="web"), pod("shop/db", ["10.1.0.2"], app="db")
OUT = egress("shop/out", to(pods(app="db"), ports=[{"port": 5432}]), app="web")


def into(*rules: dict[str, object]) -> dict[str, object]:
    """An ingress policy of the database."""
    return policy("shop/in", {"podSelector": {"matchLabels": {"app": "db"}}, "ingress": list(rules)})


def test_the_other_end_and_a_packet() -> None:
    """With the policy that does not let it in."""
    found = one(RULE, WEB, DB, OUT, into())
    assert found.message == "shop/out egress[0] lets shop/web out to shop/db, and shop/in lets none of it in"
    assert str(found.witness) == "shop/web -> shop/db:5432/TCP is dropped"
    assert found.related[0].place.path == ""


def test_another_port_is_none_of_it() -> None:
    """What is let in must be what is let out."""
    assert ask(RULE, WEB, DB, OUT, into({"ports": [{"port": 80}]}))
    assert not ask(RULE, WEB, DB, OUT, into({"ports": [{"port": 5432}]}))
    assert not ask(RULE, WEB, DB, OUT, into({"from": [pods(app="web")], "ports": [{"port": 5000, "endPort": 6000}]}))


def test_one_pair_that_passes_is_enough() -> None:
    """The rule has its use then."""
    open_one = pod("shop/db2", ["10.1.0.3"], app="db", tier="open")
    closed = policy("shop/in", {"podSelector": {"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}})
    assert ask(RULE, WEB, DB, OUT, closed)
    assert not ask(RULE, WEB, DB, open_one, OUT, closed)


def test_rules_for_nobody_in_particular() -> None:
    """Of every pod somebody is always closed."""
    for rule in (to(within("shop")), to(pods()), {}, to(pods(app="db"), block("10.0.0.0/8"))):
        assert not ask(RULE, WEB, DB, egress("shop/out", rule, app="web"), into()), rule


def test_without_either_end_there_is_no_pair() -> None:
    """And a pod alone is no pair with itself."""
    assert not ask(RULE, DB, OUT, into())
    assert not ask(RULE, WEB, OUT)
    assert not ask(RULE, DB, egress("shop/out", to(pods(app="db")), app="db"), into())


TO_DB = {"toEndpoints": [{"matchLabels": {"app": "db"}}]}


def test_policies_of_other_kinds_at_either_end() -> None:
    """A rule that denies lets nothing out, and neither does one that is denied before."""
    assert ask(RULE, WEB, DB, cilium("shop/out", TO_DB | entry(5432), app="web"), into())
    assert ask(RULE, WEB, DB, OUT, cilium("shop/in", denied=({"fromEntities": ["all"]},), side="ingress", app="db"))
    assert not ask(RULE, WEB, DB, cilium("shop/out", denied=(TO_DB,), app="web"), into())
    closed = cilium("shop/out", TO_DB | entry(5432), denied=(TO_DB,), app="web")
    assert not ask(RULE, WEB, DB, closed, into())
    chosen = {"pods": {"podSelector": {"matchLabels": {"app": "db"}}}}
    accepting = cluster_policy("p", egress=[{"action": "Accept", "to": [chosen]}])
    assert ask(RULE, WEB, DB, accepting, into())
    assert not ask(RULE, WEB, DB, cluster_policy("p", egress=[{"action": "Deny", "to": [chosen]}]), into())
    denying = cluster_policy("q", priority=1, egress=[{"action": "Deny", "to": [chosen]}])
    assert not ask(RULE, WEB, DB, accepting, denying, into())
    denied = one(RULE, WEB, DB, OUT, cluster_policy("r", ingress=[{"action": "Deny", "from": [{"namespaces": {}}]}]))
    assert denied.message.endswith("and denials there let none of it in")


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_the_packet_that_is_shown_does_not_arrive(seed: int) -> None:
    """Over random clusters of every kind: it leaves, and is not let in."""
    survey = Survey(snapshot_of(tiered(seed) if seed % 2 else drawn(seed).manifests))
    for found in load(RULE).find(survey):
        assert found.witness is not None
        packet = found.witness.packet
        here, there = (Endpoint.at(survey.snapshot, one) for one in (packet.source, packet.destination))
        leaves, arrives = survey.judge.verdicts(Flow(here, there, packet.protocol, packet.coordinate))
        assert leaves, (seed, found.message)
        assert not arrives, (seed, found.message)
