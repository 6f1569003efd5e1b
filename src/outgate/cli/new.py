"""`outgate new`: policies from recipes, with comments that say why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from outgate.cli import options
from outgate.cli.inputs import note, read_input
from outgate.errors import UsageError

if TYPE_CHECKING:
    from outgate.checks import Survey
    from outgate.recipes import Scaffold

__all__ = ["new"]

_SUBJECT = "Whom the policy is for: a label selector as kubectl has it. Without it, every pod of the namespace."


@click.command()
@click.argument("recipe", nargs=-1, metavar="[RECIPE]", shell_complete=lambda *_: _names())
@click.option("--name", metavar="NAME", help="The name of the policy; of several, what all their names begin with.")
@click.option("--selector", "-l", metavar="LABELS", help=_SUBJECT)
@click.option(
    "--to",
    multiple=True,
    metavar="WHERE",
    help="Where it may send: a namespace, an application, or a block of addresses.",
)
@click.option(
    "--from", "sources", multiple=True, metavar="WHO", help="Who may send to it. --to and --from may be repeated."
)
@click.option("--port", multiple=True, metavar="PORT", help="443, 8000-8010, 53/UDP or http. May be repeated.")
@click.option("--admin-tier", is_flag=True, help="Write a ClusterNetworkPolicy that denies whatever others allow.")
@options.input_options
@options.output_options("yaml", "json")
def new(
    recipe: tuple[str, ...],
    name: str | None,
    selector: str | None,
    to: tuple[str, ...],
    sources: tuple[str, ...],
    port: tuple[str, ...],
    admin_tier: bool,
    filename: tuple[str, ...],
    namespace: str | None,
    all_namespaces: bool,
    strict: bool,
    output: str,
    quiet: bool,
    verbose: int,  # noqa: ARG001 - what there is to say is in the comments
) -> int:
    """Write policies from a recipe, with comments that say why.

    Without RECIPE all of them are listed, a line each. With an input (-f, --context) what hangs on the cluster is taken
    from it: the resolvers, the API server, the labels of an application, the ports behind a Service.

    \b
    Examples:
      outgate new default-deny-egress -n shop -f cluster.yaml
      outgate new allow-app -n shop --selector app=web --to svc/shop/db -f manifests/
      outgate new zero-trust-namespace -n shop --from ingress-nginx --context prod

    \b
    Exit codes:
      0  it was written
      2  bad usage, or what is needed is not in the input
    """
    from outgate.recipes import Asked, scaffold

    if not recipe:
        _list()
        return 0
    if len(recipe) > 1:
        raise UsageError(f"one recipe at a time, not {len(recipe)}", hint="manifests are given with -f")
    if all_namespaces and not admin_tier:
        raise UsageError("a NetworkPolicy belongs to one namespace", hint="name it with -n, or write one for each")
    asked = Asked(namespace, name, selector, to, sources, port, admin_tier, _survey(filename, namespace, strict, quiet))
    made = scaffold(recipe[0], asked)
    _say(made, output)
    for words in made.notes:
        note(f"note: {words}", quiet)
    return 0


def _names() -> list[str]:
    from outgate.recipes import RECIPES

    return [one.name for one in RECIPES]


def _list() -> None:
    from outgate.recipes import RECIPES

    width = max(len(one.name) for one in RECIPES)
    for one in RECIPES:
        click.echo(f"{one.name:{width}}  {one.summary}")


def _survey(filename: tuple[str, ...], namespace: str | None, strict: bool, quiet: bool) -> Survey | None:
    """What the input has; None where there is none."""
    if not filename:
        return None
    from outgate.checks import Survey

    return Survey(read_input(filename, namespace=namespace, strict=strict, quiet=quiet).snapshot)


def _say(made: Scaffold, output: str) -> None:
    if output == "json":
        import json

        from outgate.report.scaffold_json import scaffold_json

        click.echo(json.dumps(scaffold_json(made), indent=2))
        return
    from outgate.report.scaffold_yaml import scaffold_yaml

    click.echo(scaffold_yaml(made), nl=False)
