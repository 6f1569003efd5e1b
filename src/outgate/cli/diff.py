"""`outgate diff`: what opens and what closes between two inputs, and which policy brings it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from outgate.cli import options
from outgate.cli.inputs import note, read_side, say_audited, say_profile
from outgate.errors import InvalidInput, OutgateError, UsageError

if TYPE_CHECKING:
    from outgate.analysis.causes import Causes
    from outgate.analysis.diff import ConnectionDiff
    from outgate.analysis.groups import Group, WorkloadKey
    from outgate.cluster import Loaded
    from outgate.model import Snapshot
    from outgate.policy import Profile

__all__ = ["diff"]


@click.command()
@click.argument("old", metavar="OLD", type=click.Path(allow_dash=True))
@click.argument("new", metavar="NEW", type=click.Path(allow_dash=True))
@click.option(
    "--fail-on",
    multiple=True,
    type=click.Choice(("opened", "closed", "any")),
    help="What gives exit code 1: anything unless told. May be repeated.",
)
@click.option(
    "--focus",
    multiple=True,
    metavar="WORKLOAD",
    help="Only what has this pod or workload at one end. May be repeated.",
)
@click.option(
    "-n",
    "--namespace",
    metavar="NAME",
    help="Only what has an end in this namespace; objects that name none are in it.",
)
@click.option(
    "--strict", is_flag=True, help="Fail where an object cannot be used, instead of setting it apart and going on."
)
@options.profile_option
@options.output_options("text", "json", "csv", "markdown", "dot", "mermaid", "html")
def diff(
    old: str,
    new: str,
    fail_on: tuple[str, ...],
    focus: tuple[str, ...],
    namespace: str | None,
    strict: bool,
    profile: str,
    output: str,
    quiet: bool,
    verbose: int,
) -> int:
    """Say what opens and what closes between two inputs.

    OLD and NEW are files or folders of manifests, git:REV:PATH, a live cluster (cluster or cluster:CONTEXT), or - for
    standard input. Compared is what may connect to what, and not how it is written: a policy that is spelled another
    way, a new replica and a roll-out are no difference.

    What lets pass more than before counts as opened, even if the connection was there; what lets pass less counts as
    closed. What comes with a new workload counts too.

    \b
    Examples:
      outgate diff git:main:manifests manifests
      outgate diff cluster:prod manifests
      outgate diff --fail-on opened before.yaml after.yaml
      helm template chart | outgate diff -o markdown deployed.yaml -
      outgate diff --focus shop/deploy/web old/ new/

    \b
    Exit codes:
      0  nothing differs, or nothing of the kinds that --fail-on names
      1  something differs
      2  bad usage or bad input
    """
    from outgate.policy import PROFILES

    if old == new == "-":
        raise UsageError("OLD and NEW cannot both be standard input", hint="save one of them to a file")
    before, after = _read(old, new, namespace=namespace, strict=strict, quiet=quiet)
    found = _compare(before.snapshot, after.snapshot, focus=focus, namespace=namespace, profile=PROFILES[profile])
    say_profile(profile, quiet)
    notes = _unknown(found)
    for words in notes:
        note(f"note: {words}", quiet)
    _say_audited(found, quiet)
    _say(found, output, (old, new), notes, everything=verbose > 0)
    if verbose:
        sizes = (
            f"{len(one.snapshot.endpoints)} pods and {len(one.snapshot.every_policy)} policies"
            for one in (before, after)
        )
        note(f"note: compared {' with '.join(sizes)}")
    return 1 if _fails(found, fail_on or ("any",)) else 0


def _read(old: str, new: str, *, namespace: str | None, strict: bool, quiet: bool) -> tuple[Loaded, Loaded]:
    """Both sides. What is wrong with either is raised at once, and says which side it is about."""
    found: list[Loaded] = []
    wrong: list[tuple[str, InvalidInput]] = []
    for side, text in (("OLD", old), ("NEW", new)):
        try:
            loaded = read_side(text, namespace=namespace, strict=strict, quiet=quiet)
        except InvalidInput as error:
            wrong.append((side, error))
            continue
        except OutgateError as error:
            # A cluster that does not answer: there is nothing else to say about this side.
            error.hint = _about(side, error)
            raise
        if loaded.errors:
            note(f"note: {side}, {text}, is compared without what was set apart: what differs may be more, or less")
        found.append(loaded)
    if wrong:
        raise _together(wrong)
    return found[0], found[1]


def _together(wrong: list[tuple[str, InvalidInput]]) -> InvalidInput:
    side, error = wrong[0]
    if len(wrong) == 1:
        error.hint = _about(side, error)
        return error
    hints = dict.fromkeys(each.hint for _, each in wrong if each.hint)
    if all(each.errors for _, each in wrong):
        return InvalidInput([one for _, each in wrong for one in each.errors], hint="; ".join(hints))
    return InvalidInput("; ".join(f"{name}: {each.message}" for name, each in wrong), hint="; ".join(hints))


def _about(side: str, error: OutgateError) -> str:
    return f"this is about {side}" + (f"; {error.hint}" if error.hint else "")


def _compare(
    before: Snapshot, after: Snapshot, *, focus: tuple[str, ...], namespace: str | None, profile: Profile
) -> ConnectionDiff:
    from outgate.analysis.diff import diff as compare
    from outgate.analysis.lookup import known_namespace

    focused = [_focused(text, namespace, before, after) for text in focus]
    if not focused and namespace is not None:
        known_namespace(namespace, before, after)
    found = compare(before, after, profile)
    if not focused and namespace is None:
        return found

    def wanted(group: Group) -> bool:
        return any(meant(group) for meant in focused) if focused else group.namespace == namespace

    return found.about(wanted)


def _focused(focus: str, namespace: str | None, *sides: Snapshot) -> Callable[[Group], bool]:
    """Whether --focus means a group: its workload, or some of its pods where it is written `[version=v2]`.

    On whichever side has them. Raises UnknownName where none does.
    """
    from outgate.analysis.groups import workload_of
    from outgate.analysis.lookup import Lookup, PodsTarget
    from outgate.analysis.targets import parse
    from outgate.errors import UnknownName

    written = parse(focus)
    workloads: set[WorkloadKey] = set()
    pods: set[tuple[str, str]] = set()
    part = False
    unknown: list[UnknownName] = []
    for snapshot in sides:
        try:
            target = Lookup(snapshot, namespace).find(written)
        except UnknownName as error:
            unknown.append(error)
            continue
        if not isinstance(target, PodsTarget):
            raise UsageError(f"--focus {focus} is no pod and no workload")
        workloads.update(workload_of(pod) for pod in target.pods)
        pods.update(pod.key for pod in target.pods)
        part = part or bool(target.part)
    if len(unknown) == len(sides):
        raise unknown[-1]

    def meant(group: Group) -> bool:
        return group.workload in workloads and (not part or any(pod.key in pods for pod in group.pods))

    return meant


def _fails(found: ConnectionDiff, kinds: tuple[str, ...]) -> bool:
    differs = {"any": bool(found), "opened": found.opens, "closed": found.closes}
    return any(differs[kind] for kind in kinds)


def _unknown(found: ConnectionDiff) -> tuple[str, ...]:
    """What either side refers to and does not have; said once where both do."""
    from outgate.analysis.unknowns import unknowns

    before, after = unknowns(found.before), unknowns(found.after)
    both = [words for words in before if words in after]
    sides = [f"{side}: {words}" for side, many in (("OLD", before), ("NEW", after)) for words in many]
    return (*both, *(one for one in sides if one.partition(": ")[2] not in both))


def _say_audited(found: ConnectionDiff, quiet: bool) -> None:
    """What is only watched on either side; said once where both do."""
    from outgate.analysis.audited import audited

    old, new = audited(found.before.grid.policies), audited(found.after.grid.policies)
    if old == new:
        say_audited(old, quiet)
    else:
        say_audited(old, quiet, "OLD: ")
        say_audited(new, quiet, "NEW: ")


def _say(
    found: ConnectionDiff, output: str, inputs: tuple[str, str], notes: tuple[str, ...], *, everything: bool
) -> None:
    from outgate.analysis.causes import Causes

    if output == "html":
        from outgate.report.page import page
        from outgate.report.page_comparison import page_of_diff

        click.echo(page(page_of_diff(found, inputs, notes)), nl=False)
        return
    click.echo(_written(found, Causes(found), output, notes, everything=everything), nl=False)


def _written(found: ConnectionDiff, why: Causes, output: str, notes: tuple[str, ...], *, everything: bool) -> str:
    match output:
        case "json":
            import json

            from outgate.report.diff_json import diff_json

            return json.dumps(diff_json(found, why, notes), indent=2, ensure_ascii=False) + "\n"
        case "csv":
            from outgate.report.diff_csv import diff_csv

            return diff_csv(found, why)
        case "markdown":
            from outgate.report.diff_markdown import diff_markdown

            return diff_markdown(found, why)
        case "dot":
            from outgate.report.diff_graph import diff_dot

            return diff_dot(found)
        case "mermaid":
            from outgate.report.diff_graph import diff_mermaid

            return diff_mermaid(found)
    from outgate.report.diff_text import diff_text

    return diff_text(found, why, everything=everything) + "\n"
