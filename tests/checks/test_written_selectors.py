"""Selectors of every kind of policy in one shape."""

from __future__ import annotations

import dataclasses

from outgate.checks.survey import Survey
from outgate.checks.written import written_rules
from outgate.checks.written_selectors import node_selectors, peer_selectors, pods_meant, subject_selector
from outgate.model import UnknownPeer
from outgate.testing import Manifest, cluster_policy, pod, service, snapshot_of
from tests.checks.asking import cilium, deny, egress, entry, net, pods, to

DB = pod("shop/db", ["10.1.0.2"], app="db")
HOST = pod("shop/agent", ["192.0.2.1"], host_network=True, app="db")


def meant(*cluster: Manifest) -> list[str]:
    """Whom the peers of all rules mean."""
    survey = Survey(snapshot_of([DB, HOST, *cluster]))
    return [str(pod) for rule in written_rules(survey) for pod in pods_meant(survey, rule)]


def test_pods_by_labels_and_behind_services() -> None:
    """Those on the host network have the labels, and are never meant."""
    chosen = {"pods": {"podSelector": {"matchLabels": {"app": "db"}}}}
    assert meant(egress("shop/p", to(pods(app="db")))) == ["shop/db"]
    assert meant(cluster_policy("p", egress=[{"action": "Deny", "to": [chosen]}])) == ["shop/db"]
    assert meant(cilium("shop/p", {"toEndpoints": [{"matchLabels": {"app": "db"}}]})) == ["shop/db"]
    behind = {"toServices": [{"k8sService": {"serviceName": "db", "namespace": "shop"}}]}
    assert "shop/db" in meant(cilium("shop/p", behind), service("shop/db", "10.96.0.9", [{"port": 80}], app="db"))
    assert meant(cilium("shop/p", {"toEntities": ["world"]}), cluster_policy("p", egress=[net("Deny", "::/0")])) == []


def test_who_has_the_labels_is_another_question() -> None:
    """On whichever network."""
    survey = Survey(snapshot_of([DB, HOST, egress("shop/p", to(pods(app="db")))]))
    (rule,) = written_rules(survey)
    (peer,) = peer_selectors(rule)
    assert [str(pod) for pod in survey.snapshot.endpoints if peer.names(survey, pod)] == ["shop/agent", "shop/db"]
    assert [str(pod) for pod in peer.pods(survey)] == ["shop/db"]
    assert not peer.is_nobody(survey)


def test_subjects() -> None:
    """None of a policy of hosts, nor of one whose subject is in a form that is not known."""
    hosts = cilium("hosts", {"toEntities": ["world"]})
    hosts["spec"]["nodeSelector"] = hosts["spec"].pop("endpointSelector")
    known = cluster_policy("p", egress=[net("Deny", "::/0")])
    survey = Survey(snapshot_of([DB, deny(), cilium("shop/q", entry(80)), hosts, known]))
    found = {one.name: subject_selector(one) for one in survey.snapshot.every_policy}
    assert [name for name, one in found.items() if one is None] == ["hosts"]
    assert all(one.names(survey, survey.snapshot.endpoints[0]) for one in found.values() if one is not None)
    (policy,) = survey.snapshot.cluster_policies
    assert subject_selector(dataclasses.replace(policy, subject=UnknownPeer("galaxies"))) is None


def test_nodes() -> None:
    """By both kinds of policy that know them."""
    peer = {"nodes": {"matchLabels": {"zone": "a"}}}
    made = (
        cilium("shop/p", {"toNodes": [{"matchLabels": {"zone": "a"}}]}),
        cluster_policy("p", egress=[{"action": "Deny", "to": [peer]}]),
    )
    survey = Survey(snapshot_of([DB, *made]))
    found = [str(nodes) for rule in written_rules(survey) for _, nodes in node_selectors(rule)]
    assert found == ["zone=a", "zone=a"]
