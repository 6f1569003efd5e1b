"""`outgate list`: every allowed connection, exactly, by workload."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from outgate.cli import options
from outgate.cli.inputs import note, read_input, say_if_empty
from outgate.cli.listing import groups_named, read_filter, write
from outgate.errors import UsageError

if TYPE_CHECKING:
    from outgate.cluster import Loaded

__all__ = ["list_"]


@click.command(name="list")
@click.option("--focus", multiple=True, metavar="WORKLOAD", help="Only connections of this workload. May be repeated.")
@click.option(
    "--direction",
    type=click.Choice(("egress", "ingress")),
    help="Only what the workloads send, or only what is sent to them.",
)
@click.option("--port", metavar="PORT[/PROTO]", help="Only this port: a number or a range, as in 443 or 8000-8010/UDP.")
@click.option(
    "--profiles-differ",
    is_flag=True,
    help="Instead, the flows whose verdict depends on the network plugin, and why. Exit code 1 if there are any.",
)
@options.profile_option
@options.input_options
@options.output_options("text", "json", "csv", "markdown", "mermaid", "dot", "html")
def list_(
    focus: tuple[str, ...],
    direction: str | None,
    port: str | None,
    profiles_differ: bool,
    profile: str,
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
      outgate list -f manifests/ --profiles-differ
      outgate list -f manifests/ --focus shop/deploy/web --direction egress
      outgate list -f manifests/ --port 53/UDP -o csv

    \b
    Exit codes:
      0  the list was made, however long it is
      1  with --profiles-differ: there are such flows
      2  bad usage or bad input, or a name that the input does not have
    """
    from outgate.analysis.connections import connections
    from outgate.analysis.listing import selected
    from outgate.policy import PROFILES

    if profiles_differ:
        _refuse_beside(direction, port, profile, output)
        loaded = read_input(filename, namespace=namespace, strict=strict, quiet=quiet)
        return _differences(loaded, focus, namespace, output)
    loaded = read_input(filename, namespace=namespace, strict=strict, quiet=quiet)
    found = connections(loaded.snapshot, PROFILES[profile])
    asked = read_filter(found, focus, direction, namespace, port)
    write(selected(found, asked), found, output, filename, quiet=quiet)
    if verbose:
        grid = found.grid
        words = f"{len(found.groups.all)} groups of pods of {len(grid.identities.all)} kinds"
        note(f"note: {words}, {len(loaded.snapshot.every_policy)} policies")
        if found.nodes:
            note(f"note: addresses of nodes: {', '.join(found.nodes.cidrs())}")
    return 0


def _refuse_beside(direction: str | None, port: str | None, profile: str, output: str) -> None:
    """What means nothing where all profiles are compared."""
    given = [name for name, value in (("--direction", direction), ("--port", port)) if value is not None]
    given += ["--profile"] if profile != "outgate" else []
    if given:
        raise UsageError(f"--profiles-differ takes no {given[0]}: it compares all profiles over all ports")
    if output not in ("text", "json"):
        raise UsageError(f"--profiles-differ has no format {output}", hint="give -o text or -o json")


def _differences(loaded: Loaded, focus: tuple[str, ...], namespace: str | None, output: str) -> int:
    from outgate.analysis.connections import connections
    from outgate.analysis.lookup import known_namespace
    from outgate.analysis.plugin_differences import plugin_differences

    snapshot = loaded.snapshot
    pods = [pod.key for group in groups_named(connections(snapshot), focus, namespace) for pod in group.pods]
    if not focus and namespace is not None:
        known_namespace(namespace, snapshot)
        pods = [pod.key for pod in snapshot.pods_by_namespace.get(namespace, ())]
    # An empty focus would be one on everything.
    nobody = namespace is not None and not pods
    if namespace is not None:
        say_if_empty(snapshot, namespace)
    found = [] if nobody else list(plugin_differences(snapshot, pods))
    if output == "json":
        import json

        from outgate.report.plugin_differences_json import plugin_differences_json

        click.echo(json.dumps(plugin_differences_json(found), indent=2, ensure_ascii=False))
    else:
        from outgate.report.plugin_differences_text import plugin_differences_text

        click.echo("".join(plugin_differences_text(found)), nl=False)
    return 1 if found else 0
