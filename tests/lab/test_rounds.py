"""Names that move, through the real DNS proxy in a lab; and proxies that are broken on purpose, a node for each."""

from __future__ import annotations

import functools
import ipaddress
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from outgate.lab import dns_proxy, proxy
from outgate.lab.run import Wishes
from outgate.proxy.orders import Orders
from outgate.testing import cluster_policy
from tests.lab.clusters import DNS, outcome, planned
from tests.lab.named import ASKING, HEADLESS, NAME, asking, names, pods, rules
from tests.lab.proxied import needs_envoy

pytestmark = pytest.mark.kernel

FIRST, SECOND = ipaddress.ip_address("203.0.113.10"), ipaddress.ip_address("203.0.113.12")
MOVED = ipaddress.ip_address("198.51.100.7")


def seen(report: dict[str, Any], pod: str) -> dict[str, set[str]]:
    """What came of a pod's connections, by their moments."""
    found: dict[str, set[str]] = {}
    for one in report["names"]:
        if one["source"]["name"] == pod:
            found.setdefault(one["moment"], set()).add(one["observed"])
    return found


def answers(report: dict[str, Any], pod: str) -> set[tuple[str, str, str]]:
    """What a pod was answered."""
    mine = (one for one in report["questions"] if one["source"]["name"] == pod)
    return {(one["name"], one["protocol"], one["observed"]) for one in mine}


CLUSTER_WIDE = cluster_policy(
    "wide",
    subject={"pods": {"podSelector": {"matchLabels": {"app": "admin"}}}},
    egress=[
        {"name": "deny", "action": "Deny", "to": [{"networks": ["198.51.100.0/24"]}]},
        {"name": "names", "action": "Accept", "to": [{"domainNames": ["*.example.net"]}]},
    ],
)
DB = {"pods": {"podSelector": {"matchLabels": {"app": "db"}}}}
OF_THE_CLUSTER = cluster_policy(
    "own",
    subject={"pods": {"podSelector": {"matchLabels": {"app": "asker"}}}},
    egress=[
        {"action": "Accept", "to": [{"domainNames": ["*.shop.svc.cluster.local"]}]},
        {"action": "Deny", "to": [DB]},
    ],
)
EVERYTHING = (
    DNS
    + pods("web", "web-1", "web-2")
    + pods("web", "web-3", node="n2")
    + rules("web", ASKING, names(NAME, "*.cdn.example.net"))
    + pods("udp")
    + rules("udp", asking("*.example.org"), names("*.example.org", port=5000, protocol="UDP"))
    + pods("listed")
    + rules("listed", asking("*.example.org"), names(NAME))
    + pods("deaf")
    + rules("deaf", names(NAME))
    + pods("blocked")
    + rules("blocked", ASKING, names(NAME), egressDeny=[{"toCIDR": ["203.0.113.0/24"]}])
    + pods("wide")
    + rules("wide", ASKING, names(NAME), {"toCIDR": ["198.51.100.0/24"]})
    + pods("two")
    + rules("two", asking("*.a.example"), asking("*.b.example"), names("x.a.example"), names("x.b.example"))
    + pods("admin")
    + rules("admin", ASKING)
    + json.dumps(CLUSTER_WIDE)
    + "\n---\n"
    + pods("asker")
    + pods("db", node="n2")
    + HEADLESS
    + json.dumps(OF_THE_CLUSTER)
    + "\n---\n"
)


def test_every_kind_of_rule_as_the_model_says() -> None:
    """Closed until it is asked for, for each pod by itself; then open, wherever the name leads; then closed again."""
    wishes = Wishes(names={NAME: (FIRST, SECOND)}, moves={NAME: (MOVED,)})
    report = outcome(planned(EVERYTHING, wishes))
    assert seen(report, "asker") == {"unasked": {"Deny"}, "asked": {"Allow"}}, "a headless Service moves nowhere"
    assert [one for one in (*report["names"], *report["questions"]) if one["disagreement"]] == []
    assert report["disagreements"] == 0
    plain = {moment: {"Allow"} for moment in ("asked", "moved", "moved behind aliases", "asked again")}
    closed = {moment: {"Deny"} for moment in ("unasked", "old addresses")}
    another = {"asked by another pod": {"Deny"}}
    assert seen(report, "two") == seen(report, "udp") == plain | closed
    assert seen(report, "web-2") == plain | closed | another
    assert seen(report, "web-3") == plain | closed, "the first of its node"
    assert seen(report, "blocked") == plain | closed | {"asked": {"Deny"}}, "the denial stands before the name"
    assert seen(report, "wide") == plain | closed | another | {"old addresses": {"Allow", "Deny"}}
    assert seen(report, "deaf") == seen(report, "listed") == closed | another, "who may not ask never learns"
    assert seen(report, "admin") == plain | closed
    assert {one["address"] for one in report["names"] if one["moment"] == "moved" and one["name"] == NAME} == {
        str(MOVED)
    }
    assert answers(report, "listed") == {
        *((NAME, "UDP", "REFUSED"), (NAME, "TCP", "REFUSED")),
        *(("a.example.org", "UDP", "answered"), ("a.example.org", "TCP", "answered")),
    }
    assert answers(report, "two") == {
        *((NAME, "UDP", "REFUSED"), (NAME, "TCP", "REFUSED")),
        *(("x.a.example", "UDP", "answered"), ("x.a.example", "TCP", "answered")),
    }
    assert report["moved"] == [
        "a.cdn.example.net",
        "a.example.net",
        "a.example.org",
        NAME,
        "x.a.example",
        "x.b.example",
    ]
    kinds = {(one["source"]["name"] == "asker", one["destination"]["kind"]) for one in report["names"]}
    assert kinds == {(False, "External"), (True, "Pod")}


LATE = """
import sys, time
from outgate.host.names_door import NamesDoor
put = NamesDoor.put
NamesDoor.put = lambda door, changes: time.sleep(0.3) or put(door, changes)
from outgate.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
"""A proxy whose answer does not wait for its address, which is put in a moment later."""


def without_sets(orders: Orders) -> Orders:
    """It answers, and opens nothing."""
    return msgspec.structs.replace(orders, pods=tuple(msgspec.structs.replace(one, sets=()) for one in orders.pods))


def as_one_pod(orders: Orders) -> Orders:
    """What one pod has been told is open for its neighbour; for long, since other nodes keep the lab waiting."""
    first, *others = orders.pods
    addresses = (*first.addresses, *(address for one in others for address in one.addresses))
    return msgspec.structs.replace(for_ever(orders), pods=(msgspec.structs.replace(first, addresses=addresses),))


def for_ever(orders: Orders) -> Orders:
    """An address stays open when the name has long moved."""
    return msgspec.structs.replace(orders, floor=600.0)


def anything_asked(orders: Orders) -> Orders:
    """Nobody looks at the lists of names."""
    door = tuple(msgspec.structs.replace(one, names=None) for pod in orders.pods for one in (pod.asks or ())[:1])[:1]
    return msgspec.structs.replace(orders, pods=tuple(msgspec.structs.replace(one, asks=door) for one in orders.pods))


FAULTS: dict[str, Callable[[Orders], Orders]] = {
    "sound": lambda orders: orders,
    "late": lambda orders: orders,
    "idle": without_sets,
    "node-wide": as_one_pod,
    "for-ever": for_ever,
    "any-name": anything_asked,
}


def test_every_broken_proxy_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that programs late, not at all, for a neighbour too, for too long, or lets ask: each on a node of its own."""
    sound = dns_proxy.orders_of
    command = dns_proxy.command
    late = next(number for number, name in enumerate(sorted(FAULTS)) if name == "late")

    def broken(place: Path, state: Path) -> Iterable[str]:
        words = command(place, state)
        if place.name != f"outgate-dns-node{late}":
            return words
        return (sys.executable, "-c", LATE, *words[3:-1], "0.01")

    monkeypatch.setattr(
        dns_proxy, "orders_of", lambda policies, box, more: FAULTS[box.name](sound(policies, box, more))
    )
    monkeypatch.setattr(dns_proxy, "command", broken)
    monkeypatch.setattr(dns_proxy, "_LATE", 0.2)
    farm = "".join(pods("web", f"{name}-1", node=name) for name in sorted(FAULTS)) + pods(
        "web", "node-wide-2", node="node-wide"
    )
    text = DNS.replace("n1", "sound") + farm + rules("web", asking("*.example.com"), names(NAME))
    prepared = planned(text, Wishes(names={NAME: (FIRST,)}, families=(4,), patience=1.5))
    # What has moved shows no more than what is asked for first: a round with a silent proxy takes seconds.
    *first, _, _, last = prepared.moving.rounds
    report = outcome(replace(prepared, moving=replace(prepared.moving, rounds=(*first, last))))
    wrong: dict[str, set[tuple[str, str]]] = {}
    for one in (*report["names"], *report["questions"]):
        if one["disagreement"]:
            wrong.setdefault(one["source"]["name"].rpartition("-")[0], set()).add(
                (one.get("moment", one.get("protocol")), one["observed"])
            )
    closed = {(moment, "Deny") for moment in ("asked", "asked again")}
    assert wrong.pop("late") == closed
    assert wrong.pop("idle") == closed
    assert wrong.pop("node-wide") == {("asked by another pod", "Allow"), ("old addresses", "Allow")}
    assert wrong.pop("for-ever") == {("old addresses", "Allow")}
    assert wrong.pop("any-name") == {("UDP", "answered"), ("TCP", "answered")}
    assert wrong == {}
    evidence = {one["source"]["name"]: one["evidence"] for one in report["names"] if one["disagreement"]}
    assert "the kernel does not have the address" in evidence["idle-1"]
    assert "the kernel has the address for" in evidence["for-ever-1"]
    assert any("the first packet" in one["evidence"] for one in report["names"] if one["source"]["name"] == "late-1")


def _unless_deaf(following: Any, door: Callable[..., None], *told: Any) -> None:
    if following._box.name != "deaf":
        door(following, *told)


@needs_envoy
def test_names_and_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Envoy knows an address before its pod does; one that is not told refuses what the name has opened."""
    for door in (proxy._Following.heard, proxy._Following.read):
        monkeypatch.setattr(proxy._Following, door.__name__, functools.partialmethod(_unless_deaf, door))
    get: Any = {"rules": {"http": [{"method": "GET"}]}}
    ports = [{"port": "80", "protocol": "TCP"}]
    put = {"toEntities": ["world"], "toPorts": [{"ports": ports, "rules": {"http": [{"method": "PUT"}]}}]}
    by_name = (names(NAME, port=80, **get), names("a.example.com", serverNames=["a.example.com"]))
    text = DNS + pods("web", "good") + pods("web", "bad", node="deaf") + rules("web", ASKING, *by_name)
    # Connections to old addresses still come to Envoy, for another rule.
    text += pods("both") + rules("both", ASKING, names(NAME, port=80, **get), put)
    report = outcome(planned(text, Wishes(names={NAME: (FIRST,)}, families=(4,))))
    assert seen(report, "both")["old addresses"] == {"Deny"}
    bad = {(one["moment"], one["request"], one["observed"]) for one in report["names"] if one["disagreement"]}
    assert [one for one in report["names"] if one["disagreement"] and one["source"]["name"] != "bad"] == []
    moments = ("asked", "moved", "moved behind aliases", "asked again")
    assert bad == {(moment, asked, "Deny") for moment in moments for asked in ("GET /", "TLS for a.example.com")}
    good = [one for one in report["names"] if one["source"]["name"] == "good"]
    assert {(one["moment"], one["request"]) for one in good if one["observed"] == "Allow"} == {
        (moment, asked) for moment in moments for asked in ("GET /", "TLS for a.example.com")
    }
    refused = {one["request"]: one["evidence"] for one in good if one["asked"] and one["observed"] == "Deny"}
    assert refused.keys() == {"DELETE /", "TLS for other.nobody.invalid"}
    assert refused["DELETE /"] == "Access denied"
    assert report["notes"][-1].startswith("rules about names")


def test_without_rules_the_control_disagrees() -> None:
    """Where nothing is enforced there is no proxy either: what is closed is open, and any name may be asked for."""
    text = DNS + pods("web", "web-1", "web-2") + rules("web", asking("*.example.com"), names(NAME))
    report = outcome(planned(text, Wishes(enforce=False, families=(4,))))
    wrong = {(one["moment"], one["observed"]) for one in report["names"] if one["disagreement"]}
    assert wrong == {(moment, "Allow") for moment in ("unasked", "asked by another pod", "old addresses")}
    assert {one["name"] for one in report["questions"] if one["disagreement"]} == {"outgate-asks.nobody.invalid"}


def test_nothing_is_asked_where_nobody_speaks_of_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy is started, and the document has nothing of it."""
    monkeypatch.setattr(dns_proxy, "start", lambda *_, **__: pytest.fail("nobody needs one"))
    report = outcome(planned(DNS + pods("web"), Wishes(names={NAME: (FIRST,)})))
    assert not {"names", "questions", "moved"} & report.keys()
