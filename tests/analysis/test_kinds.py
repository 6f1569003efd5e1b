"""Kinds of ends: that those of one kind are treated alike, and which two of them are asked about."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from outgate.analysis.kinds import Kind, Kinds
from outgate.analysis.ports import pair_ports
from outgate.policy import Endpoint, Judge, Policies, unstoppable
from outgate.testing import namespace, node, pod, policy, random_cluster, snapshot_of
from tests.analysis.shop import EGRESS_TO_DB, INGRESS_OF_DB, judge_of


def every_end(judge: Judge) -> list[Endpoint]:
    """Every pod by every address, and every node."""
    snapshot = judge.policies.snapshot
    pods = [Endpoint(one, each) for each in snapshot.endpoints for one in each.addresses]
    return pods + [Endpoint(one, None, each) for each in snapshot.nodes.values() for one in each.addresses]


def kinds_of(judge: Judge) -> dict[str, Kind]:
    """The kinds of all IPv4 ends, by the name of the first of each."""
    ends = [one for one in every_end(judge) if one.address.version == 4]
    return {str(kind.first): kind for kind, _ in Kinds(judge).of((one, None) for one in ends)}


def test_pods_that_policies_cannot_tell_apart_are_of_one_kind() -> None:
    """Two pods of one template; not one with other labels, other ports, or an address in another block."""
    found = kinds_of(judge_of(EGRESS_TO_DB, INGRESS_OF_DB))
    assert {name: len(kind.ends) for name, kind in found.items() if name.startswith("shop")} == {
        "shop/web-1": 2,
        "shop/planned": 1,
    }
    cut = policy("shop/cut", {"podSelector": {}, "egress": [{"to": [{"ipBlock": {"cidr": "10.1.0.11/32"}}]}]})
    assert len(kinds_of(judge_of(cut))["shop/web-1"].ends) == 1


def test_what_is_given_beside_an_end_divides_and_comes_back() -> None:
    """Ends that are asked about other ports are asked about apart."""
    judge = judge_of()
    ends = [one for one in every_end(judge) if one.pod is not None and one.pod.name.startswith("web-")]
    found = Kinds(judge).of((one, one.pod.name if one.pod else "") for one in ends)
    assert sorted(str(beside) for _, beside in found) == ["web-1", "web-1", "web-2", "web-2"]


def test_a_pod_is_not_asked_about_itself() -> None:
    """Of two pods of a kind one is asked about the other; a single one has nobody to meet."""
    judge = judge_of(EGRESS_TO_DB)
    found, kinds = kinds_of(judge), Kinds(judge)
    met = kinds.pair(found["shop/web-1"], found["shop/web-1"])
    assert met is not None
    assert [str(one) for one in met[:2]] == ["shop/web-1", "shop/web-2"]
    assert kinds.pair(found["data/db"], found["data/db"]) is None
    alone = kinds.named(found["data/db"], found["data/db"])
    assert alone is not None
    assert alone[2].allowed


def test_the_node_that_is_asked_about_is_another_where_there_is_one() -> None:
    """What comes from a pod's own node no policy can forbid: it stands for no other node."""
    deny = policy("data/deny", {"podSelector": {}, "policyTypes": ["Ingress"]})
    judge = judge_of(deny)
    found, kinds = kinds_of(judge), Kinds(judge)
    met = kinds.pair(found["node node-a"], found["data/db"])
    assert met is not None
    assert (str(met[0]), met[2].allowed) == ("node node-a", pair_ports(judge, met[0], met[1]).allowed)
    one_node = [node("n", ["10.0.0.1"]), namespace("data"), pod("data/x", ["10.2.0.1"], on="n"), deny]
    judge = Judge(Policies(snapshot_of(one_node)))
    found, kinds = kinds_of(judge), Kinds(judge)
    assert kinds.pair(found["node n"], found["data/x"]) is None
    named = kinds.named(found["node n"], found["data/x"])
    assert named is not None
    assert named[2].allowed


@given(st.integers(0, 2**32 - 1))
def test_ends_of_one_kind_are_treated_alike(seed: int) -> None:
    """If two ends of a kind were treated differently, asking about one would be a guess about the other."""
    judge = Judge(Policies(snapshot_of(random_cluster(seed))))
    chance = random.Random(seed)
    kinds = Kinds(judge)
    all_kinds = [kind for kind, _ in kinds.of((one, None) for one in every_end(judge))]
    for source in all_kinds:
        for destination in all_kinds:
            met = kinds.pair(source, destination)
            if met is None:
                continue
            start, end = chance.choice(source.ends), chance.choice(destination.ends)
            same = start.address == end.address or (start.pod is not None and start.pod == end.pod)
            if not same and not unstoppable(judge.policies, start, end):
                assert pair_ports(judge, start, end).allowed == met[2].allowed, (start, end)
