"""`outgate lab`: the cluster of the input in network namespaces, its policies enforced, real packets sent.

`outgate lab` alone is the run; `lab shell` and `lab down` are about a lab that was kept with `--keep`.
"""

from __future__ import annotations

import math
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from outgate.cli import options
from outgate.cli.inputs import dns_names, note, read_input
from outgate.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from outgate.lab.session import Outcome
    from outgate.model import Snapshot
    from outgate.packets import Address
    from outgate.report.lab import LabReport

__all__ = ["down", "lab", "shell"]

PATIENT = 1.0
"""Seconds before progress is shown."""

_NAME = click.option("--name", default="default", show_default=True, metavar="NAME", help="Which kept lab is meant.")


class _RunUnlessNamed(click.Group):
    """A group that runs the lab where no subcommand is named."""

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what is most often typed first."""
        formatter.write_usage(ctx.command_path, "[OPTIONS]")
        formatter.write_usage(ctx.command_path, "shell [POD] [-- COMMAND...]", "      ")
        formatter.write_usage(ctx.command_path, "down", "      ")

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find shell or down; whatever else stands there is most often a folder whose -f is missing."""
        if args[0] not in self.commands and not ctx.resilient_parsing:
            raise click.UsageError(
                f"There is no 'lab {args[0]}', only 'lab shell' and 'lab down'. Manifests are given with -f.", ctx
            )
        return super().resolve_command(ctx, args)


def _finite(_context: click.Context, _parameter: click.Parameter, value: float) -> float:
    """Neither a bound nor a clock can do anything with `nan` and `inf`, which Python reads as numbers."""
    if not math.isfinite(value):
        raise click.BadParameter("give a number of seconds.")
    return value


@click.group(cls=_RunUnlessNamed, invoke_without_command=True)
@click.option(
    "--flows", type=click.Path(), metavar="FILE", help="Probe the flows or assertions of this file, no others."
)
@click.option("--no-enforce", is_flag=True, help="The control: the same probes without rules. It must disagree.")
@click.option(
    "--keep", is_flag=True, help="Leave the lab standing, for 'outgate lab shell' and until 'outgate lab down'."
)
@click.option("--max-pods", type=int, default=60, show_default=True, metavar="N", help="Build at most so many pods.")
@click.option("--pods-per-workload", type=int, metavar="N", help="Build only so many pods of each workload.")
@click.option("--dns-name", multiple=True, metavar="NAME=ADDRESS", help="A name outside the cluster. May be repeated.")
@click.option(
    "--dns-move", multiple=True, metavar="NAME=ADDRESS", help="Where a name moves to meanwhile. May be repeated."
)
@click.option(
    "--dns-ttl",
    type=click.IntRange(1, 300),
    default=1,
    show_default=True,
    metavar="SECONDS",
    help="How long answers may be kept when names move.",
)
@click.option("--family", type=click.Choice(("4", "6")), help="Probe IPv4 or IPv6 alone.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.5),
    callback=_finite,
    default=6.0,
    show_default=True,
    metavar="SECONDS",
    help="How long an expected answer may take before it is asked for again.",
)
@_NAME
@options.input_options
@options.output_options("text", "json")
@click.pass_context
def lab(context: click.Context, /, **given: Any) -> int:
    """Build the cluster here, enforce its policies, send real packets, compare.

    Every pod and node becomes a network namespace of its own, closed in: no packet leaves this machine. NetworkPolicies
    are compiled into nftables rules and probed with TCP, UDP, ICMP and SCTP packets, by address, service and name.
    It needs root, or a kernel that allows user namespaces, and the programs nft and ip.

    \b
    Examples:
      outgate lab -f manifests/
      outgate lab -f manifests/ --flows flows.yaml
      outgate lab -f manifests/ --keep
      outgate lab shell shop/web -- curl http://cart

    \b
    Exit codes:
      0  every packet did what the policies say
      1  a disagreement
      2  bad usage or bad input
      3  the kernel refused
    """
    if context.invoked_subcommand is not None:
        return 0
    return _run(given)


@lab.command()
@click.argument("pod", required=False)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@_NAME
def shell(pod: str | None, command: tuple[str, ...], name: str) -> int:
    """Open a shell, or run one command, in a pod of the kept lab.

    POD is namespace/name, node/NAME, or a pod's name alone where only one namespace has it. It may be left out where
    the lab has a single pod.
    """
    from outgate.lab import keeper
    from outgate.lab.shell import shell as open_shell

    kept = keeper.find(name) if pod is None else None
    if kept is not None:
        pods = sorted(kept.description.pods)
        if len(pods) != 1:
            raise UsageError("which pod?", hint=f"the lab has {', '.join(pods[:10])}{', …' if len(pods) > 10 else ''}")
        pod = pods[0]
    return open_shell(pod or "", command, name=name)


@lab.command()
@_NAME
def down(name: str) -> int:
    """Remove the kept lab."""
    from outgate.lab import keeper

    gone = keeper.down(name)
    click.echo(f"removed: {len(gone.description.pods)} pods" if gone else "no kept lab stands", err=True)
    return 0


def _run(given: dict[str, Any]) -> int:
    from outgate.lab import flows, keeper, run, session

    asked = flows.load(given["flows"]) if given["flows"] is not None else None
    names = dns_names(given["dns_name"])
    moves = dns_names(given["dns_move"], "--dns-move")
    _refuse_strange_moves(moves, names, asked=asked is not None)
    if given["keep"]:
        keeper.refuse_if_standing(given["name"])
    loaded = read_input(given["filename"], namespace=given["namespace"], strict=given["strict"], quiet=given["quiet"])
    _refuse_what_nobody_is_at({"--dns-name": names, "--dns-move": moves}, loaded.snapshot)
    wishes = run.Wishes(
        flows=asked,
        enforce=not given["no_enforce"],
        max_pods=given["max_pods"],
        per_workload=given["pods_per_workload"],
        names=names,
        moves=moves,
        ttl=given["dns_ttl"],
        families=(int(given["family"]),) if given["family"] else (4, 6),
        namespace=given["namespace"],
        patience=given["timeout"],
    )
    prepared = run.prepare(loaded.snapshot, wishes)
    if not prepared.plan.probes:
        raise _nothing_to_probe(given["namespace"], pods=bool(prepared.topology.pods))

    def inside() -> Outcome:
        report, stage, answers = run.perform(prepared, _progress(quiet=given["quiet"]))
        _say(report, given["output"])
        if given["verbose"]:
            note(f"note: {answers.count} sockets listened, and {report.at_once} probes at a time had room")
        if given["keep"]:
            run.serve(answers)
            first = "/".join(next(iter(stage.pods), ("NAMESPACE", "POD")))
            name = "" if given["name"] == keeper.DEFAULT else f" --name {given['name']}"
            note(f"kept: outgate lab shell {first}{name}; outgate lab down{name} removes it", given["quiet"])
        return session.Outcome(0 if report.agrees else 1, stage)

    code = session.run_in_lab(inside, keep=given["keep"], name=given["name"])
    if code == session.INTERRUPTED:
        raise KeyboardInterrupt
    return code


def _refuse_strange_moves(
    moves: Mapping[str, Sequence[Address]], names: Mapping[str, Sequence[Address]], *, asked: bool
) -> None:
    """A move that nobody would see must not look like one that changed nothing."""
    if moves and asked:
        raise UsageError(
            "--dns-move goes with rules about names, which are tried where everything is probed",
            hint="leave out --flows or --dns-move",
        )
    unknown = [name for name in moves if name not in names]
    if unknown:
        raise UsageError(
            f"--dns-move {unknown[0]}: the name leads nowhere before it moves",
            hint=f"give --dns-name {unknown[0]}=ADDRESS, too",
        )
    stays = [f"{name}={one}" for name, many in moves.items() for one in many if one in names[name]]
    if stays:
        raise UsageError(f"--dns-move {stays[0]}: the name leads there before it moves", hint="give another address")


def _refuse_what_nobody_is_at(given: Mapping[str, Mapping[str, Sequence[Address]]], snapshot: Snapshot) -> None:
    """A name may lead anywhere; the lab dials what it leads to, and there must be somebody of the world outside."""
    services = {one: service for service in snapshot.services for one in (*service.cluster_ips, *service.external_ips)}
    wrong = []
    for option, names in given.items():
        for name, address in ((name, one) for name, many in names.items() for one in many):
            what = f"the address of Service {services[address]}" if address in services else _of_nobody(address)
            if what:
                words = f"this is {what}, and the lab dials somebody outside by this name; give another address"
                wrong.append(InputError(f"{option} {name}={address}", 0, "", words))
    if wrong:
        raise UsageError(wrong)


def _of_nobody(address: Address) -> str:
    """What a connection does not go to, or not beyond the pod or its link (RFC 6890)."""
    if address.is_multicast or str(address) == "255.255.255.255":
        return "multicast or broadcast"
    if address.is_loopback or address.is_unspecified:
        return "the dialling pod itself"
    return "an address of its link alone" if address.version == 6 and address.is_link_local else ""


def _nothing_to_probe(namespace: str | None, *, pods: bool) -> UsageError:
    """A run without a single probe has no disagreement, and must not look like one in which all was well."""
    if not pods:
        return UsageError(
            "there is nothing to probe: the input has no pods and no workloads",
            hint="outgate validate says what the input has",
        )
    where = "" if namespace is None else f": no flow has an end in namespace {namespace}"
    return UsageError(f"there is nothing to probe{where}", hint="give another -n or --family, or leave them out")


def _say(report: LabReport, output: str) -> None:
    if output == "json":
        import json

        from outgate.report.lab_json import lab_json

        click.echo(json.dumps(lab_json(report), indent=2, ensure_ascii=False))
        return
    import shutil

    from outgate.report.lab_text import lab_text

    click.echo(lab_text(report, shutil.get_terminal_size((100, 24)).columns))


def _progress(*, quiet: bool) -> Callable[[str, int, int], None]:
    """One line on a terminal that is written over, and only for what takes longer than a second."""
    begun, said = time.monotonic(), 0.0
    shown = sys.stderr.isatty() and not quiet

    def progress(doing: str, done: int, total: int) -> None:
        nonlocal said
        now = time.monotonic()
        if not shown or now - begun < PATIENT:
            return
        if done >= total:
            click.echo("\r\x1b[K", nl=False, err=True)
        elif now - said > 0.1:
            said = now
            click.echo(f"\r\x1b[K{doing} {done}/{total}", nl=False, err=True)

    return progress
