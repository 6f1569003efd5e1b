"""The list in text: by source, aligned, and short where everything is alike."""

from __future__ import annotations

from outgate.analysis.connections import connections
from outgate.report.connections_text import connections_text
from outgate.testing import pod, policy, snapshot_of
from tests.analysis.shop import EGRESS_TO_DB, INGRESS_OF_DB, snapshot
from tests.report.asking import asking


def text(*cluster: object, count: int | None = None) -> list[str]:
    """The lines for a cluster."""
    found = connections(snapshot_of(cluster))  # type: ignore[arg-type]  # manifests
    return "".join(connections_text(found, len(found.groups.all) if count is None else count)).splitlines()


def test_a_source_and_its_destinations() -> None:
    """Ports stand in one column, so that the eye can run down it."""
    found = connections(snapshot(EGRESS_TO_DB, INGRESS_OF_DB))
    lines = "".join(connections_text(found, len(found.groups.all))).splitlines()
    at = lines.index("shop/ReplicaSet/web")
    assert lines[at + 1 : at + 4] == [
        "  → data/db          TCP 5432, TCP 8050-8100",
        "  → data/lone        TCP 5432, TCP 8000-8100",
        "  → 203.0.113.0/25   TCP 443",
    ]


def test_everybody_is_one_line() -> None:
    """A hundred lines that say the same hide the one that does not. With one left out they are all named."""
    cluster = [pod(f"n/p{i}") for i in range(4)]
    assert text(*cluster)[:3] == [
        "n/p0",
        "  → every other workload   every port",
        "  → every address          every port",
    ]
    deny = policy("m/deny", {})
    assert text(*cluster, pod("m/x"), deny)[3:6] == [
        "n/p0",
        "  → n/p1            every port",
        "  → n/p2            every port",
    ]


def test_two_workloads_are_named() -> None:
    """One other is no "every other": its name is shorter and says more."""
    assert text(pod("n/a"), pod("n/b"))[1] == "  → n/b             every port"


def test_nothing_is_said() -> None:
    """An empty answer looks like a failure."""
    assert text() == ["no workloads"]
    closed = policy("a/p", {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})
    assert text(pod("a/x"), closed) == ["no connection is allowed"]


def test_what_is_asked_of_ports() -> None:
    """Behind the ports, in their order; of a port of which both ends ask, each end says what it asks."""
    listed, only = asking()
    name, *lines = connections_text(listed, 2, only)
    assert name == "shop/web\n"
    both = (
        'where it leaves, TCP 80 only for requests of HTTP GET /v1|"<b>\\d or requests of HTTP HEAD *',
        "where it enters, TCP 80 only for requests of HTTP POST *",
    )
    block = "TCP 80 only for requests of HTTP POST *", "TCP 8443 only for TLS to a server named a.example.com"
    assert [line.strip() for line in lines] == [
        f"→ shop/api        TCP 80, TCP 443 ({'; '.join(both)})",
        f"→ 192.0.2.0/24    TCP 9, TCP 80, TCP 8443 ({'; '.join(block)})",
        "→ b.example.com   TCP 80 (only for requests of HTTP POST *)",
    ]


def test_to_an_address_outside_all_workloads_are_others() -> None:
    """It is none of them: four of five that it reaches were called "every other", as if it reached the fifth."""
    cluster = [pod(f"n/p{i}") for i in range(4)]
    assert text(*cluster)[-2:] == ["every address", "  → every workload   every port"]
    closed = policy("n/closed", {"podSelector": {"matchLabels": {"app": "x"}}, "policyTypes": ["Ingress"]})
    lines = text(*cluster, pod("n/x", app="x"), closed)
    assert lines[lines.index("every address") + 1 :] == [f"  → n/p{i}   every port" for i in range(4)]
