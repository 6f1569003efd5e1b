"""Marks of connections are counted, and those of others in our bits are told from our epochs."""

from __future__ import annotations

import ipaddress
import socket

import pytest

from outgate.errors import NotPermitted
from outgate.host import links, process
from outgate.host.conntrack import carried, foreign_bits, forget, marks
from outgate.nft.epoch import Epoch
from tests.lab.alone import alone, drop_rights

pytestmark = pytest.mark.kernel

RULES = """
table inet somebody {
    chain output {
        type filter hook output priority 0; policy accept;
        udp dport 1-9 ct mark set 0x00010000
        udp dport 10-19 ct mark set 0x00020000
        udp dport 20-29 ct mark set 0x00020007
        udp dport 30-39 ct mark set 0x00000080
    }
}
"""


@pytest.mark.parametrize("rootless", [False, True], ids=["as started", "as root of a user namespace"])
def test_marks_are_counted_as_they_are(rootless: bool) -> None:
    """An agent that starts beside a mark of somebody else's has to say so, and not to begin."""

    def inside() -> None:
        links.batch(["link set lo up"])
        assert marks() == {}
        process.run(("nft", "-f", "-"), input=RULES)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for port in (1, 2, 3, 10, 11, 20, 30, 40):
                sender.sendto(b"x", ("127.0.0.1", port))
        seen = marks()
        assert seen == {0x1_0000: 3, 0x2_0000: 2, 0x2_0007: 1, 0x80: 1, 0: 1}
        ours = Epoch(0xFFFF_0000, 1)
        assert foreign_bits(ours.mask, {ours.bits}) == {0x2_0000: 3}
        assert foreign_bits(ours.mask, {ours.bits, ours.following().bits}, seen) == {}
        assert foreign_bits(ours.mask, (), seen) == {0x1_0000: 3, 0x2_0000: 3}
        assert foreign_bits(0xFF, (), seen) == {7: 1, 0x80: 1}
        assert carried(0xFFFF_0000) == {1, 2}
        assert carried(0xF0) == {8}
        assert carried(0xFF00) == frozenset()

    alone(inside, rootless=rootless)


def test_without_rights_it_says_so() -> None:
    """Nothing seen is not the same as nothing there."""

    def inside() -> None:
        drop_rights()
        with pytest.raises(NotPermitted):
            marks()
        with pytest.raises(NotPermitted):
            carried(0xFFFF_0000)
        with pytest.raises(NotPermitted):
            forget(0xFFFF_0000, 0x1_0000)

    alone(inside)


ZONED = """
table inet somebody {
    chain output {
        type filter hook output priority -300; policy accept;
        udp dport 10-19 ct zone set 7
        udp dport 20-29 ct original zone set 8
    }
    chain marked {
        type filter hook output priority 0; policy accept;
        udp dport 1-29 ct mark set 0x00050003
        udp dport 40 ct mark set 0x00060003
    }
}
"""


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_number_is_taken_back_from_the_connections_of_an_address_alone(family: int) -> None:
    """In whatever zone, and nothing of the bits of others: who keeps a number that is not his has another's rights."""

    def inside() -> None:
        mine, others = ("127.0.0.2", "127.0.0.3") if family == socket.AF_INET else ("fd00::2", "fd00::3")
        plain = [f"addr add {one}/128 dev lo" for one in (mine, others)] if family == socket.AF_INET6 else []
        links.batch(["link set lo up", *plain])
        process.run(("nft", "-f", "-"), input=ZONED)
        with socket.socket(family, socket.SOCK_DGRAM) as sender:
            for address in (mine, others):
                for port in (1, 10, 20, 30, 40):
                    sender.sendto(b"x", (address, port))
        before = dict(marks())
        assert (before[0x5_0003], before[0x6_0003]) == (6, 2)
        assert forget(0xFFFF_0000, 0x6_0000, {ipaddress.ip_address(mine)}) == 3
        assert marks() == before | {0x5_0003: 3, 3: 3}
        assert forget(0xFFFF_0000, 0x6_0000, {ipaddress.ip_address(mine)}) == 0
        assert forget(0xFFFF_0000, 0x6_0000) == 3
        assert carried(0xFFFF_0000) == {6}
        assert forget(0xFFFF_0000, 0) == 2
        assert set(marks()) == {0, 3}

    alone(inside)
