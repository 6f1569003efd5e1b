"""The lab's DNS: the names of the Kubernetes DNS specification, those given by hand, and no others."""

from __future__ import annotations

import dataclasses
import ipaddress

import pytest

from outgate.lab.names import Zone, dns_services, service_name
from outgate.proxy import dns
from outgate.proxy.dns import Message, Question, Record, RecordType, ResponseCode
from tests.lab.clusters import DNS, snapshot_of

CLUSTER = (
    DNS
    + """
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {clusterIP: 10.96.0.7, clusterIPs: [10.96.0.7, "fd00:96::7"], selector: {app: db}, ports: [{port: 5432}]}
---
apiVersion: v1
kind: Service
metadata: {name: peers, namespace: shop}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 5432}]}
---
apiVersion: v1
kind: Service
metadata: {name: away, namespace: shop}
spec: {type: ExternalName, externalName: API.Example.com.}
---
apiVersion: v1
kind: Pod
metadata: {name: db-0, namespace: shop, labels: {app: db}}
spec: {hostname: db-0, subdomain: peers, containers: [{name: c, image: x}]}
status: {podIP: 10.1.0.5, podIPs: [{ip: 10.1.0.5}, {ip: "fd00:1::5"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db-1, namespace: shop, labels: {app: db}}
spec: {containers: [{name: c, image: x}]}
status: {podIP: 10.1.0.6}
"""
)
EXTRA = {"api.example.com": (ipaddress.ip_address("203.0.113.7"), ipaddress.ip_address("2001:db8::7"))}


@pytest.fixture(scope="module")
def zone() -> Zone:
    """The names of the cluster."""
    return Zone.of(snapshot_of(CLUSTER), EXTRA)


def ask(zone: Zone, name: str, kind: RecordType = RecordType.A) -> tuple[int, list[str]]:
    """The code and the data of all answers."""
    reply = dns.decode(zone.answer(dns.decode(dns.query(1, name, kind))))
    return reply.code, [str(one.data) for one in reply.answers]


@pytest.mark.parametrize(
    ("name", "kind", "answers"),
    [
        ("db.shop.svc.cluster.local", RecordType.A, ["10.96.0.7"]),
        ("DB.Shop.SVC.Cluster.Local", RecordType.A, ["10.96.0.7"]),
        ("db.shop.svc.cluster.local", RecordType.AAAA, ["fd00:96::7"]),
        ("peers.shop.svc.cluster.local", RecordType.A, ["10.1.0.5", "10.1.0.6"]),
        ("peers.shop.svc.cluster.local", RecordType.AAAA, ["fd00:1::5"]),
        ("db-0.peers.shop.svc.cluster.local", RecordType.A, ["10.1.0.5"]),
        ("away.shop.svc.cluster.local", RecordType.A, ["api.example.com", "203.0.113.7"]),
        ("away.shop.svc.cluster.local", RecordType.CNAME, ["api.example.com"]),
        ("api.example.com", RecordType.AAAA, ["2001:db8::7"]),
        ("api.example.com", RecordType.CNAME, []),
    ],
)
def test_a_name_that_exists(zone: Zone, name: str, kind: RecordType, answers: list[str]) -> None:
    """A wrong address leads the probe to somebody else."""
    assert ask(zone, name, kind) == (ResponseCode.NO_ERROR, answers)


@pytest.mark.parametrize(
    "name", ["db.shop", "db.other.svc.cluster.local", "db-1.peers.shop.svc.cluster.local", "example.com", ""]
)
def test_a_name_that_does_not_exist(zone: Zone, name: str) -> None:
    """The lab has no upstream: an answer to such a name would be made up."""
    assert ask(zone, name) == (ResponseCode.NAME_ERROR, [])


def test_a_loop_of_aliases_ends() -> None:
    """Two ExternalName services may point at each other; the server must not turn for ever."""
    zone = Zone({}, {"a": "b", "b": "a"})
    code, answers = ask(zone, "a")
    assert (code, len(answers)) == (ResponseCode.NO_ERROR, 8)
    assert zone.resolve("a") == ()


def test_an_alias_of_nothing_is_answered_with_the_alias_alone() -> None:
    """RFC 6604: the code is about the end of the chain, but a client that sees the CNAME knows what is missing."""
    assert ask(Zone({}, {"a": "nowhere.example"}), "a") == (ResponseCode.NO_ERROR, ["nowhere.example"])


def test_names_by_hand_win() -> None:
    """--dns-name is what the user wants to be true."""
    own = {"Away.Shop.svc.cluster.local.": (ipaddress.ip_address("192.0.2.1"),)}
    assert ask(Zone.of(snapshot_of(CLUSTER), own), "away.shop.svc.cluster.local") == (0, ["192.0.2.1"])


def test_answers_are_spelled_as_asked(zone: Zone) -> None:
    """A client that mixes cases drops an answer in another spelling."""
    reply = dns.decode(zone.answer(dns.decode(dns.query(1, "dB.sHoP.svc.cluster.local", RecordType.A))))
    assert reply.answers[0].name == "dB.sHoP.svc.cluster.local"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (Message(1, opcode=2, questions=(Question("a", 1),)), ResponseCode.NOT_IMPLEMENTED),
        (Message(1), ResponseCode.REFUSED),
        (Message(1, questions=(Question("a", 1), Question("b", 1))), ResponseCode.REFUSED),
        (Message(1, questions=(Question("a", 1, 3),)), ResponseCode.REFUSED),
    ],
    ids=["status", "no question", "two questions", "chaos"],
)
def test_what_is_not_served(zone: Zone, message: Message, code: int) -> None:
    """A server that guesses at strange queries answers things that were not asked."""
    assert dns.decode(zone.answer(message)).code == code


def test_an_unknown_type_of_a_known_name_has_no_records(zone: Zone) -> None:
    """NXDOMAIN would make the client forget the name for all types (RFC 2308, 5)."""
    message = Message(1, questions=(Question("db.shop.svc.cluster.local", 16),))
    assert zone.answer(message)[3] & 15 == 0
    assert dns.decode(zone.answer(message)).answers == ()


def test_a_name_moves(zone: Zone) -> None:
    """To other addresses, or over aliases; back again it leads where it did, and nobody else's name is touched."""
    name, there = "api.example.com", ipaddress.ip_address("203.0.113.99")

    def answers(zone: Zone) -> tuple[Record, ...]:
        return dns.decode(zone.answer(dns.decode(dns.query(1, name, RecordType.A)))).answers

    assert answers(zone.moved(name, [there])) == (Record(name, RecordType.A, there, 5),)
    chained = dataclasses.replace(zone, ttl=1).moved("API.example.com.", [there], ["a.invalid", "b.invalid"])
    assert answers(chained) == (
        Record(name, RecordType.CNAME, "a.invalid", 1),
        Record("a.invalid", RecordType.CNAME, "b.invalid", 1),
        Record("b.invalid", RecordType.A, there, 1),
    )
    back = chained.moved(name, zone.resolve(name))
    assert back.resolve(name) == zone.resolve(name)
    assert back.resolve("db.shop.svc.cluster.local") == zone.resolve("db.shop.svc.cluster.local")


def test_the_dns_service_is_the_one_in_kube_system() -> None:
    """A Service on port 53 elsewhere is somebody's own; pods do not ask it."""
    own = "apiVersion: v1\nkind: Service\nmetadata: {name: a-dns, namespace: NS}\n"
    own += "spec: {ports: [{port: 53, protocol: UDP}]}\n---\n"
    snapshot = snapshot_of(own.replace("NS", "shop") + own.replace("NS", "kube-system") + DNS)
    assert [service_name(one) for one in dns_services(snapshot)] == [
        "kube-dns.kube-system.svc.cluster.local",
        "a-dns.kube-system.svc.cluster.local",
    ]


def test_addresses_of_both_families_are_records_of_their_type(zone: Zone) -> None:
    """An IPv6 address in an A record is no address."""
    reply = dns.decode(zone.answer(dns.decode(dns.query(1, "api.example.com", RecordType.A))))
    assert reply.answers == (Record("api.example.com", RecordType.A, ipaddress.IPv4Address("203.0.113.7")),)
