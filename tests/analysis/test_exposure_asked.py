"""What is reached only for what policies ask: said of every place, and no reason to rank it with what is open."""

from __future__ import annotations

from typing import Any

import pytest

from outgate.analysis.exposure import ExposureReport, Finding, Standing
from outgate.analysis.exposure_outside import Share
from outgate.analysis.on_condition import Conditional
from outgate.analysis.spelling import spell_conditions, spell_transports
from outgate.model import Direction
from outgate.policy.rules import Conditions
from outgate.testing import Manifest
from outgate.testing_cilium import cilium_policy
from tests.analysis.estate import WEB, api_service, api_slice, report_of, standing_of

ONE_HOST: dict[str, Any] = {"http": [{"method": "GET", "host": "api.example.com"}]}
ANY_REQUEST: dict[str, Any] = {"http": [{}]}
EVERYTHING = {"toEntities": ["all"]}
INTERNET = {"toCIDR": ["0.0.0.0/0"]}


def held(*egress: dict[str, Any], where: str = "shop", **more: Any) -> Manifest:
    """A policy of all pods of a namespace."""
    return cilium_policy(f"{where}/{where}", {"endpointSelector": {}, "egress": list(egress)} | more)


def ports(number: str, protocol: str = "TCP", **rules: Any) -> dict[str, Any]:
    """An entry of toPorts, with what it asks for."""
    return {"ports": [{"port": number, "protocol": protocol}], **({"rules": rules} if rules else {})}


def for_all(*entries: dict[str, Any], to: dict[str, Any] = EVERYTHING) -> Manifest:
    """What a workload may send, on these ports."""
    return held(to | {"toPorts": list(entries)})


def words(asked: tuple[Conditional, ...]) -> list[str]:
    """The ports and the first condition of each."""
    return [
        f"{spell_transports(one.transports)}: {next(spell_conditions(one.rules[0].conditions or Conditions()))}"
        for one in asked
    ]


GET_80 = ["TCP 80: requests of HTTP GET * to host api.example.com"]


def web(report: ExposureReport) -> Standing:
    """What the report says of the web workload."""
    (found,) = [one.standing for one in report.workloads if str(one.group) == WEB]
    return found


def test_every_place_says_what_is_asked_of_a_port() -> None:
    """One host of HTTP, on port 80 of everything: metadata, internet, nodes, namespaces, pods of tomorrow."""
    standing = standing_of(for_all(ports("80", **ONE_HOST)))
    assert all(words(tuple(each.part for each in one.asked)) == GET_80 for one in standing.metadata())
    internet = [one for one in standing.outside.internet if one.parts]
    assert [words(tuple(each.part for each in one.asked)) for one in internet] == [GET_80] * len(internet)
    assert words(tuple(one.part for one in standing.outside.nodes.asked)) == GET_80
    assert standing.outside.nodes.openly == ()
    (namespaces,) = standing.neighbours.reaches_for
    assert (namespaces.namespaces, words(namespaces.asked)) == (("data", "kube-system"), GET_80)
    (pods,) = [one for one in standing.openings[Direction.EGRESS] if one.anybody]
    assert (words(pods.asked), pods.openly) == (GET_80, False)


def test_a_finding_on_a_condition_is_a_finding_of_its_own_rank() -> None:
    """Who reaches everything for one host comes behind who does so openly, and before who does not."""
    asked = standing_of(for_all(ports("80", **ONE_HOST)))
    assert Finding.METADATA in asked.findings
    assert set(asked.on_condition) == set(asked.findings) - {Finding.OPEN}
    plain = standing_of(for_all(ports("80")))
    assert plain.findings == asked.findings
    assert plain.on_condition == ()
    shop, data = for_all(ports("80", **ONE_HOST)), held(EVERYTHING | {"toPorts": [ports("80")]}, where="data")
    none = held({}, where="kube-system")
    order = [str(one.group) for one in report_of(shop, data, none).workloads]
    assert order == ["data/agent", "data/db", WEB, "kube-system/dns-1", "kube-system/dns-2"]


@pytest.mark.parametrize(
    ("finding", "rule"),
    [
        (Finding.METADATA, EVERYTHING | {"toPorts": [ports("80", **ANY_REQUEST)]}),
        (Finding.INTERNET, EVERYTHING | {"toPorts": [ports("80", http=[{"method": "GET"}, {}])]}),
        (Finding.DNS, EVERYTHING | {"toPorts": [ports("53", "ANY", dns=[{"matchPattern": "*"}])]}),
    ],
)
def test_a_condition_that_everything_meets_is_as_open_as_none(finding: Finding, rule: dict[str, Any]) -> None:
    """Any request of HTTP gets credentials from a metadata service, and any question of DNS carries data out."""
    standing = standing_of(held(rule))
    assert finding in standing.findings
    assert finding not in standing.on_condition
    assert any(one.asked for one in standing.outside.ranges), "and still it is said"


def test_one_open_port_beside_a_condition_is_open() -> None:
    """443 passes whatever is asked of 80."""
    standing = standing_of(for_all(ports("80", **ONE_HOST), ports("443")))
    assert standing.on_condition == ()
    (pods,) = [one for one in standing.openings[Direction.EGRESS] if one.anybody]
    assert (words(pods.asked), pods.openly) == (GET_80, True)
    assert standing.neighbours.reaches_for == ()


def test_a_rule_without_conditions_opens_a_part_of_what_another_asks_of() -> None:
    """One block is open: of it nothing is asked, of the rest it is, and a part of the internet is reached openly."""
    some = {"toCIDR": ["8.8.8.0/24"], "toPorts": [ports("80")]}
    standing = standing_of(held(EVERYTHING | {"toPorts": [ports("80", **ONE_HOST)]}, some))
    (internet,) = [one for one in standing.outside.internet if one.range.family == 4 and one.range.name != "nat64"]
    assert (internet.share, internet.openly) == (Share.WHOLE, Share.SOME)
    pieces = {bool(asked): addresses for addresses, _, asked in internet.pieces}
    assert pieces[False].cidrs() == ("8.8.8.0/24",)
    assert Finding.INTERNET in standing.on_condition
    assert Finding.PART not in standing.on_condition


def test_doors_say_what_both_ends_ask() -> None:
    """The cluster's DNS for some requests (of DNS over HTTPS it might be); its own policy asks for others."""
    dns = [ports("53", **ONE_HOST)]
    let_in = cilium_policy(
        "kube-system/in",
        {
            "endpointSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
            "ingress": [{"fromEntities": ["all"], "toPorts": [ports("53", http=[{"path": "/dns-query"}])]}],
        },
    )
    standing = standing_of(for_all(*dns), let_in)
    assert not standing.dns.openly
    assert {tuple(one.direction for one in asked) for asked in standing.dns.asked} == {tuple(Direction)}


def test_an_api_server_for_its_health_alone_is_not_open() -> None:
    """A finding it is, on a condition."""
    health = ports("6443", http=[{"method": "GET", "path": "/healthz"}])
    report = report_of(api_service(), api_slice("192.168.50.1"), for_all(health))
    standing = web(report)
    assert Finding.API_SERVER in standing.on_condition
    assert not standing.api_server.openly
    assert standing_of(api_service(), api_slice("192.168.50.1"), for_all(health, ports("6443"))).api_server.asked == ()


def test_an_opening_contains_another_only_where_it_asks_no_more() -> None:
    """Any pod for one host does not contain the database without a condition; the other way round it does."""
    database = {"toEndpoints": [{"matchLabels": {"app": "db"}}]}
    asked, plain = ports("80", **ONE_HOST), ports("80")
    both = standing_of(held(EVERYTHING | {"toPorts": [asked]}, database | {"toPorts": [plain]}))
    assert [str(one.pods) for one in both.openings[Direction.EGRESS] if one.addresses is None][-1] == "app=db"
    one = standing_of(held(EVERYTHING | {"toPorts": [plain]}, database | {"toPorts": [asked]}))
    assert {str(one.pods) for one in one.openings[Direction.EGRESS] if one.addresses is None} == {"everything"}
    same = standing_of(held(EVERYTHING | {"toPorts": [asked]}, database | {"toPorts": [asked]}))
    assert {str(one.pods) for one in same.openings[Direction.EGRESS] if one.addresses is None} == {"everything"}


def test_a_port_name_has_its_condition() -> None:
    """What new pods call http is open for one host; a second rule that asks nothing makes it void."""
    database = {"toEndpoints": [{"matchLabels": {"app": "db"}}]}
    (one,) = standing_of(held(database | {"toPorts": [ports("http", **ONE_HOST)]})).openings[Direction.EGRESS]
    assert [name.name for name, _ in one.names_asked] == ["http"]
    assert not one.openly
    (one,) = standing_of(held(database | {"toPorts": [ports("http", **ONE_HOST), ports("http")]})).openings[
        Direction.EGRESS
    ]
    assert one.names_asked == ()
    assert one.openly


def test_what_is_denied_is_no_opening() -> None:
    """A pod of which a policy denies everything may not be reached, and the report said that it may."""
    database = {"toEndpoints": [{"matchLabels": {"app": "db"}}], "toPorts": [ports("80")]}
    secret = {"toEndpoints": [{"matchLabels": {"app": "secret"}}], "toPorts": [ports("80")]}
    standing = standing_of(held(database, egressDeny=[secret]))
    assert [str(one.pods) for one in standing.openings[Direction.EGRESS]] == ["app=db"]
    standing = standing_of(held(database, egressDeny=[EVERYTHING]))
    assert standing.openings[Direction.EGRESS] == ()


def test_what_is_asked_of_everybody_is_not_open_because_nothing_isolates() -> None:
    """Without a default denial all other ports are open; of this one a request is asked all the same."""
    lenient: dict[str, Any] = {"enableDefaultDeny": {"egress": False}}
    rule = EVERYTHING | {"toPorts": [ports("80", **ONE_HOST)]}
    standing = standing_of(held(rule, **lenient))
    (pods,) = [one for one in standing.openings[Direction.EGRESS] if one.anybody]
    assert words(pods.asked) == GET_80
    assert pods.openly


def test_pods_of_a_namespace_of_which_not_the_same_is_asked_are_told_apart() -> None:
    """Two ways into one namespace are two, and neither is what the other asks."""
    database = {"toEndpoints": [{"matchLabels": {"k8s:io.kubernetes.pod.namespace": "data", "app": "db"}}]}
    resolver = {"toEndpoints": [{"matchLabels": {"k8s:io.kubernetes.pod.namespace": "kube-system"}}]}
    rules = [database | {"toPorts": [ports("80", **ONE_HOST)]}, resolver | {"toPorts": [ports("80", **ANY_REQUEST)]}]
    near = standing_of(held(*rules)).neighbours
    assert [(one.namespaces, one.chooses) for one in near.reaches_for] == [(("data",), True), (("kube-system",), False)]
    assert near.reaches_openly == ("kube-system",)
