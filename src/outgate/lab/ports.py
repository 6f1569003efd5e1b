"""Which ports are worth a probe: those that somebody mentions, the borders of ranges, and one that nobody does.

A port is mentioned by a policy at either end of a flow, by a container of the destination, or by a Service
that leads to it. Of a range both ends are probed, and the ports just outside, where a rule that is off by one
shows. A rule that names a protocol without a port is probed on the port that nobody mentions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property

from outgate.model import AnyRule, Direction, Pod, PolicyPort, Snapshot
from outgate.model.cilium import CiliumRule
from outgate.model.services import resolve
from outgate.packets import IntervalSet, Protocol
from outgate.policy import NamedPort, Policies
from outgate.policy.selection import resolve as numbers_of

__all__ = ["Ports", "Transport", "named_entries"]

Transport = tuple[Protocol, int]
"""A protocol and a destination port."""

_DYNAMIC = 49152
"""The first of the dynamic ports (RFC 6335, 6), which are assigned to no service."""


class Ports:
    """The ports to probe in one snapshot, in the order of protocol and number."""

    def __init__(self, policies: Policies) -> None:
        self.snapshot: Snapshot = policies.snapshot
        self.selection = policies.selection

    @cached_property
    def unmentioned(self) -> int | None:
        """A TCP port that no policy, container or Service of the input mentions; None where all are mentioned."""
        free = IntervalSet(((1, 65535),)) - IntervalSet.of(*self._mentioned_tcp())
        above = free & IntervalSet(((_DYNAMIC, 65535),))
        return (above or free).lowest() if free else None

    def between(self, source: Pod | None, destination: Pod) -> tuple[Transport, ...]:
        """The ports for flows between two ends; None stands for the world or a node."""
        found = {*self._of_pod(destination), *self._of_services.get(destination.key, ())}
        if source is not None:
            found.update(self._of_policies(source, Direction.EGRESS, destination))
        found.update(self._of_policies(destination, Direction.INGRESS, destination))
        return self._ordered(found)

    def leaving(self, source: Pod) -> tuple[Transport, ...]:
        """The ports for flows to an end that is no pod."""
        return self._ordered(self._of_policies(source, Direction.EGRESS, None))

    def of_rule(self, rule: AnyRule, destination: Pod | None = None) -> tuple[Transport, ...]:
        """The ports that one rule names, and the one that nobody mentions."""
        return self._ordered(self._numbers(named_entries(rule), destination))

    def _ordered(self, found: Iterable[Transport]) -> tuple[Transport, ...]:
        more = ((Protocol.TCP, self.unmentioned),) if self.unmentioned is not None else ()
        return tuple(sorted({*found, *more}))

    def _of_pod(self, pod: Pod) -> Iterator[Transport]:
        for port in pod.ports:
            yield Protocol[port.protocol], port.port

    def _of_policies(self, pod: Pod, direction: Direction, destination: Pod | None) -> Iterator[Transport]:
        for policy in self.selection.about(pod, direction):
            for rule in policy.rules(direction):
                yield from self._numbers(named_entries(rule), destination)

    def _numbers(self, ports: Iterable[PolicyPort], destination: Pod | None) -> Iterator[Transport]:
        for entry in ports:
            if not entry.protocol:
                for each in ("TCP", "UDP", "SCTP"):
                    yield from self._numbers((replace(entry, protocol=each),), destination)
                continue
            protocol = Protocol[entry.protocol]
            if isinstance(entry.port, int):
                last = entry.port if entry.end_port is None else entry.end_port
                around = (entry.port - 1, last + 1) if last > entry.port else ()
                for number in {entry.port, last, *around}:
                    if 0 < number <= 65535:
                        yield protocol, number
            elif entry.port is None:
                if self.unmentioned is not None:
                    yield protocol, self.unmentioned
            elif destination is not None:
                named = numbers_of((NamedPort(protocol, entry.port),), destination)
                for low, high in named.of(protocol):
                    yield from ((protocol, number) for number in range(low, high + 1))

    @cached_property
    def _of_services(self) -> Mapping[tuple[str, str], frozenset[Transport]]:
        """By pod: the ports on it that Services lead to."""
        found: dict[tuple[str, str], set[Transport]] = {}
        for service in self.snapshot.services:
            for route in resolve(self.snapshot, service):
                for end in route.backends:
                    if end.pod is not None:
                        found.setdefault(end.pod.key, set()).add((Protocol[route.protocol], end.port))
        return {key: frozenset(ports) for key, ports in found.items()}

    def _mentioned_tcp(self) -> Iterator[tuple[int, int]]:
        rules = (rule for one in self.snapshot.every_policy for way in Direction for rule in one.rules(way))
        for rule in rules:
            for entry in named_entries(rule):
                if entry.protocol == "TCP" and isinstance(entry.port, int):
                    yield entry.port, entry.port if entry.end_port is None else entry.end_port
        for pod in self.snapshot.endpoints:
            yield from ((port.port, port.port) for port in pod.ports)
        for service in self.snapshot.services:
            for port in service.ports:
                yield port.port, port.port
                if isinstance(port.target, int) and port.target:
                    yield port.target, port.target
                if port.node_port:
                    yield port.node_port, port.node_port


def named_entries(rule: AnyRule) -> Iterator[PolicyPort]:
    """The ports of a rule of whichever kind of policy, in the words of NetworkPolicy."""
    if not isinstance(rule, CiliumRule):
        yield from rule.ports
        return
    for one in (port for entry in rule.ports for port in entry.ports):
        for protocol in ("TCP", "UDP", "SCTP") if one.protocol == "ANY" else (one.protocol,):
            if protocol in Protocol.__members__:
                # A range may begin with 0, which nobody can listen on.
                yield PolicyPort(protocol, None if one.is_every else one.port or 1, one.end)
