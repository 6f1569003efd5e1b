"""What hangs on the network plugin, for a person: the ends, the ports, who lets them pass, and why they differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from outgate.analysis.groups import Group
from outgate.analysis.plugin_differences import Depends, End
from outgate.analysis.spelling import spell_transports
from outgate.report.parties import party_words

__all__ = ["end_words", "plugin_differences_text"]


def plugin_differences_text(found: Iterable[Depends]) -> Iterator[str]:
    """The lines, each with its line end."""
    count = 0
    for (source, destination, own), several in groupby(
        found, key=lambda one: (one.source, one.destination, one.own_node)
    ):
        suffix = " (its own node)" if own else ""
        yield f"{end_words(source)} → {end_words(destination)}{suffix}\n"
        for one in several:
            count += 1
            yield f"  {spell_transports(one.transports)}\n"
            yield f"    allowed  {', '.join(one.allowed_by)}\n"
            yield f"    denied   {', '.join(one.denied_by)}\n"
            yield from (f"    because  {words}\n" for words in one.reasons)
    if not count:
        yield "no verdict depends on the network plugin, among those that Outgate knows\n"


def end_words(end: End) -> str:
    """A workload, node or Service as the other verbs take it."""
    return party_words(end) if isinstance(end, Group) else str(end)
