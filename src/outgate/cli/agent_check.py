"""`outgate agent check`: can this node enforce, and what is in the way."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from outgate.cli import options
from outgate.cli.compile import mark_mask_of

__all__ = ["check"]


@click.command()
@click.option(
    "--mark-mask",
    default="0xffff0000",
    show_default=True,
    metavar="BITS",
    help="The bits of the connection mark that are to be Outgate's.",
)
@options.output_options("text", "json")
def check(mark_mask: str, output: str, quiet: bool, verbose: int) -> int:  # noqa: ARG001 - -q and -v say nothing more
    """Say if this node can enforce, and what is in the way.

    Looks at the kernel alone and changes nothing: whether nftables takes rules such as ours, whether packets of pods
    pass its hooks, and whether somebody else writes into the bits of the connection mark. Exit code 1 where something
    is in the way.
    """
    from outgate.agent.preflight import look

    found = look(mark_mask_of(mark_mask))
    if output == "json":
        document = {"apiVersion": "outgate.dev/v1", "kind": "NodePreflight", **asdict(found)}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        click.echo(f"kernel: {found.kernel}")
        click.echo(f"our table: {found.table}")
        for words in found.hindrances:
            click.echo(f"in the way: {words}")
        for words in found.warnings:
            click.echo(f"warning: {words}")
        click.echo("this node cannot enforce" if found.hindrances else "this node can enforce")
    return 1 if found.hindrances else 0
