"""The document EgressGraph."""

from __future__ import annotations

import json

from outgate.analysis.edges import egress_graph
from outgate.analysis.lookup import Lookup, PodsTarget
from outgate.analysis.targets import parse
from outgate.report.graph_json import graph_json
from outgate.testing import Manifest
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
