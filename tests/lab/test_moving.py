"""Which names are asked for and moved, what should come of it, and what is not tried."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable
from typing import Any

import pytest

from outgate.analysis.names import having_asked_for
from outgate.lab.moving import MOST_NAMES, Expected, Moment, NamePlan, NameWishes, plan_names
from outgate.lab.run import Wishes
from outgate.model import Snapshot
from outgate.packets import Address, Protocol
from outgate.policy import Flow, Judge, Policies, Verdict
from outgate.policy.meeting import UNSEEN
from outgate.testing import cluster_policy
from tests.lab.clusters import DNS, planned
from tests.lab.named import ASKING, HEADLESS, NAME, asking, names, pods, rules

FIRST, THERE = ipaddress.ip_address("203.0.113.10"), ipaddress.ip_address("198.51.100.7")
ALLOW, DENY = Verdict.ALLOW, Verdict.DENY
WEB = DNS + pods("web", "web-1", "web-2") + pods("web", "web-3", node="n2") + rules("web", ASKING, names(NAME))


def plan_of(text: str, wishes: NameWishes | None = None) -> NamePlan:
    """The plan for a cluster."""
    wishes = wishes or NameWishes(families=(4,))
    made = planned(text, Wishes(names=wishes.names))
    return plan_names(made.snapshot, made.topology, made.zone, wishes)


def moments(plan: NamePlan, pod: str) -> list[tuple[Moment, str, Verdict]]:
    """What is tried from a pod, in its order."""
    return [
        (one.moment, str(one.probe.address), one.probe.verdict)
        for each in plan.rounds
        for one in each.probes
        if str(one.probe.source) == f"shop/{pod}"
    ]


def test_a_name_from_its_first_address_to_its_last() -> None:
    """Closed, open for who has asked, elsewhere, and closed again behind it."""
    plan = plan_of(WEB, NameWishes({NAME: (FIRST,)}, {NAME: (THERE,)}, families=(4, 6)))
    (stations,) = plan.stations.values()
    assert stations[:2] == ((FIRST,), (THERE,))
    ((last,),) = stations[2:]
    assert len({FIRST, THERE, last}) == 3
    after = [
        (Moment.MOVED, str(THERE), ALLOW),
        (Moment.ALIASED, str(last), ALLOW),
        *((Moment.OLD, str(one), DENY) for one in (FIRST, THERE)),
        (Moment.AGAIN, str(last), ALLOW),
    ]
    begin, asked = (Moment.UNASKED, str(FIRST), DENY), (Moment.ASKED, str(FIRST), ALLOW)
    assert moments(plan, "web-1") == moments(plan, "web-3") == [begin, asked, *after]
    assert moments(plan, "web-2") == [begin, (Moment.OTHER, str(FIRST), DENY), asked, *after]
    assert plan.old == {FIRST, THERE}
    assert [one.late for one in plan.rounds].index(True) == len(plan.rounds) - 1


def test_what_the_servers_say_round_by_round() -> None:
    """Each round has the zone in which its names lead to what is dialled; at last over two aliases, for a second."""
    plan = plan_of(WEB)
    for each in plan.rounds:
        for one in each.probes:
            lookup = one.probe.lookup
            assert lookup is None or (one.probe.address,) == lookup.expected == each.zone.resolve(NAME)
    first, last = plan.rounds[0].zone, plan.rounds[-1].zone
    assert (first.aliases, first.ttl) == ({}, 1)
    alias = last.aliases[NAME]
    assert last.addresses[last.aliases[alias]] == plan.stations[NAME][2]
    assert not {NAME, alias} & last.addresses.keys()


def test_the_first_packet_counts_where_it_can_be_seen() -> None:
    """Datagrams are repeated, so there it cannot."""
    for protocol, prompt in (("TCP", True), ("UDP", False)):
        plan = plan_of(DNS + pods("web") + rules("web", ASKING, names(NAME, port=5000, protocol=protocol)))
        found = {(one.protocol.name, one.port, one.prompt) for one in plan.probes}
        assert found == {(protocol, 5000, prompt)}


def test_names_that_a_pattern_means() -> None:
    """What was given, as far as a rule means it; else one that is made of the pattern."""
    text = DNS + pods("web") + rules("web", ASKING, names("*.example.com", "**.sub.example.net", "*", "x.example.org"))
    given = {"a.b.example.com": (FIRST,), NAME: (FIRST,)}
    assert set(plan_of(text, NameWishes(given, families=(4,))).stations) == {
        *(NAME, "a.b.example.com", "a.sub.example.net", "x.example.org")
    }
    text = DNS + pods("web") + rules("web", ASKING, names("api*.example.com", "*"))
    assert set(plan_of(text).stations) == {"apia.example.com", "any.outgate.invalid"}


@pytest.mark.parametrize("count", [MOST_NAMES, MOST_NAMES + 1])
def test_names_beyond_the_first_are_not_left_out_in_silence(count: int) -> None:
    """Who gives many names must not take those that were not tried for tried."""
    text = DNS + pods("web") + rules("web", ASKING, names("*.example.com"))
    given = {f"n{number}.example.com": (FIRST,) for number in range(count)}
    plan = plan_of(text, NameWishes(given, families=(4,)))
    assert set(plan.stations) == set(list(given)[:MOST_NAMES])
    said = f"names: shop/web egress[1]: it means {count} names, and the first {MOST_NAMES} are tried"
    assert plan.notes == ((said,) if count > MOST_NAMES else ())


def test_fresh_addresses_are_nobodys() -> None:
    """No policy mentions them, nobody has them, and no two names share one."""
    blocks = rules("other", {"toCIDR": ["203.0.113.0/24", "192.0.2.0/24"]})
    many = (f"n{number}.example.com" for number in range(10))
    plan = plan_of(DNS + blocks + pods("web") + rules("web", ASKING, names(*many)), NameWishes({NAME: (THERE,)}))
    fresh = [one for stations in plan.stations.values() for each in stations for one in each]
    assert len(fresh) == len(set(fresh)) == 10 * 3 * 2
    assert THERE not in fresh
    assert all(str(one).startswith(("198.51.100.", "2001:db8:")) for one in fresh)


def verdicts(plan: NamePlan, snapshot: Snapshot, told: dict[str, Iterable[Address]]) -> dict[Address, Verdict]:
    """What the model says of the connections of a plan in a cluster whose pods were told this and nothing else."""
    known = having_asked_for(snapshot, {name: tuple(many) for name, many in told.items()})
    judge = Judge(Policies(known))
    found = {}
    for one in plan.probes:
        flow = one.parties[0].trace.flow
        whole = Flow(flow.source, flow.destination, flow.protocol, flow.coordinate, about=UNSEEN)
        found[one.address] = judge.judge(whole).verdict
    return found


@pytest.mark.parametrize(
    "egress",
    [
        (ASKING, names(NAME)),
        (ASKING, names(NAME), {"toCIDR": ["198.51.100.0/24"]}),
        (ASKING, names("*.example.com")),
        (asking("*.example.com"), names(NAME)),
        (ASKING,),
    ],
)
def test_each_round_is_what_can_reach_says(egress: tuple[dict[str, object], ...]) -> None:
    """Judged anew, of a cluster whose pod has been told what it has asked for so far."""
    text = DNS + pods("web") + rules("web", *egress) + rules("any", names(NAME)) + pods("any")
    wishes = NameWishes({NAME: (FIRST,)}, {NAME: (THERE,)}, families=(4,))
    plan = plan_of(text, wishes)
    snapshot = planned(text).snapshot
    (stations,) = plan.stations.values()
    known: dict[Moment, list[Address]] = {
        Moment.UNASKED: [],
        Moment.OTHER: [],
        Moment.ASKED: [*stations[0]],
        Moment.MOVED: [*stations[0], *stations[1]],
        Moment.ALIASED: [one for each in stations for one in each],
        Moment.OLD: [*stations[2]],
        Moment.AGAIN: [*stations[2]],
    }
    seen = set()
    for each in plan.rounds:
        for one in each.probes:
            if str(one.probe.source) == "shop/web":
                seen.add(one.moment)
                expected = verdicts(plan, snapshot, {NAME: known[one.moment]})[one.probe.address]
                assert one.probe.verdict is expected, one.moment
    assert seen in (set(), set(known) - {Moment.OTHER}, set(known))


def test_what_may_be_asked_for() -> None:
    """One name of the lists and one of none, over both transports."""
    text = DNS + pods("web") + rules("web", asking("*.example.com")) + pods("free") + rules("free", ASKING)
    found = {(str(one.source), one.name, one.protocol, one.expected) for one in plan_of(text).questions}
    stranger = "outgate-asks.nobody.invalid"
    assert found == {
        ("shop/web", "a.example.com", Protocol.UDP, Expected.ANSWERED),
        ("shop/web", "a.example.com", Protocol.TCP, Expected.ANSWERED),
        ("shop/web", stranger, Protocol.UDP, Expected.REFUSED),
        ("shop/web", stranger, Protocol.TCP, Expected.REFUSED),
    }
    text = DNS + pods("web") + rules("web", asking("*.example.com"), asking("*.example.net"))
    assert {one.protocol for one in plan_of(text).questions} == {Protocol.UDP, Protocol.TCP}
    given = NameWishes({"tracker.example.org": (FIRST,)}, families=(4,))
    assert {one.name for one in plan_of(text, given).questions} == {"a.example.com", "tracker.example.org"}
    assert plan_of(DNS + pods("web") + rules("web", asking("*"))).questions != ()


def test_what_is_not_tried_is_named() -> None:
    """A rule that looks into connections, one without a port of its own, and a name that nobody means."""
    http: Any = {"rules": {"http": [{"method": "GET"}]}}
    text = DNS + pods("web") + rules("web", ASKING, names(NAME, port=80, **http), names("b.example.com", port=53))
    plan = plan_of(text, NameWishes({NAME: (FIRST,)}, {NAME: (THERE,)}, families=(4,)))
    assert plan.rounds == ()
    assert sorted(one.partition(": ")[2] for one in plan.notes) == [
        f"no rule about names that is tried means {NAME}, so nobody sees it move",
        "shop/web egress[1]: it has conditions that nothing here looks at, and is not tried",
        "shop/web egress[2]: it opens no port of TCP or UDP but that of DNS, and is not tried",
    ]


def test_requests_where_a_rule_looks_into_connections() -> None:
    """One that it lets through at each moment, and one that it does not where the name has just been heard."""
    http: Any = {"rules": {"http": [{"method": "GET", "path": "/v1"}]}}
    text = DNS + pods("web") + rules("web", ASKING, names(NAME, port=80, **http))
    wishes = NameWishes({NAME: (FIRST,)}, {NAME: (THERE,)}, families=(4,), proxied=True)
    plan = plan_of(text, wishes)
    assert plan.notes == ()
    assert all(one.probes == () for one in plan.rounds)
    last = str(plan.stations[NAME][2][0])
    said = [
        (one.moment, str(one.request.address), str(one.request.about).removeprefix("HTTP "), one.request.verdict)
        for each in plan.rounds
        for one in each.requests
    ]
    assert said == [
        (Moment.UNASKED, str(FIRST), "GET /v1", DENY),
        (Moment.ASKED, str(FIRST), "GET /v1", ALLOW),
        (Moment.ASKED, str(FIRST), "DELETE /v1", DENY),
        (Moment.MOVED, str(THERE), "GET /v1", ALLOW),
        (Moment.MOVED, str(THERE), "DELETE /v1", DENY),
        (Moment.ALIASED, last, "GET /v1", ALLOW),
        *((Moment.OLD, str(one), "GET /v1", DENY) for one in (FIRST, THERE)),
        (Moment.AGAIN, last, "GET /v1", ALLOW),
    ]
    assert [one.probe.lookup is not None for each in plan.rounds for one in each.requests] == [
        *(False, True, True, True, True, True, False, False, True)
    ]
    assert {str(one) for one in plan.looked_into} == {"shop/web egress[1]"}
    assert planned(text, Wishes(names={NAME: (FIRST,)})).requests.notes == ()


@pytest.mark.parametrize(
    "text",
    [
        DNS + pods("web"),
        pods("web") + rules("web", ASKING, names(NAME)),
        DNS + pods("web") + rules("web", ASKING, names("*.svc.cluster.local")),
    ],
    ids=["no rule", "no server", "the cluster's own"],
)
def test_nothing_to_try(text: str) -> None:
    """Then no proxy is started."""
    plan = plan_of(text)
    assert (plan.policies, plan.rounds, plan.questions) == (None, (), ())


def test_one_namespace_and_one_family() -> None:
    """As for all other probes."""
    assert plan_of(WEB, NameWishes(families=(4,), namespace="elsewhere")).rounds == ()
    plan = plan_of(WEB, NameWishes(families=(6,), namespace="shop"))
    assert {one.address.version for one in plan.probes} == {6}


@pytest.mark.parametrize(("by", "verdict"), [("domainNames", ALLOW), ("toFQDNs", DENY)])
def test_a_headless_service_is_asked_for_and_moves_nowhere(by: str, verdict: Verdict) -> None:
    """Its name opens its pods under ClusterNetworkPolicy; for Cilium no name opens an address of the cluster."""
    dns = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}, "podSelector": {}}
    web = {"pods": {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "web"}}}}
    said = [
        {"action": "Accept", "to": [{"pods": dns}]},
        {"action": "Accept", "to": [{"domainNames": ["*.shop.svc.cluster.local"]}]},
        {"action": "Deny", "to": [{"networks": ["0.0.0.0/0"]}]},
    ]
    tier = json.dumps(cluster_policy("t", subject=web, egress=said)) + "\n---\n"
    of_cilium = rules("web", ASKING, names("*.shop.svc.cluster.local"))
    text = DNS + pods("web") + pods("db", node="n2") + HEADLESS + (tier if by == "domainNames" else of_cilium)
    plan = plan_of(text)
    own = [
        (one.moment, one.probe.verdict)
        for each in plan.rounds
        for one in each.probes
        if one.name == "db.shop.svc.cluster.local"
    ]
    assert own == [(Moment.UNASKED, DENY), (Moment.ASKED, verdict)]
    assert len(plan.stations["db.shop.svc.cluster.local"]) == 1


def test_a_server_that_may_be_asked_over_udp_alone() -> None:
    """Over TCP the name of the list is not asked for: no answer is expected, and none would say why."""
    (entry,) = asking("*.example.com")["toPorts"]
    over_udp = {**asking("*.example.com"), "toPorts": [{**entry, "ports": [{"port": "53", "protocol": "UDP"}]}]}
    found = {(one.protocol, one.expected) for one in plan_of(DNS + pods("web") + rules("web", over_udp)).questions}
    refused = {(protocol, Expected.REFUSED) for protocol in (Protocol.UDP, Protocol.TCP)}
    assert found == {(Protocol.UDP, Expected.ANSWERED), *refused}
