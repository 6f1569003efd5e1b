"""`outgate test`: assertions about reachability, offline."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from outgate.cli import options
from outgate.cli.inputs import dns_names, note, read_input
from outgate.errors import InvalidInput

if TYPE_CHECKING:
    from outgate.analysis.assertions import Suite
    from outgate.analysis.coverage import Coverage
    from outgate.analysis.verdicts import Outcome

__all__ = ["assertions"]


@click.command(name="test")
@click.argument("file", nargs=-1, required=True, type=click.Path(), metavar="FILE...")
@click.option("--coverage", "show_coverage", is_flag=True, help="Show which policies and rules no assertion exercises.")
@click.option(
    "--min-coverage",
    type=click.FloatRange(0, 100),
    metavar="PERCENT",
    help="Fail where less of the rules is exercised; shows the coverage, too.",
)
@click.option(
    "--dns-name",
    multiple=True,
    metavar="NAME=ADDRESS",
    help="What a name outside the cluster resolves to; wins over the names of the files. May be repeated.",
)
@options.input_options
@options.output_options("text", "json", "junit")
def assertions(
    file: tuple[str, ...],
    show_coverage: bool,
    min_coverage: float | None,
    dns_name: tuple[str, ...],
    filename: tuple[str, ...],
    namespace: str | None,
    all_namespaces: bool,  # noqa: ARG001 - every namespace is looked at anyway; -A only says so
    strict: bool,
    output: str,
    quiet: bool,
    verbose: int,
) -> int:
    """Hold manifests against assertions about what may reach what.

    FILE says what must be allowed, what must be denied, and what alone may be allowed (docs/test.md); of a folder,
    every such file in it. An assertion is about whole sets of packets. One that fails is shown with a packet that
    proves it, and the policy and line that decided.

    \b
    Examples:
      outgate test tests.yaml -f manifests/
      outgate test tests/ -f manifests/ --coverage
      helm template . | outgate test tests/ -f - -o junit > report.xml

    \b
    Exit codes:
      0  every assertion holds
      1  one fails, or too little is exercised
      2  bad usage, or an assertion about what the input does not have
    """
    from outgate.analysis.coverage import coverage
    from outgate.analysis.verdicts import evaluate
    from outgate.policy import Judge, Policies

    suites = _suites(file)
    names = dns_names(dns_name)
    loaded = read_input(filename, namespace=namespace, strict=strict, quiet=quiet)
    # One profile so far: where there are more, the suites of each are evaluated by a judge of their own.
    judge = Judge(Policies(loaded.snapshot, suites[0].profile))
    outcomes = evaluate(judge, suites, names, namespace)
    wanted = show_coverage or min_coverage is not None
    found = coverage(judge, outcomes) if wanted else None
    _say(outcomes, found, min_coverage, output, verbose)
    _say_notes(suites, outcomes, quiet)
    enough = found is None or min_coverage is None or found.reaches(min_coverage)
    return 0 if enough and all(one.holds for one in outcomes) else 1


def _suites(files: Sequence[str]) -> tuple[Suite, ...]:
    """The assertions of all files; of a folder, what is meant for other tools is passed over."""
    from outgate.analysis.assertions import means_suite, read
    from outgate.cluster.files import read_documents

    documents = []
    for name in files:
        found = read_documents([name])
        documents += [one for one in found if means_suite(one)] if os.path.isdir(name) else found
    suites = read(documents)
    if not any(one.assertions for one in suites):
        raise InvalidInput(f"there are no assertions in {', '.join(files)}", hint="docs/test.md shows how to write one")
    return suites


def _say(outcomes: Sequence[Outcome], found: Coverage | None, least: float | None, output: str, verbose: int) -> None:
    if output == "json":
        import json

        from outgate.report.assertions_json import assertions_json

        click.echo(json.dumps(assertions_json(outcomes, found), indent=2, ensure_ascii=False))
        return
    if output == "junit":
        from outgate.report.junit import junit

        click.echo(junit(outcomes, found, least), nl=False)
        return
    from outgate.report.assertions_text import coverage_text, outcome_text, summary_text

    for outcome in sorted(outcomes, key=lambda one: one.holds):
        if verbose or not outcome.holds:
            text = outcome_text(outcome)
            word = text.split(None, 1)[0]
            click.echo(click.style(word, fg="green" if outcome.holds else "red", bold=True) + text[len(word) :])
    every = all(one.holds for one in outcomes)
    click.echo(click.style(summary_text(outcomes), fg="green" if every else "red"))
    if found is not None:
        for line in coverage_text(found):
            click.echo(line)
        if least is not None and not found.reaches(least):
            click.echo(click.style(f"coverage is below {least:g} %", fg="red"))


def _say_notes(suites: Sequence[Suite], outcomes: Sequence[Outcome], quiet: bool) -> None:
    for words in dict.fromkeys(words for one in outcomes for words in one.notes):
        note(f"note: {words}", quiet)
    for words in dict.fromkeys(words for one in outcomes for words in one.open_points):
        count = sum(words in one.open_points for one in outcomes)
        which = "1 assertion" if count == 1 else f"{count} assertions"
        note(f"note: {which} may come out otherwise with another network plugin: {words}", quiet)
    unasserted = sum(one.unasserted for one in suites)
    if unasserted:
        which = "1 flow without expect asserts" if unasserted == 1 else f"{unasserted} flows without expect assert"
        note(f"note: {which} nothing; outgate lab --flows probes {'it' if unasserted == 1 else 'them'}", quiet)
