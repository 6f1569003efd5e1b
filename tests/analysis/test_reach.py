"""One question, answered on both ends; several flows, one verdict."""

from __future__ import annotations

import pytest

from outgate.analysis import reach as reach_module
from outgate.errors import TooComplex, UsageError
from outgate.model import Direction
from outgate.policy import PROFILES, Judge, Policies, Profile, Verdict
from outgate.testing import Manifest, pod, policy, service
from tests.analysis.shop import EGRESS_TO_DB, INGRESS_OF_DB, ask, judge_of

ALLOW, DENY = Verdict.ALLOW, Verdict.DENY
CLOSED: Manifest = policy("shop/closed", {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Egress"]})


def only_one(app: str, name: str) -> Manifest:
    """A policy of `data` that lets one sender in."""
    block = {"ipBlock": {"cidr": name}}
    return policy("data/one", {"podSelector": {"matchLabels": {"app": app}}, "ingress": [{"from": [block]}]})


@pytest.mark.parametrize(
    ("destination", "verdict", "egress", "ingress"),
    [
        ("data/db:5432", ALLOW, "shop/to-db egress[0]", "data/db-in ingress[0]"),
        ("data/db:sql", ALLOW, "shop/to-db egress[0]", "data/db-in ingress[0]"),
        ("data/db:8000", DENY, "shop/to-db egress[0]", "data/db-in"),
        ("data/db:8101", DENY, "shop/to-db", "data/db-in ingress[0]"),
        ("data/db:80", DENY, "shop/to-db", "data/db-in"),
        ("data/lone:5432", ALLOW, "shop/to-db egress[0]", None),
        ("svc/data/db:5000", ALLOW, "shop/to-db egress[0]", "data/db-in ingress[0]"),
        ("203.0.113.10:443", ALLOW, "shop/to-db egress[1]", None),
        ("203.0.113.200:443", DENY, "shop/to-db", None),
        ("2001:db8::1:443", DENY, "shop/to-db", None),
    ],
)
def test_both_ends_answer(destination: str, verdict: Verdict, egress: str | None, ingress: str | None) -> None:
    """An end that is not asked, or a verdict laid to the wrong rule, is worse than none."""
    written = destination if destination.count(":") < 3 else "[2001:db8::1]:443"
    answer = ask(judge_of(EGRESS_TO_DB, INGRESS_OF_DB), "shop/web-1", written)
    assert answer.verdict is verdict
    named = [None if one.decided_by is None else str(one.decided_by) for one in (answer.egress, answer.ingress)]
    assert named == [egress, ingress]


def test_the_packet_is_what_the_source_sends() -> None:
    """For a Service the reader wants to find the address and port that the client dials."""
    answer = ask(judge_of(), "shop/web-1", "svc/data/db:sql")
    assert (str(answer.address), answer.port, answer.protocol) == ("10.96.0.1", 5000, 6)
    (flow,) = answer.flows
    assert (str(flow.trace.flow.destination), flow.trace.flow.coordinate) == ("data/db", 5432)
    several = ask(judge_of(), "data/lone", "shop/rs/web:http")
    assert (several.address, several.port) == (None, 8080)


def test_all_flows_must_be_allowed() -> None:
    """The sentence "web can reach it" is false while one of its pods cannot, whichever comes first."""
    for allowed in ("10.1.0.11/32", "10.1.0.12/32"):
        answer = ask(judge_of(only_one("db", allowed)), "shop/rs/web", "data/db:5432")
        assert answer.verdict is DENY
        assert sorted(one.trace.verdict.value for one in answer.flows) == ["Allow", "Deny"]
        assert answer.ingress.verdict is DENY
    both = ask(judge_of(only_one("db", "10.1.0.0/24")), "shop/rs/web", "data/db:5432")
    assert both.verdict is ALLOW


def test_nobody_behind_a_service_is_a_denial_with_its_reason() -> None:
    """Exit code 0 for a connection that cannot succeed would be read as "it works"."""
    answer = ask(judge_of(), "shop/web-1", "svc/data/empty:80")
    assert (answer.verdict, answer.specified) == (DENY, True)
    assert "no ready endpoint" in answer.failure
    assert (answer.egress.decided_by, answer.egress.isolated) == (None, False)
    assert str(answer.address) == "10.96.0.2"


@pytest.mark.parametrize(
    ("block", "allowed", "denied"),
    [
        ("203.0.113.0/25:443", ["203.0.113.0/25"], []),
        ("203.0.113.128/25:443", [], ["203.0.113.128/25"]),
        ("203.0.113.0/24:443", ["203.0.113.0/25"], ["203.0.113.128/25"]),
        ("10.1.1.20/30:5432", ["10.1.1.20/31"], ["10.1.1.22/31"]),
        ("2001:db8::/32:443", [], ["2001:db8::/32"]),
    ],
)
def test_blocks_are_all_some_or_none(block: str, allowed: list[str], denied: list[str]) -> None:
    """An answer from a sample of a block is a guess about the rest."""
    written = block if block.count(":") < 3 else "[2001:db8::/32]:443"
    answer = ask(judge_of(EGRESS_TO_DB, INGRESS_OF_DB), "shop/web-1", written)
    assert answer.split is not None
    assert [list(answer.split.allowed.cidrs()), list(answer.split.denied.cidrs())] == [allowed, denied]
    assert answer.verdict is (DENY if denied else ALLOW)


def test_blocks_as_sources() -> None:
    """Who may come in from a block: pods inside by what they are, the rest by their address."""
    rules = only_one("db", "198.51.100.0/25")
    answer = ask(judge_of(rules), "198.51.100.0/24", "data/db:5432")
    assert answer.split is not None
    assert answer.split.allowed.cidrs() == ("198.51.100.0/25",)
    assert answer.ingress.verdict is DENY
    assert ask(judge_of(INGRESS_OF_DB), "10.1.0.11/32", "data/db:5432").verdict is ALLOW
    assert ask(judge_of(INGRESS_OF_DB), "10.1.0.13/32", "data/db:5432").verdict is DENY


def test_multicast_inside_a_block_leaves_the_answer_specified() -> None:
    """All of 0.0.0.0/0 has multicast in it, of which the API says nothing; the answer about the rest is certain."""
    everything = policy("shop/all", {"podSelector": {}, "egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]})
    everything["spec"]["policyTypes"] = ["Egress"]
    judge = judge_of(everything)
    assert ask(judge, "shop/web-1", "0.0.0.0/0:443").specified
    assert not ask(judge, "shop/web-1", "224.0.0.0/8:443").specified


def test_a_certain_denial_is_specified_whatever_else_is_open() -> None:
    """One flow that is certainly denied decides that not all are allowed."""
    answer = ask(judge_of(CLOSED), "shop/rs/web", "data/db:5432", protocol="TCP")
    assert answer.specified
    icmp = ask(judge_of(CLOSED), "shop/web-1", "data/db", protocol="ICMP")
    assert (icmp.verdict, icmp.specified, len(icmp.open_points)) == (DENY, False, 1)
    assert icmp.port is None


def test_a_client_behind_a_node_port_is_an_open_point() -> None:
    """Whether the pod sees the client or the node depends on the plugin: a definite denial would be a guess."""
    made = service("data/np", "10.96.0.7", [{"port": 80, "targetPort": 5432}], app="db")
    made["spec"] |= {"externalIPs": ["203.0.113.77"]}
    answer = ask(judge_of(INGRESS_OF_DB, made), "198.51.100.7", "203.0.113.77:80")
    assert (answer.verdict, answer.specified) == (DENY, False)


@pytest.mark.parametrize(
    ("source", "destination", "protocol", "words"),
    [
        ("svc/data/db", "data/db:1", None, "sends nothing by itself"),
        ("10.0.0.0/8", "10.0.0.0/8:1", None, "both ends are blocks"),
        ("shop/web-1", "data/db:80", "ICMP", "ICMP has no ports"),
        ("shop/web-1", "data/db:80", "47", "protocol 47 has no ports"),
        ("shop/web-1", "10.0.0.0/8:http", None, "means nothing there"),
    ],
)
def test_what_cannot_be_asked(source: str, destination: str, protocol: str | None, words: str) -> None:
    """A question without a meaning must not get an answer."""
    with pytest.raises(UsageError, match=words):
        ask(judge_of(), source, destination, protocol=protocol)


def test_icmp_has_its_own_family() -> None:
    """ICMP over IPv6 does not exist; ICMPv6 chooses the pod's other address."""
    answer = ask(judge_of(), "shop/web-1", "data/db", protocol="ICMPv6")
    assert str(answer.address) == "fd00:1:1::20"
    with pytest.raises(UsageError, match="contradict each other"):
        ask(judge_of(), "shop/web-1", "data/db", protocol="ICMP", family=6)


def test_too_many_flows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the cap the answer would take for ever; it is refused, never cut short."""
    monkeypatch.setattr(reach_module, "MOST_FLOWS", 1)
    assert ask(judge_of(), "shop/web-1", "data/db:1").verdict is ALLOW
    for destination in ("shop/rs/web:1", "10.0.0.0/8:1"):
        with pytest.raises(TooComplex):
            ask(judge_of(), "shop/web-1", destination)


def test_sides_speak_of_the_flow_that_decides() -> None:
    """With an allowed flow shown beside "Deny" the reader looks for the reason in vain."""
    other = pod("data/db-2", ["10.1.1.30"], app="db-2")
    answer = ask(judge_of(only_one("db", "198.51.100.0/24"), other), "shop/rs/web", "data/db:1")
    assert answer.deciding is not None
    assert answer.deciding.ingress.direction is Direction.INGRESS
    assert answer.ingress.verdict is DENY


ADDRESSES = ("10.1.1.20", "10.1.1.21", "192.168.50.11", "192.168.50.12", "10.96.0.1", "203.0.113.9", "198.51.100.7")
EVERYWHERE = policy(
    "shop/more",
    {
        "podSelector": {},
        "policyTypes": ["Egress"],
        "egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"port": 5000}, {"port": "metrics"}]}],
    },
)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
@pytest.mark.parametrize("policies", [(EGRESS_TO_DB,), (EGRESS_TO_DB, EVERYWHERE)], ids=["selectors", "blocks"])
def test_every_form_of_the_question_has_one_answer(profile: Profile, policies: tuple[Manifest, ...]) -> None:
    """One port, the set of ports, and the same address as a block: under every profile they say the same."""
    judge = Judge(Policies(judge_of(*policies).policies.snapshot, profile))
    for address in ADDRESSES:
        without = ask(judge, "shop/web-1", address).ports
        assert without is not None
        for port in (443, 5000, 5432, 9100):
            one = ask(judge, "shop/web-1", f"{address}:{port}")
            block = ask(judge, "shop/web-1", f"{address}/32:{port}")
            assert block.verdict is one.verdict, (address, port)
            assert without.everywhere.contains(6, port) == one.verdict.allows, (address, port)


def test_the_answer_says_whose_it_is() -> None:
    """Ours unless another was asked."""
    snapshot = judge_of(EGRESS_TO_DB).policies.snapshot
    for profile in PROFILES.values():
        judge = Judge(Policies(snapshot, profile))
        for destination in ("data/db:5432", "data/db", "203.0.113.0/24:443", "203.0.113.0/24", "svc/data/empty:80"):
            assert ask(judge, "shop/web-1", destination).profile is profile


def test_service_without_an_address_before_translation() -> None:
    """Manifests seldom have a clusterIP: the Service is covered by its selector all the same."""
    bare = service("data/bare", "10.96.0.9", [{"port": 5000, "targetPort": "sql"}], app="db")
    del bare["spec"]["clusterIP"]
    judge = Judge(Policies(judge_of(EGRESS_TO_DB, bare).policies.snapshot, PROFILES["aws-vpc-cni"]))
    assert ask(judge, "shop/web-1", "svc/data/bare:5000").verdict is Verdict.ALLOW
    found = ask(judge, "shop/web-1", "svc/data/bare").ports
    assert found is not None
    assert found.everywhere.contains(6, 5000)
