"""`outgate agent envoy`: the folder of an Envoy that runs in a container beside the agent's, before it starts."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["envoy"]


@click.command()
@click.option(
    "--run-dir",
    type=click.Path(path_type=Path),
    default="/run/outgate",
    show_default=True,
    metavar="DIR",
    help="The agent's; Envoy's folder is `envoy` in it.",
)
def envoy(run_dir: Path) -> int:
    """Lay out the folder of an Envoy that is run beside the agent (--envoy sidecar).

    What Envoy is started with, and rules that let nothing through, if there are no others yet. Envoy waits in its start
    until the agent listens to what it refuses; the agent tells it the rules.

    \b
    Exit codes:
      0  the folder is ready
      2  bad usage
      3  it cannot be written
    """
    from outgate.agent.proxying import envoy_of
    from outgate.agent.settings import SIDECAR, Settings

    envoy_of(Settings("", run_dir=run_dir, envoy=SIDECAR)).prepare()
    return 0
