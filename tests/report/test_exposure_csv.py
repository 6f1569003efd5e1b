"""The exposure report as CSV."""

from __future__ import annotations

import csv
import io

from outgate.analysis.exposure import exposure
from outgate.model import Snapshot
from outgate.report.exposure_csv import HEADINGS, exposure_csv
from outgate.testing import namespace, pod, policy, snapshot_of
from tests.analysis.estate import allow, report_of
from tests.analysis.shop import owned
from tests.report.asking import naming


def rows(text: str) -> list[dict[str, str]]:
    """As a program reads them."""
    return list(csv.DictReader(io.StringIO(text)))


def test_a_line_for_each_thing_with_the_rule_that_lets_it() -> None:
    """All cells filled, whatever is reached."""
    rule = {"to": [{"ipBlock": {"cidr": "8.8.8.0/24"}}], "ports": [{"port": 443}]}
    found = [one for one in rows(exposure_csv(report_of(allow(rule)))) if one["name"] == "web"]
    (internet,) = [one for one in found if one["exposure"] == "internet-v4"]
    assert (internet["target"], internet["share"], internet["ports"]) == ("8.8.8.0/24", "some", "TCP 443")
    assert internet["allowed_by"].startswith("shop/out egress[0] test.yaml")
    assert (internet["egress_isolated"], internet["ingress_isolated"], internet["pods"]) == ("yes", "no", "2")


def test_a_line_for_each_name_with_what_is_asked_there() -> None:
    """No rule stands there: a name is opened by all that are about it."""
    found = [one for one in rows(exposure_csv(exposure(snapshot_of(naming())))) if one["exposure"] == "names"]
    assert [(one["target"], one["ports"]) for one in found] == [
        ("b.io", "TCP 443"),
        ("a.io", "TCP 80 (only for requests of HTTP GET *)"),
    ]


def test_a_workload_without_exposure_has_a_line_too() -> None:
    """Who is missing from a list has been forgotten, or is safe: the reader must not have to guess."""
    deny = policy("shop/deny", {"podSelector": {}, "policyTypes": ["Egress", "Ingress"]})
    (only,) = rows(exposure_csv(exposure(snapshot_of([namespace("shop"), pod("shop/web", ["10.1.0.1"]), deny]))))
    assert (only["name"], only["exposure"], only["allowed_by"]) == ("web", "", "")


def test_empty_input_has_headings() -> None:
    """A file without its first line breaks whoever reads it by name."""
    assert exposure_csv(exposure(Snapshot.of())) == ",".join(HEADINGS) + "\n"


def test_names_are_no_formulas_and_no_lines() -> None:
    """A spreadsheet that opens the file must not run what a manifest says."""
    for name in ("=HYPERLINK(1)", "@x", "+1", "-1", 'a,"b', "a\nb"):
        trap = owned(pod("shop/trap", ["10.1.0.66"]), "Deployment", name)
        text = exposure_csv(exposure(snapshot_of([namespace("shop"), trap])))
        assert all(len(row) == len(HEADINGS) for row in csv.reader(io.StringIO(text)))
        for row in rows(text):
            assert row["name"][0] not in "=@+-"
            assert row["name"].isprintable()
