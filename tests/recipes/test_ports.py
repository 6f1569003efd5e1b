"""Ports as options give them."""

from __future__ import annotations

import pytest

from outgate.errors import UsageError
from outgate.recipes.ports import port_entry, read_ports, spell_port


def test_every_way() -> None:
    """A number, a range, a name, each with a protocol or not; twice is once."""
    assert read_ports(["443", "8000-8010", "53/udp", "http", "x/SCTP", "443/TCP", "7-7"]) == [
        {"protocol": "TCP", "port": 443},
        {"protocol": "TCP", "port": 8000, "endPort": 8010},
        {"protocol": "UDP", "port": 53},
        {"protocol": "TCP", "port": "http"},
        {"protocol": "SCTP", "port": "x"},
        {"protocol": "TCP", "port": 7},
    ]


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "65536",
        "9-8",
        "1-70000",
        "80/",
        "80/ICMP",
        "",
        "HTTP",
        "a--b",
        "-1",
        "1-",
        "\u0661",
        "80\n- {}",
        "abcdefghijklmnop",
    ],
)
def test_what_is_no_port(text: str) -> None:
    """Refused; nothing of it reaches a manifest."""
    with pytest.raises(UsageError, match="--port"):
        read_ports([text])


def test_names_are_for_pods() -> None:
    """An address has none."""
    with pytest.raises(UsageError, match="no named ports"):
        read_ports(["http"], names=False)


def test_in_words() -> None:
    """For a comment."""
    assert spell_port(port_entry("TCP", 1, 9)) == "TCP 1-9"
    assert spell_port(port_entry("UDP", "dns", "dns")) == "UDP dns"
