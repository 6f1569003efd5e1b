"""The answer for people: the verdict first, then each end with its line, then what else there is to say."""

from __future__ import annotations

from outgate.policy import PROFILES, Judge, Policies
from outgate.report.reach_json import reach_json
from outgate.report.reach_text import reach_text
from outgate.testing import namespace, pod, policy, snapshot_of
from outgate.testing_cilium import cilium_policy
from tests.analysis.shop import EGRESS_TO_DB, INGRESS_OF_DB, ask, deployment, judge_of
from tests.report.schema import complaints

BOTH = (EGRESS_TO_DB, INGRESS_OF_DB)


def lines(source: str, destination: str, *policies: dict[str, object], protocol: str | None = None) -> list[str]:
    """The answer, line by line."""
    return reach_text(ask(judge_of(*policies), source, destination, protocol=protocol)).splitlines()


def test_a_denial() -> None:
    """Verdict, ends, deciding policy and the nearest rule: all that is needed to repair it."""
    assert lines("shop/web-1", "data/db:80", EGRESS_TO_DB) == [
        "DENY   shop/web-1 → data/db TCP 80",
        "  egress   denied: isolated by to-db; no rule allows it   test.yaml",
        "  ingress  allowed: no policy selects data/db for ingress",
        "  hint     shop/to-db egress[0] allows TCP 5432, TCP 8000-8100 there   test.yaml",
    ]


def test_an_allowed_flow_through_a_service() -> None:
    """What the Service leads to is said, because rules speak of that and not of the Service."""
    assert lines("shop/web-1", "svc/data/db:sql", *BOTH) == [
        "ALLOW  shop/web-1 → svc/data/db TCP 5000",
        "  through  the Service leads to data/db TCP 5432, which is what policies see",
        "  egress   allowed by shop/to-db egress[0]   test.yaml",
        "  ingress  allowed by data/db-in ingress[0]   test.yaml",
    ]


def test_another_profile() -> None:
    """Whose verdict it is, and that egress is judged by what was dialled, where that is so."""
    judge = Judge(Policies(judge_of(*BOTH).policies.snapshot, PROFILES["aws-vpc-cni"]))
    assert reach_text(ask(judge, "shop/web-1", "svc/data/db:sql")).splitlines() == [
        "ALLOW  shop/web-1 → svc/data/db TCP 5000",
        "  through  the Service leads to data/db TCP 5432, which is what the receiver's policies see",
        "  egress   allowed by shop/to-db egress[0]   test.yaml",
        "  ingress  allowed by data/db-in ingress[0]   test.yaml",
        "  profile  this is how aws-vpc-cni judges it",
    ]


def test_ports() -> None:
    """Without a port the first line is the set of ports."""
    assert lines("shop/web-1", "data/db", *BOTH)[0] == "ALLOW  shop/web-1 → data/db on TCP 5432, TCP 8050-8100"
    assert lines("shop/web-1", "data/db")[0] == "ALLOW  shop/web-1 → data/db on every port of every protocol"
    assert lines("shop/web-1", "198.51.100.7", EGRESS_TO_DB)[0] == "DENY   shop/web-1 → 198.51.100.7 on any port"


def test_each_rule_is_named_with_its_ports() -> None:
    """Where two rules allow different ports, the reader wants to know which line opens which."""
    rules = [{"ports": [{"port": 80}]}, {"ports": [{"port": 443}]}]
    two = policy("shop/two", {"podSelector": {}, "policyTypes": ["Egress"], "egress": rules})
    found = lines("shop/web-1", "data/db", two)
    assert found[0] == "ALLOW  shop/web-1 → data/db on TCP 80, TCP 443"
    assert "  egress   shop/two egress[0] allows TCP 80   test.yaml" in found
    assert "  egress   shop/two egress[1] allows TCP 443   test.yaml" in found


def test_blocks() -> None:
    """All, some or none of a block must not read alike."""
    some = lines("shop/web-1", "203.0.113.0/24:443", EGRESS_TO_DB)
    assert some[0] == "DENY   shop/web-1 → 203.0.113.0/24 TCP 443"
    assert "  allowed  203.0.113.0/25" in some
    assert "  denied   the rest of the block" in some
    assert "  all      allowed for every address of the block" in lines(
        "shop/web-1", "203.0.113.0/26:443", EGRESS_TO_DB
    )
    assert "  all      denied for every address of the block" in lines("shop/web-1", "198.51.100.0/24:1", EGRESS_TO_DB)


def test_ports_of_a_block() -> None:
    """Groups of addresses with the ports of each."""
    found = lines("shop/web-1", "10.1.1.20/31", *BOTH)
    assert "  ports    10.1.1.20/32: TCP 5432, TCP 8050-8100" in found
    assert "  ports    10.1.1.21/32: TCP 5432, TCP 8000-8100" in found


def test_several_flows() -> None:
    """Of a workload's pods the denied ones are named."""
    block = {"ipBlock": {"cidr": "10.1.0.11/32"}}
    one = policy("data/one", {"podSelector": {"matchLabels": {"app": "db"}}, "ingress": [{"from": [block]}]})
    found = lines("shop/rs/web", "data/db:1", one)
    assert found[0] == "DENY   shop/ReplicaSet/web → data/db TCP 1"
    at = found.index("  flows    1 of 2 allowed")
    assert [each.split() for each in found[at + 1 : at + 3]] == [
        ["deny", "shop/web-2", "→", "data/db", "TCP", "1"],
        ["allow", "shop/web-1", "→", "data/db", "TCP", "1"],
    ]


def test_nobody_there() -> None:
    """The reason why nothing can succeed, and no word about policies."""
    assert lines("shop/web-1", "svc/data/empty:80", *BOTH) == [
        "DENY   shop/web-1 → svc/data/empty TCP 80",
        "  nobody   Service data/empty has no ready endpoint: the connection fails whatever the policies say",
    ]


def test_open_points() -> None:
    """Where the API leaves it open, a bare verdict would be a guess."""
    found = lines("shop/web-1", "data/db", EGRESS_TO_DB, protocol="ICMP")
    assert found[0] == "DENY   shop/web-1 → data/db ICMP"
    assert found[-1].startswith("  open     the API leaves this to the network plugin: ")


def test_the_address_of_a_pod_without_one_is_explained() -> None:
    """An address that the reader has never seen, among those that are allowed, needs a word."""
    planned = judge_of(EGRESS_TO_DB, deployment("data/planned", app="db"))
    for port in ("", ":5432"):
        found = reach_text(ask(planned, "shop/web-1", f"0.0.0.0/0{port}")).splitlines()
        where = [line for line in found if "stands for" in line]
        assert len(where) == 1, found
        assert where[0].endswith("stands for data/planned, which has no address in the input")
    assert not [line for line in lines("shop/web-1", "203.0.113.0/24:443", EGRESS_TO_DB) if "stands for" in line]


def test_the_same_among_the_ports_of_a_block() -> None:
    """Where every address may enter and one is treated apart, that one is a pod that has no address."""
    planned = judge_of(EGRESS_TO_DB, deployment("shop/later", app="web"))
    found = reach_text(ask(planned, "0.0.0.0/0", "data/db")).splitlines()
    assert [line.partition("stands for ")[2] for line in found if "stands for" in line] == [
        "shop/later, which has no address in the input"
    ], found


def asking() -> Judge:
    """A judge under a rule about requests, of two kinds on one port."""
    port = {"ports": [{"port": "80", "protocol": "TCP"}], "rules": {"http": [{"method": "GET"}, {"path": "/v1"}]}}
    plain = {"ports": [{"port": "81", "protocol": "TCP"}]}
    rules = [
        {"toEndpoints": [{"matchLabels": {"app": "b"}}], "toPorts": [port, plain]},
        {"toCIDR": ["192.0.2.0/25"], "toPorts": [port]},
        {"toCIDR": ["192.0.2.128/25"], "toPorts": [{"ports": port["ports"]}]},
    ]
    pods = [pod(f"shop/{name}", [f"10.0.0.{place}"], app=name) for place, name in enumerate("ab", 1)]
    spec = {"endpointSelector": {"matchLabels": {"app": "a"}}, "egress": rules}
    return Judge(Policies(snapshot_of([namespace("shop"), *pods, cilium_policy("shop/p", spec)])))


def test_conditions_are_alternatives() -> None:
    """Two lines "only" below each other would contradict each other. Without a port they name theirs."""
    only = ["requests of HTTP GET *   test.yaml", "requests of HTTP * /v1   test.yaml"]
    for port, on in (":80", ""), ("", "TCP 80 for "):
        found = reach_text(ask(asking(), "shop/a", f"shop/b{port}")).splitlines()
        assert [line for line in found if line.startswith(("  only", "  or"))] == [
            f"  only     {on}{only[0]}",
            f"  or       {only[1]}",
        ]


def test_conditions_of_some_addresses() -> None:
    """Half of the block is asked, and nobody may think that it is all of it."""
    found = reach_text(ask(asking(), "shop/a", "192.0.2.0/24"))
    assert "  only     192.0.2.0/25: TCP 80 for requests of HTTP GET *" in found
    document = reach_json(ask(asking(), "shop/a", "192.0.2.0/24"))
    assert complaints(document) == []
    assert [one["between"][0]["cidrs"] for one in document["ports"]["onlyIf"]] == [["192.0.2.0/25"]]


def test_policies_of_one_name_are_told_apart() -> None:
    """By their kinds; where a name is one policy's alone, it is enough."""
    spec = {"podSelector": {}, "policyTypes": ["Egress"]}
    theirs = cilium_policy("shop/p", {"endpointSelector": {}, "egress": [{}]})
    said = lines("shop/web-1", "203.0.113.9:80", policy("shop/p", spec), policy("shop/q", spec), theirs)[1]
    assert said.startswith(
        "  egress   denied: isolated by NetworkPolicy p, q, CiliumNetworkPolicy p; no rule allows it"
    )
