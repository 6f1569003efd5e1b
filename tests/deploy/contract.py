"""What the packaging takes for granted of the agent: verbs, options and their variables, in one place.

The manifests and the workflow are held against this table, and the table against the command itself.
"""

from __future__ import annotations

__all__ = ["AGENT_RUN", "COMMANDS", "NODE_FILES", "variable"]

COMMANDS = {
    ("agent", "run"),
    ("agent", "boot"),
    ("agent", "uninstall"),
    ("agent", "dns"),
    ("agent", "envoy"),
    ("agent", "check"),
    ("status",),
    ("logs",),
}
"""The verbs that the manifests, the workflow and docs/agent-install.md call."""

AGENT_RUN = {
    "--node",
    "--mode",
    "--new-pods",
    "--established",
    "--deny",
    "--mark-mask",
    "--log-group",
    "--log-allowed",
    "--state-dir",
    "--run-dir",
    "--listen",
    "--interface-prefix",
    "--events",
    "--names",
    "--cluster-cidr",
    "--envoy",
}
"""The options of `outgate agent run`."""

NODE_FILES = {"ruleset": "/var/lib/outgate/ruleset.nft", "plugin": "/opt/outgate/libexec/outgate-cni"}
"""The saved ruleset, which a boot unit loads with nothing but `nft -f`; and the CNI plugin in the image."""


def variable(option: str) -> str:
    """The environment variable of an option."""
    return "OUTGATE_" + option.removeprefix("--").upper().replace("-", "_")
