"""The ends that an assertion means: whose addresses, and on which ports."""

from __future__ import annotations

import ipaddress

import pytest

from outgate.analysis.assertion_words import EndAsked, PortsAsked, read_ends, read_ports
from outgate.analysis.ends import Ends, Places, Reached, any_of
from outgate.analysis.lookup import Lookup
from outgate.analysis.roll import numbers
from outgate.errors import InputError
from outgate.model import Document, Place
from outgate.packets import AddressSet, Protocol, TransportSet
from outgate.testing import namespace, node, pod, service, snapshot_of
from tests.analysis.shop import owned, snapshot

PLACE = Place(Document("tests.yaml", None), ("to",))
SHOP = snapshot()
PLACES = Places(Lookup(SHOP, None, {"api.example.com": (ipaddress.ip_address("203.0.113.9"),)}))


def asked(written: object) -> tuple[EndAsked, ...]:
    """Ends as they are written."""
    errors: list[InputError] = []
    found = read_ends(written, PLACE, errors)
    assert errors == []
    return found


def ports(written: object) -> PortsAsked | None:
    """Ports as they are written; None for every one."""
    return None if written is None else read_ports(written, PLACE, None, [])


def ends(written: object) -> Ends:
    """The ends that are meant."""
    errors: list[InputError] = []
    found = PLACES.ends(asked(written), errors)
    assert errors == []
    return found


def reached(
    written: object, port: object = None, *, translated: bool = True, places: Places = PLACES
) -> dict[str, TransportSet]:
    """The destinations that are meant, by name and address; those outside by their blocks."""
    errors: list[InputError] = []
    found = places.reached(asked(written), ports(port), errors, translated=translated)
    assert errors == []
    shown = ((places.roll.ends[one], transports) for transports, some in found.known.items() for one in numbers(some))
    known = {f"{end} {end.address}": transports for end, transports in shown}
    return known | {" ".join(addresses.cidrs()[:2]): transports for addresses, transports in found.outside}


def refused(written: object, port: object = None) -> str:
    """Why there is no such destination."""
    errors: list[InputError] = []
    assert not PLACES.reached(asked(written), ports(port), errors)
    (error,) = errors
    assert (error.file, error.path.split(".")[0]) == ("tests.yaml", "to")
    return error.message


def names(found: Ends, places: Places = PLACES) -> set[str]:
    """The known ends."""
    return {str(places.roll.ends[number]) for number in numbers(found.known)}


def tcp(low: int, high: int | None = None) -> TransportSet:
    """Some TCP ports."""
    return TransportSet.ports(Protocol.TCP, low, high)


def label(value: object) -> str:
    """The name of a case: the members of a set come in another order in every process."""
    return ", ".join(sorted(value)) if isinstance(value, set) else str(value)


@pytest.mark.parametrize(
    ("written", "known", "outside"),
    [
        ("data/db", {"data/db"}, 0),
        ("shop/web", {"shop/web-1", "shop/web-2"}, 0),
        ("shop/*", {"shop/web-1", "shop/web-2", "shop/planned"}, 0),
        ({"namespaceLabels": {"team": "blue"}, "labels": {"app": ["db", "x"]}}, {"data/db"}, 0),
        ("every node", {"node node-a", "node node-b"}, 0),
        ("node/node-a", {"node node-a"}, 0),
        ("10.1.1.20", {"data/db"}, 0),
        ("10.1.1.99", set(), 1),
        ("api.example.com", set(), 1),
        ("10.1.1.20/30", {"data/db", "data/lone"}, 2),
        ({"any": "10.1.1.20/30", "except": ["data/db", "10.1.1.22"]}, {"data/lone"}, 1),
        (
            {"any": "every pod", "except": "10.0.0.0/8"},
            {"data/db", "shop/web-1", "shop/web-2", "data/agent", "shop/planned"},
            0,
        ),
        ({"any": "every node", "except": "data/agent"}, {"node node-a"}, 0),
        ("192.168.50.12", {"node node-b"}, 0),
        ("127.0.0.0/8", set(), 1 << 24),
    ],
    ids=label,
)
def test_ends(written: object, known: set[str], outside: int) -> None:
    """Pods and nodes one by one, whoever names them how; all other addresses as a set."""
    found = ends(written)
    assert names(found) == known
    assert found.outside.size() == outside


def test_anywhere_is_everybody_and_all_the_rest() -> None:
    """The finished pod is nobody, the host-network pod its node, and what the API is silent on is left out."""
    found = ends("anywhere")
    assert names(found) == {
        "shop/web-1",
        "shop/web-2",
        "shop/planned",
        "data/db",
        "data/lone",
        "node node-a",
        "node node-b",
    }
    assert ipaddress.ip_address("10.1.1.99") in found.outside
    for silent in ("127.0.0.1", "224.0.0.1", "ff02::1", "10.1.1.20"):
        assert ipaddress.ip_address(silent) not in found.outside
    assert found.single == 0


def test_what_was_named_one_by_one_is_known_as_that() -> None:
    """A pod, a node and an address are named themselves; the pods of a workload are not."""
    assert {
        PLACES.roll.ends[number].address
        for number in numbers(ends(["data/lone", "node/node-a", "10.1.1.20", "shop/*"]).single)
    } == {ipaddress.ip_address(one) for one in ("10.1.1.21", "192.168.50.11", "10.1.1.20")}


@pytest.mark.parametrize(
    ("written", "port", "found"),
    [
        ("data/lone", None, {"data/lone 10.1.1.21": TransportSet.governed()}),
        ("data/lone", ["80-90", "53/UDP"], {"data/lone 10.1.1.21": tcp(80, 90) | TransportSet.ports(Protocol.UDP, 53)}),
        ("data/lone", "SCTP", {"data/lone 10.1.1.21": TransportSet.protocol(132)}),
        ("data/*", "sql", {"data/db 10.1.1.20": tcp(5432), "data/db fd00:1:1::20": tcp(5432)}),
        ("svc/data/db", None, {"data/db 10.1.1.20": tcp(5432)}),
        ("svc/data/db", 5000, {"data/db 10.1.1.20": tcp(5432)}),
        ("svc/data/db", "4999-5001", {"data/db 10.1.1.20": tcp(5432)}),
        ("svc/data/db", "sql/TCP", {"data/db 10.1.1.20": tcp(5432)}),
        ("db.data.svc", 5000, {"data/db 10.1.1.20": tcp(5432)}),
        ("10.96.0.1", 5000, {"data/db 10.1.1.20": tcp(5432)}),
        ("10.96.0.1", [5000, 80], {"data/db 10.1.1.20": tcp(5432), "10.96.0.1/32": tcp(80)}),
        (
            "10.96.0.0/30",
            5000,
            {"data/db 10.1.1.20": tcp(5432), "10.96.0.0/32 10.96.0.3/32": tcp(5000), "10.96.0.2/32": tcp(5000)},
        ),
        ({"any": "10.96.0.0/31", "except": "data/*"}, 5000, {"10.96.0.0/32": tcp(5000)}),
        ("svc/data/headless", 77, {"data/db 10.1.1.20": tcp(77), "data/db fd00:1:1::20": tcp(77)}),
        ("svc/data/headless", "sql", {"data/db 10.1.1.20": tcp(5432), "data/db fd00:1:1::20": tcp(5432)}),
        ("203.0.113.0/24", "UDP", {"203.0.113.0/24": TransportSet.protocol(17)}),
    ],
    ids=str,
)
def test_destinations(written: object, port: object, found: dict[str, TransportSet]) -> None:
    """A name means what each pod says; a Service, by name or address, its endpoints and their ports."""
    assert reached(written, port) == found


def test_a_service_in_a_closed_list_means_its_pods_by_every_address() -> None:
    """The Service is IPv4 alone, and its pods are not: who lists the Service does not mean to leave their IPv6 out."""
    found = reached("svc/data/db", translated=False)
    assert found == {"data/db 10.1.1.20": tcp(5432), "data/db fd00:1:1::20": tcp(5432)}
    assert reached("10.96.0.0/30", 5000, translated=False) == {"10.96.0.0/30": tcp(5000)}


@pytest.mark.parametrize(
    ("written", "port", "words"),
    [
        ("shop/wep", None, "no pod or workload shop/wep in the input"),
        ("data/done", None, "has finished"),
        ("nowhere/*", None, "namespace nowhere is not in the input"),
        ({"labels": {"app": "wep"}}, None, "no pod in the input is */* with app=wep"),
        ({"any": "data/db", "except": "data/*"}, None, "is nobody"),
        ("node/node-c", None, "no node node-c"),
        ("svc/data/nothing", None, "no Service"),
        ("svc/data/db", 81, "its ports: TCP 5000 (sql)"),
        ("svc/data/empty", 80, "no ready endpoint"),
        ("data/db", "http", "no container port named http"),
        ("203.0.113.9", "http", "no container port named http"),
        ("other.example.com", None, "or add it to the names of this file"),
        ({"any": "svc/data/db", "except": "data/db"}, None, "is a Service"),
    ],
    ids=str,
)
def test_what_the_input_does_not_have(written: object, port: object, words: str) -> None:
    """An assertion about nobody holds for ever, and says nothing."""
    assert words in refused(written, port)


def test_a_service_sends_nothing() -> None:
    """As in can-reach."""
    errors: list[InputError] = []
    assert not PLACES.ends(asked("svc/data/db"), errors)
    assert "sends nothing" in errors[0].message


def test_labels_of_a_namespace_that_is_only_mentioned_are_noted() -> None:
    """Whether such a namespace is meant is not known, and must be said."""
    made = snapshot_of([namespace("a", team="red"), pod("a/x", ["10.0.0.1"]), pod("b/y", ["10.0.0.2"])])
    places = Places(Lookup(made))
    found = places.ends(asked({"namespaceLabels": {"team": "red"}}), [])
    assert names(found, places) == {"a/x"}
    assert places.take_notes() == ("namespace b is not in the input: its labels are not known",)
    assert places.take_notes() == ()


def test_the_note_of_a_selector_is_not_lost_when_it_is_asked_again() -> None:
    """Two assertions by one selector have the same to say."""
    made = snapshot_of([namespace("a", team="red"), pod("a/x", ["10.0.0.1"]), pod("b/y", ["10.0.0.2"])])
    places = Places(Lookup(made))
    for _ in range(2):
        assert names(places.ends(asked({"namespaceLabels": {"team": "red"}}), []), places) == {"a/x"}
        assert len(places.take_notes()) == 1


def test_destinations_add_up() -> None:
    """The same end in two entries is asked about with the ports of both, the others with their own."""
    one = Reached({tcp(80): 0b0011, tcp(1): 0b0100}, ((AddressSet(), tcp(1)),), 0b0010)
    other = Reached({tcp(81): 0b0110}, ((AddressSet(), tcp(1)),))
    both = one | other
    assert both.known == {tcp(80): 0b0001, tcp(80, 81): 0b0010, tcp(1) | tcp(81): 0b0100}
    assert (any_of(both.known.values()), both.single, len(both.outside)) == (0b0111, 0b0010, 2)
    assert both.without(0b0010) == Reached({tcp(80): 0b0001, tcp(1) | tcp(81): 0b0100}, both.outside)
    assert any_of(()) == 0


def web(number: int, protocol: str = "TCP") -> dict[str, object]:
    """A container port of that name."""
    return {"name": "web", "containerPort": number, "protocol": protocol}


HARBOUR = snapshot_of(
    [
        node("quay", ["192.168.50.11", "fd00:50::11"]),
        node("empty", ["192.168.50.12"]),
        node("odd", ["10.1.0.5"]),
        pod("ship/crane", ["10.1.0.1"], on="quay", ports=[web(80)]),
        # Two on the network of a node call two ports by one name; two more are at a node that the input does not have.
        owned(
            pod(
                "port/agent", ["192.168.50.11", "fd00:50::11"], on="quay", host_network=True, ports=[web(9100)], app="a"
            ),
            "DaemonSet",
            "watch",
        ),
        pod("port/proxy", ["192.168.50.11"], on="quay", host_network=True, ports=[web(81, "UDP")], app="p"),
        pod("far/one", ["192.168.50.13"], on="lost", host_network=True, ports=[web(82)]),
        pod("far/two", ["192.168.50.13"], on="lost", host_network=True, ports=[web(83), {"containerPort": 84}]),
        # What claims the address of a node for its own is found by it.
        pod("ship/odd", ["10.1.0.5"], ports=[web(85)]),
        service("port/front", "10.96.0.1", [{"name": "web", "port": 1, "targetPort": 9100}], app="a"),
    ]
)
HARBOUR_PLACES = Places(Lookup(HARBOUR))
CRANE, ODD = {"ship/crane 10.1.0.1": tcp(80)}, {"ship/odd 10.1.0.5": tcp(85)}
QUAY_V4 = {"node quay 192.168.50.11": tcp(9100) | TransportSet.ports(Protocol.UDP, 81)}
# Only what has an address of a family is at it.
QUAY = QUAY_V4 | {"node quay fd00:50::11": tcp(9100)}
AGENT = {f"port/agent {address}": tcp(9100) for address in ("192.168.50.11", "fd00:50::11")}
PROXY = {"port/proxy 192.168.50.11": TransportSet.ports(Protocol.UDP, 81)}
LOST = {"far/one 192.168.50.13": tcp(82, 83)}


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("anywhere", CRANE | ODD | QUAY | LOST),
        ("every node", QUAY | ODD),
        ("node/quay", QUAY),
        ("node/odd", {"node odd 10.1.0.5": tcp(85)}),
        ("192.168.50.11", QUAY_V4),
        ("192.168.50.13", LOST),
        ("10.1.0.5", ODD),
        ("192.168.50.0/24", QUAY_V4 | LOST),
        ("fd00:50::/64", {"node quay fd00:50::11": tcp(9100)}),
        (
            "every pod",
            CRANE | ODD | AGENT | PROXY | {"far/one 192.168.50.13": tcp(82), "far/two 192.168.50.13": tcp(83)},
        ),
        ("port/*", AGENT | PROXY),
        ("port/agent", AGENT),
        ("port/ds/watch", AGENT),
        ("far/one", {"far/one 192.168.50.13": tcp(82)}),
        ({"labels": {"app": "p"}}, PROXY),
        ({"labels": {"app": ["a", "p"]}}, AGENT | PROXY),
        ({"namespaceLabels": {"kubernetes.io/metadata.name": "port"}}, AGENT | PROXY),
        ({"any": "anywhere", "except": "ship/*"}, QUAY | LOST),
        ({"any": "anywhere", "except": "port/proxy"}, CRANE | ODD | LOST | {"node quay fd00:50::11": tcp(9100)}),
        ({"any": "anywhere", "except": "every node"}, CRANE | LOST),
        ({"any": "every node", "except": "10.0.0.0/8"}, QUAY),
        (
            {"any": "every pod", "except": "every node"},
            CRANE | {"far/one 192.168.50.13": tcp(82), "far/two 192.168.50.13": tcp(83)},
        ),
        (["port/proxy", "node/quay"], PROXY | QUAY),
        (["far/two", "192.168.50.13"], {"far/two 192.168.50.13": tcp(83)} | LOST),
    ],
    ids=label,
)
def test_a_port_name_means_what_the_pods_say_that_are_meant(written: object, found: dict[str, TransportSet]) -> None:
    """Of pods each its own; of an address, whatever it is called by, all there: a node's are those on its network."""
    assert reached(written, "web", translated=False, places=HARBOUR_PLACES) == found


def test_a_port_name_keeps_its_protocol_at_a_node() -> None:
    """And beside a number, the number is meant everywhere and the name where it is."""
    assert reached("every node", "web/UDP", places=HARBOUR_PLACES) == {
        "node quay 192.168.50.11": TransportSet.ports(Protocol.UDP, 81)
    }
    assert reached(["node/quay", "node/empty"], ["web", 7], places=HARBOUR_PLACES) == {
        "node quay 192.168.50.11": QUAY_V4["node quay 192.168.50.11"] | tcp(7),
        "node quay fd00:50::11": tcp(9100) | tcp(7),
        "node empty 192.168.50.12": tcp(7),
    }


@pytest.mark.parametrize("written", ["10.96.0.1", "10.96.0.0/31", {"any": "10.96.0.0/24", "except": "ship/*"}], ids=str)
def test_the_name_of_a_services_port_is_one_at_its_address(written: object) -> None:
    """It leads to the port behind it, as the number does."""
    found = reached(written, "web", places=HARBOUR_PLACES)
    assert found == {"port/agent 192.168.50.11": tcp(9100)}


def test_whoever_is_taken_out_does_not_come_back_behind_a_service() -> None:
    """By whatever name: the endpoint is a host-network pod, and its node was taken out."""
    for gone in ("port/agent", "node/quay", "192.168.50.11"):
        found = reached({"any": "10.96.0.0/31", "except": gone}, [1, "web"], places=HARBOUR_PLACES)
        assert found == {"10.96.0.0/32": tcp(1)}
