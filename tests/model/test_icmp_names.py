"""The types of ICMP, by name and by number."""

from __future__ import annotations

import pytest

from outgate.model.icmp_names import ICMP_TYPES, icmp_type


@pytest.mark.parametrize(
    ("family", "given", "number"),
    [
        ("IPv4", "EchoRequest", 8),
        ("IPv4", "Echo", 8),
        ("IPv6", "EchoRequest", 128),
        ("IPv6", "PacketTooBig", 2),
        ("IPv4", "PacketTooBig", None),
        ("IPv6", "Echo", None),
        ("IPv4", "echorequest", None),
        ("IPv4", "8", 8),
        ("IPv4", 8, 8),
        ("IPv4", 300, 300),
        ("IPv4", "²", None),
    ],
)
def test_a_type_has_a_number(family: str, given: str | int, number: int | None) -> None:
    """A family knows its own names, in their own case."""
    assert icmp_type(family, given) == number


def test_every_number_is_one() -> None:
    """Of eight bits."""
    assert all(0 <= number <= 255 for names in ICMP_TYPES.values() for number in names.values())
