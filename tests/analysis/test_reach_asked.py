"""What is asked above TCP in answers about many ports, ends or addresses: as it is for each of them by itself."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.analysis.lookup import Lookup
from outgate.analysis.reach import reach
from outgate.analysis.reach_asked import asked_of
from outgate.analysis.reachability import Question, Reachability
from outgate.analysis.targets import TransportAsked, parse
from outgate.model import Snapshot
from outgate.packets import Protocol
from outgate.policy import Judge, Origin, Policies
from outgate.report.reach_json import reach_json
from outgate.report.reach_text import reach_text
from outgate.testing import Manifest, namespace, pod, snapshot_of
from outgate.testing_cilium import cilium_policy
from tests.laws.test_cilium import drawn
from tests.report.schema import complaints

GET, POST = ({"http": [{"method": one}]} for one in ("GET", "POST"))


def rule(block: str, port: str, **more: object) -> Manifest:
    """An entry of ``egress``."""
    return {"toCIDR": [block], "toPorts": [{"ports": [{"port": port, "protocol": "TCP"}], **more}]}


def shop(*egress: Manifest) -> Snapshot:
    """A pod under one policy."""
    spec = {"endpointSelector": {}, "egress": list(egress)}
    return snapshot_of([namespace("shop"), pod("shop/web", ["10.0.0.1"]), cilium_policy("shop/p", spec)])


def ask(snapshot: Snapshot, end: str, port: int | None = None, protocol: int | None = None) -> Reachability:
    """The answer to one question."""
    lookup = Lookup(snapshot)
    question = Question(lookup.find(parse("shop/web")), lookup.find(parse(end)), TransportAsked(port, protocol))
    return reach(Judge(Policies(snapshot)), question)


def only(answer: Reachability) -> list[str]:
    """The lines that say what is asked."""
    assert complaints(reach_json(answer)) == []
    lines = [line for line in reach_text(answer).splitlines() if line.startswith(("  only", "  or"))]
    return [line[11:].rpartition("   ")[0] for line in lines]


def test_every_port_says_what_is_asked_of_it() -> None:
    """And what nobody asks anything of, nothing."""
    town = shop(
        rule("203.0.113.0/24", "80", rules=GET),
        rule("203.0.113.0/24", "443", serverNames=["a.io"]),
        rule("203.0.113.0/24", "22"),
    )
    answer = ask(town, "203.0.113.9")
    assert only(answer) == ["TCP 80 for requests of HTTP GET *", "TCP 443 for TLS to a server named a.io"]
    assert reach_json(answer)["ports"]["allowed"] == [
        {"protocol": "TCP", "ports": [[22, 22]]},
        {"protocol": "TCP", "ports": [[80, 80]], "http": [{"method": "GET"}]},
        {"protocol": "TCP", "ports": [[443, 443]], "serverNames": ["a.io"]},
    ]


def test_of_several_rules_one_is_to_be_met() -> None:
    """They are alternatives, each with its line; a rule that asks for nothing makes both void."""
    both = rule("203.0.113.0/24", "80", rules=GET), rule("203.0.113.9/32", "80", rules=POST)
    answer = ask(shop(*both), "203.0.113.9")
    assert only(answer) == ["requests of HTTP GET *", "requests of HTTP POST *"]
    assert reach_json(answer)["ports"]["allowed"][0]["http"] == [{"method": "GET"}, {"method": "POST"}]
    for port in (None, 80):
        assert only(ask(shop(*both, rule("203.0.113.0/24", "80")), "203.0.113.9", port)) == []


def test_of_a_block_each_part_says_it_for_itself() -> None:
    """With a port and without: what is asked of one half is not asked of the other."""
    halves = rule("203.0.113.0/25", "80", rules=GET), rule("203.0.113.128/25", "80")
    for port in (80, None):
        answer = ask(shop(*halves), "203.0.113.0/24", port)
        assert answer.verdict.allows
        assert [one.partition(":")[0] for one in only(answer)] == ["203.0.113.0/25"]
        assert ask(shop(*halves), "203.0.113.128/25", port).verdict.allows
        assert only(ask(shop(*halves), "203.0.113.128/25", port)) == []
        assert only(ask(shop(*halves), "203.0.113.64/26", port)) == ["requests of HTTP GET *"]


def test_what_of_a_block_is_denied_is_asked_nothing() -> None:
    """Only the rest is, and it is said which ports that has."""
    answer = ask(shop(rule("203.0.113.0/25", "80", rules=GET)), "203.0.113.0/24")
    assert not answer.verdict.allows
    assert only(answer) == ["TCP 80 for requests of HTTP GET *"]
    assert "ports    203.0.113.0/25: TCP 80" in reach_text(answer)
    assert reach_json(answer)["ports"]["byAddress"][0]["cidrs"] == ["203.0.113.0/25"]


def test_a_protocol_that_was_asked_about_is_all_that_is_spoken_of() -> None:
    """What is asked of TCP is no condition on UDP."""
    port = {"port": "53", "protocol": "ANY"}
    entry = {"ports": [port], "rules": {"dns": [{"matchName": "a.io"}]}}
    questions = {"toCIDR": ["203.0.113.0/24"], "toPorts": [entry]}
    town = shop(questions, rule("203.0.113.0/24", "80", rules=GET))
    assert only(ask(town, "203.0.113.9", None, int(Protocol.UDP))) == ["questions of DNS for a.io"]


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_as_for_each_port_by_itself(seed: int) -> None:
    """Over random clusters: whatever port is asked about, the long answer has said the same of it."""
    snapshot, chance = drawn(seed).snapshot(seed), random.Random(seed)
    ends = [str(one) for one in snapshot.endpoints if one.addresses and not one.host_network]
    judge, lookup = Judge(Policies(snapshot)), Lookup(snapshot)
    others = [*ends, "203.0.113.9", "198.51.100.7"]
    for source, end in [(chance.choice(ends), chance.choice(others)) for _ in range(6 if ends else 0)]:
        start, there = lookup.find(parse(source)), lookup.find(parse(end))
        whole = reach(judge, Question(start, there, TransportAsked(None, None)))
        parts = [one.part for one in asked_of(whole)]
        borders = {port for one in parts for low, high in one.transports.tcp for port in (low - 1, low, high, high + 1)}
        for port in sorted(borders & set(range(1, 65536)) | {80, 443}):
            single = reach(judge, Question(start, there, TransportAsked(port, int(Protocol.TCP))))
            sides = (single.egress, single.ingress) if single.verdict.allows else ()
            said: set[tuple[str, Origin]] = {
                (side.direction.value, rule.origin) for side in sides for rule in side.conditional
            }
            mine = [one for one in parts if one.transports.contains(int(Protocol.TCP), port)]
            assert {(one.direction.value, rule.origin) for one in mine for rule in one.rules} == said, (
                source,
                end,
                port,
            )
