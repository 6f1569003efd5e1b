"""`outgate graph`: a picture of what a pod may reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from outgate.cli import options
from outgate.cli.inputs import note, read_input

if TYPE_CHECKING:
    from outgate.analysis.edges import EgressGraph

__all__ = ["graph"]


@click.command()
@click.argument("pod", metavar="POD")
@options.input_options
@options.output_options("mermaid", "dot", "json")
def graph(
    pod: str,
    filename: tuple[str, ...],
    namespace: str | None,
    all_namespaces: bool,  # noqa: ARG001 - every namespace is drawn anyway; -A only says so
    strict: bool,
    output: str,
    quiet: bool,
    verbose: int,
) -> int:
    """Draw what a pod may reach.

    POD is namespace/pod or namespace/kind/name (a workload). Allowed edges are solid and carry their ports; denied
    ones are dotted and say which end denies.

    \b
    Examples:
      outgate graph -f manifests/ shop/web
      outgate graph -f manifests/ shop/deploy/web -o dot | dot -Tsvg > web.svg
    """
    from outgate.analysis.edges import egress_graph
    from outgate.analysis.lookup import Lookup, PodsTarget
    from outgate.analysis.targets import parse
    from outgate.errors import UsageError
    from outgate.policy import Judge, Policies

    written = parse(pod)
    loaded = read_input(filename, namespace=namespace, strict=strict, quiet=quiet)
    subject = Lookup(loaded.snapshot, namespace).find(written)
    if not isinstance(subject, PodsTarget):
        raise UsageError(f"{subject} is no pod and no workload: no egress policy applies to it")
    picture = egress_graph(Judge(Policies(loaded.snapshot)), subject)
    click.echo(_written(picture, output), nl=False)
    if verbose:
        note(f"note: {len(picture.edges)} edges, {picture.left_out} denied workloads left out")
    return 0


def _written(picture: EgressGraph, output: str) -> str:
    if output == "json":
        import json

        from outgate.report.graph_json import graph_json

        return json.dumps(graph_json(picture), indent=2, ensure_ascii=False) + "\n"
    if output == "dot":
        from outgate.report.dot import dot

        return dot(picture)
    from outgate.report.mermaid import mermaid

    return mermaid(picture)
