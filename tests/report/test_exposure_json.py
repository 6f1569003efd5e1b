"""The document ExposureReport."""

from __future__ import annotations

import json
from typing import Any

import pytest

from outgate.analysis.exposure import Finding, exposure
from outgate.model import Snapshot
from outgate.packets import AddressSet
from outgate.packets.special import RANGES
from outgate.report.exposure_json import exposure_json
from outgate.testing import snapshot_of
from tests.analysis.estate import allow, api_service, api_slice, report_of
from tests.laws.test_cilium import drawn
from tests.laws.test_exposure import cluster
from tests.report.schema import complaints
from tests.report.test_exposure_text import asking


def document(*more: Any) -> Any:
    """The report of the estate, as it is printed."""
    return json.loads(json.dumps(exposure_json(report_of(*more))))


def web(*more: Any) -> Any:
    """What it says of the web workload."""
    (found,) = [one for one in document(*more)["workloads"] if one["workload"]["name"] == "web"]
    return found


@pytest.mark.parametrize("seed", range(25))
def test_it_keeps_to_the_schema(seed: int) -> None:
    """A tool that reads it breaks where a field is missing or of another type."""
    assert complaints(exposure_json(exposure(snapshot_of(cluster(seed))))) == []


def test_so_does_the_empty_one_and_that_of_a_whole_estate() -> None:
    """The edges: nobody, and every place known."""
    assert complaints(exposure_json(exposure(Snapshot.of()))) == []
    assert complaints(document(api_service(), api_slice("172.20.0.5"), allow({"ports": [{"port": "x"}]}))) == []


def test_parts_are_exact_either_way_round() -> None:
    """A reader puts the blocks together again and has the set."""
    rule = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["8.8.8.0/24"]}}], "ports": [{"port": 443}]}
    ranges = {one["range"]: one for one in web(allow(rule))["ranges"]}
    (part,) = ranges["internet-v4"]["parts"]
    assert part == {
        "allBut": ["8.8.8.0/24"],
        "all": False,
        "allowed": [{"protocol": "TCP", "ports": [[443, 443]]}],
    }
    assert ranges["internet-v4"]["share"] == "most"
    assert ranges["private"]["parts"][0]["allBut"] == []
    assert ranges["internet-v6"] == {
        "range": "internet-v6",
        "family": 6,
        "share": "none",
        "parts": [],
        "allowedBy": [],
    }


def test_the_ranges_are_given_with_the_report() -> None:
    """`allBut` means nothing to who does not know of what."""
    given = {one["name"]: AddressSet.union_of(map(AddressSet.network, one["cidrs"])) for one in document()["ranges"]}
    assert given == {one.name: one.addresses for one in RANGES}


def test_metadata_dns_and_places() -> None:
    """Address, providers, ports, and the rule."""
    rule = {"to": [{"ipBlock": {"cidr": "169.254.169.254/32"}}], "ports": [{"port": 53, "protocol": "UDP"}]}
    found = web(allow(rule))
    (cloud,) = found["metadata"]
    assert (cloud["address"], cloud["exposed"]) == ("169.254.169.254", False)
    assert {"provider": "GCP", "what": "Compute Engine and GKE metadata"} in cloud["services"]
    assert [one["rule"] for one in cloud["allowedBy"]] == [0]
    assert found["apiServer"]["reached"] == "no"
    assert document()["apiServer"]["found"] == "likely"
    assert document()["clusterDNS"]["doors"][0]["destination"]["kind"] == "Pod"


def test_selectors_of_future_pods_are_written_as_the_api_writes_them() -> None:
    """So that they can be pasted, and read by whoever reads policies."""
    peer = {
        "podSelector": {"matchLabels": {"app": "db"}, "matchExpressions": [{"key": "old", "operator": "DoesNotExist"}]}
    }
    found = web(allow({"to": [peer], "ports": [{"port": "sql"}]}))["futurePods"]["reaches"]
    assert found == [
        {
            "anyPod": False,
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}},
            "podSelector": {
                "matchLabels": {"app": "db"},
                "matchExpressions": [{"key": "old", "operator": "DoesNotExist"}],
            },
            "all": False,
            "allowed": [],
            "portNames": [{"protocol": "TCP", "name": "sql"}],
            "allowedBy": found[0]["allowedBy"],
        }
    ]


def test_the_summary_has_every_finding() -> None:
    """Zeros too: a missing field and none are not the same to a program."""
    summary = document(allow())["summary"]
    assert list(summary["findings"]) == [one.value for one in Finding]
    assert (summary["workloads"], summary["findings"]["unisolated"]) == (5, 4)


def test_what_is_asked_is_in_the_document_and_the_schema_knows_it() -> None:
    """Of every port that passes on a condition, at every place; and of no other."""
    found = json.loads(json.dumps(exposure_json(asking())))
    assert complaints(found) == []
    assert found["summary"]["onCondition"]["metadata"] == 1
    (web,) = [one for one in found["workloads"] if one["workload"]["name"] == "web"]
    assert web["onCondition"] == [one for one in web["findings"] if one not in ("internet-part", "open-ingress")]
    host = {"http": [{"method": "GET", "host": "api.example.com"}]}
    (anybody,) = [one for one in web["futurePods"]["reaches"] if one["anyPod"]]
    (asked,) = anybody["onlyIf"]
    assert [{key: one[key] for key in one if key != "rule"} for one in asked["conditions"]] == [host]
    assert web["apiServer"]["doors"][0]["onlyIf"][0]["conditions"][0]["http"] == [{"method": "GET", "path": "/healthz"}]
    parts = {tuple(part.get("cidrs", ())): part for one in web["ranges"] for part in one["parts"]}
    assert [one["allowed"] for one in parts[("8.8.8.0/24",)]["onlyIf"]] == [[{"protocol": "UDP", "ports": [[53, 53]]}]]
    assert [one["namespaces"] for one in web["namespaces"]["reachesOnlyIf"]] == [
        # The pod on the host network is its node.
        *(["data"], ["data"], ["kube-system"])
    ]
    others = [one for one in found["workloads"] if one["workload"]["name"] != "web" and "agent" not in str(one)]
    assert not any("onCondition" in one for one in others)


@pytest.mark.parametrize("seed", range(0, 60, 3))
def test_clusters_with_conditions_keep_to_the_schema(seed: int) -> None:
    """Of names of ports, too, and between namespaces."""
    assert complaints(json.loads(json.dumps(exposure_json(exposure(drawn(seed).snapshot(seed)))))) == []
