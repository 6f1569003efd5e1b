"""`outgate exposure`: how exposed each workload is, the most exposed first."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from outgate.cli import options
from outgate.cli.inputs import note, read_input, say_audited, say_if_empty, say_profile

if TYPE_CHECKING:
    from outgate.analysis.exposure import ExposureReport
    from outgate.model import Pod, Snapshot

__all__ = ["FAIL_ON", "exposure"]

FAIL_ON = (
    *("metadata", "unisolated", "internet", "dns", "apiserver", "nodes"),
    *("internet-part", "namespaces", "any-pod", "open-ingress"),
)
"""The findings by name, as `analysis.exposure.Finding` has them: written here too, so that help loads no analysis."""


@click.command()
@click.option(
    "--focus",
    multiple=True,
    metavar="WORKLOAD",
    help="Only this workload, in full: namespace/kind/name or namespace/pod. May be repeated.",
)
@click.option(
    "--fail-on",
    multiple=True,
    type=click.Choice(FAIL_ON),
    help="Exit with 1 if any workload shown is so exposed. May be repeated.",
)
@options.profile_option
@options.input_options
@options.output_options("text", "json", "csv", "markdown")
def exposure(
    focus: tuple[str, ...],
    fail_on: tuple[str, ...],
    profile: str,
    filename: tuple[str, ...],
    namespace: str | None,
    all_namespaces: bool,  # noqa: ARG001 - every namespace is shown unless -n names one; -A only says so
    strict: bool,
    output: str,
    quiet: bool,
    verbose: int,
) -> int:
    """Say what each workload could reach, the most exposed first.

    For each workload: the internet (IPv4 and IPv6, which part, which ports), metadata services of clouds, the API
    server, nodes, DNS resolvers, other namespaces, and pods that do not exist yet; with the policy and line that let
    it, or that no policy isolates it. With -n only workloads of that namespace are shown; -v shows all in full.

    \b
    Examples:
      outgate exposure -f manifests/
      outgate exposure -f manifests/ --focus shop/deploy/web
      outgate exposure -f manifests/ --fail-on metadata --fail-on internet
      kubectl get -A -o json ns,po,deploy,svc,no,netpol,endpointslices | outgate exposure -f - -o csv

    \b
    Exit codes:
      0  the report was made, and nothing is exposed as --fail-on says
      1  a workload is exposed as --fail-on says
      2  bad usage, or a name that the input does not have
    """
    from outgate.analysis.audited import audited
    from outgate.analysis.exposure import exposure as expose
    from outgate.model import Direction
    from outgate.policy import PROFILES, Policies

    loaded = read_input(filename, namespace=namespace, strict=strict, quiet=quiet)
    # The workload is looked up first: a typing mistake is answered before the work is done.
    pods = _focus(loaded.snapshot, focus, namespace)
    say_profile(profile, quiet)
    report = expose(loaded.snapshot, PROFILES[profile])
    if pods is not None:
        wanted = {pod.key for pod in pods}
        kept = (one for one in report.workloads if any(pod.key in wanted for pod in one.group.pods))
        report = replace(report, workloads=tuple(kept))
    elif namespace is not None:
        kept = (one for one in report.workloads if one.group.namespace == namespace)
        report = replace(report, workloads=tuple(kept))
    click.echo(_written(report, output, in_full=bool(focus) or verbose > 0), nl=False)
    if report.undeclared:
        # With labels that nobody knows, selectors of namespaces may match otherwise.
        note(f"note: not in the input, so only their names are known: {_names(report.undeclared)}", quiet)
    ends = ((pod, Direction.EGRESS) for one in report.workloads for pod in one.group.pods)
    say_audited(audited(Policies(loaded.snapshot, PROFILES[profile]), ends), quiet)
    failed = {finding.value for one in report.workloads for finding in one.standing.findings} & set(fail_on)
    if failed:
        note(f"exposed: {', '.join(name for name in FAIL_ON if name in failed)}", quiet)
    return 1 if failed else 0


def _names(names: tuple[str, ...], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"namespace{'s' if len(names) > 1 else ''} {', '.join(names[:most])}{more}"


def _focus(snapshot: Snapshot, focus: tuple[str, ...], namespace: str | None) -> tuple[Pod, ...] | None:
    from outgate.analysis.lookup import Lookup, PodsTarget, known_namespace
    from outgate.analysis.targets import parse
    from outgate.errors import UsageError

    if not focus:
        if namespace is not None:
            # A gate that looks at nothing must not be green.
            known_namespace(namespace, snapshot)
            say_if_empty(snapshot, namespace)
        return None
    pods: list[Pod] = []
    for text in focus:
        subject = Lookup(snapshot, namespace).find(parse(text))
        if not isinstance(subject, PodsTarget):
            raise UsageError(f"{subject} is no pod and no workload: --focus is about who sends")
        pods += subject.pods
    return tuple(pods)


def _written(report: ExposureReport, output: str, *, in_full: bool) -> str:
    if output == "json":
        import json

        from outgate.report.exposure_json import exposure_json

        return json.dumps(exposure_json(report), indent=2, ensure_ascii=False) + "\n"
    if output == "csv":
        from outgate.report.exposure_csv import exposure_csv

        return exposure_csv(report)
    if output == "markdown":
        from outgate.report.exposure_markdown import exposure_markdown

        return exposure_markdown(report)
    from outgate.report.exposure_text import MOST_BLOCKS, exposure_text

    return exposure_text(report, blocks=len(report.workloads) if in_full else MOST_BLOCKS)
