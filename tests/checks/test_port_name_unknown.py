"""A port name that no pod has."""

from __future__ import annotations

from outgate.testing import cluster_policy, pod, policy, service
from tests.checks.asking import ask, block, cilium, egress, entry, one, pods, to

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


def test_names_in_policies_of_ciliums() -> None:
    """Of pods by labels, of the cluster and behind Services; beside blocks every pod is asked."""
    to_db = {"toEndpoints": [{"matchLabels": {"app": "db"}}]}
    behind = {"toServices": [{"k8sService": {"serviceName": "db", "namespace": "shop"}}]}
    sql = service("shop/db", "10.96.0.9", [{"port": 80}], app="db")
    for whom in (to_db, behind, {"toEntities": ["cluster"]}, {}):
        assert not ask(RULE, cilium("shop/p", whom | entry("SQL")), DB, sql)
        found = one(RULE, cilium("shop/p", whom | entry("sq")), DB, sql)
        assert "names port sq (TCP), and no such port is on shop/db" in found.message
        assert found.place.path == "spec.egress[0].toPorts[0].ports[0].port"
    assert one(RULE, cilium("shop/p", denied=(to_db | entry("sq", "ANY"),)), DB).message.startswith(
        "shop/p egressDeny[0] names port sq, and"
    )
    assert not ask(RULE, cilium("shop/p", {"toCIDR": ["203.0.113.0/24"]} | entry("https")), DB)


def test_names_in_policies_of_the_cluster_are_of_any_protocol() -> None:
    """As the container port has it."""
    peer = {"pods": {"podSelector": {"matchLabels": {"app": "db"}}}}

    def naming(name: str) -> dict[str, object]:
        return cluster_policy(
            "p", egress=[{"action": "Deny", "to": [peer], "protocols": [{"destinationNamedPort": name}]}]
        )

    assert not ask(RULE, naming("sql"), DB)
    found = one(RULE, naming("sq"), DB)
    assert found.message == "ClusterNetworkPolicy p egress[0] names port sq, and no such port is on shop/db"
    assert found.place.path == "spec.egress[0].protocols[0].destinationNamedPort"
