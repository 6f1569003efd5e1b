"""Real packets, denied by a compiled ruleset in a real kernel, come out as the right lines; what is lost is counted.

The namespace is made by the test. Packets are written to the far end of a link that is a pod's, and are forwarded, or
not, by the kernel.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import pytest

from outgate.agent.attribution import Attribution
from outgate.agent.counters import Series
from outgate.agent.packets_log import PacketLog
from outgate.errors import KernelError
from outgate.host import process
from outgate.host.nflog import LogReader
from outgate.nft.options import LOG_BURST, Options
from outgate.policy import Mode
from outgate.report.packet_log import LogRecord
from outgate.testing import policy
from tests.agent.states import SHOP
from tests.agent.wired import GROUP, WEB, WEB6, Node, logging
from tests.lab.alone import alone

kernel = pytest.mark.kernel


def written(folder: Path) -> list[LogRecord]:
    """What stands in the file."""
    lines = (folder / "packets.jsonl").read_bytes().splitlines()
    return [msgspec.json.decode(line, type=LogRecord) for line in lines]


def inside(check: Callable[[], None]) -> None:
    """In a network namespace of its own."""
    alone(check)


@kernel
def test_real_packets_become_the_right_lines(tmp_path: Path) -> None:
    """Both families, to a pod, to outside; an allowed packet is no line."""

    def check() -> None:
        with logging(Node(tmp_path)) as node:
            node.send(str(WEB), "1.1.1.1", 53)
            node.send(str(WEB6), "2001:db8::1", 443)
            node.send(str(WEB), "10.0.1.1", 5432)
            found = node.lines(3)
            ifindex = socket.if_nametoindex("ogp1")
            assert ifindex
        assert written(tmp_path) == found
        assert [(one.verdict, one.direction, str(one.pod), str(one.peer), one.protocol, one.port) for one in found] == [
            ("denied", "egress", "shop/web", "1.1.1.1", "UDP", 53),
            ("denied", "egress", "shop/web", "2001:db8::1", "UDP", 443),
            ("denied", "egress", "shop/web", "out/far", "UDP", 5432),
        ]
        assert {(one.policy, one.rule, one.interface, one.node) for one in found} == {
            ("shop/web", "isolated, nothing allows", "ogp1", "node-a")
        }
        assert (tmp_path / "packets.jsonl").stat().st_mode & 0o777 == 0o640

    inside(check)


@kernel
def test_what_is_allowed_or_only_watched(tmp_path: Path) -> None:
    """An audited policy lets pass and tells; the log of allowed packets names the rule. Nothing is dropped."""

    def check() -> None:
        options = Options(interface_prefix="ogp", log_group=GROUP, mode=Mode.AUDIT, log_allowed=True)
        node = Node(tmp_path, options)
        with logging(node):
            node.send(str(WEB), "1.1.1.1", 53)
            (found,) = node.lines(1)
            assert (found.verdict, found.policy) == ("would-deny", "shop/web")
        assert (node.packets("came"), node.packets("went")) == (1, 1)

    inside(check)


ALLOWING = policy(
    "shop/out",
    {
        "podSelector": {"matchLabels": {"app": "web"}},
        "policyTypes": ["Egress"],
        "egress": [{"to": [{"ipBlock": {"cidr": "9.9.9.9/32"}}], "ports": [{"port": 53, "protocol": "UDP"}]}],
    },
)


@kernel
def test_what_is_allowed_is_a_line_where_it_is_asked_for(tmp_path: Path) -> None:
    """With the rule that allowed it."""

    def check() -> None:
        options = Options(interface_prefix="ogp", log_group=GROUP, log_allowed=True)
        with logging(Node(tmp_path, options, manifests=(*SHOP, ALLOWING))) as node:
            node.send(str(WEB), "9.9.9.9", 53)
            (found,) = node.lines(1)
            assert (found.verdict, found.rule, found.policy) == ("allowed", "shop/out egress[0]", "shop/out")
            assert (found.decided_by or {})["rule"] == 0

    inside(check)


@kernel
def test_counters_are_those_of_the_packets(tmp_path: Path) -> None:
    """One packet of each kind, counted by the kernel, and not one of another."""

    def check() -> None:
        node = Node(tmp_path, manifests=(*SHOP, ALLOWING))
        assert set(node.counted().values()) == {0}
        for source, destination, port in (
            (str(WEB), "9.9.9.9", 53),
            (str(WEB), "9.9.9.9", 54),
            (str(WEB), "1.1.1.1", 53),
            ("10.0.0.99", "1.1.1.1", 53),
        ):
            node.send(source, destination, port)
        while node.packets("came") < 4:
            pass
        assert node.counted() == {"allowed": 1, "denied": 2, "spoofed": 1, "unknown": 0}
        # The agent's own changes do not make them go back: the policy goes, and comes again.
        node.program(SHOP)
        assert node.counted()["allowed"] == 1
        node.program((*SHOP, ALLOWING))
        node.send(str(WEB), "9.9.9.9", 53, sport=50000)
        while node.packets("came") < 5:
            pass
        assert node.counted() == {"allowed": 2, "denied": 2, "spoofed": 1, "unknown": 0}

    inside(check)


@kernel
def test_an_answer_that_is_no_longer_allowed(tmp_path: Path) -> None:
    """It is the pod's own egress policy that denies it, on the packet's way in."""

    def check() -> None:
        node = Node(tmp_path, manifests=SHOP[:-1])
        process.run(("ip", "route", "add", "10.0.0.1", "dev", "ogp1"))
        with logging(node):
            node.send(str(WEB), "1.1.1.1", 53)
            while node.packets("went") < 1:
                pass
            node.program(SHOP, Options(interface_prefix="ogp", log_group=GROUP, epoch=2))
            node.answer("1.1.1.1", str(WEB), 53, 40000)
            (found,) = node.lines(1)
        assert (found.verdict, found.direction, found.reply) == ("denied", "egress", True)
        assert (str(found.pod), str(found.peer), found.port) == ("shop/web", "1.1.1.1", 53)
        assert (found.source, found.destination, found.interface) == ("1.1.1.1", str(WEB), "ogp1")

    inside(check)


FLOOD = """
table inet flood {
    chain before { type filter hook prerouting priority -350; udp dport 9 log prefix "d_flood " group 5 drop; }
}
"""


@kernel
def test_what_does_not_fit_into_the_socket_is_counted_to_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no counters are known, the numbers that are missing are the loss."""
    monkeypatch.setattr("outgate.agent.packets_log.LogReader", lambda group: LogReader(group, buffer=1))

    def check() -> None:
        node, sent = Node(tmp_path), 0
        process.run(("nft", "-f", "-"), input=FLOOD)
        node.log.start()
        while not node.log.lost():
            node.send(str(WEB), "1.1.1.1", 9, count=500)
            sent += 500
        # A last one that comes shows all gaps before it; it may be lost itself.
        while len(node.heard) + node.log.lost() < sent:
            more = len(node.heard) + 1
            node.send(str(WEB), "1.1.1.1", 9)
            sent += 1
            with node.came:
                node.came.wait_for(partial(node.has, more), 0.3)
        assert len(node.heard) + node.log.lost() == sent
        node.log.stop()

    inside(check)


@kernel
def test_a_pod_that_is_not_programmed(tmp_path: Path) -> None:
    """What comes in on a pod's link with an address that no map has is somebody's mistake, and is a line."""

    def check() -> None:
        node = Node(tmp_path)
        process.run(("nft", "add", "element", "inet", "outgate", "if4", '{ "ogp1" . 10.0.0.77 }'))
        with logging(node):
            node.send("10.0.0.77", "1.1.1.1", 53)
            (found,) = node.lines(1)
            assert (found.verdict, found.direction, found.pod) == ("unknown-pod", "egress", None)
            assert (found.source, found.rule) == ("10.0.0.77", "the pod is not programmed")

    inside(check)


@kernel
def test_the_limit_loses_lines_and_never_packets(tmp_path: Path) -> None:
    """Each packet was judged, each is counted, and log and loss together are all of them."""

    def check() -> None:
        count = 20 * LOG_BURST
        with logging(Node(tmp_path)) as node:
            node.send(str(WEB), "1.1.1.1", 53, count=count)
            while node.packets("came") < count:
                pass
            assert node.packets("went") == 0
            denied = [n for series, n in node.counters.read(now=True).items() if series.what == "denied"]
            assert denied == [count]
        # The log has ended, so that everything that was on its way is in it.
        lines = len(written(tmp_path))
        assert LOG_BURST <= lines < count
        counted = node.counters.read(now=True)
        assert node.log.lost(counted) == count - lines

    inside(check)


@kernel
def test_a_loss_that_was_none_is_not_told(tmp_path: Path) -> None:
    """Lines that are still on their way are not lost: asked at any moment, it never says too much."""

    def check() -> None:
        with logging(Node(tmp_path)) as node:
            for sent in range(1, 21):
                node.send(str(WEB), "1.1.1.1", 53, sport=40000 + sent)
                assert node.log.lost(node.counters.read(now=True)) == 0
            node.lines(20)
            for _ in range(3):
                assert node.log.lost(node.counters.read(now=True)) == 0

    inside(check)


@kernel
def test_a_file_that_cannot_be_written_counts_as_lost(tmp_path: Path) -> None:
    """And the next line that can be written is."""

    def check() -> None:
        folder = tmp_path / "gone"
        with logging(Node(folder)) as node:
            node.send(str(WEB), "1.1.1.1", 53)
            node.lines(1)
            assert "no such file or directory" in node.log.file.trouble
            folder.mkdir()
            node.send(str(WEB), "1.1.1.1", 54)
            node.lines(2)
        assert [one.port for one in written(folder)] == [54]
        assert node.log.lost() == 1

    inside(check)


@kernel
def test_a_group_that_is_taken(tmp_path: Path) -> None:
    """Is said when it is started, and the agent may try again."""

    def check() -> None:
        node = Node(tmp_path)
        with LogReader(GROUP), pytest.raises(KernelError, match="is read by another process already"):
            node.log.start()
        with logging(node):
            node.send(str(WEB), "1.1.1.1", 53)
            assert len(node.lines(1)) == 1

    inside(check)


@kernel
def test_it_goes_on_after_its_socket_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log that ends in silence says "nothing was denied"."""
    monkeypatch.setattr("outgate.agent.packets_log._AGAIN", 0.01)

    def check() -> None:
        failed = threading.Event()
        genuine = LogReader.read

        def read(self: LogReader, timeout: float | None) -> object:
            if not failed.is_set():
                failed.set()
                raise KernelError("the socket is of no use any more")
            return genuine(self, timeout)

        with monkeypatch.context() as patch, logging(Node(tmp_path)) as node:
            patch.setattr(LogReader, "read", read)
            node.send(str(WEB), "1.1.1.1", 53)
            assert failed.wait(30)
            for port in range(100, 2000):
                # Packets that nobody listens to are lost; the first one after the group is bound again is a line.
                node.send(str(WEB), "1.1.1.1", port)
                with node.came:
                    if node.came.wait_for(lambda: bool(node.heard), 0.05):
                        break
            assert node.heard
            assert node.log.trouble == ""

    inside(check)


def test_loss_without_counters_is_what_was_missing(tmp_path: Path) -> None:
    """And never becomes less."""
    log = PacketLog(tmp_path / "x", Attribution(), GROUP)
    log._missed, log._unwritten = 3, 2
    assert log.lost() == 5
    log._missed = 0
    assert log.lost() == 5
    assert log.lost({Series("denied"): 10}) == 5
    log.stop()
