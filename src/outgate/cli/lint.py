"""`outgate lint`: what is wrong with the policies, with file and line, and how it is mended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from outgate.cli import options
from outgate.cli.inputs import read_input
from outgate.cli.mending import mend_files
from outgate.errors import UsageError

if TYPE_CHECKING:
    from outgate.checks.lint import LintReport
    from outgate.cluster import Loaded

__all__ = ["lint"]

SEVERITIES = ("error", "warning", "info")


@click.command()
@click.option(
    "--fail-on",
    type=click.Choice((*SEVERITIES, "never")),
    default="warning",
    show_default=True,
    help="Exit with 1 if anything as bad as this is found.",
)
@click.option("--select", multiple=True, metavar="RULE", help="Ask only this check. May be repeated.")
@click.option("--ignore", multiple=True, metavar="RULE", help="Do not ask this check. May be repeated.")
@click.option("--fix", is_flag=True, help="Mend in the files what can be mended safely, and show what is left.")
@click.option("--diff", "only_show", is_flag=True, help="With --fix: show the changes and write nothing.")
@options.profile_option
@options.input_options
@options.output_options("text", "json")
def lint(
    fail_on: str,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    fix: bool,
    only_show: bool,
    profile: str,
    filename: tuple[str, ...],
    namespace: str | None,
    all_namespaces: bool,  # noqa: ARG001 - every namespace is looked at anyway; -A only says so
    strict: bool,
    output: str,
    quiet: bool,
    verbose: int,  # noqa: ARG001 - a finding is always shown whole
) -> int:
    """Find what is wrong with the policies: file, line, a packet that proves it, and what to do.

    What a check is about, and when to ignore it, is printed by outgate explain RULE. A finding is put away by an
    annotation of its object, with a reason: ignore.outgate.dev/RULE: "why".

    \b
    Examples:
      outgate lint -f manifests/
      helm template . | outgate lint -f -
      outgate lint -f manifests/ --fail-on error -o json

    \b
    Exit codes:
      0  nothing as bad as --fail-on says
      1  something is
      2  bad usage, or a part of the input that cannot be used (the rest is still looked at)
    """
    from outgate.checks import Severity, Survey
    from outgate.checks.lint import Selection
    from outgate.checks.lint import lint as ask
    from outgate.policy import PROFILES

    rules = _rules(select, ignore)
    if only_show and not fix:
        raise UsageError("--diff shows what --fix would do: give both")
    loaded = read_input(filename, namespace=namespace, strict=strict, quiet=quiet)
    report = ask(Survey(loaded.snapshot, PROFILES[profile]), Selection(rules))
    if fix:
        changed = mend_files(report, show=only_show, quiet=quiet)
        if only_show:
            return 2 if loaded.errors else int(changed > 0)
        if changed:
            # What is left is judged anew, from the files as they are now.
            loaded = read_input(filename, namespace=namespace, strict=strict, quiet=True)
            report = ask(Survey(loaded.snapshot, PROFILES[profile]), Selection(rules))
    for warning in report.warnings:
        click.echo(f"warning: {warning}", err=True)
    _say(report, loaded, output)
    if loaded.errors:
        return 2
    worst = report.worst()
    return 1 if fail_on != "never" and worst is not None and worst >= Severity[fail_on.upper()] else 0


def _rules(select: tuple[str, ...], ignore: tuple[str, ...]) -> tuple[str, ...]:
    """The checks to ask, in their order. Raises UsageError for names that no check has."""
    from outgate.checks import NAMES

    unknown = [name for name in (*select, *ignore) if name not in NAMES]
    if unknown:
        raise UsageError(
            f"there is no check {', '.join(unknown)}{_nearest(unknown[0], NAMES)}", hint="outgate explain lists them"
        )
    return tuple(name for name in NAMES if (not select or name in select) and name not in ignore)


def _nearest(name: str, known: tuple[str, ...]) -> str:
    import difflib

    found = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {found[0]}?" if found else ""


def _say(report: LintReport, loaded: Loaded, output: str) -> None:
    if output == "json":
        import json

        from outgate.report.lint_json import lint_json

        click.echo(json.dumps(lint_json(report, loaded.errors), indent=2, ensure_ascii=False))
        return
    from outgate.report.lint_text import lint_text

    for line in lint_text(report):
        click.echo(line)
