"""The document EgressGraph."""

from __future__ import annotations

import json

from outgate.analysis.edges import egress_graph
from outgate.analysis.lookup import Lookup, PodsTarget
from outgate.analysis.targets import parse
from outgate.policy import Judge, Policies
from outgate.report.dot import dot
from outgate.report.graph_json import graph_json
from outgate.report.mermaid import mermaid
from outgate.testing import Manifest, namespace, pod, snapshot_of
from outgate.testing_cilium import cilium_policy
from tests.analysis.shop import EGRESS_TO_DB, INGRESS_OF_DB, judge_of
from tests.report.schema import complaints


def document(subject: str, *policies: Manifest) -> dict[str, object]:
    """The graph of one end of the shop, as it is printed."""
    judge = judge_of(*policies)
    target = Lookup(judge.policies.snapshot).find(parse(subject))
    assert isinstance(target, PodsTarget)
    found: dict[str, object] = json.loads(json.dumps(graph_json(egress_graph(judge, target))))
    return found


def test_it_keeps_to_the_schema() -> None:
    """A tool that draws from the document breaks where a field is missing or of another type."""
    for subject in ("shop/web-1", "shop/rs/web", "data/lone"):
        for policies in ((), (EGRESS_TO_DB, INGRESS_OF_DB)):
            assert complaints(document(subject, *policies)) == []


def test_edges() -> None:
    """Destination, verdict, ports and the end that denies."""
    found = document("shop/web-1", EGRESS_TO_DB, INGRESS_OF_DB)
    edges = found["edges"]
    assert isinstance(edges, list)
    assert edges[0] == {
        "destination": {"kind": "Pod", "namespace": "data", "name": "db"},
        "verdict": "Allow",
        "all": False,
        "allowed": [{"protocol": "TCP", "ports": [[5432, 5432], [8050, 8100]]}],
        "deniedAt": None,
    }
    (metadata,) = [one for one in edges if one["destination"].get("name") == "metadata service"]
    assert (metadata["verdict"], metadata["deniedAt"]) == ("Deny", "Egress")
    assert metadata["destination"]["cidrs"] == ["169.254.169.254/32"]


def test_names_and_conditions() -> None:
    """Names were left out, as if nothing outside could be reached; and of ports nobody heard what is asked."""
    get = {"ports": [{"port": "80", "protocol": "TCP"}], "rules": {"http": [{"method": "GET"}]}}
    rules = [
        {"toEndpoints": [{"matchLabels": {"app": "b"}}], "toPorts": [get]},
        {"toCIDR": ["192.0.2.0/25"], "toPorts": [get]},
        {"toCIDR": ["192.0.2.128/25"], "toPorts": [{"ports": get["ports"]}]},
        {
            "toFQDNs": [{"matchName": "api.example.com"}],
            "toPorts": [get | {"ports": [{"port": "81", "protocol": "TCP"}]}],
        },
    ]
    pods = [pod(f"shop/{name}", [f"10.0.0.{place}"], app=name) for place, name in enumerate("ab", 1)]
    spec = {"endpointSelector": {"matchLabels": {"app": "a"}}, "egress": rules}
    snapshot = snapshot_of([namespace("shop"), *pods, cilium_policy("shop/p", spec)])
    subject = Lookup(snapshot).find(parse("shop/a"))
    assert isinstance(subject, PodsTarget)
    graph = egress_graph(Judge(Policies(snapshot)), subject)
    found = json.loads(json.dumps(graph_json(graph)))
    assert complaints(found) == []
    asked = {
        one["destination"].get("name") or one["destination"]["cidrs"][0]: [
            (part.get("cidrs"), part["conditions"][0]["http"]) for part in one.get("onlyIf", [])
        ]
        for one in found["edges"]
        if one["verdict"] == "Allow"
    }
    wanted = [{"method": "GET"}]
    assert asked == {
        "b": [(None, wanted)],
        "192.0.2.0/24": [(["192.0.2.0/25"], wanted)],
        "api.example.com": [(None, wanted)],
    }
    drawn = mermaid(graph)
    assert '[/"api.example.com"/]' in drawn
    assert '"TCP 81<br/>only for requests of HTTP GET *"' in drawn
    assert 'label="TCP 80\\nwith 192.0.2.0/25, only for requests of HTTP GET *"' in dot(graph)
