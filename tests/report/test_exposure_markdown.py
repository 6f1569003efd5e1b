"""The exposure report as Markdown."""

from __future__ import annotations

import re

from outgate.analysis.exposure import exposure
from outgate.model import Snapshot
from outgate.report.exposure_markdown import exposure_markdown
from outgate.testing import namespace, pod, snapshot_of
from tests.analysis.estate import allow, report_of
from tests.analysis.shop import owned
from tests.report.test_exposure_text import HOST, asking


def cells(line: str) -> list[str]:
    """The cells of a row: bars that are not escaped part them."""
    return re.split(r"(?<!\\)\|", line)[1:-1]


def test_sentences_and_a_table_with_the_rule_to_blame() -> None:
    """Rows and headings of one length, and a reason in the last cell."""
    rule = {"to": [{"ipBlock": {"cidr": "8.8.8.0/24"}}], "ports": [{"port": 443}]}
    lines = exposure_markdown(report_of(allow(rule))).splitlines()
    assert lines[0] == "### Exposure of 5 workloads"
    assert lines[2].startswith("- 4 of 5 reach a metadata address of a cloud")
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 + 5
    assert len({len(cells(row)) for row in rows}) == 1
    (web,) = [row for row in rows if "shop/Deployment/web" in row]
    assert r"by shop/out egress\[0\]" in cells(web)[-1]
    (agent,) = [row for row in rows if "data/agent" in row]
    assert "host network" in cells(agent)[-1]


def test_nobody() -> None:
    """No table of nothing."""
    text = exposure_markdown(exposure(Snapshot.of()))
    assert text.startswith("### Exposure of 0 workloads\n")
    assert "|" not in text


def test_names_are_neither_markup_nor_cells() -> None:
    """A bar would move every cell; a tag or a link would be the author's, on the reviewer's page."""
    trap = owned(pod("shop/trap", ["10.1.0.66"]), "Deployment", "a|b<img src=x>[y](z)`c`\n# d")
    text = exposure_markdown(exposure(snapshot_of([namespace("shop"), trap])))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(cells(row)) for row in rows}) == 1
    assert not re.search(r"(?<!\\)[<`\[]", rows[2])
    assert not any(line.startswith("# ") for line in text.splitlines())


def test_what_is_asked_stands_beside_the_rule() -> None:
    """The cells have stars, the last one says what is asked, and the legend what a star is."""
    text = exposure_markdown(asking()).replace("\\", "")
    (row,) = [line for line in text.splitlines() if "Deployment/web" in line]
    assert "| some+all*/all* | any* | yes* | 2*/2 | 2*/2 |" in row
    assert f"on TCP 80, UDP 53 (TCP 80 only for {HOST}; UDP 53 only for" in row
    assert text.rstrip().endswith("*: only on a condition (some requests of HTTP, questions of DNS, names of TLS)")
