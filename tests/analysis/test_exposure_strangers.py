"""Openings for pods that are not there: from the selectors of rules, merged, simplified, exact."""

from __future__ import annotations

import dataclasses
import ipaddress

from outgate.analysis.exposure_strangers import Opening
from outgate.model import Direction
from outgate.packets import Protocol, TransportSet
from outgate.policy import OUTGATE, Endpoint, Flow, Judge, Policies
from outgate.testing import pod, policy, snapshot_of
from outgate.testing_cilium import cilium_policy
from tests.analysis.estate import allow, estate, standing_of
from tests.laws.test_connections import PORTS, PROTOCOLS

SQL = [{"port": 5432}]


def out(*egress: object) -> tuple[Opening, ...]:
    """What these rules open for the web workload."""
    return standing_of(allow(*egress)).openings[Direction.EGRESS]


def words(*egress: object) -> list[tuple[str, str]]:
    """The selectors of what is opened."""
    return [(str(one.namespaces), str(one.pods)) for one in out(*egress)]


def pods(**labels: str) -> dict[str, object]:
    """A peer of the own namespace."""
    return {"podSelector": {"matchLabels": labels}}


def test_without_isolation_it_is_anybody() -> None:
    """No policy, no question."""
    (one,) = standing_of().openings[Direction.EGRESS]
    assert (one.anybody, one.transports, one.origins) == (True, TransportSet.governed(), ())


def test_the_own_namespace_is_a_label_like_any_other() -> None:
    """`podSelector` alone and the namespace by its name say the same, so they are one opening."""
    named = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}
    (one,) = out({"to": [pods(app="db")], "ports": SQL}, {"to": [named | pods(app="db")], "ports": [{"port": 80}]})
    assert (str(one.namespaces), str(one.pods)) == ("kubernetes.io/metadata.name=shop", "app=db")
    assert [origin.rule for origin in one.origins] == [0, 1]
    assert one.transports.contains(Protocol.TCP, 80)
    assert one.transports.contains(Protocol.TCP, 5432)


def test_what_is_contained_is_left_out_and_what_has_more_ports_is_not() -> None:
    """Any pod on 80 contains app=db on 80, and not app=db on 5432."""
    anybody = {"to": [{"namespaceSelector": {}}], "ports": [{"port": 80}]}
    assert words(anybody, {"to": [pods(app="db")], "ports": [{"port": 80}]}) == [("everything", "everything")]
    assert len(words(anybody, {"to": [pods(app="db")], "ports": SQL})) == 2


def test_the_widest_comes_first_and_blocks_last() -> None:
    """Who reads one line reads the worst; the order of the rules is no order."""
    blocks = {"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}
    anybody = {"to": [{"namespaceSelector": {}}], "ports": [{"port": 80}]}
    found = out(blocks, {"to": [pods(app="db", tier="x")]}, {"to": [pods(app="web")]}, anybody)
    assert [str(one.pods) for one in found] == ["everything", "app=web", "app=db,tier=x", "everything"]
    assert [one.addresses is None for one in found] == [True, True, True, False]


def test_a_selector_that_nothing_can_meet_opens_nothing() -> None:
    """`In [a]` and `In [b]` at once; and no namespace is without its name."""
    both = [{"key": "app", "operator": "In", "values": [value]} for value in ("a", "b")]
    nameless = [{"key": "kubernetes.io/metadata.name", "operator": "DoesNotExist"}]
    rules = ({"podSelector": {"matchExpressions": both}}, {"namespaceSelector": {"matchExpressions": nameless}})
    assert out({"to": list(rules)}) == ()


def test_a_namespace_that_is_not_in_the_input_opens_all_the_same() -> None:
    """Whoever makes a namespace of that name has what the rule gives."""
    named = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "nowhere"}}}
    assert words({"to": [named]}) == [("kubernetes.io/metadata.name=nowhere", "everything")]


def test_blocks_open_by_address() -> None:
    """A pod's address is in a block or is not, whatever its labels; unless the profile says that blocks miss pods."""
    rule = {"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.9.0.0/16"]}}]}
    (one,) = out(rule)
    assert one.matches({}, {}, [ipaddress.ip_address("10.1.0.1")])
    assert not one.matches({}, {}, [ipaddress.ip_address("10.9.0.1")])
    other = dataclasses.replace(OUTGATE, name="other", blocks_match_pods=False)
    assert standing_of(allow(rule), profile=other).openings[Direction.EGRESS] == ()


def test_both_whole_families_are_anybody_to_what_they_contain() -> None:
    """And one of them is not: a pod may have the other."""
    whole = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}, {"ipBlock": {"cidr": "::/0"}}]}
    assert len(out(whole, {"to": [pods(app="db")]})) == 1
    assert len(out({"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}, {"to": [pods(app="db")]})) == 2


def test_port_names_stay_names_on_egress_and_are_numbers_on_ingress() -> None:
    """On egress each new pod says what the name means; on ingress the workload has said so."""
    (one,) = out({"to": [pods(app="db")], "ports": [{"port": "sql"}]})
    assert not one.transports
    assert [(name.protocol, name.name) for name in one.names] == [(Protocol.TCP, "sql")]
    rule = {"from": [pods(app="web")], "ports": [{"port": "sql"}]}
    ingress = policy("data/in", {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [rule]})
    (one,) = standing_of(ingress, workload="data/db").openings[Direction.INGRESS]
    assert (one.transports, one.names) == (TransportSet.ports(Protocol.TCP, 5432), ())


def test_a_name_is_contained_in_every_port_of_its_protocol() -> None:
    """Whatever the name turns out to mean."""
    every = {"to": [pods(app="db")], "ports": [{"protocol": "TCP"}]}
    (one,) = out({"to": [{"namespaceSelector": {}}], "ports": [{"protocol": "TCP"}]}, every)
    assert one.anybody
    assert (
        len(out({"to": [{"namespaceSelector": {}}], "ports": SQL}, {"to": [pods()], "ports": [{"port": "sql"}]})) == 2
    )


def test_a_pod_that_is_made_is_judged_as_was_said() -> None:
    """The other engine, asked of the same pod once it is there (laws/test_exposure asks the slow evaluator)."""
    rules = (
        {"to": [pods(app="new")], "ports": [{"port": 81}, {"port": "http"}]},
        {"to": [{"namespaceSelector": {"matchLabels": {"team": "blue"}}}], "ports": [{"protocol": "UDP", "port": 53}]},
    )
    openings = out(*rules)
    http = [{"name": "http", "containerPort": 8080}]
    for space in ("shop", "data"):
        for labels in ({"app": "new"}, {"app": "old"}, {}):
            made = pod(f"{space}/made", ["10.7.0.1"], ports=http, labels=labels)
            snapshot = snapshot_of(estate(allow(*rules), made))
            found, source = snapshot.pod(space, "made"), snapshot.pod("shop", "web-1")
            assert found is not None
            assert source is not None
            judge = Judge(Policies(snapshot))
            ends = Endpoint(source.addresses[0], source), Endpoint(found.addresses[0], found)
            mine = [
                one for one in openings if one.matches(snapshot.namespace(space).labels, found.labels, found.addresses)
            ]
            for protocol in PROTOCOLS:
                for port in PORTS:
                    said = any(
                        one.transports.contains(protocol, port)
                        or (port == 8080 and any(name == (protocol, "http") for name in map(_pair, one.names)))
                        for one in mine
                    )
                    assert judge.judge(Flow(*ends, protocol, port)).egress.verdict.allows == said


ROBOT = {"matchLabels": {"io.cilium.k8s.policy.serviceaccount": "robot"}}


def test_an_account_is_a_label_like_any_other() -> None:
    """Who denies one account denies nobody else, and who allows one allows nobody else."""
    everybody = [{"matchExpressions": [{"key": "k8s:io.kubernetes.pod.namespace", "operator": "Exists"}]}]
    ports = [{"ports": [{"port": "80", "protocol": "TCP"}]}]
    rules = {"egress": [{"toEndpoints": everybody}], "egressDeny": [{"toEndpoints": [ROBOT], "toPorts": ports}]}
    selector = {"endpointSelector": {"matchLabels": {"app": "web"}}}
    (one,) = standing_of(cilium_policy("shop/out", selector | rules)).openings[Direction.EGRESS]
    assert (one.anybody, one.transports) == (True, TransportSet.governed())
    allowing = cilium_policy("shop/out", selector | {"egress": [{"toEndpoints": [ROBOT], "toPorts": ports}]})
    (one,) = standing_of(allowing).openings[Direction.EGRESS]
    assert str(one.pods) == "io.cilium.k8s.policy.serviceaccount=robot"
    assert not one.anybody


def _pair(name: object) -> tuple[object, object]:
    return name.protocol, name.name  # type: ignore[attr-defined]
