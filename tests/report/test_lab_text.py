"""The lab for people: what is on the page, and that it fits the page."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest

from outgate.packets import Protocol
from outgate.policy import Endpoint, Flow, Judge, Policies
from outgate.policy.meeting import About
from outgate.policy.requests import Request
from outgate.report.lab import KernelRule, LabReport
from outgate.report.lab_text import lab_text
from outgate.testing import namespace, snapshot_of
from outgate.testing import pod as manifest
from outgate.testing_cilium import cilium_policy
from tests.report.lab_results import ALLOW, DENY, pod, report, result, world

ANSI = re.compile(r"\x1b\[[0-9;]*m")
WEB, DB, JOB = pod("web", 1, 8080), pod("db", 2, 5432), pod("job", 3, namespace="batch")


def plain(found: LabReport, width: int = 100) -> str:
    """The text without colours."""
    return ANSI.sub("", lab_text(found, width))


def small() -> LabReport:
    """Web may reach the database on its port, the job may not, and nobody the metadata service."""
    metadata: dict[str, Any] = {"reason": "metadata service"}
    return report(
        result(WEB, DB, 5432, ALLOW),
        result(WEB, DB, 49152, DENY),
        result(JOB, DB, 5432, DENY),
        result(JOB, DB, 49152, DENY),
        result(WEB, world("169.254.169.254"), 80, DENY, **metadata),
        result(JOB, world("169.254.169.254"), 80, DENY, **metadata),
        policies=(result(WEB, DB, 1, DENY).egress.decided_by,),
    )


def test_the_whole_page() -> None:
    """What a newcomer sees; a change of it is a change of the product, and is to be looked at."""
    assert (
        plain(small())
        == """\
2 pods on 1 node, each in a network namespace of its own
enforced by nftables: 1 policy (shop/deny-all)

to pods
           shop
from       db
           5432  other
batch/job  ✗     ✗
shop/web   ✓     ✗

to addresses and names outside, and to nodes
from       metadata
           80
batch/job  ✗
shop/web   ✗

✓ allowed  ✗ denied
metadata: 169.254.169.254

why denied
  egress of shop/web, batch/job: no rule of deny-all allows it   deny.yaml:3

6 probes: 1 allowed, 5 denied, 0 disagreements in 1.2 s"""
    )


@pytest.mark.parametrize("width", [60, 80, 120])
def test_wide_tables_are_cut_between_destinations(width: int) -> None:
    """A table that runs over the edge of a terminal is unreadable; every cell must still be there."""
    many = [pod(f"server-{number:02}", number + 10, 80) for number in range(12)]
    probes = [result(WEB, one, port, ALLOW if port == 80 else DENY) for one in many for port in (80, 49152)]
    text = plain(report(*probes), width)
    tables = text.partition("to pods")[2].partition("✓ allowed")[0]
    assert max(len(line) for line in tables.split("\n")) <= width
    assert [text.count(f"server-{number:02}") for number in range(12)] == [1] * 12
    body = text.partition("why denied")[0].partition("✓ allowed")[0]
    assert (body.count("✓"), body.count("✗")) == (12, 12)


def test_a_name_that_is_too_long_keeps_its_end() -> None:
    """Generated names differ at their ends."""
    long = pod("a-deployment-with-a-very-long-name-7d9c5b6f4-x2x4z", 9)
    text = plain(report(result(long, DB, 5432, ALLOW)), 80)
    assert "-x2x4z  ✓" in text


def test_a_disagreement_names_flow_policy_and_kernel_rule() -> None:
    """Whoever reads it must know where to look: file, line, node and chain."""
    rule = KernelRule("n1", "forward", "r_abc", "NetworkPolicy shop/x egress[0]", "return")
    wrong = result(WEB, DB, 5433, DENY, ALLOW, evidence="shop/db answered in 0.3 ms", kernel=(rule,))
    text = plain(report(wrong))
    assert "!" in text.partition("not as predicted")[0]
    assert text.partition("1 disagreement\n")[2].startswith(
        "! shop/web → shop/db (10.0.0.2) TCP 5433\n"
        "    expected  Deny: isolated by deny-all (deny.yaml:3)\n"
        "    observed  Allow: shop/db answered in 0.3 ms\n"
        '    kernel    n1, forward: r_abc "NetworkPolicy shop/x egress[0]" return\n'
    )
    assert text.endswith("1 probe: 1 allowed, 0 denied, 1 disagreement in 1.2 s")


def test_a_demand_of_the_file_is_said() -> None:
    """A flow can do what the policies say and still be wrong."""
    text = plain(report(result(WEB, DB, 5432, ALLOW, demanded=DENY)))
    assert "demanded  Deny" in text


def test_what_the_api_leaves_open_is_said() -> None:
    """A disagreement about ICMP may be nobody's mistake."""
    assert "the API leaves this to the network plugin" in plain(
        report(result(WEB, DB, 1, DENY, ALLOW, specified=False))
    )


def test_long_lists_are_cut_and_counted() -> None:
    """A page of a thousand disagreements hides the first; a list that is cut in silence hides the rest."""
    wrong = [result(WEB, DB, port, DENY, ALLOW) for port in range(1, 31)]
    text = plain(report(*wrong))
    assert text.count("expected  Deny") == 20
    assert "and 10 more; -o json has all of them" in text


def test_pods_on_the_host_network_are_not_said_to_have_a_namespace() -> None:
    """They share their node's; a first line that is not true is the end of trust."""
    pods = [{"name": "a", "hostNetwork": True}, {"name": "b", "hostNetwork": False}]
    found = plain(report(result(WEB, DB, 1, DENY), topology={"pods": pods, "nodes": [{"name": "n1"}]}))
    assert found.startswith(
        "2 pods on 1 node, each in a network namespace of its own, except 1 pod on the host network\n"
    )


def test_the_control_says_that_nothing_is_enforced() -> None:
    """Its disagreements must not frighten anybody."""
    assert "nothing is enforced: the control run" in plain(report(result(WEB, DB, 1, ALLOW), enforced=False))


def test_notes_are_on_the_page() -> None:
    """What was left out stands where the result is read."""
    assert "note: 3 pods stand for 30\n" in plain(report(result(WEB, DB, 1, ALLOW), notes=("3 pods stand for 30",)))


def test_colours_are_sequences_that_can_be_taken_out() -> None:
    """Without a colour for a disagreement it is overlooked; a sequence that is left open colours the whole terminal."""
    text = lab_text(report(result(WEB, DB, 1, DENY, ALLOW)), 80)
    assert "\x1b[1m\x1b[33m!\x1b[0m" in text
    for line in text.split("\n"):
        assert not ANSI.search(line) or line.rindex("\x1b[0m") >= max(m.start() for m in ANSI.finditer(line))


def test_a_rule_that_allows_something_else_is_not_said_to_deny() -> None:
    """Whoever reads that an allowing rule denies looks for a fault that is not there."""
    port = {"ports": [{"port": "80", "protocol": "TCP"}], "rules": {"http": [{"method": "GET"}]}}
    rule = {"toEndpoints": [{"matchLabels": {"app": "b"}}], "toPorts": [port]}
    pods = [manifest(f"shop/{name}", [f"10.0.0.{place}"], app=name) for place, name in enumerate("ab", 1)]
    spec = {"endpointSelector": {"matchLabels": {"app": "a"}}, "egress": [rule]}
    snapshot = snapshot_of([namespace("shop"), *pods, cilium_policy("shop/p", spec)])
    source, destination = (Endpoint.of_pod(one, 4) for one in snapshot.pods)
    assert source is not None
    assert destination is not None
    flow = Flow(source, destination, int(Protocol.TCP), 80, about=About(Request("POST", "/", "x")))
    found = result(WEB, DB, 5432, DENY)
    found = dataclasses.replace(found, egress=Judge(Policies(snapshot)).judge(flow).egress)
    assert "it is not what shop/p egress[0] allows" in plain(report(found))
    assert "shop/p egress[0] denies it" not in plain(report(found))
