"""States of an agent, as they come about: a cluster is told, the kernel says that it has taken what it was given."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

from outgate.agent.events import Applied, Event, Linked, Listed
from outgate.agent.settings import Settings
from outgate.agent.step import CLUSTER_POLICIES, State, plan
from outgate.cluster.events import Replaced
from outgate.model import CiliumPolicy, Pod, Snapshot
from outgate.model.cilium import CiliumObject
from outgate.model.cilium_kinds import CILIUM_POLICIES, GROUP
from outgate.nft.options import Options
from outgate.packets import Address
from outgate.testing import Manifest, namespace, node, pod, policy, snapshot_of

__all__ = ["NODE", "SHOP", "agent", "enforced", "settings", "tell", "told", "told_pod"]

NODE = "node-a"

SHOP: tuple[Manifest, ...] = (
    node(NODE, ["192.168.0.1"]),
    node("node-b", ["192.168.0.2"]),
    namespace("shop"),
    namespace("out"),
    pod("shop/web", ["10.0.0.1", "fd00::1"], on=NODE, app="web"),
    pod("shop/cart", ["10.0.0.2"], on=NODE, app="cart"),
    pod("out/far", ["10.0.1.1"], on="node-b", app="far"),
    policy(
        "shop/web",
        {
            "podSelector": {"matchLabels": {"app": "web"}},
            "policyTypes": ["Egress"],
            "egress": [{"to": [{"podSelector": {"matchLabels": {"app": "cart"}}}], "ports": [{"port": 80}]}],
        },
    ),
)
"""A node with two pods, of which one may only call the other."""


def told_pod(one: Pod) -> Pod:
    """A pod as the API server tells of it: with a uid, and without the stand-ins of a snapshot."""
    known = one if one.addressed else dataclasses.replace(one, addresses=(), addressed=True)
    return dataclasses.replace(known, uid=f"uid-of-{one.name}")


def told(snapshot: Snapshot) -> tuple[Event, ...]:
    """All kinds, as lists."""
    pods = tuple(told_pod(one) for one in snapshot.pods)
    return (
        Replaced("Namespace", tuple(snapshot.namespaces.values())),
        Replaced("Node", tuple(snapshot.nodes.values())),
        Replaced("NetworkPolicy", tuple(snapshot.policies)),
        *of_the_cluster(snapshot),
        Replaced("Pod", pods),
    )


def of_the_cluster(snapshot: Snapshot | None = None) -> tuple[Replaced, ...]:
    """The kinds of policies of the whole cluster, as lists; empty ones where there is no snapshot."""
    many = snapshot.cluster_policies if snapshot is not None else ()
    above = tuple(Replaced(kind, tuple(one for one in many if one.kind == kind)) for kind in sorted(CLUSTER_POLICIES))
    return (*above, *of_cilium(snapshot))


def of_cilium(snapshot: Snapshot | None = None) -> tuple[Replaced, ...]:
    """The kinds of Cilium's likewise: its policies by the objects that they stand in."""
    objects: dict[tuple[str, str, str], list[CiliumPolicy]] = {}
    for one in snapshot.cilium_policies if snapshot is not None else ():
        objects.setdefault((one.kind, one.namespace, one.name), []).append(one)
    made = [CiliumObject(*key, tuple(policies)) for key, policies in objects.items()]
    groups = snapshot.cidr_groups if snapshot is not None else ()
    return (
        *(Replaced(kind, tuple(one for one in made if one.kind == kind)) for kind in CILIUM_POLICIES),
        Replaced(GROUP, groups),
    )


def settings(folder: Path, **more: object) -> Settings:
    """Those of an agent whose files lie in a folder."""
    return Settings(NODE, run_dir=folder, **more)  # type: ignore[arg-type]  # a table of keywords


def agent(options: Options | None = None) -> State:
    """One that knows nothing."""
    return State.of(NODE, options or Options())


def tell(state: State, *events: Event) -> None:
    """What happens, without any answer of the kernel."""
    plan(state, events)


def enforced(
    manifests: Iterable[Manifest] = SHOP, options: Options | None = None, links: dict[Address, str] | None = None
) -> State:
    """An agent that has been told of a cluster, and whose kernel took what it was given."""
    state = agent(options)
    first: tuple[Event, ...] = (Linked(links),) if links is not None else ()
    tell(state, *first, *told(snapshot_of(manifests)), Listed(None))
    tell(state, Applied())
    assert state.settled
    return state
