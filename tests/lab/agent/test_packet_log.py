"""Property 24: a line for each denied packet, with who it was and what decided; limits lose lines, never packets."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from outgate.model.objects import OWN_PREFIX
from outgate.report.packet_log import LogRecord
from outgate.testing import policy
from tests.lab.agent.cast import CLUSTER, allow, deny
from tests.lab.agent.farm import Farm, grow
from tests.lab.agent.seen import SHOWN, lines_when, scrape

pytestmark = pytest.mark.kernel

OPEN, SHUT = 7000, 7001
FLOOD = 3000
"""Packets at once: at 50 a second a rule would need a minute to log them all."""
NODES = ("n1", "n2")
THREE = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "three"}}}


def some(count: int) -> Callable[[list[LogRecord]], bool]:
    """Whether there are so many lines."""
    return lambda found: len(found) >= count


@pytest.mark.parametrize("family", [4, 6])
def test_24_a_line_says_who_what_and_why(family: int) -> None:
    """What somebody needs who asks why it does not work: pod, peer, port, policy, rule, verdict, generation."""

    def check(farm: Farm) -> None:
        assert not farm.passes("a/one", "b/three", SHUT, family)
        assert not farm.passes("a/one", "world", SHUT, family)
        assert not farm.passes("a/one", "n1", SHUT, family)
        found = lines_when(farm, "n1", some(3))
        assert [(one.verdict, one.direction, str(one.pod), one.node) for one in found] == [
            ("denied", "egress", "a/one", "n1")
        ] * 3
        peers = [one.peer for one in found if one.peer is not None]
        assert [(one.kind, str(one)) for one in peers] == [
            ("Pod", "b/three"),
            ("External", farm.address("world", family)),
            ("Node", "node/n1"),
        ]
        assert {(one.source, one.protocol, one.port) for one in found} == {(farm.address("a/one", family), "UDP", SHUT)}
        assert [one.destination for one in found] == [farm.address(name, family) for name in ("b/three", "world", "n1")]
        assert {(one.policy, one.rule) for one in found} == {("a/p,q", "isolated, nothing allows")}
        assert [(origin["namespace"], origin["name"], origin["rule"]) for origin in found[0].policies] == [
            ("a", "p", None),
            ("a", "q", None),
        ]
        assert {one.generation for one in found} == {farm.agents["n1"].told["generation"]}
        assert {one.interface for one in found} == {farm.box("a/one").interface}  # type: ignore[union-attr] # of a pod

    grow([*CLUSTER, allow("a/p", THREE, OPEN), deny("a/q")], check, **SHOWN)


def test_24_each_verdict_and_each_end_has_its_line() -> None:
    """What a rule allowed, with the rule; what only an audited policy would deny; what the receiver's policies deny."""

    def check(farm: Farm) -> None:
        assert farm.passes("a/one", "b/three", OPEN)
        assert farm.passes("a/two", "world", OPEN)
        (allowed, watched) = lines_when(farm, "n1", some(2))
        assert (allowed.verdict, str(allowed.pod), str(allowed.peer)) == ("allowed", "a/one", "b/three")
        assert allowed.decided_by is not None
        assert (allowed.policy, allowed.decided_by["name"], allowed.decided_by["rule"]) == ("a/p", "p", 1)
        assert (watched.verdict, str(watched.pod), watched.policy) == ("would-deny", "a/two", "a/watch")
        assert not farm.passes("a/two", "b/three", SHUT)
        found = [one for one in lines_when(farm, "n2", some(2)) if one.verdict == "denied"]
        assert [(one.direction, str(one.pod), str(one.peer), one.policy) for one in found] == [
            ("ingress", "b/three", "a/two", "b/in")
        ]

    audited = deny("a/watch", annotations={f"{OWN_PREFIX}enforcement": "audit"}, app="two")
    spec = {
        "podSelector": {"matchLabels": {"app": "one"}},
        "policyTypes": ["Egress"],
        "egress": [{"ports": [{"port": 53}]}, {"to": [THREE], "ports": [{"port": OPEN, "protocol": "UDP"}]}],
    }
    ingress = allow("b/in", {"namespaceSelector": {}}, OPEN, direction="Ingress", app="three")
    grow([*CLUSTER, policy("a/p", spec), audited, ingress], check, **SHOWN, log_allowed=True)


def test_24_the_generation_is_that_of_the_policies_in_force() -> None:
    """A line can be laid beside the change that it came after."""

    def check(farm: Farm) -> None:
        assert not farm.passes("a/one", "b/three", SHUT)
        lines_when(farm, "n1", some(1))
        first = farm.agents["n1"].told["generation"]
        farm.server.put(deny("a/another"))
        farm.settle()
        second = farm.agents["n1"].told["generation"]
        assert not farm.passes("a/one", "b/three", SHUT)
        found = lines_when(farm, "n1", some(2))
        assert [(one.generation, one.policy) for one in found] == [(first, "a/deny"), (second, "a/another,deny")]
        assert first < second

    grow([*CLUSTER, deny()], check, **SHOWN)


def test_24_the_limit_loses_lines_and_never_packets_and_counts_the_loss() -> None:
    """3000 denied datagrams at once, and between them allowed ones: all of the first stay away, all others arrive.

    Each denied one is a line or counted as a lost line, to the last.
    """

    def check(farm: Farm) -> None:
        target = farm.address("b/three")
        with farm.stage.enter(farm.box("b/three")):
            servers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in (OPEN, SHUT)]
        with farm.stage.enter(farm.box("a/one")):
            client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with servers[0], servers[1], client:
            for server, port in zip(servers, (OPEN, SHUT), strict=True):
                server.bind(("", port))
                server.settimeout(60)
            for number in range(FLOOD):
                client.sendto(b"denied", (target, SHUT))
                if number % 10 == 0:
                    client.sendto(b"allowed", (target, OPEN))
                    assert servers[0].recv(16) == b"allowed"
            farm.until(lambda: scrape(farm, "n1").of("outgate_denied_packets_total") == FLOOD)
            servers[1].setblocking(False)
            with pytest.raises(BlockingIOError):
                servers[1].recv(16)

        def accounted() -> bool:
            found = scrape(farm, "n1")
            logged = found.of("outgate_log_records_total", verdict="denied")
            assert logged + found.of("outgate_log_lost_total") <= FLOOD, "never more than there was"
            return logged + found.of("outgate_log_lost_total") == FLOOD

        farm.until(accounted)
        found = scrape(farm, "n1")
        assert 0 < found.of("outgate_log_records_total") < FLOOD
        assert len(lines_when(farm, "n1", some(1))) == found.of("outgate_log_records_total")

    grow([*CLUSTER, allow("a/p", THREE, OPEN)], check, **SHOWN)
