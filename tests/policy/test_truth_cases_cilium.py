"""Group C of the conformance cases: Cilium's policies, by the reading of Cilium 1.19."""

from __future__ import annotations

import dataclasses
import ipaddress
from typing import Any

import pytest

from outgate.model import Document, Learned, Snapshot
from outgate.model.parse import parse
from outgate.policy import Judge, Policies
from outgate.policy.meeting import About
from outgate.policy.profile import CILIUM, OUTGATE, Profile
from outgate.policy.requests import Request
from outgate.testing import snapshot_of
from tests.policy.asking import answer, ask, flow_of
from tests.policy.test_truth_cases import asked, cluster, title, truth
from tests.slices import endpoint_slice

OWN_READING = {"C16"}
"""Cases of what Cilium makes of a NetworkPolicy, which Outgate reads as the API has it."""


def cases(*, refused: bool) -> list[dict[str, Any]]:
    """Those of Cilium's policies with flows, or those that are refused."""
    group = [one for one in truth()["cases"] if one["group"] == "C" and "fqdn_match" not in one]
    return [one for one in group if (one.get("expect") == "invalid") == refused]


def flows() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Every flow with its case."""
    return [(case, flow) for case in cases(refused=False) for flow in case["flows"]]


def snapshot_for(case: dict[str, Any]) -> Snapshot:
    """The fixture under the case's policies, with what its pods were told of names."""
    servers = truth()["clusters"][case["cluster"]].get("apiserver", ())
    slices = endpoint_slice("default/kubernetes", *servers, port=6443)
    made = snapshot_of([*cluster(case["cluster"]), slices, *case["policies"]])
    learned = tuple(
        Learned(tuple(one["pod"].split("/")), one["query"], tuple(map(ipaddress.ip_address, one["ips"])))
        for one in case.get("dns_seen", ())
    )
    return dataclasses.replace(made, learned=learned)


@pytest.mark.parametrize("profile", [CILIUM, OUTGATE], ids=["cilium", "outgate"])
@pytest.mark.parametrize(("case", "flow"), flows(), ids=[title(*one) for one in flows()])
def test_flow(case: dict[str, Any], flow: dict[str, Any], profile: Profile) -> None:
    """What Cilium does with its own policies, Outgate does, whichever network plugin it speaks for."""
    if profile is OUTGATE and case["id"] in OWN_READING:
        pytest.skip("a NetworkPolicy")
    snapshot = snapshot_for(case)
    made = dataclasses.replace(flow_of(snapshot, asked(flow)), about=about(flow))
    if "icmp_type" in flow:
        made = dataclasses.replace(made, coordinate=flow["icmp_type"] << 8)
    elif made.about is None:
        ask(snapshot, asked(flow), profile)
    trace = Judge(Policies(snapshot, profile)).judge(made)
    assert answer(trace) == flow["expect"], flow.get("why", case["title"])


def about(flow: dict[str, Any]) -> About | None:
    """What a flow is about, where it says so."""
    if "dns_query" in flow:
        return About(question=flow["dns_query"])
    if "http" in flow:
        one = flow["http"]
        headers = tuple(one.get("headers", {}).items())
        return About(Request(one["method"], one["path"], one["host"], headers))
    return None


@pytest.mark.parametrize("case", cases(refused=True), ids=[one["id"] for one in cases(refused=True)])
def test_refused(case: dict[str, Any]) -> None:
    """An object that is refused must not be judged, and is refused in the words of the server or the agent."""
    found = parse([Document("case.yaml", one) for one in case["policies"]])
    said = [f"{error.path}: {error.message}" for error in found.errors]
    assert all(any(wanted in one for one in said) for wanted in case["errors"])
    assert found.snapshot.every_policy == ()


def test_the_file_has_what_is_asked_of_it(shared: object) -> None:
    """If the file were read wrongly, the tests above would pass on nothing."""
    assert shared
    assert len(flows()) > 60
    assert len(cases(refused=True)) > 8
