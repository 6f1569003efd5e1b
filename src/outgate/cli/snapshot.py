"""`outgate snapshot`: a cluster in a file, to ask later, elsewhere, or of somebody else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from outgate.cli import options
from outgate.cli.inputs import note, read_input

if TYPE_CHECKING:
    from outgate.cluster.client import Client
    from outgate.model import Document

__all__ = ["snapshot"]


@click.command()
@options.input_options
@options.output_options("json")
def snapshot(
    filename: tuple[str, ...],
    namespace: str | None,
    all_namespaces: bool,  # noqa: ARG001 - every namespace is saved anyway; -A only says so
    strict: bool,
    output: str,  # noqa: ARG001 - there is one format, and it is the one that -f reads
    quiet: bool,
    verbose: int,
) -> int:
    """Save what Outgate reads of a cluster, without secrets.

    The file is a List of Kubernetes objects in JSON, one a line, with the fields that decide about traffic: names,
    labels, ports, addresses, selectors and owners, network policies whole, and what says who calls the API server and
    whom it calls. What containers run and mount is not in it, and of their environment only what names proxies and the
    like, without passwords; the switches of network plugins that 'outgate doctor' knows are. Every verb reads it with
    -f and answers as it would have answered for the cluster.

    \b
    Examples:
      outgate snapshot --context prod > cluster.json
      outgate can-reach -f cluster.json shop/web shop/postgres:5432
      helm template . | outgate snapshot -f - > rendered.json

    \b
    Exit codes:
      0  saved
      2  bad usage or bad input
      3  the cluster could not be reached, or refuses what there is no answer without
    """
    from outgate.cluster.saved import Saved

    saved = Saved()
    loaded = read_input(
        filename,
        namespace=namespace,
        strict=strict,
        quiet=quiet,
        keep=saved.keep,
        checks=True,
        visit=_network_settings,
    )
    for line in saved.lines():
        click.echo(line)
    if verbose:
        skipped = sum(loaded.skipped.values())
        note(f"note: {len(saved)} objects saved, {skipped} of other kinds left out")
    return 0


def _network_settings(client: Client) -> Sequence[Document]:
    from outgate.cluster.platform import settings_of

    return settings_of(client)[0]
