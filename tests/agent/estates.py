"""Agents that have heard of a whole cluster, and have it in the kernel as far as they know."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterable, Mapping

from outgate.agent.events import Applied, Linked, Listed
from outgate.agent.step import Apply, State, plan
from outgate.cluster.events import Replaced
from outgate.nft.options import Options
from outgate.policy import Mode
from outgate.testing import Manifest, namespace, pod, policy, snapshot_of
from tests.agent.states import of_the_cluster
from tests.lab.flood import POD

__all__ = ["ENFORCED", "NODE", "agent", "big", "gatehouse"]

NODE = "node-a"
ENFORCED = Options(interface_prefix="ogp", mode=Mode.ENFORCE)


def agent(manifests: Iterable[Manifest], options: Options = ENFORCED, links: Mapping[str, str] | None = None) -> State:
    """The agent of `NODE` after it has programmed these manifests."""
    snapshot = snapshot_of(manifests)
    pods = tuple(
        one if one.addressed else dataclasses.replace(one, addresses=(), addressed=True) for one in snapshot.pods
    )
    state, commands = plan(
        State.of(NODE, options),
        [
            Linked({ipaddress.ip_address(one): link for one, link in (links or {}).items()}),
            Listed(None),
            Replaced("Namespace", tuple(snapshot.namespaces.values())),
            Replaced("Node", tuple(snapshot.nodes.values())),
            Replaced("NetworkPolicy", snapshot.policies),
            *of_the_cluster(snapshot),
            Replaced("Pod", pods),
        ],
    )
    assert isinstance(commands[-1], Apply)
    state, _ = plan(state, [Applied()])
    assert state.ready
    assert state.settled
    return state


def gatehouse(*, options: Options = ENFORCED) -> State:
    """The router of `tests.lab.flood`: its pod may send UDP to port 53, and nothing else."""
    spec = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"ports": [{"protocol": "UDP", "port": 53}]}]}
    address = str(ipaddress.ip_address(POD))
    manifests = [pod("shop/web", [address], on=NODE, app="web"), policy("shop/dns-alone", spec)]
    return agent(manifests, options, {address: "ogp1"})


def big(pods: int, kinds: int = 400, policies: int = 100) -> State:
    """A large cluster, of which `NODE` has 110 pods."""
    everybody = [{"to": [{"namespaceSelector": {}}], "ports": [{"port": 80}]}]
    manifests = [namespace(f"ns{n}", team=f"t{n}") for n in range(20)]
    manifests += [
        policy(
            f"ns{n % 20}/p{n}",
            {
                "podSelector": {"matchLabels": {"app": f"a{n * 3 % kinds}"}},
                "policyTypes": ["Egress"],
                "egress": [{"to": [{"podSelector": {"matchLabels": {"app": f"a{(n + k) % kinds}"}}}]} for k in range(3)]
                + everybody,
            },
        )
        for n in range(policies)
    ]
    first = int(ipaddress.ip_address("10.0.0.0"))
    for number in range(pods):
        here = NODE if number < 110 else f"node-{number // 110}"
        kind = number % kinds
        address = str(ipaddress.ip_address(first + number))
        manifests.append(pod(f"ns{kind % 20}/pod-{number}", [address], on=here, app=f"a{kind}", tier=f"t{kind % 7}"))
    return agent(manifests)
