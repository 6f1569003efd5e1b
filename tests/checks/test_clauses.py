"""Rules of other kinds than NetworkPolicy, as written, and what each really opens outside."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from outgate.analysis.groups import Group
from outgate.checks import Survey
from outgate.checks.clauses import allowances, clauses, opened_by, opened_outside, opened_to, way_out
from outgate.checks.written import Written, written_rules
from outgate.model import Direction, PodPeer
from outgate.packets import AddressSet, Packet, PacketSet, Protocol, TransportSet
from outgate.packets.addresses import FAMILIES
from outgate.policy import Action, Endpoint, Flow, Rule, Tier
from outgate.testing import cluster_policy, pod, random_cluster, random_cluster_policies, snapshot_of
from outgate.testing_cilium import cilium_policy, random_cilium_policies
from tests.checks.asking import block, cilium, egress, entry, to

EGRESS = Direction.EGRESS


def test_what_a_clause_says() -> None:
    """Of Cilium's and of the whole cluster's, in both directions, those of hosts left out."""
    rule = {"toEntities": ["world"]}
    made = cilium_policy("shop/p", {"endpointSelector": {}, "egress": [rule], "egressDeny": [rule]})
    hosts = cilium_policy("h", {"nodeSelector": {}, "egress": [rule]})
    tier = cluster_policy("a", ingress=[{"action": "Pass", "from": [{"namespaces": {}}]}])
    found = clauses(Survey(snapshot_of([made, hosts, tier])))
    assert [(str(one), one.action) for one in found] == [
        ("shop/p egressDeny[0]", Action.DENY),
        ("shop/p egress[0]", Action.ACCEPT),
        ("ClusterNetworkPolicy a ingress[0]", Action.PASS),
    ]
    assert [len(one.peers) for one in found] == [1, 1, 1]
    assert isinstance(found[2].peers[0], PodPeer)


def test_whom_a_policy_is_about_in_words() -> None:
    """The workloads, or the selector where there are none."""
    about = {"endpointSelector": {"matchLabels": {"app": "web"}}, "egress": [{"toEntities": ["world"]}]}
    alone = Survey(snapshot_of([cilium_policy("shop/p", about)]))
    assert alone.whom(alone.snapshot.cilium_policies[0]) == "pods app=web of shop"
    there = Survey(snapshot_of([cilium_policy("shop/p", about), pod("shop/web", ["10.0.0.1"], app="web")]))
    assert there.whom(there.snapshot.cilium_policies[0]) == "shop/web"


def says_the_judge(survey: Survey, clause: Written, rule: Rule, group: Group, packet: Packet) -> bool:
    """Whether a packet to an address outside passes, and by this rule: asked of the judge, who follows one packet."""
    source = Endpoint.of_pod(group.pods[0], packet.destination.version)
    standing = survey.grid.standing(survey.grid.keys[EGRESS][group.identity], EGRESS)
    if source is None or not any(one is rule for one in standing.every_rule()):
        return False
    there = Endpoint.at(survey.snapshot, packet.destination)
    side = survey.judge.judge(Flow(source, there, packet.protocol, packet.coordinate)).egress
    if rule.tier is Tier.NETWORK_POLICY:
        return side.verdict.allows and bool(standing.policies)
    assert side.outcome is not None
    return side.outcome.rule is rule and rule.origin == clause.origin


def cases(survey: Survey) -> Iterator[tuple[Written, Rule, Packet]]:
    """Every rule that allows, with a packet of each family that it speaks of."""
    for clause in allowances(survey):
        assert clause.action is Action.ACCEPT
        for rule in clause.made(survey):
            free = survey.grid.outside_of(rule) - survey.policies.selection.places.cluster
            for family in FAMILIES:
                meant = PacketSet.cube(free & AddressSet.whole(family), survey.grid.ports_outside(rule, 0))
                found = meant.witness()
                if found is not None:
                    yield clause, rule, Packet(found[0], *found)


@pytest.mark.parametrize("seed", range(40))
def test_what_is_opened_is_what_the_judge_lets_through(seed: int) -> None:
    """For drawn clusters under policies of all kinds: what is found passes by this rule, and else nothing does."""
    of_cilium = random_cilium_policies(seed, 4) if seed % 2 else []
    of_all_kinds = [*of_cilium, *random_cluster_policies(seed, 4 if seed % 2 else 8)]
    survey = Survey(snapshot_of([*random_cluster(seed), *of_all_kinds]))
    for clause, rule, packet in cases(survey):
        found, group = opened_outside(survey, clause, rule, AddressSet.of((packet.destination,)))
        groups = survey.selected_groups(clause.policy)
        if group is None:
            assert not groups or not found
            assert not any(says_the_judge(survey, clause, rule, one, packet) for one in groups)
            continue
        sample = found.witness()
        assert sample is not None
        assert says_the_judge(survey, clause, rule, group, Packet(sample[0], *sample))


@pytest.mark.parametrize("seed", range(40))
def test_it_is_opened_to_those_whom_the_judge_lets_through(seed: int) -> None:
    """The same of one packet and every workload, under NetworkPolicies as well: to those, and to nobody else."""
    of_all_kinds = [*random_cilium_policies(seed, seed % 4), *random_cluster_policies(seed, 5)]
    survey = Survey(snapshot_of([*random_cluster(seed), *of_all_kinds]))
    for clause, rule, packet in cases(survey):
        if packet.protocol in {Protocol.TCP, Protocol.UDP, Protocol.SCTP}:
            transports = TransportSet.ports(Protocol(packet.protocol), packet.coordinate)
            alone = PacketSet.cube(AddressSet.of((packet.destination,)), transports)
            found, mine = opened_to(survey, clause.policy, rule, alone)
            groups = survey.selected_groups(clause.policy)
            assert set(mine) == {one for one in groups if says_the_judge(survey, clause, rule, one, packet)}
            assert all(packets == alone for packets in mine.values())
            assert not groups or found == (alone if mine else PacketSet.none())


def test_a_way_out_is_shown_by_whoever_has_it() -> None:
    """For a rule of any kind; none where it leads nowhere there, selects nobody, or denies."""
    web, api = pod("shop/web", ["10.1.0.1"], app="web"), pod("shop/api", ["10.1.0.9"], app="api")
    world = {"toEntities": ["world"]}
    made = [
        egress("shop/a", {"ports": [{"port": 8443}]}, to(block("10.0.0.0/8"))),
        egress("shop/b", {}, app="x"),
        cilium("shop/p", world, denied=({"toCIDR": ["203.0.113.0/24"]},)),
        cilium("shop/q", denied=(world,), app="api"),
    ]
    survey = Survey(snapshot_of([web, api, *made]))
    found = {str(one): str(way_out(survey, one)) for one in written_rules(survey, EGRESS)}
    assert found.pop("shop/p egress[0]").startswith("shop/web -> ")
    assert set(found.values()) == {"None"}
    alone = Survey(snapshot_of([web, api, *made[:2]]))
    shown = [str(way_out(alone, one)) for one in written_rules(alone, EGRESS)]
    assert [one.endswith(":8443/TCP passes") for one in shown] == [True, False, False]


def test_what_several_entries_open_is_put_together() -> None:
    """Those whose conditions may be met; for each workload what all of them open to it."""
    web = pod("shop/web", ["10.1.0.1"], app="web")
    ports = [entry(80, rules={"http": [{"path": "/a"}]}), entry(81), entry(82, serverNames=["a.example"])]
    made = cilium("shop/p", {"toEntities": ["world"], "toPorts": [one for each in ports for one in each["toPorts"]]})
    survey = Survey(snapshot_of([web, made]))
    (written,) = allowances(survey)
    there = AddressSet.network("198.51.100.1/32")
    wanted = PacketSet.cube(there, TransportSet.any())
    for may_ask, numbers in ((lambda _: True, (80, 81, 82)), (lambda asked: asked is None, (81,))):
        packets, groups = opened_by(survey, written, wanted, may_ask)
        meant = PacketSet.union_of((there, TransportSet.ports(Protocol.TCP, number)) for number in numbers)
        assert packets == meant
        assert list(groups.values()) == [meant]
