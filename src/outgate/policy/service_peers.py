"""Selectors before translation: which Services a peer covers, and on which of their ports.

A filter at the pod's own interface sees the address of a Service and not the pod behind it, so a selector alone
would never match what is dialled. The network policy controller of AWS therefore adds the cluster address of every
Service of the peer's namespaces, headless ones aside, whose own ``spec.selector``, taken as a set of labels, satisfies
the peer's podSelector. A Service that selects by fewer labels than the policy does is not covered, although the pods
behind it are.

A policy names pod ports, so they are brought to the Service's: a number is compared with the target port, a name with
the target port's name or with the name that the pods behind give to the target number. A number does not match a
named target port unless every pod behind the Service means that number by it.
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.model import Pod, Service, ServicePort, Snapshot
from outgate.packets import Protocol, TransportSet
from outgate.packets.transport import PORTS
from outgate.policy.rules import NamedPort, PodMatch, PortMatch

__all__ = ["ServicePeers"]


class ServicePeers:
    """The Services of one snapshot, as peers of rules. Computed once, then remembered."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._covered: dict[PodMatch, tuple[Service, ...]] = {}
        self._opened: dict[tuple[tuple[str, str], PortMatch], TransportSet] = {}

    def covered(self, match: PodMatch) -> tuple[Service, ...]:
        """The Services whose cluster addresses a selector stands for."""
        found = self._covered.get(match)
        if found is None:
            found = self._covered[match] = tuple(one for one in self.snapshot.services if self.covers(match, one))
        return found

    def covers(self, match: PodMatch, service: Service) -> bool:
        """Whether a selector stands for the cluster addresses of one Service."""
        if service.headless or service.external_name:
            return False
        if match.namespaces is None:
            if service.namespace != match.namespace:
                return False
        elif not match.namespaces.matches(self.snapshot.namespace(service.namespace).labels):
            return False
        return match.pods.matches(service.selector or {})

    def opened(self, service: Service, ports: PortMatch | None) -> TransportSet:
        """What a rule with these ports opens at the cluster addresses of a Service that it covers."""
        if ports is None:
            return TransportSet.any()
        key = (service.namespace, service.name), ports
        found = self._opened.get(key)
        if found is None:
            # "All of TCP" is not about target ports: it holds for the address as it stands.
            found = TransportSet()
            for protocol, spans in ports.numbers.items():
                if spans == PORTS:
                    found |= TransportSet.protocol(protocol)
            for port in service.ports:
                if self._meant(service, port, ports):
                    found |= TransportSet.ports(Protocol[port.protocol], port.port)
            self._opened[key] = found
        return found

    def _meant(self, service: Service, port: ServicePort, ports: PortMatch) -> bool:
        protocol = Protocol[port.protocol]
        names = {name.name for name in ports.names if name.protocol is protocol}
        if isinstance(port.target, str):
            numbers = set(self._numbers(service, NamedPort(protocol, port.target)))
            known = bool(numbers) and all(ports.numbers.contains(protocol, number) for number in numbers)
            return port.target in names or known
        target = port.target or port.port
        return ports.numbers.contains(protocol, target) or any(
            target in self._numbers(service, NamedPort(protocol, name)) for name in names
        )

    def _numbers(self, service: Service, name: NamedPort) -> Iterator[int]:
        """What the pods behind a Service mean by a port name."""
        for pod in self._behind(service):
            for port in pod.ports:
                if port.name == name.name and port.protocol == name.protocol.name:
                    yield port.port

    def _behind(self, service: Service) -> Iterator[Pod]:
        # Ready or not: the controller looks at the labels alone.
        wanted = (service.selector or {}).items()
        for pod in self.snapshot.pods_by_namespace.get(service.namespace, ()) if wanted else ():
            if wanted <= pod.labels.items():
                yield pod
