"""The document DoctorReport."""

from __future__ import annotations

import json
from typing import Any

import pytest

from outgate.analysis.doctor import diagnose
from outgate.analysis.doctor_facts import Facts, OtherPolicy, Served
from outgate.analysis.doctor_probe import Outcome, ProbeResult, Step, Tried
from outgate.model import Direction, Snapshot
from outgate.report.doctor_json import doctor_json
from outgate.testing import pod, random_cluster, service, snapshot_of
from tests.analysis.clinic import config, daemon, facts_of, nodes, pods_of
from tests.report.schema import complaints

PROBE = ProbeResult(
    "ns",
    "image",
    (Step("a step", True, 1.23456),),
    (Tried(Direction.EGRESS, Outcome.ENFORCING, 2.0), Tried(Direction.INGRESS, Outcome.NOT_ENFORCING)),
)


def document(facts: Facts) -> Any:
    """The report, as it is printed."""
    return json.loads(json.dumps(doctor_json(diagnose(facts))))


@pytest.mark.parametrize("seed", range(10))
def test_it_keeps_to_the_schema(seed: int) -> None:
    """Whatever is in the cluster."""
    assert complaints(document(Facts(snapshot_of(random_cluster(seed))))) == []


def test_so_do_the_empty_one_and_the_full_one() -> None:
    """The edges: nothing is known, and everything is."""
    assert complaints(document(Facts(Snapshot()))) == []
    labels = {"k8s-app": "cilium"}
    everything = [
        *nodes("a", "b"),
        *nodes("w", info={"operatingSystem": "windows"}),
        daemon("kube-system/cilium", labels),
        *pods_of("kube-system/cilium", labels, "a"),
        config("cilium-config", {"enable-policy": "default"}),
        config("kube-proxy", {"config.conf": "mode: ipvs"}),
        service("kube-system/kube-dns", "10.96.0.10", [{"port": 53, "protocol": "UDP"}], app="dns"),
        pod("kube-system/dns", ["10.1.0.1"], app="dns"),
        pod("shop/web", ["10.1.0.2"]),
    ]
    others = (OtherPolicy("a.b", certain=False), OtherPolicy("X of y/v1", 2))
    facts = facts_of(everything, live=Served("v1.31.2", frozenset({"cilium.io"})), others=others, probe=PROBE)
    found = document(facts)
    assert complaints(found) == []
    assert found["networks"] == [
        {
            "plugin": "Cilium",
            "daemonSet": {"namespace": "kube-system", "name": "cilium"},
            "enforces": "yes",
            "switch": "on",
            "reason": "enable-policy is default in ConfigMap cilium-config",
            "readyOn": ["a"],
            "missingOn": ["b"],
        }
    ]
    assert found["probe"]["outcome"] == "not enforcing"
    assert found["probe"]["steps"] == [{"step": "a step", "seen": True, "seconds": 1.235}]
    assert found["dns"] == {
        "services": [
            {"namespace": "kube-system", "name": "kube-dns", "addresses": ["10.96.0.10"], "ports": ["UDP 53"]}
        ],
        "pods": 1, "ready": 1, "podPorts": ["UDP 53"], "nodeLocalCache": False,
    }  # fmt: skip
    assert {"name": "shop", "egress": {"coverage": "none", "isolated": 0, "total": 1}}.items() <= {
        key: value for key, value in found["namespaces"][-1].items() if key != "ingress"
    }.items()
    assert found["versions"]["server"] == "v1.31.2"
    assert found["nodes"]["unmanaged"] == {"Windows": ["w"]}
    assert found["nodes"]["proxyMode"] == "ipvs"
    assert sum(found["summary"].values()) == len(found["lines"])
