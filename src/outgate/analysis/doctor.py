"""Is this cluster in a state in which policies mean anything, in the order in which one asks at three in the morning.

    report = diagnose(Facts(snapshot))
    report.lines        which network, does it enforce, DNS, metadata, default denies, versions, others, the agent
    report.having(Mark.WRONG)   how many of them are wrong

A doctor looks and does not judge taste: a line is wrong only where something does not work as people believe (a
plugin that runs nowhere, policies that nothing enforces, DNS without a pod that is ready). A namespace without a
default deny works as it is written, and asks for attention.
"""

from __future__ import annotations

from outgate.analysis.doctor_enforcement import enforcement_lines, enforces, network_lines
from outgate.analysis.doctor_facts import Facts, Line, Mark
from outgate.analysis.doctor_networks import Enforces, Network, networks
from outgate.analysis.doctor_nodes import (
    Nodes,
    agent_lines,
    find_nodes,
    others_line,
    proxy_mode,
    versions_line,
)
from outgate.analysis.doctor_places import (
    Dns,
    NamespaceCover,
    cover,
    cover_line,
    dns_line,
    find_dns,
    metadata,
    metadata_line,
)
from outgate.analysis.exposure import exposure
from outgate.records import dataclass

__all__ = ["DoctorReport", "diagnose"]


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """The lines for people, and what they were made of for programs."""

    facts: Facts
    lines: tuple[Line, ...]
    networks: tuple[Network, ...]
    enforces: Enforces
    """As far as objects tell; what a probe has shown is in `facts`."""
    dns: Dns
    metadata: dict[str, int]
    """How many workloads reach each metadata address."""
    metadata_reached_by: int
    namespaces: tuple[NamespaceCover, ...]
    nodes: Nodes
    proxy_mode: str

    def having(self, mark: Mark) -> int:
        """How many lines have a mark."""
        return sum(line.mark is mark for line in self.lines)


def diagnose(facts: Facts) -> DoctorReport:
    """Everything that can be said of these facts."""
    snapshot = facts.snapshot
    found = networks(facts)
    exposed = exposure(snapshot)
    dns, covers, nodes = find_dns(snapshot, exposed), cover(exposed), find_nodes(facts)
    total, counted = metadata(exposed)
    lines = (
        *network_lines(facts, found),
        *enforcement_lines(facts, found),
        dns_line(facts, exposed, dns),
        metadata_line(facts, exposed),
        cover_line(facts, covers),
        versions_line(facts, nodes),
        others_line(facts),
        *agent_lines(facts, nodes),
    )
    return DoctorReport(facts, lines, found, enforces(found), dns, counted, total, covers, nodes, proxy_mode(facts))
