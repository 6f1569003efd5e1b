"""The words of an exposure report: exact where they are short, counted where they are shortened."""

from __future__ import annotations

import pytest

from outgate.analysis.exposure import Finding
from outgate.analysis.exposure_places import Reach
from outgate.analysis.exposure_strangers import Opening
from outgate.errors import one_line
from outgate.model import Direction
from outgate.model.labels import EVERYTHING, LabelSelector, Operator, Requirement
from outgate.model.snapshot import NAME_LABEL
from outgate.packets import AddressSet, Protocol, TransportSet
from outgate.packets.special import INTERNET_V4
from outgate.policy import NamedPort
from outgate.report.exposure_words import (
    FINDINGS,
    blame_words,
    dns_cell,
    extent_words,
    internet_cell,
    isolation_words,
    legend,
    listed,
    opening_words,
    part_cidrs,
    part_of_words,
    ports_words,
    reach_cell,
    summary,
    table,
)
from tests.analysis.estate import allow, report_of, standing_of

WEB = TransportSet.ports(Protocol.TCP, 443)
NAMED = (NamedPort(Protocol.TCP, "x"),)


def test_parts_of_a_range_are_written_the_shorter_way() -> None:
    """And mean the same: the part, or the rest of the range."""
    whole, hole = INTERNET_V4.addresses, AddressSet.network("8.8.8.0/24")
    assert part_of_words(INTERNET_V4, whole) == "all of it"
    assert part_of_words(INTERNET_V4, whole - hole) == "all but 8.8.8.0/24"
    assert part_of_words(INTERNET_V4, hole) == "8.8.8.0/24"
    for part in (whole, whole - hole, hole):
        blocks, but = part_cidrs(INTERNET_V4, part)
        written = AddressSet.union_of(map(AddressSet.network, blocks))
        assert (whole - written if but else written) == part


def test_listed_counts_what_it_leaves_out() -> None:
    """A list that ends early must say so."""
    assert listed("abc", 3) == "a, b, c"
    assert listed("abcde", 3) == "a, b, c and 2 more"


@pytest.mark.parametrize("text", ["a\nb", "a\x1b[2Jb", "a\rb", "a\u202eb", "a\u2028b", "a\x00b"])
def test_nothing_of_a_name_moves_the_cursor(text: str) -> None:
    """Names come from manifests, and manifests from strangers."""
    assert one_line(text).isprintable()
    assert one_line("shop/web-é") == "shop/web-é"


def test_ports() -> None:
    """Of what the API governs; ICMP is not its business."""
    assert ports_words(TransportSet.governed()) == "every port"
    assert ports_words(TransportSet.any()) == "every port"
    assert ports_words(WEB) == "TCP 443"


@pytest.mark.parametrize(
    ("opening", "words"),
    [
        (Opening(EVERYTHING, EVERYTHING, None, WEB), "any pod in any namespace on TCP 443"),
        (
            Opening(LabelSelector.of({NAME_LABEL: "shop"}), LabelSelector.of({"app": "db"}), None, WEB),
            "pods with app=db in namespace shop on TCP 443",
        ),
        (
            Opening(LabelSelector((Requirement(NAME_LABEL, Operator.NOT_IN, ("a", "b")),)), EVERYTHING, None, WEB),
            "any pod in any namespace but a, b on TCP 443",
        ),
        (
            Opening(
                LabelSelector.of({"team": "red"}), EVERYTHING, None, TransportSet(), (NamedPort(Protocol.TCP, "x"),)
            ),
            "any pod in namespaces with team=red on the TCP port that they call x",
        ),
        (
            Opening(EVERYTHING, EVERYTHING, AddressSet.network("10.0.0.0/8"), WEB),
            "any pod whose address is in 10.0.0.0/8 on TCP 443",
        ),
    ],
)
def test_openings(opening: Opening, words: str) -> None:
    """In a sentence."""
    assert opening_words(opening) == words


def test_blame_and_isolation() -> None:
    """Rules with their places; or that there is none; or why there can be none."""
    rule = {"to": [{"ipBlock": {"cidr": "8.8.8.0/24"}}], "ports": [{"port": 443}]}
    held, free = standing_of(allow(rule)), standing_of()
    (extent,) = [one for one in held.outside.ranges if one.parts]
    assert blame_words(held, extent.origins) == f"by shop/out egress[0] ({extent.origins[0].place})"
    assert blame_words(held, ()) == ""
    assert blame_words(free, ()) == "no policy isolates it"
    assert isolation_words(held, Direction.EGRESS).startswith("isolated by shop/out (")
    assert isolation_words(held, Direction.INGRESS) == "not isolated: no policy selects it"
    assert "host network" in isolation_words(standing_of(workload="data/agent"), Direction.EGRESS)
    assert extent_words(extent) == "8.8.8.0/24 on TCP 443"


def test_every_finding_has_words() -> None:
    """In the order of the findings, which is that of the ranking."""
    assert list(FINDINGS) == list(Finding)


def test_the_summary_counts() -> None:
    """How many of how many; why; and nothing that is true of nobody."""
    lines = list(summary(report_of(allow())))
    assert lines[0] == "4 of 5 reach a metadata address of a cloud (4 reach 169.254.169.254)"
    assert "4 of 5 reach the internet, or most of it (4 because no policy isolates them, 0 by a rule)" in lines
    quiet = report_of(*(allow(where=one) for one in ("shop", "data", "kube-system")))
    # The host-network agent is left, which no policy holds.
    assert all(line.startswith(("1 of 5", "5 of 5")) for line in summary(quiet))


def test_cells() -> None:
    """Each answer of the table in a word."""
    some = {"to": [{"ipBlock": {"cidr": "8.8.8.0/24"}}]}
    most = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["8.8.8.0/24"]}}]}
    dns = {"to": [{"namespaceSelector": {}}], "ports": [{"port": 53, "protocol": "UDP"}]}
    cells = [internet_cell(standing_of(allow(*rules))) for rules in ((), (some,), (most,))]
    assert [*cells, internet_cell(standing_of())] == ["-/-", "some/-", "most/-", "all/all"]
    cells = [dns_cell(standing_of(allow(*rules))) for rules in ((), (some,), (dns,), (most,))]
    assert cells == ["-", "some", "cluster", "any"]
    assert [reach_cell(one) for one in Reach] == ["yes", "-", "?"]


def test_the_table_has_a_row_for_each_and_a_legend_for_its_signs() -> None:
    """Headings and rows of one length."""
    report = report_of(allow())
    heads, *rows = table(report)
    assert len(rows) == len(report.workloads)
    assert {len(row) for row in rows} == {len(heads)}
    assert [row[0] for row in rows] == ["1", "2", "3", "4", "5"]
    assert "?" in legend(report)
