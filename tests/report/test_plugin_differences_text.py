"""What hangs on the plugin, in lines."""

from __future__ import annotations

from outgate.analysis.plugin_differences import plugin_differences
from outgate.report.plugin_differences_text import plugin_differences_text
from outgate.testing import snapshot_of
from tests.analysis.test_plugin_differences import NODES, A, B, block


def test_lines() -> None:
    """Who stands on which side, and why."""
    cluster = [A, B, *NODES, block("192.168.50.12/32", ports=[{"port": 10250}])]
    lines = "".join(plugin_differences_text(plugin_differences(snapshot_of(cluster)))).splitlines()
    assert lines[:2] == ["n/a → node/node-a (its own node)", "  every port of TCP, UDP and SCTP"]
    assert lines[2] == "    allowed  aws-vpc-cni"
    assert lines[4] == "    because  whether a pod may always reach its own node is read both ways by network plugins"
    assert lines[5:7] == ["n/a → node/node-b", "  TCP 10250"]


def test_nothing_is_said() -> None:
    """No difference is good news, and has to be told as such."""
    assert list(plugin_differences_text([])) == [
        "no verdict depends on the network plugin, among those that Outgate knows\n"
    ]
