"""`outgate compile`: the nftables ruleset of one node, as `nft -f` reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from outgate.cli import options
from outgate.cli.inputs import note, read_input
from outgate.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from outgate.model import Snapshot
    from outgate.nft.compile import Compiled
    from outgate.policy import Origin

__all__ = ["compile_", "interface_prefix_of", "mark_mask_of"]


@click.command("compile")
@click.option("--node", metavar="NAME", help="The node; may be left out where the input has only one.")
@click.option(
    "--mark-mask",
    default="0xffff0000",
    show_default=True,
    metavar="BITS",
    help="The bits of the connection mark that are Outgate's.",
)
@click.option("--reject", is_flag=True, help="Answer a denied packet at once instead of dropping it.")
@click.option("--log-group", type=click.IntRange(0, 65535), help="Copy denied packets to this nflog group.")
@click.option(
    "--interface-prefix",
    metavar="NAME",
    help="What the names of the node's interfaces to its pods begin with.",
)
@click.option("--index", is_flag=True, help="Print, as JSON, which policy and rule each chain comes from.")
@options.input_options
@options.output_options("nft", "json")
def compile_(
    node: str | None,
    mark_mask: str,
    reject: bool,
    log_group: int | None,
    interface_prefix: str | None,
    index: bool,
    filename: tuple[str, ...],
    namespace: str | None,
    all_namespaces: bool,  # noqa: ARG001 - a node has pods of every namespace; -A only says so
    strict: bool,
    output: str,
    quiet: bool,
    verbose: int,  # noqa: ARG001 - the header already says all there is
) -> int:
    """Print the nftables ruleset for one node.

    The text is one table, inet outgate, which `nft -f` reads; no other table is touched. Pods that the input gives no
    address are left out and counted. With --index (or -o json) the chains are listed with the policies and rules that
    they come from instead.

    \b
    Examples:
      outgate compile -f manifests/ --node node-a
      outgate compile -f manifests/ --node node-a | nft -c -f -     only check
    """
    from outgate.nft.compile import compile_node
    from outgate.nft.options import Options
    from outgate.policy import Policies

    chosen = Options(
        interface_prefix=interface_prefix_of(interface_prefix),
        mark_mask=mark_mask_of(mark_mask),
        reject=reject,
        log_group=log_group,
    )
    loaded = read_input(filename, namespace=namespace, strict=strict, quiet=quiet)
    snapshot = loaded.snapshot
    name = _node(snapshot, node)
    compiled = compile_node(Policies(snapshot), name, chosen)
    if index or output == "json":
        click.echo(json.dumps(_index(name, compiled.index), indent=2, ensure_ascii=False))
        return 0
    from outgate.nft.text import ruleset_text

    click.echo("\n".join(_header(snapshot, name, compiled)))
    click.echo(ruleset_text(compiled.ruleset), nl=False)
    silent = [pod for pod in snapshot.endpoints if pod.node == name and not pod.addressed and not pod.host_network]
    if silent:
        many = "1 pod" if len(silent) == 1 else f"{len(silent)} pods"
        verbs = ("has", "is") if len(silent) == 1 else ("have", "are")
        note(f"note: {many} of {name} {verbs[0]} no address in the input and {verbs[1]} not in the ruleset", quiet)
    for address, claimants in snapshot.contested.items():
        if any(pod.node == name for pod in claimants):
            who = " and ".join(map(str, claimants))
            note(f"warning: {address} is claimed by {who}: it is closed until one of them is gone", quiet=False)
    return 0


def _node(snapshot: Snapshot, asked: str | None) -> str:
    """The node that is meant. Raises UsageError where it must be said, UnknownName where there is none of that name."""
    known = sorted({*snapshot.nodes, *(pod.node for pod in snapshot.endpoints if pod.node)})
    listed = ", ".join(known[:12]) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
    if asked is not None:
        if asked not in known:
            raise UnknownName(f"no node {asked} in the input", hint=f"the nodes are: {listed}" if known else "")
        return asked
    if not known:
        raise UsageError(
            "the input names no node: no Node object, and no pod with a nodeName",
            hint="rules are made for pods that run: add kubectl get nodes,pods -A -o yaml, or try outgate lab",
        )
    if len(known) > 1:
        raise UsageError("the input has several nodes", hint=f"give one with --node: {listed}")
    return known[0]


def mark_mask_of(text: str) -> int:
    """What `--mark-mask` says. Raises UsageError."""
    try:
        mask = int(text, 0)
    except ValueError:
        mask = 0
    low = mask & -mask
    # The epoch is a number written into these bits, so they must be next to each other, and two at least.
    if not 0 < mask <= 0xFFFFFFFF or (mask // low) & (mask // low + 1) or mask == low:
        raise UsageError(
            f"--mark-mask {text}: give neighbouring bits of a 32-bit mark, as in 0xffff0000",
            hint="they must be bits that kube-proxy and the network plugin leave alone",
        )
    return mask


def interface_prefix_of(text: str | None) -> str:
    """What `--interface-prefix` says; empty where it is not given. Raises UsageError."""
    from outgate.nft.spelling import checked_interface

    if text is None:
        return ""
    if not text:
        # An unset variable of a script: without the prefix the rules would silently protect less.
        raise UsageError("--interface-prefix is empty", hint="give what the names begin with, as in cali or veth")
    try:
        return checked_interface(f"{text}*")[:-1]
    except ValueError as error:
        raise UsageError(f"--interface-prefix {text}: {error}") from None


def _header(snapshot: Snapshot, node: str, compiled: Compiled) -> list[str]:
    """Comments at the top. A name of a manifest that is not a plain word would be one that the server refuses."""
    pods = [pod for pod in snapshot.endpoints if pod.node == node and not pod.host_network]
    origins = {(o.namespace, o.name) for origins in compiled.index.values() for o in origins}
    plain = "".join(letter if letter.isalnum() or letter in ".-" else "?" for letter in node)
    counted = "1 pod" if len(pods) == 1 else f"{len(pods)} pods"
    selecting = "1 policy that selects" if len(origins) == 1 else f"{len(origins)} policies that select"
    return [
        f"# Outgate's table for node {plain}: {counted}, {selecting} one of them.",
        "# Load it with `nft -f FILE`; take it away with `nft delete table inet outgate`.",
        "# `outgate compile --index` says which policy and rule each chain comes from.",
    ]


def _index(node: str, index: Mapping[str, tuple[Origin, ...]]) -> dict[str, object]:
    from outgate.report.terms import API_VERSION, origin_json

    chains = {name: [origin_json(origin) for origin in origins] for name, origins in sorted(index.items())}
    return {"apiVersion": API_VERSION, "kind": "RulesetIndex", "node": node, "chains": chains}
