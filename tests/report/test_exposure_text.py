"""The exposure report for people."""

from __future__ import annotations

import re

import pytest

from outgate.analysis.exposure import exposure
from outgate.model import Snapshot
from outgate.report.exposure_text import MOST_BLOCKS, MOST_ROWS, exposure_text
from outgate.testing import namespace, pod, snapshot_of
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
