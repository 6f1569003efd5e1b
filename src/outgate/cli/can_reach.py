"""`outgate can-reach`: one flow, allowed or denied, and which line decided, on both ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from outgate.cli import options
from outgate.cli.inputs import dns_names, note, read_input, say_audited
from outgate.errors import UsageError

if TYPE_CHECKING:
    from outgate.analysis.reachability import Reachability
    from outgate.cluster import Loaded
    from outgate.policy.meeting import About

__all__ = ["can_reach"]


@click.command()
@click.argument("source", metavar="SRC")
@click.argument("destination", metavar="DST[:PORT[/PROTO]]")
@click.option("--port", metavar="PORT", help="A port: its number, or its name on the pod or Service.")
@click.option("--protocol", metavar="PROTO", help="TCP (the default), UDP, SCTP, ICMP, ICMPv6, or a number.")
@click.option("--family", type=click.Choice(("4", "6")), help="Which address of a pod is meant.")
@click.option(
    "--dns-name",
    multiple=True,
    metavar="NAME=ADDRESS",
    help="What a name outside the cluster resolves to. May be repeated.",
)
@click.option("--http", metavar='"METHOD PATH"', help="Ask about one request of HTTP on the port.")
@click.option(
    "--http-host", metavar="HOST", help="Its host, as the request says it; by default the destination's name."
)
@click.option("--http-header", multiple=True, metavar='"NAME: VALUE"', help="A header of it. May be repeated.")
@options.profile_option
@options.input_options
@options.output_options("text", "json")
def can_reach(
    source: str,
    destination: str,
    port: str | None,
    protocol: str | None,
    family: str | None,
    dns_name: tuple[str, ...],
    http: str | None,
    http_host: str | None,
    http_header: tuple[str, ...],
    profile: str,
    filename: tuple[str, ...],
    namespace: str | None,
    all_namespaces: bool,  # noqa: ARG001 - every namespace is looked at anyway; -A only says so
    strict: bool,
    output: str,
    quiet: bool,
    verbose: int,
) -> int:
    """Say if one flow is allowed, and which line decided.

    SRC and DST are namespace/pod, namespace/kind/name (a workload), an address, a CIDR, svc/namespace/name, node/name
    or a DNS name. An IPv6 address with a port stands in brackets. Without a port the answer is the set of ports that
    are allowed. Replies to an allowed connection always pass.

    \b
    Examples:
      outgate can-reach -f manifests/ shop/web shop/postgres:5432
      outgate can-reach -f manifests/ shop/deploy/web svc/shop/cart:http
      outgate can-reach -f manifests/ shop/web 169.254.169.254:80
      outgate can-reach -f manifests/ shop/web '[2001:db8::1]:443'
      outgate can-reach -f manifests/ shop/web 192.168.50.12:10250 --profile cilium
      outgate can-reach -f manifests/ shop/web api.example.com:443 --dns-name api.example.com=203.0.113.10
      outgate can-reach -f manifests/ shop/web svc/shop/cart:80 --http "GET /v1/items"

    \b
    Exit codes:
      0  allowed
      1  denied
      2  bad usage, or a name that the input does not have
    """
    from outgate.analysis.audited import audited, ends_of
    from outgate.analysis.lookup import Lookup
    from outgate.analysis.names import patterns_of, shared_addresses
    from outgate.analysis.reach import reach
    from outgate.analysis.reachability import Question
    from outgate.analysis.targets import TransportAsked, other_reading, parse, parse_destination
    from outgate.policy import PROFILES, Judge, Policies

    # The texts are read before the files: a typing mistake is answered at once.
    start = parse(source)
    end, suffix = parse_destination(destination)
    if other := other_reading(destination):
        note(f"note: {destination} is read as an address without a port; with one it is written {other}", quiet)
    transport = suffix.joined(TransportAsked.read(port, protocol))
    names = dns_names(dns_name)
    about = _about(http, http_host, http_header, destination.rpartition(":")[0].rpartition("/")[2])
    loaded = read_input(filename, namespace=namespace, strict=strict, quiet=quiet)
    lookup = Lookup(loaded.snapshot, namespace, names, tuple(patterns_of(loaded.snapshot)))
    question = Question(lookup.find(start), lookup.find(end), transport, int(family) if family else None, about)
    policies = Policies(loaded.snapshot, PROFILES[profile])
    answer = reach(Judge(policies), question)
    _say(answer, output)
    _say_notes(answer, loaded, quiet, verbose)
    for words in shared_addresses(loaded.snapshot, names):
        note(f"note: {words}", quiet)
    say_audited(audited(policies, ends_of(answer)), quiet)
    return 0 if answer.verdict.allows else 1


def _about(http: str | None, host: str | None, headers: tuple[str, ...], end: str) -> About | None:
    """The request that is asked about. Raises UsageError for one that cannot be."""
    from outgate.analysis.request_words import RequestAsked

    if http is None:
        if host is not None or headers:
            raise UsageError("--http-host and --http-header say more of a request, and --http was not given")
        return None
    return RequestAsked.of(http, host, headers).about(end)


def _say(answer: Reachability, output: str) -> None:
    if output == "json":
        import json

        from outgate.report.reach_json import reach_json

        click.echo(json.dumps(reach_json(answer), indent=2, ensure_ascii=False))
        return
    from outgate.report.reach_text import reach_text

    text = reach_text(answer)
    word = answer.verdict.name
    click.echo(click.style(word, fg="green" if answer.verdict.allows else "red", bold=True) + text[len(word) :])


def _say_notes(answer: Reachability, loaded: Loaded, quiet: bool, verbose: int) -> None:
    for words in answer.notes:
        note(f"note: {words}", quiet)
    if verbose:
        snapshot = loaded.snapshot
        note(f"note: asked of {len(snapshot.endpoints)} pods and {len(snapshot.policies)} policies")
