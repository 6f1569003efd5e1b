"""`outgate doctor`: does this cluster enforce policies at all, which DNS has it, and what is missing."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from outgate.cli import options
from outgate.cli.inputs import cluster_of, note, open_cluster, read_input
from outgate.cli.options import chosen_kubeconfig
from outgate.errors import UsageError

if TYPE_CHECKING:
    from outgate.analysis.doctor import DoctorReport
    from outgate.analysis.doctor_probe import ProbeResult
    from outgate.cluster.client import Client
    from outgate.cluster.platform import Platform
    from outgate.model import Document

__all__ = ["FAIL_ON", "doctor"]

FAIL_ON = ("wrong", "attention", "unknown")
"""The marks that may make the exit code 1, each with those before it."""


@click.command()
@click.option(
    "--fail-on",
    type=click.Choice(FAIL_ON),
    default=FAIL_ON[0],
    show_default=True,
    help="Exit with 1 if a line has this mark, or a worse one: attention includes wrong, unknown includes both.",
)
@click.option("--probe", is_flag=True, help="Try it: make two pods in a namespace of their own, deny, and look.")
@click.option("--yes", is_flag=True, help="Do what --probe says without being asked again.")
@click.option("--image", metavar="IMAGE", help="The image of the probe's pods: it needs sh, httpd, wget and sleep.")
@click.option(
    "--patience",
    type=click.FloatRange(min=1, max=3600),
    metavar="SECONDS",
    help="How long the probe waits for each of its steps: 90, unless told.",
)
@click.option("--show-rbac", is_flag=True, help="Print the ClusterRole that --probe needs, and do nothing else.")
@options.input_options
@options.output_options("text", "json")
def doctor(
    fail_on: str,
    probe: bool,
    yes: bool,
    image: str | None,
    patience: float | None,
    show_rbac: bool,
    filename: tuple[str, ...],
    namespace: str | None,
    all_namespaces: bool,  # noqa: ARG001 - every namespace is looked at anyway; -A only says so
    strict: bool,
    output: str,
    quiet: bool,
    verbose: int,
) -> int:
    """Say if this cluster enforces policies at all, and what is missing.

    Which network plugin, whether it enforces NetworkPolicy, which DNS, who reaches metadata services, default denies by
    namespace, versions, policies that are not read, and what Outgate's agent could do. Every line that is not ok says
    what to do next. Objects only say what should be: --probe shows what is, in a live cluster, with two small pods.

    \b
    Examples:
      outgate doctor --context prod
      outgate doctor --context prod --probe --yes
      outgate doctor -f cluster.json -o json
      outgate doctor --show-rbac | kubectl apply -f -

    \b
    Exit codes:
      0  nothing is wrong
      1  something is wrong, or as --fail-on says
      2  bad usage or bad input
      3  the cluster could not be reached, or the probe could not conclude anything
    """
    from outgate.analysis.doctor import diagnose
    from outgate.analysis.doctor_facts import Facts, OtherPolicy
    from outgate.analysis.doctor_probe import Outcome
    from outgate.cluster.others import kinds_passed_over

    if show_rbac:
        from outgate.cluster.canary_objects import RBAC

        click.echo(RBAC, nl=False)
        return 0
    _check(filename, probe=probe, yes=yes, only_with_probe=image is not None or patience is not None)
    visitor = _Visitor()
    loaded = read_input(filename, namespace=namespace, strict=strict, quiet=quiet, visit=visitor)
    shown = _probed(cluster_of(filename) or "", image, patience, quiet) if probe else None
    told = visitor.told
    kinds = kinds_passed_over(loaded.skipped)
    others = [OtherPolicy(f"{kind} of {version}", count) for kind, version, count in kinds]
    report = diagnose(
        Facts(
            loaded.snapshot,
            told.served if told is not None else None,
            (*(told.unread if told is not None else ()), *others),
            shown,
            _asked(filename),
            visitor.kubectl,
        )
    )
    _write(report, output, in_full=verbose > 0)
    if shown is not None and shown.outcome is Outcome.INCONCLUSIVE:
        return 3
    return int(_failed(report, fail_on))


def _check(filename: Sequence[str], *, probe: bool, yes: bool, only_with_probe: bool) -> None:
    """That what was asked for fits together, before anything is done. Raises UsageError."""
    if not probe:
        if yes or only_with_probe:
            raise UsageError("--yes, --image and --patience are about --probe, which was not given")
        return
    if filename and cluster_of(filename) is None:
        raise UsageError("--probe needs a live cluster", hint="give it with --context NAME or -f cluster")
    if not yes:
        raise UsageError(
            "--probe makes a namespace and two pods in the cluster, and removes them again; nothing was made yet",
            hint="say --yes as well if that is what you want; --show-rbac shows the rights that it needs",
        )


class _Visitor:
    """Asks a live cluster for what a doctor wants to know beside its objects."""

    def __init__(self) -> None:
        self.told: Platform | None = None
        self.kubectl = "kubectl"

    def __call__(self, client: Client) -> Sequence[Document]:
        from outgate.cluster.platform import platform

        self.kubectl = client.access.kubectl
        self.told = platform(client)
        return self.told.settings


def _probed(context: str, image: str | None, patience: float | None, quiet: bool) -> ProbeResult:
    """What a probe shows; what it does is said as it goes, and what it leaves behind even with -q."""
    import secrets
    import time

    from outgate.cluster.canary import Plan, probe
    from outgate.cluster.canary_objects import DEFAULT_IMAGE

    plan = Plan(secrets.token_hex(5), image or DEFAULT_IMAGE, patience or 90.0)

    def say(words: str) -> None:
        note(words, quiet and not words.startswith("warning"))

    with open_cluster(context) as client, _ended_politely():
        return probe(client, plan, wait=time.sleep, clock=time.monotonic, say=say)


@contextmanager
def _ended_politely() -> Iterator[None]:
    """Take the signals that would end us at once for an interrupt, so that what was made is removed.

    Who is told to ignore one (nohup does that with SIGHUP) goes on.
    """

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    names = [one for one in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) is not signal.SIG_IGN]
    before = [signal.signal(name, interrupted) for name in names]
    try:
        yield
    finally:
        for name, handler in zip(names, before, strict=True):
            signal.signal(name, handler)


def _asked(filename: Sequence[str]) -> str:
    """The options that name the input, to be typed again."""
    kubeconfig = chosen_kubeconfig()
    words = ["--kubeconfig", kubeconfig] if kubeconfig else []
    for text in filename:
        door, colon, context = text.partition(":")
        if door == "cluster" and (colon or not kubeconfig):
            words += ["--context", context] if context else [] if kubeconfig else ["-f", "cluster"]
        else:
            words += ["-f", text]
    return shlex.join(words)


def _write(report: DoctorReport, output: str, *, in_full: bool) -> None:
    if output == "json":
        import json

        from outgate.report.doctor_json import doctor_json

        click.echo(json.dumps(doctor_json(report), indent=2, ensure_ascii=False))
        return
    from outgate.report.doctor_text import doctor_text

    for line in doctor_text(report, in_full=in_full):
        click.echo(line)


def _failed(report: DoctorReport, fail_on: str) -> bool:
    from outgate.analysis.doctor_facts import Mark

    failing = FAIL_ON[: FAIL_ON.index(fail_on) + 1]
    return any(report.having(Mark(name)) for name in failing)
