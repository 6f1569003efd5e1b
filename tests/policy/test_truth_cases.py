"""Groups A and B of the conformance cases: fixtures, policies and verdicts worked by hand from the semantics.

Two kinds of flow are no question to the model. A packet of an established connection (`established`) is, after a
change of policy, up to the network plugin: the model answers for new connections, so the answer is `unspecified`.
A reply belongs to a connection that was allowed and is allowed with it; that the compiled rules do so is asked in
`tests/laws`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from outgate.model import Direction, Document, Snapshot
from outgate.model.parse import parse
from outgate.testing import Manifest, namespace, node, pod, snapshot_of
from tests.policy.asking import Asked, answer, ask, sides

CASES = Path(__file__).resolve().parents[3] / "shared" / "conformance" / "truth_cases.yaml"


@cache
def truth() -> dict[str, Any]:
    """The file, or nothing where it is not there (then the tests are skipped)."""
    if not CASES.is_file():
        return {"clusters": {}, "cases": []}
    found: dict[str, Any] = yaml.load(CASES.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return found


def of_the_apis(*, refused: bool) -> list[dict[str, Any]]:
    """The cases of NetworkPolicy and of network-policy-api: no `engine`, which would be another product's reading."""
    group = [one for one in truth()["cases"] if one["group"] in {"A", "B"} and "engine" not in one]
    return [one for one in group if (one.get("expect") == "invalid") == refused]


def flows() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Every flow with its case."""
    return [(case, flow) for case in of_the_apis(refused=False) for flow in case["flows"]]


def title(case: dict[str, Any], flow: dict[str, Any]) -> str:
    """A flow as the reader of a failure finds it in the file."""
    what = f"{flow['from']} → {flow['to']} {flow['proto']} {flow.get('port', '')}".strip()
    return f"{case['id']} {what}"


@cache
def cluster(name: str) -> tuple[Manifest, ...]:
    """A fixture as the manifests that people would have of it."""
    return tuple(manifests(truth()["clusters"][name]))


def manifests(fixture: dict[str, Any]) -> Iterator[Manifest]:
    """The objects of a fixture."""
    for name, labels in fixture["namespaces"].items():
        yield namespace(name, **labels)
    for name, one in fixture["nodes"].items():
        yield node(name, one["ips"], **one["labels"])
    for path, one in fixture["pods"].items():
        ports = [
            {"name": p["name"], "containerPort": p["port"], "protocol": p["protocol"]} for p in one.get("ports", [])
        ]
        yield pod(
            path,
            one["ips"],
            on=one["node"],
            ports=ports,
            host_network=one.get("hostNetwork", False),
            phase=one.get("phase", "Running"),
            labels=one["labels"],
        )
    for path, one in fixture.get("services", {}).items():
        yield from service(path, one)


def service(path: str, one: dict[str, Any]) -> Iterator[Manifest]:
    """A Service, with a slice where it has no selector."""
    space, name = path.split("/")
    metadata = {"name": name, "namespace": space}
    spec = {"clusterIP": one["clusterIP"], "selector": one["selector"]}
    spec["ports"] = [{"name": f"p{i}", **port} for i, port in enumerate(one["ports"])]
    yield {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
    if one["selector"] is None:
        yield {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**metadata, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address]} for address in one["endpoints"]],
            "ports": [
                {"name": port["name"], "port": port["targetPort"], "protocol": port["protocol"]}
                for port in spec["ports"]
            ],
        }


def asked(flow: dict[str, Any]) -> Asked:
    """The question of a flow."""
    family = flow.get("family", 6 if flow["to"].startswith("ip:") and ":" in flow["to"][3:] else 4)
    return Asked(flow["from"], flow["to"], flow["proto"], flow.get("port", 0), family)


def snapshot_for(case: dict[str, Any]) -> Snapshot:
    """The fixture under the case's policies."""
    return snapshot_of([*cluster(case["cluster"]), *case["policies"]])


@pytest.mark.parametrize(("case", "flow"), flows(), ids=[title(*one) for one in flows()])
def test_flow(case: dict[str, Any], flow: dict[str, Any]) -> None:
    """Each is a verdict that two evaluators agreed on; `unspecified` must never come out as a definite answer."""
    if flow.get("established"):
        assert flow["expect"] == "unspecified"
        return
    if flow.get("reply"):
        assert flow["expect"] == "allow"
        return
    trace = ask(snapshot_for(case), asked(flow))
    assert answer(trace) == flow["expect"], flow.get("why", case["title"])
    for direction in Direction:
        expected = flow.get(direction.value.lower())
        if expected is not None and expected != "unspecified":
            assert sides(trace)[direction] == expected


@pytest.mark.parametrize("case", of_the_apis(refused=True), ids=[one["id"] for one in of_the_apis(refused=True)])
def test_refused(case: dict[str, Any]) -> None:
    """An object that the server refuses must not be judged, and is refused in the server's words, all of them."""
    found = parse([Document("case.yaml", one) for one in case["policies"]])
    said = [f"{error.path}: {error.message}" for error in found.errors]
    if case.get("errors_match") == "substring":
        assert all(any(wanted in one for one in said) for wanted in case["errors"])
    else:
        assert said == case["errors"]
    assert found.snapshot.every_policy == ()


def test_the_file_has_what_is_asked_of_it(shared: Path) -> None:
    """If the file were read wrongly, the tests above would pass on nothing."""
    assert shared / "conformance" / "truth_cases.yaml" == CASES
    assert len(flows()) > 120
    assert len(of_the_apis(refused=True)) > 10
    assert {flow["expect"] for _, flow in flows()} == {"allow", "deny", "unspecified"}
