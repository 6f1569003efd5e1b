"""Few rows and columns that tell everything: what shares a cell is alike, or the cell says so."""

from __future__ import annotations

from typing import Any

from outgate.packets import Protocol
from outgate.report.lab import ProbeResult
from outgate.report.lab_matrix import Column, Matrix, Section, State, matrix_of
from tests.report.lab_results import ALLOW, DENY, node, pod, result, world

A, DB = pod("a", 1), pod("db", 2, 5432)


def column(matrix: Matrix, head: str, sub: str) -> Column:
    """The one column of that name."""
    (found,) = [one for one in matrix.columns if (one.head, one.sub) == (head, sub)]
    return found


def cells(*probes: ProbeResult) -> dict[tuple[str, str, str], str]:
    """Row, head, sub and sign of every cell."""
    matrix = matrix_of(probes, 49152)
    return {(row, one.head, one.sub): state.value for (row, one), state in matrix.cells.items()}


def test_ports_that_are_treated_alike_share_a_column() -> None:
    """Thirty ports that are all denied are one fact."""
    probes = [result(A, DB, port, ALLOW if port == 5432 else DENY) for port in (5432, 80, 443, 49152)]
    assert cells(*probes) == {("shop/a", "db", "5432"): "✓", ("shop/a", "db", "other"): "✗"}


def test_one_column_where_everything_is_alike() -> None:
    """The word all says more than a list of ports."""
    assert cells(*(result(A, DB, port, DENY) for port in (5432, 80, 49152))) == {("shop/a", "db", "all"): "✗"}


def test_a_source_that_is_treated_differently_splits_the_column() -> None:
    """Merging by one source's eyes would hide the other's denial."""
    other = pod("c", 3)
    probes = [
        result(A, DB, 80, ALLOW),
        result(A, DB, 443, ALLOW),
        result(other, DB, 80, ALLOW),
        result(other, DB, 443, DENY),
    ]
    assert cells(*probes) == {
        ("shop/a", "db", "80"): "✓",
        ("shop/a", "db", "443"): "✓",
        ("shop/c", "db", "80"): "✓",
        ("shop/c", "db", "443"): "✗",
    }


def test_families_that_differ_show() -> None:
    """An IPv6 hole behind an IPv4 denial must not look like either."""
    six, db6 = pod("a", 1, version=6), pod("db", 2, 5432, version=6)
    four = cells(result(A, DB, 80, ALLOW), result(six, db6, 80, DENY))
    assert four == {("shop/a", "db", "80"): "4"}
    assert cells(result(A, DB, 80, DENY), result(six, db6, 80, ALLOW)) == {("shop/a", "db", "80"): "6"}


def test_a_disagreement_is_seen_through_everything_it_shares_a_cell_with() -> None:
    """One wrong packet among a thousand right ones is what the run is for."""
    probes = [result(A, DB, port, DENY) for port in range(1, 50)] + [result(A, DB, 49152, DENY, ALLOW)]
    assert State.DISAGREES.value in cells(*probes).values()
    itself = result(A, A, 80, ALLOW, DENY)
    assert cells(itself) == {("shop/a", "a", "80"): "!"}


def test_a_pod_to_itself_is_a_dot() -> None:
    """It never leaves the pod; a tick would look like a finding."""
    assert cells(result(A, A, 80, ALLOW)) == {("shop/a", "a", "80"): "·"}


def test_backends_that_differ_show() -> None:
    """Whether the connection passes hangs on which of them is picked."""
    probe = result(A, DB, 80, ALLOW, service="shop/db", via="service", backends=2, mixed=True)
    assert cells(probe) == {("shop/a", "db", "80"): "±"}


def test_services_by_address_and_by_name_share_a_column_where_alike() -> None:
    """By name fails where DNS is denied, and only then is it another column."""

    def both(by_name: object) -> dict[tuple[str, str, str], str]:
        name: dict[str, Any] = {"service": "shop/db", "via": "name", "name": "db.shop.svc.cluster.local"}
        address = result(A, DB, 5432, ALLOW, service="shop/db", via="service")
        return cells(address, result(A, DB, 5432, ALLOW if by_name else DENY, **name))

    assert both(True) == {("shop/a", "db", "5432"): "✓"}
    assert both(False) == {("shop/a", "db", "5432"): "✓", ("shop/a", "db", "by name"): "✗"}


def test_dns_over_both_transports_is_one_word() -> None:
    """53 and 53/UDP are DNS."""
    probes = [result(A, DB, 53, DENY, protocol=protocol) for protocol in (Protocol.TCP, Protocol.UDP)]
    probes.append(result(A, DB, 49152, ALLOW))
    assert ("shop/a", "db", "53") in cells(*probes)


def test_nodes_addresses_and_the_world_have_words() -> None:
    """A bare address means nothing to a reader."""
    matrix = matrix_of(
        (
            result(A, node("n1"), 22, DENY),
            result(A, node("n2"), 22, ALLOW),
            result(node("n1"), A, 80, ALLOW),
            result(world("192.0.2.1"), A, 80, ALLOW),
            result(world("198.51.100.9"), A, 80, DENY, reason="just outside 198.51.100.8/32"),
            result(A, world("169.254.169.254"), 80, DENY, reason="metadata service"),
            result(A, world("203.0.113.10"), 443, DENY, reason="inside 203.0.113.0/24"),
        ),
        49152,
    )
    assert matrix.rows == ("shop/a", "198.51.100.9", "own node", "the world")
    assert [one.head for one in matrix.columns if one.section is Section.OUTSIDE] == [
        "own node",
        "another node",
        "metadata",
        "203.0.113.10",
    ]
    assert set(matrix.legend) == {
        "198.51.100.9: just outside 198.51.100.8/32",
        "metadata: 169.254.169.254",
        "203.0.113.10: inside 203.0.113.0/24",
    }


def crowd(*, odd: int | None = None, count: int = 14) -> list[ProbeResult]:
    """Pods that are all denied to each other; `odd` may do more than the others."""
    pods = [pod(f"p{number:02}", number + 1) for number in range(count)]
    return [
        result(one, other, 80, ALLOW if odd is not None and one is pods[odd] and other is pods[0] else DENY)
        for one in pods
        for other in pods
        if one is not other
    ]


def test_a_crowd_that_behaves_alike_is_one_row_and_one_column() -> None:
    """Fifty equal rows are read by nobody."""
    matrix = matrix_of(crowd(), 49152)
    assert matrix.rows == ("shop/p00 +13",)
    assert matrix.cells == {("shop/p00 +13", column(matrix, "p00 +13", "80")): State.DENIED}


def test_whoever_differs_keeps_a_row() -> None:
    """The one pod that may do more is the one to be seen."""
    matrix = matrix_of(crowd(odd=5), 49152)
    assert "shop/p05" in matrix.rows
    assert "shop/p00" in matrix.rows
    assert any(row.endswith("+11") for row in matrix.rows)
    assert matrix.cells["shop/p05", column(matrix, "p00", "80")] is State.ALLOWED


def test_a_small_cluster_is_shown_whole() -> None:
    """Who knows the pods by name wants to find them."""
    assert len(matrix_of(crowd(count=12), 49152).rows) == 12
