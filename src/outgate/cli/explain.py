"""`outgate explain`: the documentation of a check, offline."""

from __future__ import annotations

import click

from outgate.cli import options

__all__ = ["explain"]


@click.command()
@click.argument("rule", nargs=-1, metavar="[RULE]...", shell_complete=lambda *_: _names())
@options.output_options("text", "markdown", "json")
def explain(rule: tuple[str, ...], output: str, quiet: bool, verbose: int) -> int:  # noqa: ARG001 - there are no notes
    """Say what a check is about: why it matters, an example, the same mended, and when to ignore it.

    Without RULE all checks are listed, a line each.

    \b
    Examples:
      outgate explain
      outgate explain dns-egress-missing

    \b
    Exit codes:
      0  it was explained
      2  there is no such check
    """
    from outgate.checks.registry import check_names

    check_names(rule)
    click.echo(_written(rule, output), nl=False)
    return 0


def _names() -> list[str]:
    from outgate.checks import NAMES

    return list(NAMES)


def _written(names: tuple[str, ...], output: str) -> str:
    from outgate.report.explanation import explanation_json, explanation_markdown, explanation_text, index_markdown
    from outgate.report.explanation import index_text as index

    if output == "json":
        import json

        return json.dumps(explanation_json(names or tuple(_names())), indent=2, ensure_ascii=False) + "\n"
    if output == "markdown":
        return "\n".join(explanation_markdown(name) for name in names) if names else index_markdown()
    return "\n".join(explanation_text(name) for name in names) if names else index()
