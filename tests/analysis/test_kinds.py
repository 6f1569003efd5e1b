"""Kinds of ends: that those of one kind are treated alike, and which two of them are asked about."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from outgate.analysis.kinds import Kind, Kinds
from outgate.analysis.ports import pair_ports
from outgate.analysis.roll import Bits, Roll, numbers
from outgate.packets import AddressSet
from outgate.policy import Judge, Policies, unstoppable
from outgate.testing import namespace, node, pod, policy, random_cluster, snapshot_of
from tests.analysis.shop import EGRESS_TO_DB, INGRESS_OF_DB, judge_of


def every_end(roll: Roll) -> Bits:
    """Every pod by every address, and every node."""
    return roll.pods | roll.nodes


def kinds_of(kinds: Kinds) -> dict[str, Kind]:
    """The kinds of all IPv4 ends, by the name of the first of each."""
    v4 = kinds.roll.at(AddressSet.whole(4)) & every_end(kinds.roll)
    return {str(kind.first): kind for kind in kinds.of(v4)}


def names(kind: Kind) -> list[str]:
    """The ends of a kind."""
    return [str(end) for end in kind.ends]


def test_pods_that_policies_cannot_tell_apart_are_of_one_kind() -> None:
    """Two pods of one template; not one with other labels, other ports, or an address in another block."""
    found = kinds_of(Kinds(judge_of(EGRESS_TO_DB, INGRESS_OF_DB)))
    assert {name: len(names(kind)) for name, kind in found.items() if name.startswith("shop")} == {
        "shop/web-1": 2,
        "shop/planned": 1,
    }
    cut = policy("shop/cut", {"podSelector": {}, "egress": [{"to": [{"ipBlock": {"cidr": "10.1.0.11/32"}}]}]})
    assert names(kinds_of(Kinds(judge_of(cut)))["shop/web-1"]) == ["shop/web-1"]


def test_some_ends_are_divided_like_all_of_them() -> None:
    """In the order of their numbers, whether few are asked about or many; and each by itself where that is asked."""
    kinds = Kinds(judge_of(EGRESS_TO_DB, INGRESS_OF_DB))
    everybody = every_end(kinds.roll)
    for number in numbers(everybody):
        (one,) = kinds.of(1 << number)
        assert one == kinds.each(1 << number)[0]
        (whole,) = [kind for kind in kinds.of(everybody) if kind.bits >> number & 1]
        assert (whole.key, whole.bits & one.bits) == (one.key, one.bits)
    firsts = [kind.number for kind in kinds.of(everybody)]
    assert firsts == sorted(firsts)
    assert len(kinds.each(everybody)) == everybody.bit_count() > len(firsts)
    assert kinds.of(0) == []


def test_a_pod_is_not_asked_about_itself() -> None:
    """Of two pods of a kind one is asked about the other; a single one has nobody to meet."""
    judge = judge_of(EGRESS_TO_DB)
    kinds = Kinds(judge)
    found = kinds_of(kinds)
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
    kinds = Kinds(judge)
    found = kinds_of(kinds)
    met = kinds.pair(found["node node-a"], found["data/db"])
    assert met is not None
    assert (str(met[0]), met[2].allowed) == ("node node-a", pair_ports(judge, met[0], met[1]).allowed)
    one_node = [node("n", ["10.0.0.1"]), namespace("data"), pod("data/x", ["10.2.0.1"], on="n"), deny]
    judge = Judge(Policies(snapshot_of(one_node)))
    kinds = Kinds(judge)
    found = kinds_of(kinds)
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
    all_kinds = kinds.of(every_end(kinds.roll))
    for source in all_kinds:
        for destination in all_kinds:
            met = kinds.pair(source, destination)
            if met is None:
                continue
            start, end = chance.choice(tuple(source.ends)), chance.choice(tuple(destination.ends))
            same = start.address == end.address or (start.pod is not None and start.pod == end.pod)
            if not same and not unstoppable(judge.policies, start, end):
                assert pair_ports(judge, start, end).allowed == met[2].allowed, (start, end)
