"""Outgate as a library: a folder in, answers out.

    from outgate import can_reach, connections, diff, load

    cluster = load("manifests/")
    assert can_reach(cluster, "shop/web", "shop/postgres:5432")
    assert not can_reach(cluster, "shop/web", "169.254.169.254:80")

`load` gives a `Snapshot`, the rest are questions about one or two of them. The signatures here are stable within a
major version; what lies in the rooms behind them may move.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from outgate.analysis.connections import Connection, Connections, connections
from outgate.analysis.diff import ConnectionDiff, diff
from outgate.analysis.exposure import ExposureReport, exposure
from outgate.analysis.reachability import Reachability
from outgate.errors import InvalidInput
from outgate.model import Snapshot
from outgate.policy import OUTGATE, PROFILES, Profile

if TYPE_CHECKING:
    from outgate.packets import Address

__all__ = [
    "PROFILES",
    "Connection",
    "ConnectionDiff",
    "Connections",
    "ExposureReport",
    "InvalidInput",
    "Profile",
    "Reachability",
    "Snapshot",
    "can_reach",
    "connections",
    "diff",
    "exposure",
    "load",
]


def load(*paths: str | Path, namespace: str = "default") -> Snapshot:
    """Read manifests into a snapshot.

    Args:
        paths: Files, folders with all below them, or ``-`` for standard input; YAML and JSON.
        namespace: For namespaced objects that name none.

    Raises:
        InvalidInput: something cannot be opened, or is an object that the API server would refuse. It carries every
            error with file, line and path (`InvalidInput.errors`).
    """
    from outgate.cluster import load as read  # noqa: PLC0415 - YAML is loaded when something is read

    if not paths:
        raise InvalidInput("no path is given")
    return read([str(path) for path in paths], strict=True, namespace=namespace).snapshot


def can_reach(
    snapshot: Snapshot,
    source: str,
    destination: str,
    *,
    port: int | str | None = None,
    protocol: str | None = None,
    family: int | None = None,
    names: Mapping[str, Sequence[Address]] | None = None,
    profile: Profile = OUTGATE,
) -> Reachability:
    """Whether a new connection is allowed, and which line decides; true in a condition if it is.

    Args:
        snapshot: The cluster.
        source: ``namespace/pod``, ``namespace/kind/name``, an address, a CIDR, ``node/name`` or a DNS name.
        destination: The same, or ``svc/namespace/name``; with ``:port`` or ``:port/protocol`` behind it if wanted.
        port: A number from 1 to 65535 or the name of a port. Without any the answer is the set of ports.
        protocol: TCP unless told: UDP, SCTP, ICMP, ICMPv6 or a number.
        family: 4 or 6 where a pod has an address of each.
        names: What DNS names outside the cluster resolve to.
        profile: How the points that the API leaves open are read.

    Raises:
        UsageError: the question makes no sense.
        UnknownName: the snapshot has no such pod, workload, Service, node or port name.
    """
    from outgate.analysis.lookup import Lookup  # noqa: PLC0415 - as the verbs do: what one question needs
    from outgate.analysis.reach import reach  # noqa: PLC0415
    from outgate.analysis.reachability import Question  # noqa: PLC0415
    from outgate.analysis.targets import TransportAsked, parse, parse_destination  # noqa: PLC0415
    from outgate.policy import Judge, Policies  # noqa: PLC0415

    lookup = Lookup(snapshot, None, {name: tuple(many) for name, many in (names or {}).items()})
    end, suffix = parse_destination(destination)
    transport = suffix.joined(TransportAsked.read(None if port is None else str(port), protocol))
    question = Question(lookup.find(parse(source)), lookup.find(end), transport, family)
    return reach(Judge(Policies(snapshot, profile)), question)
