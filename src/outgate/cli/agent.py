"""`outgate agent`: the verbs that live on a node. Each is imported when it is called."""

from __future__ import annotations

import click

from outgate.cli.lazy import LazyGroup, Verb

__all__ = ["VERBS", "agent"]

VERBS: dict[str, Verb] = {
    "run": Verb("outgate.cli.agent_run:run", "Keep this node's kernel true to the policies of the cluster."),
    "boot": Verb("outgate.cli.agent_boot:boot", "Load the saved rules, before anything else."),
    "dns": Verb("outgate.cli.agent_dns:dns", "Serve the names of this node's pods; the agent starts it."),
    "envoy": Verb("outgate.cli.agent_envoy:envoy", "Lay out the folder of an Envoy beside the agent."),
    "check": Verb("outgate.cli.agent_check:check", "Say if this node can enforce, and what is in the way."),
    "uninstall": Verb("outgate.cli.agent_uninstall:uninstall", "Take everything of the agent off this node."),
}


@click.group(cls=LazyGroup, verbs=VERBS, subcommand_metavar="VERB ...")
def agent() -> None:
    """Enforce NetworkPolicies on a node of a real cluster.

    'run' is what the DaemonSet starts; docs/agent-install.md says how to install it. Ending it takes no rule away: the
    kernel goes on with what it has.
    """
