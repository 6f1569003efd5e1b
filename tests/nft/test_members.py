"""Who is in a moving set, as the set that it declares."""

from __future__ import annotations

import pytest

from outgate.model import LabelSelector
from outgate.nft.members import Members, PeerMembers, PortMembers
from outgate.nft.objects import KeyType
from outgate.packets import Protocol
from outgate.policy import NamedPort, PodMatch

PEER = PodMatch("shop", None, LabelSelector.of({"app": "api"}))
HTTP = NamedPort(Protocol.TCP, "http")


@pytest.mark.parametrize(
    ("members", "key"),
    [
        (PeerMembers(PEER, 4), (KeyType.IPV4_ADDR,)),
        (PeerMembers(PEER, 6), (KeyType.IPV6_ADDR,)),
        (PortMembers(PEER, HTTP, 4), (KeyType.IPV4_ADDR, KeyType.INET_PROTO, KeyType.INET_SERVICE)),
        (PortMembers(None, HTTP, 6), (KeyType.IPV6_ADDR, KeyType.INET_PROTO, KeyType.INET_SERVICE)),
    ],
)
def test_a_declaration_is_an_empty_hash_set(members: Members, key: tuple[KeyType, ...]) -> None:
    """An interval set that changes is a linear search and a leak; one that is not empty would be declared with pods."""
    made = members.declaration("p4_x")
    assert (made.name, made.key, made.interval, made.is_map, dict(made.elements)) == ("p4_x", key, False, False, {})


def test_a_reader_of_the_ruleset_is_told_who() -> None:
    """A set under a hash means nothing to a person."""
    assert PeerMembers(PEER, 4).declaration("x").comment == "pods app=api in namespace shop"
    assert PortMembers(PEER, HTTP, 4).declaration("x").comment == "port http/TCP of pods app=api in namespace shop"
    assert PortMembers(None, HTTP, 4).declaration("x").comment == "port http/TCP of any pod"
