"""The DNS of the lab: which names exist, and what a query is answered. Pure.

The names are those of the Kubernetes DNS specification 1.1.0: for a Service ``NAME.NAMESPACE.svc.DOMAIN`` with its
cluster addresses (2.3.1), or with the addresses of its ready endpoints where it is headless (2.4.1), each
endpoint with a hostname under ``HOSTNAME.NAME.NAMESPACE.svc.DOMAIN``; for an ExternalName a CNAME
(2.5). Names given to the lab by hand are added. Everything else does not exist: the lab has no upstream.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from outgate.model import Service, Snapshot
from outgate.model.objects import Address
from outgate.model.services import endpoints
from outgate.proxy import dns
from outgate.proxy.dns import Message, Question, Record, RecordType, ResponseCode

__all__ = ["DNS_PORT", "DOMAIN", "Zone", "dns_services", "service_name"]

DOMAIN = "cluster.local"

DNS_PORT = 53

_LONGEST_CHAIN = 8
"""CNAMEs that are followed; a chain that is longer is taken for a loop."""


@dataclass(frozen=True, slots=True)
class Zone:
    """All names, in lower case: addresses, or another name."""

    addresses: Mapping[str, tuple[Address, ...]] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    ttl: int = 5
    """Seconds for which a client may keep an answer."""

    @classmethod
    def of(cls, snapshot: Snapshot, extra: Mapping[str, Sequence[Address]] | None = None) -> Zone:
        """The names of a snapshot's Services, and `extra` ones, which win."""
        found: dict[str, tuple[Address, ...]] = {}
        aliases: dict[str, str] = {}
        for service in snapshot.services:
            name = service_name(service)
            if service.external_name:
                aliases[name] = service.external_name.rstrip(".").lower()
            elif service.headless:
                found.update(_headless(snapshot, service, name))
            else:
                found[name] = service.cluster_ips
        for name, addresses in (extra or {}).items():
            key = name.rstrip(".").lower()
            aliases.pop(key, None)
            found[key] = tuple(addresses)
        return cls(found, aliases)

    def moved(self, name: str, addresses: Sequence[Address], chain: Sequence[str] = ()) -> Zone:
        """The zone in which a name leads elsewhere: to these addresses, over the aliases of a chain if there is one."""
        way = (name.rstrip(".").lower(), *chain)
        aliases = {key: target for key, target in self.aliases.items() if key not in way}
        aliases.update(pairwise(way))
        found = {key: known for key, known in self.addresses.items() if key not in way}
        return replace(self, addresses={**found, way[-1]: tuple(addresses)}, aliases=aliases)

    def resolve(self, name: str) -> tuple[Address, ...]:
        """The addresses of a name, aliases followed; none where it does not exist or has none."""
        _, addresses = self._follow(name)
        return addresses or ()

    def _follow(self, name: str) -> tuple[list[tuple[str, str]], tuple[Address, ...] | None]:
        """The aliases on the way from a name, and the addresses at its end; None where there is no such name."""
        way: list[tuple[str, str]] = []
        here = name.rstrip(".").lower()
        while here in self.aliases and len(way) < _LONGEST_CHAIN:
            way.append((here, self.aliases[here]))
            here = self.aliases[here]
        return way, self.addresses.get(here)

    def answer(self, asked: Message, *, limit: int = 65535) -> bytes:
        """The response to a query that could be read."""
        if asked.opcode != 0:
            return dns.answer(asked, (), ResponseCode.NOT_IMPLEMENTED, limit=limit)
        if len(asked.questions) != 1 or asked.questions[0].klass != dns.INTERNET:
            return dns.answer(asked, (), ResponseCode.REFUSED, limit=limit)
        question = asked.questions[0]
        way, addresses = self._follow(question.name)
        if addresses is None and not way:
            return dns.answer(asked, (), ResponseCode.NAME_ERROR, limit=limit)
        return dns.answer(asked, self._records(question, way, addresses or ()), limit=limit)

    def _records(self, question: Question, way: list[tuple[str, str]], addresses: Sequence[Address]) -> list[Record]:
        """The chain of aliases, then the addresses of the family that was asked for; each under the asked spelling."""
        records, owner = [], question.name
        for _, target in way:
            records.append(Record(owner, RecordType.CNAME, target, self.ttl))
            owner = target
        if question.type == RecordType.CNAME:
            return records[:1]
        family = {RecordType.A: 4, RecordType.AAAA: 6}.get(RecordType(question.type)) if _known(question.type) else None
        kind = RecordType.A if family == 4 else RecordType.AAAA
        return records + [Record(owner, kind, one, self.ttl) for one in addresses if one.version == family]


def service_name(service: Service) -> str:
    """The full name of a Service, without the last dot."""
    return f"{service.name}.{service.namespace}.svc.{DOMAIN}"


def dns_services(snapshot: Snapshot) -> tuple[Service, ...]:
    """The Services that pods ask for names: the one in kube-system that serves port 53 over UDP.

    kubeadm, kind and the managed clusters all call it kube-dns, whatever runs behind it; where several qualify, that
    one comes first.
    """
    found = [
        service
        for service in snapshot.services
        if service.namespace == "kube-system"
        and any((port.port, port.protocol) == (DNS_PORT, "UDP") for port in service.ports)
    ]
    return tuple(sorted(found, key=lambda service: (service.name != "kube-dns", service.name)))


def _headless(snapshot: Snapshot, service: Service, name: str) -> Mapping[str, tuple[Address, ...]]:
    ready = endpoints(snapshot, service)
    found = {name: tuple(dict.fromkeys(address for end in ready for address in end.addresses))}
    for end in ready:
        if end.hostname:
            key = f"{end.hostname}.{name}".lower()
            found[key] = tuple(dict.fromkeys((*found.get(key, ()), *end.addresses)))
    return found


def _known(kind: int) -> bool:
    return kind in tuple(RecordType)
