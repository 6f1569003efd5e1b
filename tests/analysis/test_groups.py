"""Groups: a workload is one line, unless policies treat its pods differently."""

from __future__ import annotations

from outgate.analysis.connections import connections
from outgate.analysis.groups import Group, part_words
from outgate.policy.profile import AWS_VPC_CNI, OUTGATE
from outgate.testing import Manifest, pod, policy, snapshot_of
from tests.analysis.shop import deployment, owned


def groups(*cluster: Manifest) -> list[str]:
    """The groups of a cluster, with their pods."""
    found = connections(snapshot_of(cluster)).groups.all
    return [f"{one}: {' '.join(each.name for each in one.pods)}" for one in found]


def of(kind: str, name: str, *pods: Manifest) -> list[Manifest]:
    """Pods of one workload."""
    return [owned(one, kind, name) for one in pods]


def reader(**labels: str) -> Manifest:
    """A policy that isolates pods with these labels."""
    return policy("n/reader", {"podSelector": {"matchLabels": labels}})


def test_a_workload_is_one_group() -> None:
    """Labels that policies do not read, other nodes and other addresses make no difference."""
    web = of(
        "Deployment", "web", *(pod(f"n/web-{i}", [f"10.0.0.{i}"], on=f"n{i}", version=str(i)) for i in range(1, 4))
    )
    assert groups(*web, reader(app="web")) == ["n/Deployment/web: web-1 web-2 web-3"]


def test_a_workload_is_split_by_what_policies_read() -> None:
    """Other tools refuse such input; an error is no answer to an honest question."""
    web = of("StatefulSet", "web", *(pod(f"n/web-{i}", app="web", version=f"v{i}") for i in (1, 2, 3)))
    assert groups(*web, reader(version="v2")) == [
        "n/StatefulSet/web[web-1, web-3]: web-1 web-3",
        "n/StatefulSet/web[version=v2]: web-2",
    ]


def test_pods_that_are_treated_alike_stay_together() -> None:
    """A selector for v9 reads the label, and tells none of these pods from another."""
    web = of("Deployment", "web", *(pod(f"n/web-{i}", version=f"v{i}") for i in (1, 2)))
    assert groups(*web, reader(version="v9")) == ["n/Deployment/web: web-1 web-2"]


def test_a_group_is_answered_for_by_a_pod_of_its_own_namespace() -> None:
    """Two workloads that are split alike are not one: what "other namespaces" are, is each one's own."""
    pods = [
        owned(pod(f"{where}/web-{i}", app=where, version=f"v{i}"), "Deployment", "web")
        for where in ("one", "two")
        for i in (1, 2)
    ]
    found = connections(snapshot_of([*pods, reader(version="v9")]))
    assert [(one.namespace, str(one)) for one in found.groups.all] == [
        ("one", "one/Deployment/web"),
        ("two", "two/Deployment/web"),
    ]
    namespaces = [found.grid.identities.all[one.identity].namespace for one in found.groups.all]
    assert namespaces == ["one", "two"]


def test_a_block_splits_by_address() -> None:
    """Labels do not tell these apart, so the pods are named."""
    web = of("Deployment", "web", *(pod(f"n/web-{i}", [f"10.0.0.{i}"]) for i in (1, 2)))
    rule = {"from": [{"ipBlock": {"cidr": "10.0.0.1/32"}}]}
    assert groups(
        *web, pod("n/db", app="db"), policy("n/p", {"podSelector": {"matchLabels": {"app": "db"}}, "ingress": [rule]})
    ) == [
        "n/db: db",
        "n/Deployment/web[web-1]: web-1",
        "n/Deployment/web[web-2]: web-2",
    ]


def test_a_block_of_ipv6_splits_too() -> None:
    """Alike by IPv4 is not alike."""
    web = of("Deployment", "web", *(pod(f"n/web-{i}", [f"10.0.0.{i}", f"fd00::{i}"]) for i in (1, 2)))
    rule = {"from": [{"ipBlock": {"cidr": "fd00::2/128"}}]}
    db = policy("n/p", {"podSelector": {"matchLabels": {"app": "db"}}, "ingress": [rule]})
    found = groups(*web, pod("n/db", ["10.0.0.9", "fd00::9"], app="db"), db)
    assert found[1:] == ["n/Deployment/web[web-1]: web-1", "n/Deployment/web[web-2]: web-2"]


def test_labels_that_two_parts_have_name_neither() -> None:
    """Two parts of one version, of which a block covers one: only the other version is known by its label."""
    web = of("Deployment", "web", *(pod(f"n/web-{i}", [f"10.0.0.{i}"], v="2" if i == 3 else "1") for i in (1, 2, 3)))
    peers = [{"ipBlock": {"cidr": "10.0.0.1/32"}}, {"podSelector": {"matchLabels": {"v": "2"}}}]
    rules = [{"from": [one], "ports": [{"port": port}]} for port, one in enumerate(peers, 80)]
    db = policy("n/p", {"podSelector": {"matchLabels": {"app": "db"}}, "ingress": rules})
    assert groups(*web, pod("n/db", ["10.0.0.9"], app="db"), db)[1:] == [
        "n/Deployment/web[web-1]: web-1",
        "n/Deployment/web[web-2]: web-2",
        "n/Deployment/web[v=2]: web-3",
    ]


def test_address_families_split() -> None:
    """What has no address of a family is reached by none of it, and what is said of one pod is said of all."""
    web = of("Deployment", "web", pod("n/web-1", ["10.0.0.1"]), pod("n/web-2", ["10.0.0.2", "fd00::2"]))
    assert groups(*web) == ["n/Deployment/web[web-1]: web-1", "n/Deployment/web[web-2]: web-2"]


def test_port_names_split() -> None:
    """During a rollout one name stands for two numbers."""
    web = of(
        "Deployment",
        "web",
        pod("n/web-1", ports=[{"name": "http", "containerPort": 80}]),
        pod("n/web-2", ports=[{"name": "http", "containerPort": 8080}]),
    )
    assert len(groups(*web, policy("n/p", {"ingress": [{"ports": [{"port": "http"}]}]}))) == 2
    assert len(groups(*web, policy("n/p", {"ingress": [{"ports": [{"port": "other"}]}]}))) == 1


def test_a_port_name_that_needs_a_selector_splits() -> None:
    """On AWS a name beside a block means nothing, so that of two peers of one rule one is reached and one is not."""
    http = [{"name": "http", "containerPort": 80}]
    web = of("Deployment", "web", *(pod(f"n/web-{i}", [f"10.0.0.{i}"], ports=http, v=str(i)) for i in (1, 2)))
    peers = [{"ipBlock": {"cidr": "10.0.0.1/32"}}, {"podSelector": {"matchLabels": {"v": "2"}}}]
    rule = {"to": peers, "ports": [{"port": "http"}]}
    out = {"podSelector": {"matchLabels": {"app": "db"}}, "policyTypes": ["Egress"], "egress": [rule]}
    snapshot = snapshot_of([*web, pod("n/db", ["10.0.0.9"], app="db"), policy("n/p", out)])
    for profile, reached in ((OUTGATE, ["n/Deployment/web"]), (AWS_VPC_CNI, ["n/Deployment/web[v=2]"])):
        lines = connections(snapshot, profile)
        (db,) = lines.group("Pod", "n", "db")
        assert [str(lines.groups.all[place]) for place, _ in lines.reached(db)] == reached


def test_a_port_name_of_who_is_beside_splits() -> None:
    """Under a profile that selects host-network pods by address, a name means what it means to any of them there."""
    agents = of(
        "DaemonSet",
        "agent",
        *(pod(f"n/agent-{i}", [f"192.168.50.{i}"], on=f"node-{i}", host_network=True) for i in (1, 2)),
    )
    http = [{"name": "http", "containerPort": 80}]
    beside = pod("n/etcd", ["192.168.50.1"], on="node-1", host_network=True, ports=http)
    out = {"podSelector": {"matchLabels": {"app": "db"}}, "policyTypes": ["Egress"]}
    rule = {"to": [{"podSelector": {}}], "ports": [{"port": "http"}]}
    db = pod("n/db", ["10.0.0.9"], app="db")
    lines = connections(snapshot_of([*agents, beside, db, policy("n/p", {**out, "egress": [rule]})]), AWS_VPC_CNI)
    (group,) = lines.group("Pod", "n", "db")
    reached = [str(lines.groups.all[place]) for place, _ in lines.reached(group)]
    assert reached == ["n/DaemonSet/agent[agent-1]", "n/etcd"]


def test_the_host_network_splits() -> None:
    """A pod that shares its node's network is no pod to policies: what is said of the others is not said of it."""
    web = of("Deployment", "web", pod("n/web-1", ["10.0.0.1"]), pod("n/web-2", ["192.168.50.1"], host_network=True))
    assert groups(*web) == ["n/Deployment/web[web-1]: web-1", "n/Deployment/web[web-2]: web-2"]


def test_a_template_is_a_workload() -> None:
    """A repository has no pods, and its workloads count all the same."""
    assert groups(deployment("n/web", app="web"), pod("n/alone")) == ["n/alone: alone", "n/Deployment/web: web"]


def test_one_name_for_two_kinds() -> None:
    """A Job and a Deployment of one name are two workloads, in two namespaces four."""
    cluster = [*of("Job", "x", pod("n/a")), *of("Deployment", "x", pod("n/b")), *of("Job", "x", pod("m/a"))]
    assert groups(*cluster) == ["m/Job/x: a", "n/Deployment/x: b", "n/Job/x: a"]


def test_many_pods_are_counted() -> None:
    """A line with a thousand names is read by nobody."""
    pods = snapshot_of([pod(f"n/p{i}") for i in range(5)]).pods
    assert part_words(Group("Deployment", "n", "web", pods, 0, split=True)) == "p0, p1, p2 and 2 more"
