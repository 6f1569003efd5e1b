"""The socket: answers belong to their questions, and lost messages are told as such."""

from __future__ import annotations

import socket
import struct

import pytest

from outgate.errors import KernelError, NotPermitted
from outgate.host import process, rtnetlink
from outgate.host.netlink import NETFILTER, ROUTE, NetlinkSocket, Overrun, Refused, refusal
from outgate.host.netlink_format import message
from tests.lab.alone import alone

pytestmark = pytest.mark.kernel
GETLINK = 18
HEADER = bytes(16)


def test_a_question_is_answered_and_a_wrong_one_refused_in_words() -> None:
    """The kernel's own words say more than an errno."""

    def inside() -> None:
        with NetlinkSocket(ROUTE, strict=True) as asking:
            assert [one.name for one in rtnetlink.links(asking)] == ["lo"]
            (answer,) = asking.ask(GETLINK, struct.pack("=BxHiII", 0, 0, 1, 0, 0), "show an interface")
            assert rtnetlink.link(answer.body).name == "lo"
            with pytest.raises(Refused, match=r"^the kernel refused to show an interface: No such device") as caught:
                asking.ask(GETLINK, struct.pack("=BxHiII", 0, 0, 77, 0, 0), "show an interface")
            assert caught.value.number == 19
            with pytest.raises(Refused, match=r"Invalid argument \(.+\)$"):
                asking.dump(GETLINK, struct.pack("=BxHiII", 0, 9, 9, 9, 9), "list the interfaces")

    alone(inside)


def test_events_come_in_their_order_and_an_end_of_waiting_is_no_event() -> None:
    """Nothing within the time is nothing, not an error."""

    def inside() -> None:
        with NetlinkSocket(ROUTE, groups=[rtnetlink.GROUP_LINK]) as hearing:
            assert hearing.receive(0) == b""
            assert hearing.receive(0.01) == b""
            process.run(("ip", "link", "add", "one", "type", "veth", "peer", "name", "two"))
            assert hearing.receive(30)
            assert hearing.port
            assert hearing.fileno() > 0

    alone(inside)


def test_what_was_lost_is_admitted() -> None:
    """The worst a monitor can do is to be silent about what it did not hear."""

    def inside() -> None:
        with NetlinkSocket(ROUTE, groups=[rtnetlink.GROUP_LINK], buffer=1) as hearing:
            lines = "".join(f"link set lo {'up' if number % 2 else 'down'}\n" for number in range(100))
            process.run(("ip", "-batch", "-"), input=lines)
            heard = iter(lambda: hearing.receive(0), b"")
            with pytest.raises(Overrun):
                list(heard)

    alone(inside)


def test_only_the_kernel_is_believed() -> None:
    """Another process with rights over the namespace can write to the same socket."""

    def inside() -> None:
        with NetlinkSocket(ROUTE, groups=[rtnetlink.GROUP_LINK]) as hearing:
            with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, ROUTE) as forger:
                forger.sendto(message(16, 0, 0, HEADER), (hearing.port, 0))
            process.run(("ip", "link", "set", "lo", "up"))
            assert b"lo\0" in hearing.receive(30)

    alone(inside)


def test_rights_that_are_missing_are_named() -> None:
    """EPERM is another kind of error than a mistake of ours."""
    assert isinstance(refusal("do it", 1), NotPermitted)
    assert isinstance(refusal("do it", 13), NotPermitted)
    error = refusal("do it", 2, "no such table")
    assert isinstance(error, Refused)
    assert error.message == "the kernel refused to do it: No such file or directory (no such table)"
    with pytest.raises(KernelError, match="open netlink protocol 31"):
        NetlinkSocket(31)
    with pytest.raises(KernelError, match="listen to netlink protocol 12"):
        NetlinkSocket(NETFILTER, groups=[1 << 20])


def test_numbers_are_not_given_twice() -> None:
    """An answer to an old question would be taken for one to the new."""
    with NetlinkSocket(ROUTE) as one:
        first = one.numbers(3)
        assert one.numbers(1) == first + 3
        one.numbers(0x4000_0000)
        assert one.numbers(0x4000_0000) + 0x4000_0000 < 1 << 31
