"""`outgate list`: every allowed connection, exactly, by workload."""

from __future__ import annotations

import click

from outgate.cli import options
from outgate.cli.inputs import note, read_input
from outgate.cli.listing import read_filter, write

__all__ = ["list_"]


@click.command(name="list")
@click.option("--focus", multiple=True, metavar="WORKLOAD", help="Only connections of this workload. May be repeated.")
@click.option(
    "--direction",
    type=click.Choice(("egress", "ingress")),
    help="Only what the workloads send, or only what is sent to them.",
)
@click.option("--port", metavar="PORT[/PROTO]", help="Only this port: a number or a range, as in 443 or 8000-8010/UDP.")
@options.input_options
@options.output_options("text", "json", "csv", "markdown", "mermaid", "dot", "html")
def list_(
    focus: tuple[str, ...],
    direction: str | None,
    port: str | None,
    filename: tuple[str, ...],
    namespace: str | None,
    all_namespaces: bool,  # noqa: ARG001 - every namespace is listed anyway; -A only says so
    strict: bool,
    output: str,
    quiet: bool,
    verbose: int,
) -> int:
    """List every allowed connection, exactly.

    By workload: pods of one workload are one line unless policies treat them differently. Addresses outside are in the
    coarsest parts that the policies tell apart. Workloads without a running pod count through their template.

    \b
    Examples:
      outgate list -f manifests/
      outgate list -f manifests/ --focus shop/deploy/web --direction egress
      outgate list -f manifests/ --port 53/UDP -o csv
    """
    from outgate.analysis.connections import connections
    from outgate.analysis.listing import selected

    loaded = read_input(filename, namespace=namespace, strict=strict, quiet=quiet)
    found = connections(loaded.snapshot)
    asked = read_filter(found, focus, direction, namespace, port)
    write(selected(found, asked), found, output)
    if verbose:
        grid = found.grid
        words = f"{len(found.groups.all)} groups of pods of {len(grid.identities.all)} kinds"
        note(f"note: {words}, {len(loaded.snapshot.policies)} policies")
    return 0
