"""`outgate graph`: a picture of the whole cluster, or of what one pod may reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from outgate.cli import options
from outgate.cli.inputs import note, read_input, say_profile

if TYPE_CHECKING:
    from outgate.analysis.edges import EgressGraph
    from outgate.cluster import Loaded

__all__ = ["graph"]


@click.command()
@click.argument("pod", metavar="[POD]", required=False)
@options.profile_option
@options.input_options
@options.output_options("mermaid", "dot", "html", "json")
def graph(
    pod: str | None,
    profile: str,
    filename: tuple[str, ...],
    namespace: str | None,
    all_namespaces: bool,  # noqa: ARG001 - every namespace is drawn anyway; -A only says so
    strict: bool,
    output: str,
    quiet: bool,
    verbose: int,
) -> int:
    """Draw what may talk to what.

    Without POD, the whole: every allowed connection, as 'outgate list' has it; -n leaves out what has no end in that
    namespace. POD is namespace/pod or namespace/kind/name (a workload): what it may reach, with what it may not reach
    as dotted edges. HTML is one page that needs no network: graph, matrix, search, and the policy behind each edge.

    \b
    Examples:
      outgate graph -f manifests/ -o html > cluster.html
      outgate graph -f manifests/ shop/web
      outgate graph -f manifests/ shop/deploy/web -o dot | dot -Tsvg > web.svg

    \b
    Exit codes:
      0  drawn
      2  bad usage or bad input, or a name that the input does not have
    """
    if pod is None or output == "html":
        loaded = read_input(filename, namespace=namespace, strict=strict, quiet=quiet)
        return _whole(loaded, pod, namespace, output, profile, filename, quiet=quiet)
    return _one(pod, filename, namespace, profile=profile, strict=strict, output=output, quiet=quiet, verbose=verbose)


def _whole(
    loaded: Loaded,
    pod: str | None,
    namespace: str | None,
    output: str,
    profile: str,
    filename: tuple[str, ...],
    *,
    quiet: bool,
) -> int:
    from outgate.analysis.connections import connections
    from outgate.analysis.listing import selected
    from outgate.cli.listing import read_filter, write
    from outgate.policy import PROFILES

    found = connections(loaded.snapshot, PROFILES[profile])
    asked = read_filter(found, () if pod is None else (pod,), None, namespace, None)
    write(selected(found, asked), found, output, filename, quiet=quiet)
    return 0


def _one(
    pod: str,
    filename: tuple[str, ...],
    namespace: str | None,
    *,
    profile: str,
    strict: bool,
    output: str,
    quiet: bool,
    verbose: int,
) -> int:
    from outgate.analysis.edges import egress_graph
    from outgate.analysis.lookup import Lookup, PodsTarget
    from outgate.analysis.targets import parse
    from outgate.errors import UsageError
    from outgate.policy import PROFILES, Judge, Policies

    written = parse(pod)
    loaded = read_input(filename, namespace=namespace, strict=strict, quiet=quiet)
    subject = Lookup(loaded.snapshot, namespace).find(written)
    if not isinstance(subject, PodsTarget):
        raise UsageError(f"{subject} is no pod and no workload: no egress policy applies to it")
    say_profile(profile, quiet)
    picture = egress_graph(Judge(Policies(loaded.snapshot, PROFILES[profile])), subject)
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
