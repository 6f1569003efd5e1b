"""`outgate validate`: which objects the API server would refuse, in its own words, with file and line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from outgate.cli import options
from outgate.cli.inputs import NO_INPUT, open_inputs
from outgate.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from outgate.cluster import Loaded
    from outgate.model.parse import Refused

__all__ = ["validate"]


@click.command()
@options.input_options
@options.output_options("text", "json")
def validate(
    filename: tuple[str, ...],
    namespace: str | None,
    all_namespaces: bool,  # noqa: ARG001 - every namespace is looked at anyway; -A only says so
    strict: bool,  # noqa: ARG001 - a refused object is the answer here, and all of them are wanted
    output: str,
    quiet: bool,
    verbose: int,
) -> int:
    """Say which objects the API server would refuse, and where.

    NetworkPolicies, and the policies of network-policy-api for a whole cluster, are held to the rules of Kubernetes
    1.36, field by field, and what is said of them is what the server says. Policies of Cilium are held to their schema
    and to what Cilium's agent refuses, which is then stored and not enforced. Of the other kinds that matter for
    traffic (pods, workloads, Services, Ingresses and so on) the types, names and labels are checked. Everything else is
    counted and not looked at. -n is the namespace of objects that name none.

    \b
    Examples:
      outgate validate -f manifests/
      helm template . | outgate validate -f -
      outgate validate -f policy.yaml -o json

    \b
    Exit codes:
      0  the server would take all of it
      1  it would refuse something
      2  bad usage, or a file that cannot be opened
    """
    from outgate.cluster import load
    from outgate.cluster.others import not_enforced, passed_over

    if not filename:
        raise UsageError("there is nothing to validate", hint=NO_INPUT)
    loaded = load(open_inputs(filename, quiet=quiet), namespace=namespace or "default")
    warnings = (*loaded.warnings, *not_enforced(loaded.snapshot))
    if output == "json":
        click.echo(_as_json(loaded, warnings))
    else:
        for line in _as_text(loaded, whole=verbose > 0):
            click.echo(line)
        if not quiet:
            click.echo(_summary(loaded))
    if not quiet:
        for warning in warnings:
            click.echo(f"warning: {warning}", err=True)
        for words in passed_over(loaded.skipped):
            click.echo(f"note: {words}", err=True)
    return 1 if loaded.errors else 0


def _as_json(loaded: Loaded, warnings: Iterable[InputError]) -> str:
    import msgspec

    report = {
        "apiVersion": "outgate.dev/v1",
        "kind": "ValidationReport",
        "objects": loaded.objects,
        "errors": [_plain(error) for error in loaded.errors],
        "warnings": [_plain(warning) for warning in warnings],
        "skipped": dict(loaded.skipped),
    }
    return msgspec.json.format(msgspec.json.encode(report)).decode()


def _plain(error: InputError) -> dict[str, object]:
    return {"file": error.file, "line": error.line, "path": error.path, "message": error.message}


def _as_text(loaded: Loaded, *, whole: bool) -> list[str]:
    """A line for each error, with the object it is about; with `whole` also what the server answers, all in one."""
    owner = {id(error): one for one in loaded.refused for error in one.errors}
    lines = []
    for error in loaded.errors:
        one = owner.get(id(error))
        place = f"{error.file}:{error.line}" if error.line else error.file
        who = str(one) if one is not None else ""
        lines.append(": ".join(part for part in (place, who, error.path, error.message) if part))
        if whole and one is not None and one.name and error is one.errors[-1]:
            said = _whole(one)
            # Of an object without a type that is served there is no more to say.
            if said != error.message:
                lines.append(f"    the API server: {said}")
    return lines


def _whole(one: Refused) -> str:
    from outgate.model.validate import server_message
    from outgate.model.validate_cilium import AGENT_PREFIX

    group, _, version = one.api_version.rpartition("/")
    by_server = [error for error in one.errors if not error.message.startswith(AGENT_PREFIX)]
    if not by_server:
        return "stored, and not enforced by Cilium"
    return server_message(f"{one.kind}.{group}" if group else one.kind, one.name, by_server, version=version)


def _summary(loaded: Loaded) -> str:
    parts = [_count(loaded.objects, "object"), f"{len(loaded.refused) or 'none'} refused"]
    if loaded.unreadable:
        parts.append(f"{_count(len(loaded.unreadable), 'text')} that cannot be read")
    skipped = sum(loaded.skipped.values())
    if skipped:
        parts.append(f"{skipped} of other kinds not looked at")
    return ", ".join(parts)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
