"""From ends to flows: families, Services, port names."""

from __future__ import annotations

import pytest

from outgate.analysis.flows import Aims, aims, choose_family, echo, ends
from outgate.analysis.lookup import Lookup, Target
from outgate.analysis.routes import UNASSIGNED
from outgate.analysis.targets import TransportAsked, parse_destination
from outgate.errors import UnknownName, UsageError
from outgate.model import Snapshot
from outgate.testing import node, pod, service, snapshot_of
from tests.analysis.shop import shop

SNAPSHOT = snapshot_of(shop())


def target(text: str, snapshot: Snapshot = SNAPSHOT) -> Target:
    """What a text means."""
    return Lookup(snapshot).find(parse_destination(text)[0])


def led(text: str, family: int = 4, protocol: str | None = None, snapshot: Snapshot = SNAPSHOT) -> Aims:
    """What a destination leads to."""
    written, suffix = parse_destination(text)
    asked = suffix.joined(TransportAsked.read(None, protocol))
    return aims(snapshot, Lookup(snapshot).find(written), asked, family)


def shown(found: Aims) -> list[str]:
    """The aims as words."""
    return [
        f"{aim.end} {aim.end.address} {aim.protocol} {aim.coordinate}"
        + (f" through {aim.dialled[0]}:{aim.dialled[1]}" if aim.dialled else "")
        for aim in found.aims
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data/db:5432", ["data/db 10.1.1.20 6 5432"]),
        ("data/db:sql", ["data/db 10.1.1.20 6 5432"]),
        ("data/db:53/UDP", ["data/db 10.1.1.20 17 53"]),
        ("shop/rs/web:http", ["shop/web-1 10.1.0.11 6 8080", "shop/web-2 10.1.0.12 6 8080"]),
        ("svc/data/db:5000", ["data/db 10.1.1.20 6 5432 through 10.96.0.1:5000"]),
        ("svc/data/db:sql", ["data/db 10.1.1.20 6 5432 through 10.96.0.1:5000"]),
        ("10.96.0.1:5000", ["data/db 10.1.1.20 6 5432 through 10.96.0.1:5000"]),
        ("10.96.0.1:sql", ["data/db 10.1.1.20 6 5432 through 10.96.0.1:5000"]),
        ("db.data.svc:5000", ["data/db 10.1.1.20 6 5432 through 10.96.0.1:5000"]),
        ("svc/data/headless:5432", ["data/db 10.1.1.20 6 5432"]),
        ("svc/data/headless:5000", ["data/db 10.1.1.20 6 5000"]),
        ("svc/data/headless:sql", ["data/db 10.1.1.20 6 5432"]),
        ("10.1.1.20:sql", ["data/db 10.1.1.20 6 5432"]),
        ("198.51.100.7:443", ["198.51.100.7 198.51.100.7 6 443"]),
        ("node/node-a:10250", ["node node-a 192.168.50.11 6 10250"]),
    ],
)
def test_what_a_destination_leads_to(text: str, expected: list[str]) -> None:
    """Another address or port than the one that policies see would be judged by other rules."""
    assert shown(led(text)) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("svc/data/empty:80", "has no ready endpoint"),
        ("10.96.0.2:80", "has no ready endpoint"),
        ("svc/data/db:81", "has no port TCP 81; its ports: TCP 5000 (sql)"),
        ("svc/data/db:5000/UDP", "has no port UDP 5000"),
    ],
)
def test_a_service_that_nobody_answers_for_is_a_failure(text: str, words: str) -> None:
    """To judge policies where nobody listens is an answer to a question that cannot come up."""
    found = led(text)
    assert found.aims == ()
    assert words in found.failure


def test_icmp_is_not_translated() -> None:
    """A ping to a Service's name goes nowhere, and a headless name is one of pods."""
    assert "TCP, UDP and SCTP alone" in led("svc/data/db", protocol="ICMP").failure
    assert shown(led("10.96.0.1", protocol="ICMP")) == [f"10.96.0.1 10.96.0.1 1 {8 << 8}"]
    assert (echo(58), echo(47)) == (128 << 8, 0)


def test_unknown_port_names_say_which_there_are() -> None:
    """A port name that the pod has not would silently be another port."""
    with pytest.raises(UnknownName, match=r"its named ports: sql \(TCP\), metrics \(TCP\)"):
        led("data/db:http")
    with pytest.raises(UnknownName, match=r"its ports: TCP 5000 \(sql\)"):
        led("svc/data/db:http")
    for text in ("198.51.100.7:http", "node/node-a:http"):
        with pytest.raises(UsageError, match="the name of a port means nothing there"):
            led(text)


def test_a_port_name_without_a_protocol_takes_the_ports_own() -> None:
    """`coredns:dns` is UDP; with the default of TCP it would be unknown."""
    ports = [{"name": "dns", "containerPort": 53, "protocol": "UDP"}, {"name": "both", "containerPort": 1}]
    ports += [{"name": "both", "containerPort": 2, "protocol": "UDP"}]
    snapshot = snapshot_of([pod("a/dns", ["10.1.0.1"], ports=ports)])
    assert shown(led("a/dns:dns", snapshot=snapshot)) == ["a/dns 10.1.0.1 17 53"]
    assert shown(led("a/dns:both", snapshot=snapshot)) == ["a/dns 10.1.0.1 6 1"]
    assert shown(led("a/dns:both/UDP", snapshot=snapshot)) == ["a/dns 10.1.0.1 17 2"]


def test_a_service_port_name_of_two_protocols_is_tcp() -> None:
    """kube-dns has 53 twice; with a name for both the default decides, and not the order in the file."""
    ports = [{"name": "u", "port": 53, "protocol": "UDP"}, {"name": "t", "port": 53}]
    snapshot = snapshot_of([pod("a/dns", ["10.1.0.1"], app="d"), service("a/s", "10.96.0.1", ports, app="d")])
    assert shown(led("svc/a/s:53", snapshot=snapshot)) == ["a/dns 10.1.0.1 6 53 through 10.96.0.1:53"]
    assert shown(led("svc/a/s:u", snapshot=snapshot)) == ["a/dns 10.1.0.1 17 53 through 10.96.0.1:53"]


def test_a_service_without_an_address_is_translated_all_the_same() -> None:
    """Manifests in a repository have no clusterIP; the endpoints behind the Service are known nevertheless."""
    made = service("a/s", "", [{"port": 80, "targetPort": 8080}], app="x")
    del made["spec"]["clusterIP"]
    snapshot = snapshot_of([pod("a/x", ["10.1.0.1"], app="x"), made])
    found = led("svc/a/s:80", snapshot=snapshot)
    assert shown(found) == [f"a/x 10.1.0.1 6 8080 through {UNASSIGNED[4]}:80"]


def test_node_ports_lead_to_endpoints() -> None:
    """A node's address with a node port is a Service's address like any other."""
    made = service("a/s", "10.96.0.1", [{"port": 80, "targetPort": 8080, "nodePort": 30080}], app="x")
    made["spec"]["type"] = "NodePort"
    snapshot = snapshot_of([node("n", ["192.168.0.1"]), pod("a/x", ["10.1.0.1"], app="x"), made])
    assert shown(led("192.168.0.1:30080", snapshot=snapshot)) == ["a/x 10.1.0.1 6 8080 through 192.168.0.1:30080"]
    assert shown(led("192.168.0.1:30081", snapshot=snapshot)) == ["node n 192.168.0.1 6 30081"]


def test_families() -> None:
    """IPv4 unless only IPv6 fits; what is asked for is not replaced."""
    web, db, lone = target("shop/web-1"), target("data/db"), target("data/lone")
    assert choose_family(web, db, None) == 4
    assert choose_family(web, db, 6) == 6
    assert choose_family(web, target("2001:db8::1"), None) == 6
    assert choose_family(lone, target("2001:db8::1"), None) == 6
    assert choose_family(web, target("::/0"), None) == 6
    with pytest.raises(UsageError, match="has no IPv6 address"):
        choose_family(web, lone, 6)
    with pytest.raises(UsageError, match="has no IPv6 address"):
        choose_family(web, target("10.0.0.0/8"), 6)
    assert shown(led("data/db:1", family=6)) == ["data/db fd00:1:1::20 6 1"]


def test_sources() -> None:
    """One end for each pod; a pod without the family is judged by its policies all the same."""
    assert [str(end.address) for end in ends(SNAPSHOT, target("shop/rs/web"), 6)] == ["fd00:1::11", "fd00:1::12"]
    assert [str(end.address) for end in ends(SNAPSHOT, target("data/lone"), 6)] == ["10.1.1.21"]
    assert [str(end) for end in ends(SNAPSHOT, target("192.168.50.11"), 4)] == ["node node-a"]
    with pytest.raises(UsageError, match="sends nothing by itself"):
        ends(SNAPSHOT, target("svc/data/db"), 4)


def test_the_service_that_was_dialled_is_known() -> None:
    """Where the input gives it no address, nothing else says which it was; untranslated, nobody dialled any."""
    found = led("svc/data/db:5000").aims
    assert [str(aim.service) for aim in found] == ["data/db"]
    assert [aim.service for aim in led("svc/data/headless:sql").aims] == [None]
    assert [aim.service for aim in led("data/db:5432").aims] == [None]
    source = found[0].end
    flow = found[0].flow(source)
    assert (flow.source, flow.destination, flow.dialled, flow.service) == (
        source,
        found[0].end,
        found[0].dialled,
        found[0].service,
    )
