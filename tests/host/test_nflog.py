"""What rules log is read, whole and in order; what could not be delivered is counted to the last packet."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from outgate.errors import KernelError, NotPermitted
from outgate.host import links, process
from outgate.host.nflog import Logged, LogReader
from outgate.packets.headers import read_headers
from tests.lab.alone import alone, drop_rights

pytestmark = pytest.mark.kernel

RULES = """
table inet outgate {
    chain output {
        type filter hook output priority 0; policy accept;
        udp dport 1-999 meta mark set 0x7 log prefix "D:some policy " group 5 snaplen 96
    }
    chain input {
        type filter hook input priority 0; policy accept;
        udp dport 500-599 log prefix "N:" group 5 snaplen 30
    }
}
"""


def logging(function: Callable[[], None], *, rootless: bool = False) -> None:
    """In a namespace of its own whose loopback is up and whose rules log."""

    def inside() -> None:
        links.batch(["link set lo up"])
        process.run(("nft", "-f", "-"), input=RULES)
        function()

    alone(inside, rootless=rootless)


def send(host: str, ports: Iterator[int] | list[int], payload: bytes = b"x" * 200) -> None:
    """One datagram to each port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        for port in ports:
            sender.sendto(payload, (host, port))


def some(reader: LogReader, count: int) -> list[Logged]:
    """So many packets, however often it takes."""
    found: list[Logged] = []
    while len(found) < count:
        more = reader.read(30)
        assert more, f"{len(found)} of {count} packets came"
        found += more
    return found


@pytest.mark.parametrize("rootless", [False, True], ids=["as started", "as root of a user namespace"])
def test_packets_are_read_with_all_that_is_known_of_them(rootless: bool) -> None:
    """A line of the log is made of nothing else."""

    def inside() -> None:
        with LogReader(5) as reader:
            before = time.time()
            send("127.0.0.1", [53, 500])
            send("::1", [53])
            found = some(reader, 4)
            assert [one.prefix for one in found] == ["D:some policy ", "D:some policy ", "N:", "D:some policy "]
            first, second, third, fourth = found
            lo = socket.if_nametoindex("lo")
            assert [(one.incoming, one.outgoing, one.hook) for one in found] == [
                (0, lo, 3),
                (0, lo, 3),
                (lo, 0, 1),
                (0, lo, 3),
            ]
            assert [one.protocol for one in found] == [0x0800] * 3 + [0x86DD]
            assert (first.mark, second.mark) == (7, 7)
            assert [len(one.payload) for one in found] == [96, 96, 30, 96]
            assert all(before - 1 <= one.time <= time.time() + 1 for one in found)
            assert [read_headers(one.payload).destination_port for one in found] == [53, 500, 500, 53]
            assert str(read_headers(fourth.payload).destination) == "::1"
            assert third.payload == second.payload[:30]
            assert (reader.lost, reader.overruns) == (0, 0)

    logging(inside, rootless=rootless)


def test_read_and_lost_are_all_that_was_logged() -> None:
    """A log with a hole that nobody knows of says "nothing was denied"; each packet is in one of the two numbers."""

    def inside() -> None:
        with LogReader(5, buffer=1) as reader:
            send("127.0.0.1", [8])
            count = len(some(reader, 1))
            send("127.0.0.1", iter([9] * 9000))
            # A mark, logged as it leaves and as it arrives, so that all before it is accounted for; it may be lost too.
            for mark in range(500, 600):
                send("127.0.0.1", [mark])
                more = [one for chunk in iter(lambda: reader.read(0.2), []) for one in chunk]
                count += len(more)
                if more and (read_headers(more[-1].payload).destination_port, more[-1].hook) == (mark, 1):
                    break
            assert reader.overruns > 0
            assert reader.lost > 0
            assert count + reader.lost == 1 + 9000 + 2 * (mark - 499)

    logging(inside)


def test_a_group_has_one_reader() -> None:
    """Two agents on a node would each see half of the log."""

    def inside() -> None:
        with LogReader(5):
            with pytest.raises(KernelError, match="nflog group 5 is read by another process already"):
                LogReader(5)
            LogReader(6).close()
        LogReader(5).close()

    logging(inside)


def test_it_can_be_waited_for_and_waiting_ends() -> None:
    """The agent's loop waits for many doors at once."""

    def inside() -> None:
        with LogReader(5) as reader:
            assert reader.read(0) == []
            assert reader.read(0.01) == []
            send("127.0.0.1", [53])
            assert select.select([reader], [], [], 30)[0] == [reader]
            assert len(reader.read(0)) == 1

    logging(inside)


def test_without_rights_it_says_so() -> None:
    """To read nothing for ever would look like peace."""

    def inside() -> None:
        drop_rights()
        with pytest.raises(NotPermitted):
            LogReader(5)

    alone(inside)
