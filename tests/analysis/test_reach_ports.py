"""Questions without a port: the answer is the set of ports, and yes if it holds anything."""

from __future__ import annotations

import pytest

from outgate.analysis import reach_ports
from outgate.analysis.reachability import Reachability
from outgate.analysis.spelling import spell_transports
from outgate.errors import TooComplex, UsageError
from outgate.packets import TransportSet
from outgate.policy import Verdict
from outgate.testing import policy, service
from tests.analysis.shop import EGRESS_TO_DB, INGRESS_OF_DB, ask, judge_of

ALLOW, DENY = Verdict.ALLOW, Verdict.DENY
PING = policy("shop/ping", {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"ports": [{"port": 80}]}]})


def ports(answer: Reachability) -> str:
    """The ports of an answer in words."""
    assert answer.ports is not None
    return spell_transports(answer.ports.everywhere)


@pytest.mark.parametrize(
    ("destination", "expected"),
    [
        ("data/db", "TCP 5432, TCP 8050-8100"),
        ("data/lone", "TCP 5432, TCP 8000-8100"),
        ("203.0.113.10", "TCP 443"),
        ("198.51.100.7", "no port"),
        ("svc/data/db", "TCP 5000"),
        ("10.96.0.1", "TCP 5000"),
        ("svc/data/headless", "TCP 5432, TCP 8050-8100"),
        ("node/node-b", "no port"),
    ],
)
def test_ports_of_both_ends_together(destination: str, expected: str) -> None:
    """A port that only one end allows is none; a Service's ports are its own and not the pod's."""
    answer = ask(judge_of(EGRESS_TO_DB, INGRESS_OF_DB), "shop/web-1", destination)
    assert ports(answer) == expected
    assert answer.verdict is (DENY if expected == "no port" else ALLOW)
    assert answer.port is None


def test_nobody_isolated_means_every_port() -> None:
    """Everything must be said as such and not as a list."""
    answer = ask(judge_of(), "shop/web-1", "data/db")
    assert ports(answer) == "every port of every protocol"
    assert (answer.verdict, answer.specified, answer.protocol) == (ALLOW, True, None)


def test_a_protocol_limits_the_set() -> None:
    """Who asks for UDP must not be answered yes because of TCP."""
    judge = judge_of(EGRESS_TO_DB)
    assert ports(ask(judge, "shop/web-1", "data/db", protocol="UDP")) == "no port"
    assert ask(judge, "shop/web-1", "data/db", protocol="UDP").verdict is DENY
    assert ports(ask(judge, "shop/web-1", "data/db", protocol="TCP")) == "TCP 5432, TCP 8000-8100"
    assert ports(ask(judge_of(), "shop/web-1", "data/db", protocol="SCTP")) == "every SCTP port"


def test_a_workload_has_the_ports_of_all_its_pods() -> None:
    """A port that one of two pods may use is not one that the workload may use."""
    one = {"from": [{"ipBlock": {"cidr": "10.1.0.11/32"}}], "ports": [{"port": 1}, {"port": 2}]}
    two = {"from": [{"ipBlock": {"cidr": "10.1.0.12/32"}}], "ports": [{"port": 2}, {"port": 3}]}
    judge = judge_of(policy("data/in", {"podSelector": {"matchLabels": {"app": "db"}}, "ingress": [one, two]}))
    assert ports(ask(judge, "shop/rs/web", "data/db")) == "TCP 2"
    assert ports(ask(judge, "shop/web-1", "data/db")) == "TCP 1-2"


def test_sides_tell_why() -> None:
    """The rules that allow are named on each side, and where nothing passes, who isolates."""
    answer = ask(judge_of(EGRESS_TO_DB, INGRESS_OF_DB), "shop/web-1", "data/db")
    assert (str(answer.egress.decided_by), str(answer.ingress.decided_by)) == (
        "shop/to-db egress[0]",
        "data/db-in ingress[0]",
    )
    closed = ask(judge_of(EGRESS_TO_DB), "shop/web-1", "198.51.100.7")
    assert (closed.egress.verdict, closed.egress.isolated, str(closed.egress.decided_by)) == (DENY, True, "shop/to-db")
    assert closed.ingress.verdict is ALLOW


def test_blocks_say_what_passes_for_which_address() -> None:
    """One set for a block whose addresses differ would be wrong for some of them."""
    answer = ask(judge_of(EGRESS_TO_DB, INGRESS_OF_DB), "shop/web-1", "203.0.113.0/24")
    assert answer.verdict is DENY
    assert answer.split is not None
    assert answer.split.allowed.cidrs() == ("203.0.113.0/25",)
    assert answer.ports is not None
    assert answer.ports.by_address is not None
    assert [spell_transports(transports) for _, transports in answer.ports.by_address] == ["TCP 443"]
    whole = ask(judge_of(PING), "shop/rs/web", "203.0.113.0/24")
    assert (whole.verdict, ports(whole)) == (ALLOW, "TCP 80")


def test_a_block_may_ask_from_outside() -> None:
    """The other direction: what a block may send to a pod."""
    answer = ask(judge_of(INGRESS_OF_DB), "198.51.100.0/24", "data/db")
    assert (answer.verdict, ports(answer)) == (DENY, "no port")
    assert ask(judge_of(INGRESS_OF_DB), "198.51.100.0/24", "data/lone").verdict is ALLOW
    with pytest.raises(UsageError, match="give a port"):
        ask(judge_of(), "198.51.100.0/24", "svc/data/db")


def test_a_service_without_endpoints_has_no_ports() -> None:
    """Its ports exist and nobody listens."""
    answer = ask(judge_of(), "shop/web-1", "svc/data/empty")
    assert answer.verdict is DENY
    assert "no ready endpoint" in answer.failure
    udp = ask(judge_of(), "shop/web-1", "svc/data/db", protocol="UDP")
    assert (udp.verdict, udp.failure) == (DENY, "Service data/db has no such port")


def test_one_port_of_a_service_may_be_denied() -> None:
    """A Service of two ports, one of which policies close, is open on the other alone."""
    made = service("data/two", "10.96.0.8", [{"name": "a", "port": 1, "targetPort": 5432}], app="db")
    made["spec"]["ports"].append({"name": "b", "port": 2, "targetPort": 9100})
    answer = ask(judge_of(EGRESS_TO_DB, made), "shop/web-1", "svc/data/two")
    assert (answer.verdict, ports(answer)) == (ALLOW, "TCP 1")
    assert sorted(one.trace.verdict.value for one in answer.flows) == ["Allow", "Deny"]


def test_what_the_api_leaves_open_is_said() -> None:
    """Host-network pods are pods to some plugins and nodes to others: the set is not the same."""
    answer = ask(judge_of(EGRESS_TO_DB), "shop/web-1", "data/agent")
    assert (answer.verdict, answer.specified) == (DENY, False)
    assert len(answer.open_points) == 1


def test_too_many_pairs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the cap the answer is refused, never cut short."""
    monkeypatch.setattr(reach_ports, "MOST_PAIRS", 1)
    with pytest.raises(TooComplex):
        ask(judge_of(), "shop/rs/web", "data/db")


def test_icmp_alone_makes_no_connection() -> None:
    """A set without TCP, UDP and SCTP is not a yes."""
    answer = ask(judge_of(PING), "shop/web-1", "198.51.100.7", protocol="UDP")
    assert answer.verdict is DENY
    assert answer.ports is not None
    assert not answer.ports.everywhere & TransportSet.governed()
