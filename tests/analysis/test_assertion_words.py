"""The words of an assertion: what may be written for an end and for ports, and how mistakes are answered."""

from __future__ import annotations

import ipaddress

import pytest

from outgate.analysis.assertion_words import (
    EndAsked,
    PodsAsked,
    PortAsked,
    PortsAsked,
    Word,
    listed,
    read_ends,
    read_ports,
    read_protocol,
)
from outgate.analysis.targets import Named, Noun
from outgate.errors import InputError
from outgate.model import Document, LabelSelector, Place
from outgate.model.labels import Operator, Requirement
from outgate.model.place import complaint

PLACE = Place(Document("tests.yaml", None), ("to",))


def ends(value: object) -> tuple[EndAsked, ...]:
    """Ends without a mistake."""
    errors: list[InputError] = []
    found = read_ends(value, PLACE, errors)
    assert errors == []
    return found


def mistakes(value: object) -> list[str]:
    """The path and words of each mistake in an end."""
    errors: list[InputError] = []
    read_ends(value, PLACE, errors)
    return [f"{one.path}: {one.message}" for one in errors]


def ports(value: object, default: int | None = None) -> tuple[PortAsked, ...]:
    """Ports without a mistake."""
    errors: list[InputError] = []
    found = read_ports(value, PLACE, default, errors)
    assert found is not None
    assert errors == []
    return found.ports


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("shop/web", Named(Noun.WORKLOAD, "web", "shop")),
        ("svc/shop/web", Named(Noun.SERVICE, "web", "shop")),
        ("node/a", Named(Noun.NODE, "a")),
        ("10.0.0.1", ipaddress.ip_address("10.0.0.1")),
        ("10.0.0.0/8", ipaddress.ip_network("10.0.0.0/8")),
        ("2001:db8::1", ipaddress.ip_address("2001:db8::1")),
        ("api.example.com", Named(Noun.ANYTHING, "api.example.com")),
        ("shop/*", PodsAsked("shop")),
        ("*/*", Word.EVERY_POD),
        ("every pod", Word.EVERY_POD),
        ("Every Node", Word.EVERY_NODE),
        (" anywhere ", Word.ANYWHERE),
        ({"namespace": "shop"}, PodsAsked("shop")),
        ({"cidr": "10.0.0.0/8"}, ipaddress.ip_network("10.0.0.0/8")),
        ({"any": "every pod"}, Word.EVERY_POD),
    ],
)
def test_ends(written: object, meant: object) -> None:
    """Everything that can-reach takes, and the words for sets of pods."""
    assert [one.what for one in ends(written)] == [meant]


def test_labels_are_a_selector_and_a_list_means_any_of_its_values() -> None:
    """Two spellings of one selector are equal, as everywhere in the model."""
    (one,) = ends({"namespaceLabels": {"team": "red"}, "labels": {"app": ["web", "db"]}})
    assert one.what == PodsAsked(
        None,
        LabelSelector.of({"team": "red"}),
        LabelSelector.of(expressions=[Requirement("app", Operator.IN, ("db", "web"))]),
    )
    assert str(one) == "*/* in namespaces team=red with app in (db,web)"


def test_excepts_belong_to_every_end_of_any() -> None:
    """`any` of a list less something is each of them less that."""
    found = ends({"any": ["shop/*", {"any": "anywhere", "except": "data/*"}], "except": "shop/web"})
    assert [[str(one) for one in end.excepts] for end in found] == [["shop/web"], ["data/*", "shop/web"]]
    assert str(found[0]) == "shop/* except shop/web"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (None, "to: must name"),
        (7, "to: must name"),
        ("", "to: must name"),
        ([], "to: an empty list"),
        (["shop/web", True], "to[1]: must name"),
        ("shop/*/web", "a star stands for all pods"),
        ("shop/w*", "a star stands for all pods"),
        ("shop/web:80", "ports have a field of their own"),
        ("https://example.com", "this is a URL"),
        ("10.0.0", "is not an IPv4 address"),
        ({}, "to: give pods"),
        ({"namespace": "a", "cidr": "10.0.0.0/8"}, "to: give pods"),
        ({"namespace": "", "labels": {}}, "to.namespace: must be the name"),
        ({"namespace": "a", "namespaceLabels": {}}, "not both"),
        ({"labels": ["app"]}, "to.labels: must be a mapping"),
        ({"labels": {"app": 1}}, "to.labels.app: the value of a label"),
        ({"labels": {"app": []}}, "to.labels.app: the value of a label"),
        ({"cidr": "10.0.0.1"}, "to.cidr: must be a CIDR"),
        ({"cidr": 10}, "to.cidr: must be a CIDR"),
        ({"cidr": "10.0.0.0/99"}, "to.cidr: 10.0.0.0/99 is not a CIDR"),
        ({"pods": "web", "labels": {}}, "to.pods: unknown field"),
        ({"any": "anywhere", "except": []}, "to.except: an empty list"),
    ],
)
def test_mistakes_in_ends_are_located(written: object, said: str) -> None:
    """An end that is read as something else is an assertion about something else."""
    assert len(found := mistakes(written)) == 1, found
    assert said in found[0]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (443, [PortAsked(None, (443, 443))]),
        ("443", [PortAsked(None, (443, 443))]),
        ("8000-8010", [PortAsked(None, (8000, 8010))]),
        ("http", [PortAsked(None, None, "http")]),
        ("http-2", [PortAsked(None, None, "http-2")]),
        ("53/UDP", [PortAsked(17, (53, 53))]),
        ("53/udp", [PortAsked(17, (53, 53))]),
        ("8000-8010/SCTP", [PortAsked(132, (8000, 8010))]),
        ("dns/TCP", [PortAsked(6, None, "dns")]),
        ("UDP", [PortAsked(17)]),
        ("udp", [PortAsked(None, None, "udp")]),
        ("ICMP", [PortAsked(1)]),
        ([53, "53/UDP"], [PortAsked(None, (53, 53)), PortAsked(17, (53, 53))]),
    ],
)
def test_ports(written: object, meant: list[PortAsked]) -> None:
    """Numbers, ranges, names and protocols; a protocol is written large, a name of a port small."""
    assert list(ports(written)) == meant


def test_a_protocol_beside_the_ports_is_of_those_that_name_none() -> None:
    """`{port: [53, 5353/TCP], protocol: UDP}` is UDP 53 and TCP 5353."""
    assert ports([53, "5353/TCP"], 17) == (PortAsked(17, (53, 53)), PortAsked(6, (5353, 5353)))


@pytest.mark.parametrize(
    "written",
    [0, 65536, True, None, 1.5, "", "-1", "8010-8000", "1-70000", "53/QUIC", "53/", "80/ICMP", [], [[80]], "a b"],
)
def test_mistakes_in_ports(written: object) -> None:
    """A port that nobody can listen on is a typing mistake."""
    errors: list[InputError] = []
    read_ports(written, PLACE, None, errors)
    assert len(errors) == 1


def test_protocols_are_known_by_name() -> None:
    """In any case, and by no number: a number in YAML is too easily a port."""
    errors: list[InputError] = []
    assert [read_protocol(one, PLACE, errors) for one in ("TCP", "udp", "ICMPv6")] == [6, 17, 58]
    assert errors == []
    assert read_protocol(6, PLACE, errors) is None
    assert errors == [complaint(PLACE, errors[0].message)]


def test_spelling() -> None:
    """Titles are made of these."""
    assert (
        str(PortsAsked((PortAsked(17, (53, 53)), PortAsked(None, (80, 90)), PortAsked(132)))) == "UDP 53, 80-90, SCTP"
    )
    assert listed((1, 2, 3, 4, 5)) == "1, 2, 3 and 2 more"
