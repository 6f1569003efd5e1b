"""The whole run, with real packets: the recipes, the control, and labs in which something is broken on purpose."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from outgate.cluster import load
from outgate.lab import flows, run
from outgate.lab.build import Stage
from outgate.lab.run import Wishes
from outgate.model import Snapshot
from tests.lab.clusters import DNS, SHOP, outcome, planned

pytestmark = pytest.mark.kernel

DENY, APP, METADATA, MONITORING = (
    "01-default-deny-egress",
    "02-app-egress",
    "03-block-metadata",
    "04-allow-monitoring",
)
WEB, BATCH, DB, PROM = "production/web-api", "production/batch", "production/postgres", "monitoring/prometheus"
COREDNS = "kube-system/coredns"
HEADLESS = "postgres-headless.production.svc.cluster.local"
EVERYTHING = (
    (COREDNS, 53, "UDP"),
    (DB, 5432, "TCP"),
    ("203.0.113.10", 443, "TCP"),
    ("198.51.100.7", 443, "TCP"),
    ("169.254.169.254", 80, "TCP"),
)
Row = tuple[str, str, int, str, str]
# ../shared/recipes/README.md, row by row: policies, then from, to, port, protocol, expected.
RECIPES: list[tuple[tuple[str, ...], list[Row]]] = [
    ((), [(WEB, to, port, protocol, "allow") for to, port, protocol in EVERYTHING]),
    (
        (DENY,),
        [
            (WEB, COREDNS, 53, "UDP", "deny"),
            (WEB, DB, 5432, "TCP", "deny"),
            (PROM, WEB, 8080, "TCP", "allow"),
        ],
    ),
    (
        (DENY, APP),
        [
            (WEB, COREDNS, 53, "UDP", "allow"),
            (WEB, COREDNS, 53, "TCP", "allow"),
            (WEB, DB, 5432, "TCP", "allow"),
            (WEB, "10.96.12.34", 5432, "TCP", "allow"),
            (WEB, HEADLESS, 5432, "TCP", "allow"),
            (WEB, DB, 5433, "TCP", "deny"),
            (WEB, "203.0.113.10", 443, "TCP", "allow"),
            (WEB, "203.0.113.10", 80, "TCP", "deny"),
            (WEB, "198.51.100.7", 443, "TCP", "deny"),
            (WEB, "169.254.169.254", 80, "TCP", "deny"),
            *((BATCH, to, port, protocol, "deny") for to, port, protocol in EVERYTHING),
            (BATCH, "10.96.12.34", 5432, "TCP", "deny"),
            (BATCH, HEADLESS, 5432, "TCP", "deny"),
            (BATCH, DB, 5433, "TCP", "deny"),
            (BATCH, "203.0.113.10", 80, "TCP", "deny"),
        ],
    ),
    (
        (DENY, APP, MONITORING),
        [
            (WEB, PROM, 9090, "TCP", "allow"),
            (BATCH, PROM, 9090, "TCP", "allow"),
            (WEB, "10.96.77.9", 80, "TCP", "allow"),
            (BATCH, "10.96.77.9", 80, "TCP", "allow"),
            (WEB, PROM, 9091, "TCP", "deny"),
        ],
    ),
    (
        (METADATA,),
        [
            (BATCH, "169.254.169.254", 80, "TCP", "deny"),
            (BATCH, "198.51.100.7", 443, "TCP", "allow"),
            (BATCH, DB, 5432, "TCP", "allow"),
        ],
    ),
    (
        (DENY, APP, METADATA),
        [
            (BATCH, "198.51.100.7", 443, "TCP", "allow"),
            (BATCH, "198.51.100.7", 9, "UDP", "allow"),
            (BATCH, "2001:db8::1", 443, "TCP", "deny"),
        ],
    ),
]


def recipe(folder: Path, policies: tuple[str, ...]) -> Snapshot:
    """The cluster of the recipes under some of its policies."""
    names = ("cluster", *policies)
    return load([str(folder / "recipes" / f"{name}.yaml") for name in names], strict=True).snapshot


def family_of_row(row: Row) -> tuple[int, ...]:
    """The rows that name IPv4 addresses, or that a policy for 0.0.0.0/0 decides, are about IPv4."""
    return (6,) if ":" in row[1] else (4,)


@pytest.mark.parametrize(
    ("policies", "rows"), RECIPES, ids=["+".join(one[:2] for one in names) or "none" for names, _ in RECIPES]
)
def test_every_row_of_the_recipes(shared: Path, tmp_path: Path, policies: tuple[str, ...], rows: list[Row]) -> None:
    """The first promise of the project: what the table says is what real packets do."""
    snapshot = recipe(shared, policies)
    for families in {family_of_row(row) for row in rows}:
        mine = [row for row in rows if family_of_row(row) == families]
        keys = ("from", "to", "port", "protocol", "expect")
        text = {
            "apiVersion": flows.API_VERSION,
            "kind": flows.KIND,
            "flows": [dict(zip(keys, row, strict=True)) for row in mine],
        }
        (tmp_path / "flows.json").write_text(json.dumps(text))
        asked = flows.load(str(tmp_path / "flows.json"))
        found = outcome(run.prepare(snapshot, Wishes(flows=asked, families=families)))
        seen = [(probe["observed"], probe["expected"], probe["demanded"]) for probe in found["probes"]]
        assert seen == [(row[4].capitalize(),) * 3 for row in mine]
        assert found["disagreements"] == 0


def test_everything_in_the_recipes_agrees(shared: Path) -> None:
    """Some three hundred probes by pod, Service, name, address and node, in both families."""
    found = outcome(run.prepare(recipe(shared, (DENY, APP, MONITORING)), Wishes()))
    assert [one for one in found["probes"] if one["disagreement"]] == []
    assert found["disagreements"] == 0
    assert {one["via"] for one in found["probes"]} == {"pod", "address", "service", "name", "node"}
    assert {one["observed"] for one in found["probes"]} == {"Allow", "Deny"}


def test_the_control_disagrees_exactly_where_a_policy_denies(shared: Path) -> None:
    """If a run without rules agreed with the policies, the lab could not fail, and would prove nothing."""
    found = outcome(run.prepare(recipe(shared, (DENY, APP, MONITORING)), Wishes(enforce=False)))
    denied = [one for one in found["probes"] if one["expected"] == "Deny"]
    assert len(denied) > 100
    assert found["disagreements"] == len(denied)
    assert all(one["disagreement"] is (one["expected"] == "Deny") for one in found["probes"])
    assert {one["observed"] for one in found["probes"]} == {"Allow"}


WEB_EGRESS = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Egress]
  egress: [{to: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: pg}]}]
"""


def nft(stage: Stage, node: str, *words: str) -> str:
    """Changes a node's table behind Outgate's back."""
    return stage.run(stage.nodes[node], ("nft", *words)).stdout


def test_a_denial_that_is_gone_is_found_and_named() -> None:
    """The drop is taken out of the kernel: every probe that it stopped gets through, and each is reported."""

    def sabotage(stage: Stage) -> None:
        listed = json.loads(nft(stage, "n1", "-j", "-a", "list", "table", "inet", "outgate"))
        rules = [one["rule"] for one in listed["nftables"] if "rule" in one]
        drops = [rule for rule in rules if rule["chain"].startswith("d_") and {"drop": None} in rule["expr"]]
        assert len(drops) == 1
        nft(stage, "n1", "delete", "rule", "inet", "outgate", drops[0]["chain"], "handle", str(drops[0]["handle"]))

    found = outcome(planned(SHOP + WEB_EGRESS), sabotage)
    wrong = [one for one in found["probes"] if one["disagreement"]]
    assert wrong != []
    assert {(one["source"]["name"], one["expected"], one["observed"]) for one in wrong} == {("web", "Deny", "Allow")}
    assert {one["decidedBy"]["name"] for one in wrong} == {"web"}
    # Without its drop the chain of the denial lets go: no rule of the kernel decides any more, and none is named.
    assert all("verdict" in rule for one in wrong for rule in one.get("kernel", []))


def test_a_rule_that_denies_what_is_allowed_is_found_and_named() -> None:
    """An element is taken out of a peer set: the allowed flow meets the default deny, and that rule is named."""

    def sabotage(stage: Stage) -> None:
        listed = json.loads(nft(stage, "n1", "-j", "list", "table", "inet", "outgate"))
        sets = [one["set"] for one in listed["nftables"] if "set" in one and one["set"]["name"].startswith("n4_")]
        assert len(sets) == 1
        (element,) = sets[0]["elem"]
        words = " . ".join(map(str, element["concat"]))
        nft(stage, "n1", f"delete element inet outgate {sets[0]['name']} {{ {words} }}")

    found = outcome(planned(SHOP + WEB_EGRESS, Wishes(patience=1.0)), sabotage)
    wrong = [one for one in found["probes"] if one["disagreement"]]
    assert {(one["destination"]["name"], one["expected"], one["observed"]) for one in wrong} == {
        ("db", "Allow", "Deny")
    }
    assert {one["via"] for one in wrong} == {"pod", "service"}
    assert all("second round" in one["evidence"] for one in wrong)
    (rule,) = wrong[0]["kernel"]
    assert (rule["node"], rule["hook"], rule["verdict"]) == ("n1", "forward", "drop")
    assert rule["chain"].startswith("d_")
    assert "shop/web" in rule["comment"]


def test_an_answer_from_the_wrong_pod_is_a_disagreement_of_its_own() -> None:
    """Packets are turned to another pod on their way: an echo comes back, but from somebody else."""
    three = SHOP + (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: thief, namespace: shop}\n"
        "spec: {nodeName: n2, containers: [{name: c, image: x, ports: [{containerPort: 5432}]}]}\n"
    )

    def sabotage(stage: Stage) -> None:
        web, db, thief = (stage.pods["shop", name].addresses[0] for name in ("web", "db", "thief"))
        for line in (
            "add table ip wrong",
            "add chain ip wrong pre { type nat hook prerouting priority -150; }",
            f"add rule ip wrong pre ip saddr {web} ip daddr {db} tcp dport 5432 dnat to {thief}",
        ):
            nft(stage, "n1", line)

    found = outcome(planned(three), sabotage)
    wrong = [one for one in found["probes"] if one["disagreement"]]
    assert {one["evidence"] for one in wrong} == {"shop/thief answered in the place of shop/db"}
    assert {one["destination"]["name"] for one in wrong} == {"db"}
    assert all(one["family"] == 4 and one["port"] == 5432 for one in wrong)


def test_every_transport_every_family_and_every_name() -> None:
    """TCP, UDP, SCTP and ICMP, in both families, through Services and names, allowed and denied."""
    cluster = (
        DNS
        + SHOP.replace(
            "{name: pg, containerPort: 5432}", "{name: pg, containerPort: 5432}, {containerPort: 5000, protocol: SCTP}"
        )
        + "apiVersion: v1\nkind: Service\nmetadata: {name: sig, namespace: shop}\n"
        "spec: {selector: {app: db}, ports: [{port: 5001, targetPort: 5000, protocol: SCTP}]}\n---\n"
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\n"
        "spec:\n  podSelector: {matchLabels: {app: web}}\n  policyTypes: [Egress]\n  egress:\n"
        "  - {to: [{podSelector: {}}], ports: [{port: 5000, protocol: SCTP}, {port: 7, protocol: UDP}, {port: pg}]}\n"
        "  - to: [{namespaceSelector: {}, podSelector: {matchLabels: {k8s-app: kube-dns}}}]\n"
        "    ports: [{port: 53, protocol: UDP}]\n"
    )
    found = outcome(planned(cluster))
    assert [one for one in found["probes"] if one["disagreement"]] == []
    seen = {(one["protocol"], one["family"], one["observed"]) for one in found["probes"]}
    for protocol in ("TCP", "UDP", "SCTP"):
        for family in (4, 6):
            assert {(protocol, family, "Allow"), (protocol, family, "Deny")} <= seen
    assert {("ICMP", 4, "Allow"), ("ICMP", 4, "Deny"), ("ICMPv6", 6, "Allow"), ("ICMPv6", 6, "Deny")} <= seen
    by_name = [one for one in found["probes"] if one["via"] == "name" and one["source"]["name"] == "web"]
    assert {(one["service"], one["observed"]) for one in by_name} >= {("shop/db", "Allow"), ("shop/sig", "Allow")}
    assert any(
        one["via"] == "service" and one["protocol"] == "SCTP" and one["observed"] == "Allow" for one in found["probes"]
    )


def test_what_was_left_out_is_in_the_document() -> None:
    """A reader of the JSON alone must see that only some pods played."""
    found: dict[str, Any] = outcome(planned(SHOP, Wishes(max_pods=1)))
    assert len(found["topology"]["pods"]) == 1
    assert any("left out" in note for note in found["notes"])
    assert any("left out" in note for note in found["topology"]["notes"])
