"""Types of ICMP in rules."""

from __future__ import annotations

import pytest

from outgate.nft.icmp_lines import icmp_types, without_icmp_types
from outgate.nft.objects import Compare, Field
from outgate.packets import Protocol, TransportSet


def types(protocol: Protocol, *numbers: int) -> TransportSet:
    """Types with any code."""
    found = TransportSet()
    for one in numbers:
        found |= TransportSet.ports(protocol, one << 8, (one << 8) + 255)
    return found


@pytest.mark.parametrize(
    ("protocol", "family", "field"), [(Protocol.ICMP, 4, Field.ICMP_TYPE), (Protocol.ICMPV6, 6, Field.ICMPV6_TYPE)]
)
def test_types_are_compared(protocol: Protocol, family: int, field: Field) -> None:
    """Runs of them together, and in the view of their own family alone."""
    some = types(protocol, 8, 9, 128)
    assert list(icmp_types(some, family, mirrored=False)) == [Compare(field, 8, 9), Compare(field, 128, 128)]
    assert list(icmp_types(some, 10 - family, mirrored=False)) == []
    assert not without_icmp_types(some)


@pytest.mark.parametrize(
    ("protocol", "family", "asked", "answered"),
    [(Protocol.ICMP, 4, 8, 0), (Protocol.ICMP, 4, 13, 14), (Protocol.ICMPV6, 6, 128, 129)],
)
def test_of_a_reply_the_type_is_another(protocol: Protocol, family: int, asked: int, answered: int) -> None:
    """As connection tracking has it."""
    (found,) = icmp_types(types(protocol, asked), family, mirrored=True)
    assert (found.low, found.high) == (answered, answered)


def test_what_has_no_answer_has_no_reply() -> None:
    """A redirect is not asked for."""
    assert list(icmp_types(types(Protocol.ICMP, 5), 4, mirrored=True)) == []


def test_the_whole_protocol_is_no_list_of_types() -> None:
    """Then the protocol is compared, as of any other."""
    whole = TransportSet.protocol(int(Protocol.ICMP))
    assert list(icmp_types(whole, 4, mirrored=False)) == []
    assert without_icmp_types(whole) == whole
