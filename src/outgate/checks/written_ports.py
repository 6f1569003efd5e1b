"""Not a check: the ports that rules of every kind of policy write, one by one, in one shape.

A NetworkPolicy gives a port to one protocol, Cilium's may mean three (ANY), and a name in a policy of the whole cluster
is of whichever protocol the container port has. What is written in its place differs, too: Cilium's ports are texts.
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.checks.edit import Edit
from outgate.checks.written import Written, keys_at
from outgate.model import ClusterRule, Place, PolicyPort
from outgate.model.cilium import CiliumPort, CiliumRule
from outgate.policy.rules import Conditions
from outgate.records import dataclass

__all__ = ["PortSaid", "ports_of"]

_WITH_PORTS = ("TCP", "UDP", "SCTP")


@dataclass(frozen=True, slots=True)
class PortSaid:
    """One port of a rule. `port` None is every port; `end` is the last one of a range, and None where there is none."""

    protocols: tuple[str, ...]
    """One, or all that have ports where none is written. None for what has no ports."""
    port: int | str | None
    end: int | None
    entry: Place
    """Where the entry stands."""
    value: Place
    """Where its number or name stands."""
    is_text: bool = False
    """Whether a number is written as a text."""
    only_numbers: bool = False
    """Whether a name has no place there."""
    conditions: Conditions = Conditions()
    """What is asked for beside."""

    def rewritten(self, port: int | str) -> tuple[Edit, ...]:
        """Another port in its place; nothing where the one cannot be written where the other is."""
        if isinstance(port, str) and self.only_numbers:
            return ()
        return (Edit.replace(self.value, str(port) if self.is_text else port),)

    def __str__(self) -> str:
        span = "every port" if self.port is None else f"{self.port}-{self.end}" if self.end else f"{self.port}"
        return span if len(self.protocols) > 1 else f"{''.join(self.protocols)} {span}"


def ports_of(written: Written) -> Iterator[PortSaid]:
    """The ports of a rule, as they are written."""
    match written.rule:
        case CiliumRule(ports=entries):
            for entry in entries:
                conditions = Conditions(entry.http, entry.dns, entry.server_names)
                yield from (_of_cilium(one, conditions) for one in entry.ports)
        case ClusterRule(ports=ports):
            yield from (_of_cluster(one) for one in ports)
        case rule:
            for one in rule.ports:
                yield PortSaid((one.protocol,), one.port, one.end_port, one.place, one.place / "port")


def _of_cilium(one: CiliumPort, conditions: Conditions) -> PortSaid:
    protocols = _WITH_PORTS if one.protocol == "ANY" else (one.protocol,) if one.protocol in _WITH_PORTS else ()
    port = None if one.is_every else one.port
    return PortSaid(protocols, port, one.end, one.place, one.place / "port", is_text=True, conditions=conditions)


def _of_cluster(one: PolicyPort) -> PortSaid:
    """Of v1alpha2 the protocol is the key, of v1alpha1 the form of the port."""
    protocols = (one.protocol,) if one.protocol else _WITH_PORTS
    written = keys_at(one.place)
    value = one.place
    for steps in (
        (one.protocol.lower(), "destinationPort", "number"),
        ("destinationNamedPort",),
        ("portNumber", "port"),
        ("namedPort",),
    ):
        if steps[0] in written and one.end_port is None:
            for step in steps:
                value = value / step
            break
    return PortSaid(protocols, one.port, one.end_port, one.place, value, only_numbers=isinstance(one.port, int))
