"""The document LabReport: its published shape, and the fields that tools read."""

from __future__ import annotations

import json

from outgate.packets import Protocol
from outgate.report.lab import KernelRule
from outgate.report.lab_json import lab_json
from tests.report.lab_results import ALLOW, DENY, node, pod, report, result, world
from tests.report.schema import complaints

A, DB = pod("a", 1), pod("db", 2, 5432)


def test_the_document_is_what_its_schema_says() -> None:
    """Tools are written against the schema."""
    rule = KernelRule("n1", "forward", "d_x", "denied", "drop")
    document = lab_json(
        report(
            result(A, DB, 5432, ALLOW),
            result(A, DB, 0, DENY, protocol=Protocol.ICMP, specified=False),
            result(A, world("203.0.113.9"), 443, DENY, ALLOW, reason="inside 203.0.113.0/24", kernel=(rule,)),
            result(A, node(), 22, DENY, demanded=ALLOW),
            result(A, DB, 80, ALLOW, service="shop/db", via="service", backends=2, mixed=True),
            result(A, DB, 5432, ALLOW, service="shop/db", via="name", name="db.shop.svc.cluster.local"),
            notes=("a note",),
        )
    )
    assert complaints(document) == []
    assert json.loads(json.dumps(document)) == document


def test_the_fields_that_every_probe_has() -> None:
    """The contract of the design, word by word."""
    (probe,) = lab_json(report(result(A, DB, 5432, ALLOW)))["probes"]
    contract = ("source", "destination", "protocol", "port", "via", "expected", "observed", "evidence")
    assert {key: probe[key] for key in contract} == {
        "source": {"kind": "Pod", "namespace": "shop", "name": "a"},
        "destination": {"kind": "Pod", "namespace": "shop", "name": "db"},
        "protocol": "TCP",
        "port": 5432,
        "via": "pod",
        "expected": "Allow",
        "observed": "Allow",
        "evidence": "seen",
    }


def test_ends_of_every_kind() -> None:
    """Outside is a block of one address; several backends are their Service; ICMP has no port."""
    probes = lab_json(
        report(
            result(A, world("203.0.113.9"), 443, DENY),
            result(A, node("n2"), 22, DENY),
            result(A, DB, 80, ALLOW, service="shop/db", backends=2),
            result(A, DB, 80, ALLOW, service="shop/db", backends=1),
            result(A, DB, 0, DENY, protocol=Protocol.ICMPV6),
        )
    )["probes"]
    assert [one["destination"] for one in probes] == [
        {"kind": "External", "cidrs": ["203.0.113.9/32"]},
        {"kind": "Node", "name": "n2"},
        {"kind": "Service", "namespace": "shop", "name": "db"},
        {"kind": "Pod", "namespace": "shop", "name": "db"},
        {"kind": "Pod", "namespace": "shop", "name": "db"},
    ]
    assert (probes[-1]["protocol"], probes[-1]["port"]) == ("ICMPv6", None)


def test_disagreements_are_counted_and_explained() -> None:
    """A script reads the number; a person reads who denied and which kernel rule decided."""
    rule = KernelRule("n1", "forward", "d_x", "denied", "drop")
    document = lab_json(report(result(A, DB, 1, DENY, ALLOW, kernel=(rule,)), result(A, DB, 2, DENY)))
    assert document["disagreements"] == 1
    assert [one["disagreement"] for one in document["probes"]] == [True, False]
    wrong = document["probes"][0]
    assert (wrong["decidedBy"]["name"], wrong["decidedBy"]["file"], wrong["decidedBy"]["line"]) == (
        "deny-all",
        "deny.yaml",
        3,
    )
    assert wrong["kernel"] == [
        {"node": "n1", "hook": "forward", "chain": "d_x", "comment": "denied", "verdict": "drop"}
    ]
