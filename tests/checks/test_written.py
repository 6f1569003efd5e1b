"""Rules of every kind in one shape, and what one of them lets out."""

from __future__ import annotations

from outgate.checks.survey import Survey
from outgate.checks.written import subject_place, title_of, written_rules
from outgate.model import Direction
from outgate.testing import Manifest, cluster_policy, pod, snapshot_of
from tests.checks.asking import block, cilium, deny, egress, entry, net, to

WEB = pod("shop/web", ["10.1.0.1"], app="web")


def survey(*cluster: Manifest) -> Survey:
    """A survey of these and a pod."""
    return Survey(snapshot_of([WEB, *cluster]))


def test_all_kinds_with_what_they_say() -> None:
    """In the order of their policies; those without effect only if they are asked for."""
    void = egress("shop/void", to(block("0.0.0.0/0")))
    void["spec"]["policyTypes"] = ["Ingress"]
    mine = survey(
        egress("shop/a", {}),
        void,
        cilium("shop/b", {}, denied=(entry(80),)),
        cluster_policy("c", egress=[net("Pass", "::/0")]),
    )
    assert [(str(one), one.accepts, one.anybody) for one in written_rules(mine)] == [
        ("shop/a egress[0]", True, True),
        ("shop/b egressDeny[0]", False, True),
        ("ClusterNetworkPolicy c egress[0]", False, False),
    ]
    every = [str(one) for one in written_rules(mine, Direction.EGRESS, void=True)]
    assert {"shop/void egress[0]", "shop/b egress[0]"} <= set(every)
    assert written_rules(mine, Direction.INGRESS) == ()


def test_what_cannot_be_done_does_not_count() -> None:
    """It is closed, whatever else it says; and of a policy of hosts no pod is the subject."""
    listener = {"toPorts": [{"ports": [{"port": "80", "protocol": "TCP"}], "rules": {"kafka": [{}]}}]}
    hosts = cilium("hosts", {"toEntities": ["world"]})
    hosts["spec"]["nodeSelector"] = hosts["spec"].pop("endpointSelector")
    assert written_rules(survey(cilium("shop/p", listener), hosts)) == ()


def test_titles_and_places_of_subjects() -> None:
    """Of several specs of one object, each has its own."""
    many = cilium("shop/p", entry(80))
    many["specs"] = [many.pop("spec")]
    found = survey(deny(), many, cluster_policy("p", egress=[net("Deny", "::/0")])).snapshot.every_policy
    assert sorted((title_of(one), subject_place(one).path) for one in found) == [
        ("ClusterNetworkPolicy p", "spec.subject"),
        ("shop/default-deny", "spec.podSelector"),
        ("shop/p", "specs[0].endpointSelector"),
    ]
