"""The document `ProfileDifferences`."""

from __future__ import annotations

from outgate.analysis.plugin_differences import plugin_differences
from outgate.policy import PROFILES
from outgate.report.plugin_differences_json import plugin_differences_json
from outgate.testing import service, snapshot_of
from tests.analysis.test_plugin_differences import NODES, A, B, block
from tests.report.schema import complaints


def test_it_keeps_to_its_schema() -> None:
    """Nodes, Services and workloads as ends."""
    shop = service("n/s", "10.96.0.1", [{"port": 80}], app="b")
    document = plugin_differences_json(plugin_differences(snapshot_of([A, B, *NODES, shop, block("10.0.0.0/8")])))
    assert complaints(document) == []
    assert {one["destination"]["kind"] for one in document["flows"]} == {"Pod", "Node", "Service"}
    for one in document["flows"]:
        assert sorted((*one["allowedBy"], *one["deniedBy"])) == sorted(PROFILES)
