"""Properties 8 to 12: what an agent does to the kernel's table, how often, and what the table looks like then."""

from __future__ import annotations

import ipaddress
import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from outgate.host.nft_elements import ElementDoor
from outgate.testing import Manifest, namespace, pod, policy
from tests.lab.agent.cast import CLUSTER, allow, deny
from tests.lab.agent.farm import Farm, grow
from tests.lab.agent.frames import TCP, UDP
from tests.lab.agent.volley import Ears, aimed

pytestmark = pytest.mark.kernel

THREE = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "three"}}}
TWO = next(one for one in CLUSTER if one["metadata"]["name"] == "two")
NEAR = ["10.1.0.11", "fd00:1::11"]


def listing(farm: Farm, node: str) -> list[dict[str, Any]]:
    """Our table as `nft` lists it, object by object."""
    done = farm.stage.run(farm.stage.nodes[node], ("nft", "-nn", "-a", "-j", "list", "table", "inet", "outgate"))
    items: list[dict[str, Any]] = json.loads(done.stdout)["nftables"]
    return items


def fixed(farm: Farm, node: str) -> list[str]:
    """All but elements and counters, with handles: what was made anew has another. The epoch's rules may change."""
    found = []
    for item in listing(farm, node):
        (kind, one), *_ = item.items()
        if kind in {"metainfo", "table"} or one.get("chain") in {"est", "stamp"}:
            continue
        one.pop("elem", None)
        found.append(json.dumps([kind, one.get("name") or one.get("chain"), one.get("handle"), one.get("comment")]))
    return found


def generations(farm: Farm, node: str, what: Callable[[], object]) -> int:
    """How many transactions of anybody a node's nftables has seen by the time that all agents have settled."""
    with farm.stage.enter(farm.stage.nodes[node]):
        door = ElementDoor()
    with door:
        before = door.generation()
        what()
        farm.settle()
        return door.generation() - before


PODS: dict[str, tuple[Manifest, int]] = {
    "of this node, and a peer": (pod("a/new", NEAR, on="n1", app="three"), 1),
    "of this node, in a class that is there": (pod("a/new", NEAR, on="n1", app="one"), 1),
    "elsewhere, and a peer": (pod("b/new", ["10.1.1.77", "fd00:1:1::77"], on="n2", app="three"), 1),
    "elsewhere, and nobody's peer": (pod("b/new", ["10.1.1.77"], on="n2", app="other"), 0),
}
"""A pod, and the transactions on node n1 when it comes, and when it goes."""


@pytest.mark.parametrize("case", PODS)
def test_08_a_pod_is_one_transaction(case: str) -> None:
    """However many addresses and sets it has part in; and nothing but elements of sets is touched."""
    newcomer, count = PODS[case]
    path = newcomer["metadata"]["namespace"], newcomer["metadata"]["name"]

    def check(farm: Farm) -> None:
        farm.server.delete("Pod", "a", "two")
        farm.settle()
        before = fixed(farm, "n1")
        assert generations(farm, "n1", lambda: farm.server.put(newcomer)) == count
        assert generations(farm, "n1", lambda: farm.server.delete("Pod", *path)) == count
        assert fixed(farm, "n1") == before

    grow([*CLUSTER, allow("a/p", THREE, 7000)], check)


def test_08_a_policy_is_one_flip() -> None:
    """Two or three transactions: what is new is made and filled, the rules are turned, what is old is removed."""

    def check(farm: Farm) -> None:
        for number, change in enumerate((allow("a/p", THREE, 7001), allow("a/p", THREE, 7001, 7002), deny("a/p"))):

            def once(change: Manifest = change) -> None:
                farm.server.put(change)

            def again(change: Manifest = change, number: int = number) -> None:
                # What `kubectl apply` leaves behind means nothing; what comes after it is nothing on this node.
                noted = {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}}
                farm.server.put({**change, "metadata": {**change["metadata"], **noted}})
                farm.server.put(deny(f"b/marker-{number}", app="three"))

            assert 0 < generations(farm, "n1", once) <= 3
            assert generations(farm, "n1", again) == 0

    grow([*CLUSTER, allow("a/p", THREE, 7000)], check)


def last_process() -> int:
    """The number of the last process or thread that anybody began in this lab (proc(5), ``/proc/loadavg``)."""
    return int(Path("/proc/loadavg").read_text().split()[-1])


def test_09_a_pod_starts_no_process() -> None:
    """Where each address is a process, so many births at once are as many processes, and an interval set stops all."""

    def check(farm: Farm) -> None:
        begun, doors = last_process(), [dict(one.told) for one in farm.agents.values()]
        for number in range(20):
            farm.server.put(pod(f"b/new-{number}", [f"10.1.1.{100 + number}"], on="n2", app="three"))
            farm.settle()
        farm.server.delete("Pod", "a", "two")
        farm.settle()
        farm.server.put(TWO)
        farm.settle()
        assert last_process() == begun
        os.waitpid(os.fork() or os._exit(0), 0)  # the child has no value, nor a life
        assert last_process() > begun, "or what is counted is nothing"
        for one, before in zip(farm.agents.values(), doors, strict=True):
            assert one.told["text"] == before["text"]
            assert one.told["netlink"] > before["netlink"]

    grow([*CLUSTER, allow("a/p", THREE, 7000)], check)


BLOCKS: list[Manifest] = [
    {"ipBlock": {"cidr": "203.0.113.0/24", "except": ["203.0.113.0/26", "203.0.113.128/25"]}},
    {"ipBlock": {"cidr": "203.0.0.0/16", "except": ["203.0.112.0/20"]}},
    {"ipBlock": {"cidr": "203.0.113.32/27"}},
    {"ipBlock": {"cidr": "2001:db8::/32", "except": ["2001:db8:1::/48"]}},
    {"ipBlock": {"cidr": "2001:db8:1:8000::/49"}},
]
PORTS = {0: 7000, 1: 7001, 2: 7000, 3: 7000, 4: 7001}
BORDERS = ("203.0.113.31", "203.0.113.32", "203.0.113.63", "203.0.113.64", "203.0.113.127", "203.0.113.128")
MORE = ("203.0.111.255", "203.0.112.0", "203.0.127.255", "203.0.128.0", "203.1.0.0", "2001:db8:0:ffff::1")
SIX = ("2001:db8:1::1", "2001:db8:1:7fff::1", "2001:db8:1:8000::1", "2001:db8:2::1", "2001:db9::1")


def covers(block: Manifest, address: str) -> bool:
    """Whether a block has an address, by the standard library."""
    written, it = block["ipBlock"], ipaddress.ip_address(address)
    return it in ipaddress.ip_network(written["cidr"]) and not any(
        it in ipaddress.ip_network(one) for one in written.get("except", [])
    )


def spans(element: Any) -> list[tuple[int, int]]:
    """The range of each field of a set's element, as numbers."""
    value = element[0] if isinstance(element, list) else element
    value = value["elem"]["val"] if isinstance(value, dict) and "elem" in value else value
    fields = value["concat"] if isinstance(value, dict) and "concat" in value else [value]
    return [_span(one) for one in fields]


def _span(field: Any) -> tuple[int, int]:
    if isinstance(field, dict) and "range" in field:
        return _span(field["range"][0])[0], _span(field["range"][1])[1]
    if isinstance(field, dict) and "prefix" in field:
        block = ipaddress.ip_network((field["prefix"]["addr"], field["prefix"]["len"]))
        return int(block.network_address), int(block.broadcast_address)
    number = field if isinstance(field, int) else int(ipaddress.ip_address(field))
    return number, number


def test_10_addresses_are_hashed_and_blocks_are_disjoint_intervals() -> None:
    """As `nft` lists it; and at every border, by packets, what the standard library says of the blocks."""
    rules: list[Manifest] = [
        {"to": [block], "ports": [{"port": PORTS[number], "protocol": "UDP"}]} for number, block in enumerate(BLOCKS)
    ]
    rules += [{"to": [THREE], "ports": [{"port": "web"}]}, {"to": [THREE], "ports": [{"port": 7002}]}]
    spec = {"podSelector": {"matchLabels": {"app": "one"}}, "policyTypes": ["Egress"], "egress": rules}

    def check(farm: Farm) -> None:
        sets = {
            one["name"]: one for item in listing(farm, "n1") for kind, one in item.items() if kind in {"set", "map"}
        }
        kinds = {name[0]: "interval" in one.get("flags", []) for name, one in sets.items()}
        assert kinds["p"] is kinds["n"] is kinds["e"] is kinds["i"] is False, "pods, port names, maps, links"
        assert kinds["b"] is True
        blocks = [one for name, one in sets.items() if name[0] == "b"]
        assert len(blocks) == 2, "one of each family; replies are looked up in the same"
        for one in blocks:
            cubes = [spans(element) for element in one["elem"]]
            for left, right in itertools.combinations(cubes, 2):
                meets = [a[0] <= b[1] and b[0] <= a[1] for a, b in zip(left, right, strict=True)]
                assert not all(meets), (one["name"], left, right)
        tried = [(address, port) for address in (*BORDERS, *MORE, *SIX) for port in (7000, 7001)]
        with Ears(farm) as ears:
            shots = [aimed(farm, "a/one", at, UDP, port, ipaddress.ip_address(at).version) for at, port in tried]
            came = ears.verdicts(shots)
        for (address, port), is_ in zip(tried, came, strict=True):
            allowed = any(covers(block, address) and PORTS[number] == port for number, block in enumerate(BLOCKS))
            assert is_ == allowed, (address, port)

    grow([*CLUSTER, policy("a/p", spec)], check)


def test_11_pods_of_the_same_policies_share_their_chains() -> None:
    """A chain for each pod makes 71 000 of them, and hours (a peer's): here the number of pods does not show."""

    def check(farm: Farm) -> None:
        def chains() -> set[str]:
            return {item["chain"]["name"] for item in listing(farm, "n1") if "chain" in item}

        before = chains()
        farm.server.put_all(
            pod(f"a/more-{number}", [f"10.1.0.{100 + number}"], on="n1", app="one") for number in range(39)
        )
        farm.settle()
        assert chains() == before
        maps = {one["name"]: one for item in listing(farm, "n1") for kind, one in item.items() if kind == "map"}
        ways = [way for address, way in maps["eg4"]["elem"] if address.startswith("10.1.0.")]
        assert len(ways) == 41
        assert len({json.dumps(one) for one in ways if "goto" in one}) == 1

    grow([*CLUSTER, allow("a/p", THREE, 7000)], check)


PAIRS = [("prod", "x"), ("pro", "dx"), ("a-b", "c"), ("a", "b-c"), ("q", "p1"), ("q", "p")]
"""Namespace and policy. Put together with nothing, or a hyphen, between, some of them have one name; so do rule 1 of
policy p1 and rule 11 of policy p."""


def test_12_names_are_injective() -> None:
    """Peers have given two policies one chain: then each pod has the policy that was written last."""
    spaces = sorted({one for one, _ in PAIRS})
    cluster = [*CLUSTER[:2], *(namespace(one) for one in spaces), namespace("far")]
    ports = {pair: 7000 + 20 * number for number, pair in enumerate(PAIRS)}
    for number, (where, name) in enumerate(PAIRS):
        rules = [{"ports": [{"port": ports[where, name] + rule, "protocol": "TCP"}]} for rule in range(12)]
        spec = {"podSelector": {"matchLabels": {"app": name}}, "policyTypes": ["Egress"], "egress": rules}
        cluster += [
            pod(f"{where}/{name}", [f"10.1.0.{50 + number}", f"fd00:1::{50 + number}"], on="n1", app=name),
            policy(f"{where}/{name}", spec),
        ]
    cluster.append(pod("far/server", ["10.1.1.10", "fd00:1:1::10"], on="n2"))

    def check(farm: Farm) -> None:
        tried = [(pair, other, rule) for pair in PAIRS for other in PAIRS for rule in (0, 1, 11)]
        with Ears(farm) as ears:
            came = ears.verdicts(
                [aimed(farm, "/".join(pair), "far/server", TCP, ports[other] + rule) for pair, other, rule in tried]
            )
        assert came == [pair == other for pair, other, _ in tried]
        counted = farm.counted("n1")
        rules = [packets for chain, packets in counted.items() if chain.startswith("r_")]
        assert sorted(rules) == [0] * 9 * len(PAIRS) + [1] * 3 * len(PAIRS), "each rule has a counter of its own"

    grow(cluster, check)
