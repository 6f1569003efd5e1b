"""`outgate lint`: what is wrong with the policies, with file and line, and how it is mended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from outgate.cli import options
from outgate.cli.inputs import dns_names, note, read_input, say_profile
from outgate.cli.lint_output import FORMATS, files_to_write, write_file, written
from outgate.cli.lint_settings import CONFIG, Settings, settings
from outgate.cli.mending import mend_files
from outgate.errors import UsageError

if TYPE_CHECKING:
    from outgate.checks.lint import LintReport
    from outgate.cluster import Loaded

__all__ = ["lint"]


@click.command()
@click.option(
    "--fail-on",
    type=click.Choice(("error", "warning", "info", "never")),
    help="Exit with 1 if anything as bad as this is found.  [default: warning]",
)
@click.option("--select", multiple=True, metavar="RULE", help="Ask only this check. May be repeated.")
@click.option("--ignore", multiple=True, metavar="RULE", help="Do not ask this check. May be repeated.")
@click.option("--fix", is_flag=True, help="Mend in the files what can be mended safely, and show what is left.")
@click.option("--diff", "only_show", is_flag=True, help="With --fix: show the changes and write nothing.")
@click.option("--write", multiple=True, metavar="FORMAT=FILE", help="Write the report to a file, too. May be repeated.")
@click.option("--baseline", type=click.Path(), metavar="FILE", help="Put away what this file holds.")
@click.option(
    "--write-baseline", type=click.Path(), metavar="FILE", help="Put away all that is found now, in this file."
)
@click.option("--config", type=click.Path(), metavar="FILE", help=f"The settings.  [default: {CONFIG}, if it is here]")
@click.option(
    "--profile",
    type=click.Choice(options.PROFILE_NAMES),
    help="Judge as this network plugin would (docs/profiles.md).  [default: outgate]",
)
@click.option(
    "--dns-name",
    multiple=True,
    metavar="NAME=ADDRESS",
    help="What a name outside the cluster resolves to. May be repeated.",
)
@options.input_options
@options.output_options(*FORMATS)
def lint(
    fail_on: str | None,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    fix: bool,
    only_show: bool,
    write: tuple[str, ...],
    baseline: str | None,
    write_baseline: str | None,
    config: str | None,
    profile: str | None,
    dns_name: tuple[str, ...],
    filename: tuple[str, ...],
    namespace: str | None,
    all_namespaces: bool,  # noqa: ARG001 - every namespace is looked at anyway; -A only says so
    strict: bool,
    output: str,
    quiet: bool,
    verbose: int,
) -> int:
    """Find what is wrong with the policies: file, line, a packet that proves it, and what to do.

    What a check is about, and when to ignore it, is printed by outgate explain RULE. A finding is put away by an
    annotation of its object, with a reason: ignore.outgate.dev/RULE: "why".

    \b
    Examples:
      outgate lint -f manifests/
      helm template . | outgate lint -f -
      outgate lint -f manifests/ --fix --diff
      outgate lint -f manifests/ --dns-name deb.example.com=151.101.2.132
      outgate lint -f manifests/ -o github --write sarif=lint.sarif

    \b
    Exit codes:
      0  nothing as bad as --fail-on says
      1  something is; with --diff, something would be mended
      2  bad usage, or a part of the input that cannot be used (the rest is still looked at)
    """
    chosen = settings(
        config=config,
        baseline=baseline,
        select=select,
        ignore=ignore,
        fail_on=fail_on,
        profile=profile,
        names=dns_names(dns_name),
    )
    files = files_to_write(write)
    if only_show and not fix:
        raise UsageError("--diff shows what --fix would do: give both")
    loaded = read_input(filename, namespace=namespace, strict=strict, quiet=quiet, checks=True)
    say_profile(chosen.profile, quiet)
    report = _ask(loaded, chosen)
    if fix:
        changed = mend_files(report, show=only_show, quiet=quiet)
        if only_show:
            return 2 if loaded.errors else int(changed > 0)
        if changed:
            # What is left is judged anew, from the files as they are now.
            loaded = read_input(filename, namespace=namespace, strict=strict, quiet=True, checks=True)
            report = _ask(loaded, chosen)
    for warning in report.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(written(report, loaded.errors, output), nl=False)
    for form, file in files:
        write_file(file, written(report, loaded.errors, form))
    if write_baseline is not None:
        _write_baseline(report, write_baseline, quiet)
    _say_put_away(report, quiet, verbose)
    return _code(report, loaded, chosen.fail_on)


def _ask(loaded: Loaded, chosen: Settings) -> LintReport:
    from outgate.checks import Survey
    from outgate.checks.lint import lint as ask
    from outgate.policy import PROFILES

    return ask(Survey(loaded.snapshot, PROFILES[chosen.profile], chosen.names), chosen.selection)


def _code(report: LintReport, loaded: Loaded, fail_on: str) -> int:
    from outgate.checks import Severity

    if loaded.errors:
        return 2
    worst = report.worst()
    return int(fail_on != "never" and worst is not None and worst >= Severity[fail_on.upper()])


def _write_baseline(report: LintReport, file: str, quiet: bool) -> None:
    import json

    from outgate.checks.baseline import baseline_of

    made = baseline_of(report)
    write_file(file, json.dumps(made, indent=2, ensure_ascii=False) + "\n")
    findings = made["findings"]
    assert isinstance(findings, list)
    note(f"note: {file} now holds {len(findings)} findings; give it with --baseline", quiet)


def _say_put_away(report: LintReport, quiet: bool, verbose: int) -> None:
    for one, reason in report.annotated if verbose else ():
        note(f"note: {one.finding.subject}: {one.finding.rule} is put away: {reason}", quiet)
    if report.stale:
        count = len(report.stale)
        words = "1 finding of the baseline is" if count == 1 else f"{count} findings of the baseline are"
        note(f"note: {words} gone; --write-baseline writes it anew", quiet)
