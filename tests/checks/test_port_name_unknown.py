"""A port name that no pod has."""

from __future__ import annotations

from outgate.testing import pod, policy
from tests.checks.asking import ask, block, egress, one, pods, to

RULE = "port-name-unknown"
DB = pod("shop/db", ["10.1.0.2"], ports=[{"name": "sql", "containerPort": 5432}], app="db")


def by(name: str, protocol: str = "TCP") -> list[dict[str, object]]:
    """A port by its name."""
    return [{"port": name, "protocol": protocol}]


def test_the_names_that_there_are() -> None:
    """Near ones first; if none is near, all."""
    found = one(RULE, egress("shop/p", to(pods(app="db"), ports=by("sq"))), DB)
    assert found.message == "shop/p egress[0] names port sq (TCP), and no such port is on shop/db"
    assert found.help == "they have sql"


def test_name_and_protocol_must_both_be_the_ports() -> None:
    """A name for TCP is no name for UDP."""
    found = one(RULE, egress("shop/p", to(pods(app="db"), ports=by("sql", "UDP"))), DB)
    assert found.help == "the pods have it for TCP"
    assert not ask(RULE, egress("shop/p", to(pods(app="db"), ports=by("sql"))), DB)


def test_names_beside_blocks_mean_nothing() -> None:
    """There is no pod to ask; beside a selector as well there may be one."""
    found = one(RULE, egress("shop/p", to(block("203.0.113.0/24"), ports=by("https"))), DB)
    assert found.help == "write the number"
    assert not ask(RULE, egress("shop/p", to(block("203.0.113.0/24"), pods(app="db"), ports=by("sql"))), DB)


def test_on_ingress_the_subjects_are_asked() -> None:
    """Whoever the peers are."""
    spec = {
        "podSelector": {"matchLabels": {"app": "db"}},
        "ingress": [{"from": [block("10.0.0.0/8")], "ports": by("x")}],
    }
    assert len(ask(RULE, policy("shop/p", spec), DB)) == 1
    spec["ingress"] = [{"from": [block("10.0.0.0/8")], "ports": by("sql")}]
    assert not ask(RULE, policy("shop/p", spec), DB)


def test_nobody_is_there_to_ask() -> None:
    """Then nothing is known."""
    assert not ask(RULE, egress("shop/p", to(pods(app="nobody"), ports=by("x"))), DB)
    assert len(ask(RULE, egress("shop/p", {"ports": by("x")}), DB)) == 1
