"""The file of flows: what it may say, how mistakes in it are answered, and which probes come of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from outgate.errors import InvalidInput
from outgate.lab import flows
from outgate.lab.plan import Probe, Via
from outgate.lab.run import Wishes, prepare
from outgate.policy import Verdict
from tests.lab.clusters import DNS, SHOP, snapshot_of

HEAD = "apiVersion: outgate.dev/v1\nkind: FlowList\nflows:\n"
CLUSTER = (
    DNS
    + SHOP
    + """
apiVersion: v1
kind: Service
metadata: {name: peers, namespace: shop}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 5432}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  template: {metadata: {labels: {app: cart}}, spec: {containers: [{name: c, image: x}]}}
"""
)


def file_of(tmp_path: Path, *entries: str, head: str = HEAD) -> str:
    """A file with these flows."""
    path = tmp_path / "flows.yaml"
    path.write_text(head + "".join(f"  - {entry}\n" for entry in entries))
    return str(path)


def errors_of(path: str) -> list[tuple[int, str, str]]:
    """Line, path and words of everything that is wrong."""
    with pytest.raises(InvalidInput) as caught:
        flows.load(path)
    assert all(one.file == path for one in caught.value.errors)
    return [(one.line, one.path, one.message) for one in caught.value.errors]


def probes_of(path: str) -> list[Probe]:
    """What is probed for a file."""
    return list(prepare(snapshot_of(CLUSTER), Wishes(flows=flows.load(path))).plan.probes)


def test_every_mistake_is_said_at_once_with_its_line(tmp_path: Path) -> None:
    """Whoever fixes a file of a hundred flows does not want a hundred runs."""
    path = file_of(
        tmp_path,
        "{from: shop/web, to: shop/db, port: 70000}",
        "{from: shop/web, to: shop/db}",
        "{from: shop/web, port: 80, protocol: QUIC}",
        "{from: shop/web, to: shop/db, port: 80, expect: maybe, colour: red}",
        "just words",
        "{from: shop/web, to: 'shop/db:80', port: 80}",
        "{from: shop/web, to: 10.0.0.1, protocol: ICMP, port: 7}",
        "{from: shop/web, to: shop/db, port: true}",
        "{from: shop/web, to: shop/db, port: 5432}",
    )
    assert [(line, at) for line, at, _ in errors_of(path)] == [
        (4, "flows[0].port"),
        (5, "flows[1].port"),
        (6, "flows[2].to"),
        (6, "flows[2].protocol"),
        (7, "flows[3].colour"),
        (7, "flows[3].expect"),
        (8, "flows[4]"),
        (9, "flows[5].to"),
        (10, "flows[6].port"),
        (11, "flows[7].port"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind: List\n", "no FlowList"),
        ("- a\n", "no FlowList"),
        ("apiVersion: outgate.dev/v1\nkind: FlowList\nflows: 7\n", "must be a list"),
        ("apiVersion: outgate.dev/v1\nkind: FlowList\nflows: []\n", "no flows"),
        ("", "no flows"),
        ("a: [\n", ""),
    ],
    ids=["another kind", "a list", "a number", "nothing", "empty", "no YAML"],
)
def test_what_is_no_list_of_flows_is_refused(tmp_path: Path, text: str, words: str) -> None:
    """A file that is passed over in silence would be a run that proves nothing."""
    found = errors_of(file_of(tmp_path, head=text))
    assert len(found) == 1
    assert words in found[0][2]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A traceback is no answer to a typing mistake."""
    assert errors_of(str(tmp_path / "nothing.yaml"))[0][2].startswith("cannot be read")


def test_only_these_flows_are_probed_in_both_families(tmp_path: Path) -> None:
    """--flows means only those."""
    probes = probes_of(file_of(tmp_path, "{from: shop/web, to: shop/db, port: 5432, expect: deny}"))
    assert [(str(one.source), str(one.destination), one.address.version, one.port) for one in probes] == [
        ("shop/web", "shop/db", 4, 5432),
        ("shop/web", "shop/db", 6, 5432),
    ]
    assert {one.demanded for one in probes} == {Verdict.DENY}


@pytest.mark.parametrize(
    ("entry", "via", "protocol", "count"),
    [
        ("{from: shop/web, to: svc/shop/db, port: 5432}", Via.SERVICE, "TCP", 2),
        ("{from: shop/web, to: svc/shop/peers, port: 5432}", Via.POD, "TCP", 2),
        ("{from: shop/web, to: db.shop.svc.cluster.local, port: 5432}", Via.NAME, "TCP", 2),
        ("{from: shop/web, to: db.shop.svc, port: 5432}", Via.NAME, "TCP", 2),
        ("{from: shop/web, to: 203.0.113.9, port: 443, protocol: udp}", Via.ADDRESS, "UDP", 1),
        ("{from: shop/web, to: shop/db, protocol: ICMP}", Via.POD, "ICMP", 2),
        ("{from: shop/web, to: node/n2, port: 22}", Via.NODE, "TCP", 2),
        ("{from: 203.0.113.9, to: shop/web, port: 8080}", Via.POD, "TCP", 1),
        ("{from: shop/cart, to: shop/web, port: 8080}", Via.POD, "TCP", 2),
        ("{from: shop/web, to: shop/deploy/cart, port: 8080, protocol: SCTP}", Via.POD, "SCTP", 2),
    ],
)
def test_ends_of_every_kind(tmp_path: Path, entry: str, via: Via, protocol: str, count: int) -> None:
    """Each way of naming an end leads to probes of its kind."""
    probes = probes_of(file_of(tmp_path, entry))
    assert len(probes) == count
    assert {one.via for one in probes} == {via}
    assert probes[0].protocol.name == protocol


def test_ends_that_the_input_lacks_are_said_at_once(tmp_path: Path) -> None:
    """A flow about a pod that is gone must fail, not pass."""
    path = file_of(
        tmp_path,
        "{from: shop/wep, to: shop/db, port: 1}",
        "{from: shop/web, to: nowhere.example, port: 1}",
        "{from: shop/web, to: svc/shop/db, port: 1}",
        "{from: svc/shop/db, to: shop/db, port: 1}",
        "{from: shop/web, to: 10.0.0.0/8, port: 1}",
        "{from: 203.0.113.9, to: '2001:db8::1', port: 1}",
        "{from: shop/web, to: shop/db, port: 1}",
    )
    with pytest.raises(InvalidInput) as caught:
        probes_of(path)
    assert [one.line for one in caught.value.errors] == [4, 5, 6, 7, 8, 9]
    words = " ".join(one.message for one in caught.value.errors)
    assert "did you mean shop/web" in words
    assert "--dns-name nowhere.example=ADDRESS" in words
    assert "its ports: TCP 5432" in words


def test_families_that_do_not_meet_are_said(tmp_path: Path) -> None:
    """A flow of which no packet can be made is no flow."""
    with pytest.raises(InvalidInput, match="share no address family"):
        probes_of(
            file_of(
                tmp_path,
                "{from: 203.0.113.9, to: 'node/n1', port: 1}",
                "{from: '2001:db8::1', to: 203.0.113.9, port: 1}",
            )
        )


def test_pods_of_flows_play_in_a_lab_that_is_too_small(tmp_path: Path) -> None:
    """--max-pods must not leave out the very pods that are asked about."""
    asked = flows.load(file_of(tmp_path, "{from: shop/web, to: shop/db, port: 5432}"))
    prepared = prepare(snapshot_of(CLUSTER), Wishes(flows=asked, max_pods=1))
    assert {pod.name for pod in prepared.snapshot.endpoints} == {"web", "db"}
