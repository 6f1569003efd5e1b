"""The exposure report for people."""

from __future__ import annotations

import re
from typing import Any

import pytest

from outgate.analysis.exposure import ExposureReport, exposure
from outgate.model import Snapshot
from outgate.report.exposure_text import MOST_BLOCKS, MOST_ROWS, exposure_text
from outgate.testing import namespace, pod, snapshot_of
from outgate.testing_cilium import cilium_policy
from tests.analysis.estate import allow, estate, report_of
from tests.analysis.shop import owned
from tests.laws.test_exposure import cluster
from tests.report.asking import naming

HOSTILE = "web\x1b[2J\nALLOW|`<b>`"


def test_sentences_then_blocks_then_the_table() -> None:
    """Who reads only the first lines has the answer."""
    lines = exposure_text(report_of(allow())).splitlines()
    assert lines[0] == "5 workloads, the most exposed first"
    assert lines[1].startswith("  4 of 5 reach a metadata address")
    assert any(re.match(r"#\s+workload\s+egress", line) for line in lines)
    assert lines[-1].startswith("metadata: ")


def test_a_block_names_what_is_reached_and_the_rule_and_its_line() -> None:
    """The rule's place stands once, at the end of the block."""
    rule = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["8.8.8.8/32"]}}], "ports": [{"port": 443}]}
    text = exposure_text(report_of(allow(rule)), blocks=9)
    assert "the IPv4 internet: all but 8.8.8.8/32 on TCP 443   by shop/out egress[0]" in text
    assert re.search(r"^  rules +shop/out egress\[0\]   test.yaml", text, re.MULTILINE)
    assert "168.63.129.16 (Azure)" in text


def test_workloads_of_which_the_same_is_true_share_a_block() -> None:
    """Forty times the same block would be read by nobody."""
    many = [pod(f"shop/lone-{n}", [f"10.2.0.{n}"], app="lone") for n in range(1, 41)]
    text = exposure_text(report_of(*many, allow()), blocks=99)
    # The web workload is held by the same policy, and comes after them.
    names = r"shop/lone-1, shop/lone-10, shop/lone-11, shop/lone-12 and 37 more"
    assert re.search(rf"^\d+ to \d+  {names}$", text, re.MULTILINE)


def test_one_workload_is_a_block_and_no_table() -> None:
    """That one of one does something tells nobody anything."""
    snapshot = snapshot_of([namespace("shop"), pod("shop/web", ["10.1.0.1"])])
    lines = exposure_text(exposure(snapshot)).splitlines()
    assert lines[0] == "1  shop/web"
    assert not any(line.startswith("#") for line in lines)


def test_names_are_said_with_what_is_asked_there() -> None:
    """Wherever they lead; only the ports, where nothing is asked."""
    text = exposure_text(exposure(snapshot_of(naming())))
    assert "b.io: TCP 443, a.io: TCP 80 (only for requests of HTTP GET *), wherever they lead" in text


def test_nothing() -> None:
    """An empty input has an answer too."""
    assert exposure_text(exposure(Snapshot.of())) == "no workloads\n"


def test_no_more_than_can_be_read() -> None:
    """The worst in full, the others in the table, and of the table no more than some hundred."""
    many = [pod(f"shop/p-{n}", [f"10.2.{n // 200}.{n % 200 + 1}"]) for n in range(MOST_ROWS + 10)]
    text = exposure_text(report_of(*many))
    assert f"and {MOST_ROWS + 15 - MOST_ROWS} more workloads" in text
    assert len(re.findall(r"^  egress ", text, re.MULTILINE)) <= MOST_BLOCKS


def test_hostile_names_stay_on_their_line() -> None:
    """An owner may be called anything: nobody checks that the workload exists."""
    trap = owned(pod("shop/trap", ["10.1.0.66"]), "Deployment", HOSTILE)
    text = exposure_text(exposure(snapshot_of([*estate(), trap])), blocks=99)
    assert "\x1b" not in text
    assert not any(line.startswith("ALLOW") for line in text.splitlines())


@pytest.mark.parametrize("seed", range(25))
def test_whatever_the_cluster_it_can_be_said(seed: int) -> None:
    """Every line printable, and every workload in the table."""
    report = exposure(snapshot_of(cluster(seed)))
    lines = exposure_text(report, blocks=99).splitlines()
    assert all(line.isprintable() for line in lines)
    if len(report.workloads) > 1:
        for one in report.workloads:
            assert any(str(one.group) in line for line in lines)


API = "192.168.50.1:6443/TCP"


def asking() -> ExposureReport:
    """Web may ask one host of everything, the DNS for some names, the API server for its health, a server by name."""

    def to(peer: dict[str, Any], *entries: dict[str, Any]) -> dict[str, Any]:
        return peer | {"toPorts": list(entries)}

    def port(number: str, protocol: str = "TCP", **more: Any) -> dict[str, Any]:
        return {"ports": [{"port": number, "protocol": protocol}], **more}

    host: dict[str, Any] = {"rules": {"http": [{"method": "GET", "host": "api.example.com"}]}}
    health: dict[str, Any] = {"rules": {"http": [{"method": "GET", "path": "/healthz"}]}}
    some: dict[str, Any] = {"rules": {"dns": [{"matchPattern": "*.example.com"}]}}
    resolvers = {"toEndpoints": [{"matchLabels": {"k8s:io.kubernetes.pod.namespace": "kube-system"}}]}
    named = {"toFQDNs": [{"matchName": "b.example.com"}]}
    egress = [
        to({"toEntities": ["all"]}, port("80", **host)),
        to({"toEntities": ["world"]}, port("53", "UDP", **some)),
        to({"toCIDR": ["8.8.8.0/24"]}, port("80")),
        to({"toEntities": ["host", "remote-node"]}, port("6443", **health)),
        to(resolvers, port("53", "UDP", **some)),
        to(named, port("443", serverNames=["b.example.com"])),
    ]
    spec = {"endpointSelector": {"matchLabels": {"app": "web"}}, "egress": egress}
    return report_of(cilium_policy("shop/out", spec))


HOST = "requests of HTTP GET * to host api.example.com"


NAMES = "questions of DNS for *.example.com"


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ("metadata", f"on TCP 80, UDP 53 (TCP 80 only for {HOST}; UDP 53 only for {NAMES})"),
        (
            "internet",
            f"the IPv4 internet: all but 8.8.8.0/24 on TCP 80, UDP 53 (TCP 80 only for {HOST}; UDP 53 only for",
        ),
        ("internet", f"; 8.8.8.0/24 on TCP 80, UDP 53 (UDP 53 only for {NAMES})"),
        ("names", "b.example.com: TCP 443 (only for TLS to a server named b.example.com), wherever"),
        (
            "DNS",
            f"any resolver of the internet (IPv4, IPv6, NAT64 only for {NAMES}); the cluster's (only for {NAMES})  ",
        ),
        ("API server", f"reached at {API} (only for requests of HTTP GET /healthz), likely"),
        ("nodes", f"2 of 2 (control, worker) on TCP 80, TCP 6443 (TCP 80 only for {HOST}; TCP 6443 only for"),
        (
            "namespaces",
            f"; some pods of data only for {HOST}; kube-system: TCP 80 only for {HOST} and UDP 53 only for",
        ),
        ("new pods", f"any pod in any namespace on TCP 80 (only for {HOST}) may be reached"),
    ],
)
def test_each_line_says_what_is_asked(head: str, words: str) -> None:
    """A port that passes for one request is not open, on whichever line it stands."""
    lines = exposure_text(asking(), blocks=9).splitlines()
    assert [line for line in lines if line.startswith(f"  {head} ") and words in line]


def test_the_sentences_and_the_table_tell_open_from_asked() -> None:
    """Who reads the first lines or the last must not take one host for everything."""
    lines = exposure_text(asking(), blocks=0).splitlines()
    assert lines[1].startswith("  5 of 5 reach a metadata address of a cloud, 1 of them only on a condition (")
    assert "  5 of 5 reach nodes, 1 of them only on a condition" in lines
    (row,) = [line for line in lines if "Deployment/web" in line]
    assert re.search(r"isolated  16\*  +some\+all\*/all\*  any\*  +yes\*  +2\*/2  +2\*/2  +open$", row)
    assert lines[-1].endswith("*: only on a condition (some requests of HTTP, questions of DNS, names of TLS)")
    assert "*" not in exposure_text(report_of(allow()))


def test_of_many_conditions_the_others_are_counted() -> None:
    """A hundred paths on each of ten lines is what nobody reads."""
    requests = [{"path": f"/{n}"} for n in range(9)]
    entry = {"ports": [{"port": "80", "protocol": "TCP"}], "rules": {"http": requests}}
    rule = {"toEntities": ["world"], "toPorts": [entry]}
    text = exposure_text(report_of(cilium_policy("shop/out", {"endpointSelector": {}, "egress": [rule]})), blocks=9)
    assert "(only for requests of HTTP * /0 or requests of HTTP * /1 or " in text
    assert "/3 or 5 more)" in text
