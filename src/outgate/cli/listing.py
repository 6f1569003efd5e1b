"""What the verbs `list` and `graph` share: reading a filter, and writing connections in a format.

Not a verb: the half of both that is the same.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from outgate.cli.inputs import note, say_audited, say_if_empty, say_profile
from outgate.errors import UsageError

if TYPE_CHECKING:
    from outgate.analysis.connections import Connection, Connections
    from outgate.analysis.groups import Group
    from outgate.analysis.listing import Asked
    from outgate.packets import TransportSet

__all__ = ["groups_named", "port_range", "read_filter", "write"]

_RANGE = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(\w+))?", re.ASCII)


def read_filter(
    found: Connections, focus: Sequence[str], direction: str | None, namespace: str | None, port: str | None
) -> Asked:
    """The filter that the options ask for. Raises UsageError or UnknownName."""
    from outgate.analysis.listing import Asked
    from outgate.analysis.lookup import known_namespace
    from outgate.model import Direction

    if namespace is not None and not focus:
        known_namespace(namespace, found.snapshot)
        say_if_empty(found.snapshot, namespace)
    return Asked(
        groups_named(found, focus, namespace),
        Direction[direction.upper()] if direction is not None else None,
        # A workload that is named may be in another namespace than what else is looked for there.
        namespace if not focus else None,
        port_range(port) if port is not None else None,
    )


def groups_named(found: Connections, texts: Iterable[str], namespace: str | None) -> tuple[Group, ...]:
    """The groups of workloads or pods, written as everywhere. Raises UsageError or UnknownName."""
    from outgate.analysis.lookup import Lookup, PodsTarget
    from outgate.analysis.targets import parse

    wanted: set[tuple[str, str]] = set()
    for text in texts:
        target = Lookup(found.snapshot, namespace).find(parse(text))
        if not isinstance(target, PodsTarget):
            raise UsageError(f"{target} is no pod and no workload", hint="name a workload, as in shop/deploy/web")
        wanted.update(pod.key for pod in target.pods)
    return found.of_pods(wanted) if wanted else ()


def port_range(text: str) -> TransportSet:
    """``443``, ``8000-8010/UDP``: without a protocol, of TCP, UDP and SCTP. Raises UsageError."""
    from outgate.packets import Protocol, TransportSet

    match = _RANGE.fullmatch(text.strip())
    low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if match is None or not 1 <= low <= high <= 65535:
        first, slash, port = text.strip().partition("/")
        raise UsageError(
            f"--port {text}: give a number or a range between 1 and 65535, as in 443 or 8000-8010/UDP",
            hint=f"did you mean {port}/{first.upper()}?" if slash and _RANGE.fullmatch(port) else "",
        )
    protocols = {one.name: one for one in Protocol if one.has_ports}
    named = (match[3] or "").upper()
    if named and named not in protocols:
        raise UsageError(f"--port {text}: {match[3]} has no ports here; there are {', '.join(protocols)}")
    asked = TransportSet()
    for protocol in [protocols[named]] if named else protocols.values():
        asked |= TransportSet.ports(protocol, low, high)
    return asked


def write(
    connections: Iterable[Connection],
    found: Connections,
    output: str,
    sources: Sequence[str] = (),
    *,
    quiet: bool = False,
) -> None:
    """The connections on standard output, piece by piece: a large list is never held as one text.

    What the list hangs on and the input lacks goes to standard error, and into the document that has a place for it.
    """
    from outgate.analysis.audited import audited
    from outgate.analysis.unknowns import unknowns

    say_profile(found.grid.policies.profile.name, quiet)
    notes = unknowns(found)
    for words in notes:
        note(f"note: {words}", quiet)
    say_audited(audited(found.grid.policies), quiet)
    for piece in _pieces(connections, found, output, sources, notes):
        sys.stdout.write(piece)


def _pieces(
    connections: Iterable[Connection], found: Connections, output: str, sources: Sequence[str], notes: Sequence[str]
) -> Iterator[str]:
    from outgate.analysis.conditional import conditionals
    from outgate.analysis.listing import drawable

    match output:
        case "json":
            from outgate.report.connections_json import connection_list

            return connection_list(connections, found.grid.policies.profile.name, notes, conditionals(found))
        case "csv":
            from outgate.report.connections_csv import connections_csv

            return connections_csv(connections, conditionals(found))
        case "markdown":
            from outgate.report.connections_markdown import connections_markdown

            return connections_markdown(connections, conditionals(found))
        case "mermaid":
            from outgate.report.connections_graph import connections_mermaid

            return connections_mermaid(drawable(connections), conditionals(found))
        case "dot":
            from outgate.report.connections_graph import connections_dot

            return connections_dot(drawable(connections), conditionals(found))
        case "html":
            from outgate.report.page import page
            from outgate.report.page_filling import page_of

            return iter((page(page_of(drawable(connections), found, sources, notes)),))
    from outgate.report.connections_text import connections_text

    return connections_text(connections, len(found.groups.all), conditionals(found))
