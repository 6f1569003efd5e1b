"""The peers by name that policies have."""

from __future__ import annotations

from outgate.checks import Survey
from outgate.checks.named_peers import naming_rules
from outgate.testing import cluster_policy, namespace, snapshot_of
from outgate.testing_cilium import cilium_policy


def test_names_of_all_kinds() -> None:
    """Each with its place; not where a rule denies, or is not enforced."""
    closed = {"toFQDNs": [{"matchName": "no.x"}], "authentication": {"mode": "required"}}
    cilium = cilium_policy(
        "shop/p",
        {
            "endpointSelector": {},
            "egressDeny": [{"toEntities": ["world"]}],
            "egress": [{"toFQDNs": [{"matchName": "a.x"}, {"matchPattern": "*.b.x"}]}, closed],
        },
    )
    cluster = cluster_policy(
        "q",
        egress=[
            {"action": "Accept", "to": [{"networks": ["10.0.0.0/8"]}, {"domainNames": ["c.x.io", "*.d.io"]}]},
            {"action": "Deny", "to": [{"networks": ["0.0.0.0/0"]}]},
        ],
    )
    found = naming_rules(Survey(snapshot_of([namespace("shop"), cilium, cluster])))
    assert [(str(one.origin), [(peer.pattern.text, peer.place.path) for peer in one.peers]) for one in found] == [
        ("shop/p egress[0]", [("a.x", "spec.egress[0].toFQDNs[0]"), ("*.b.x", "spec.egress[0].toFQDNs[1]")]),
        (
            "ClusterNetworkPolicy q egress[0]",
            [("c.x.io", "spec.egress[0].to[1].domainNames[0]"), ("*.d.io", "spec.egress[0].to[1].domainNames[1]")],
        ),
    ]
