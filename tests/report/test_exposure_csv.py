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
from tests.report.test_exposure_text import HOST, asking


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
    assert [(one["target"], one["ports"], one["only_if"]) for one in found] == [
        ("b.io", "TCP 443", ""),
        ("a.io", "TCP 80", "only for requests of HTTP GET *"),
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


def test_what_is_asked_stands_in_a_column_of_its_own() -> None:
    """Who adds up the ports must not take one host for everything: nothing but what is open has an empty cell."""
    found = {(one["exposure"], one["target"]): one for one in rows(exposure_csv(asking())) if one["name"] == "web"}
    host, some = f"only for {HOST}", "only for questions of DNS for *.example.com"
    assert found["metadata", "169.254.169.254"]["only_if"] == f"TCP 80 {host}; UDP 53 {some}"
    assert found["internet-v4", "8.8.8.0/24"]["only_if"] == f"UDP 53 {some}"
    assert found["internet-v4", "all but 8.8.8.0/24"]["ports"] == "TCP 80, UDP 53"
    assert found["dns resolvers", "all"]["only_if"] == some
    name = found["names", "b.example.com"]
    assert (name["ports"], name["only_if"]) == ("TCP 443", "only for TLS to a server named b.example.com")
    assert found["api server", "192.168.50.1:6443/TCP"]["only_if"] == "only for requests of HTTP GET /healthz"
    assert found["may reach new pods", "any pod in any namespace on TCP 80"]["only_if"] == host
    between = found["reaches namespaces", "data kube-system"]["only_if"]
    assert f"some pods of data {host}; kube-system: TCP 80 {host} and UDP 53 {some}" in between
    assert found["new pods may reach it", "any pod in any namespace on every port"]["only_if"] == ""
