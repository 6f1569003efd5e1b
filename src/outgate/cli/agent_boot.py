"""`outgate agent boot`: the saved rules, into a kernel that has none of ours."""

from __future__ import annotations

from pathlib import Path

import click

from outgate.errors import KernelError

__all__ = ["boot"]


@click.command()
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path),
    default="/var/lib/outgate",
    show_default=True,
    metavar="DIR",
    help="Where the agent saves its state.",
)
@click.option(
    "--node",
    default="",
    envvar="OUTGATE_NODE",
    show_envvar=True,
    metavar="NAME",
    help="This node; what was saved on another is not loaded. Without it, whatever was saved is.",
)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but what is wrong.")
def boot(state_dir: Path, node: str, quiet: bool) -> int:
    """Load the rules that were saved, if this node has none.

    For the start of a node, before its pods: no API server is asked. A table that stands is not touched. Where the
    saved rules cannot be loaded and policies were enforced, a table is loaded in which no pod may talk until the agent
    runs.

    \b
    Exit codes:
      0  the rules stand, were loaded, or none were ever saved
      2  bad usage
      3  they could not be loaded as they were saved, or the kernel refused
    """
    from outgate.agent.boot import Outcome
    from outgate.agent.boot import boot as load
    from outgate.agent.store import Store
    from outgate.host.nft import Nftables

    booted = load(Store(state_dir, node), Nftables())
    if booted.outcome in {Outcome.CLOSED, Outcome.OPEN}:
        raise KernelError("; ".join((*booted.faults, booted.words)), hint="run the agent: it makes the rules anew")
    for fault in booted.faults:
        click.echo(f"warning: {fault}", err=True)
    if not quiet:
        click.echo(booted.words, err=True)
    return 0
