"""What an agent says of itself is true: above all that it does not say "ready" where it is not."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path

import pytest

from outgate.agent.events import Applied, Drifted, Listed, Refused
from outgate.agent.status import Publisher, elements_of
from outgate.agent.step import NEEDED, State
from outgate.cluster.events import Broken, Recovered, Replaced, Troubled, Upserted
from outgate.cluster.watch_decode import KINDS, Reader
from outgate.errors import InputError
from outgate.nft.options import Options
from outgate.packets import Address
from outgate.policy import Mode
from outgate.report.agent_status import AgentStatus, read_status
from outgate.report.packet_log import rfc3339
from outgate.testing import cluster_policy, namespace, pod, policy, snapshot_of
from tests.agent.states import SHOP, agent, enforced, settings, tell, told
from tests.report.schema import complaints

WEB, CART = (ipaddress.ip_address("10.0.0.1"), ipaddress.ip_address("10.0.0.2"))
WEB6 = ipaddress.ip_address("fd00::1")


class Clock:
    """Time as a test wants it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Monotonic seconds."""
        return self.now


def publisher(folder: Path, clock: Clock | None = None, **more: object) -> Publisher:
    """One whose clocks stand still."""
    return Publisher(settings(folder, **more), clock=clock or Clock(), wall=lambda: 1.7e9)


def status(state: State, folder: Path, **more: object) -> AgentStatus:
    """What is published of a state, as it stands in the file."""
    one = publisher(folder, None, **more)
    one.publish(state)
    text = one.settings.status_file.read_bytes()
    assert complaints(json.loads(text)) == []
    return read_status(text, "status.json")


def test_a_node_in_order(tmp_path: Path) -> None:
    """The numbers are those of the cluster and of the table."""
    state = enforced()
    found = status(state, tmp_path)
    assert found.ready
    assert found.pods == {"enforced": 2, "waiting": 0, "contested": 0, "unenforceable": 0}
    assert found.policies == {"enforce": 1, "audit": 0, "broken": 0}
    assert (found.unenforced, found.broken, found.hindrances, found.troubled) == ((), (), (), {})
    assert (found.node, found.generation, found.epoch, found.mode) == ("node-a", 1, state.epoch, "enforce")
    assert found.synced == tuple(sorted(NEEDED))
    # Three addresses in the four maps of their families; one peer set has cart's address.
    assert found.elements == {"dispatch": 12, "peers": 1, "ports": 0, "blocks": 0, "links": 0}
    assert found.started == found.written == "2023-11-14T22:13:20.000Z"


def test_elements_are_counted_by_what_sets_are_for() -> None:
    """Every set of a table belongs to one family; otherwise the gauge would miss a set that grows."""
    blocks = policy(
        "shop/blocks",
        {
            "podSelector": {},
            "policyTypes": ["Egress"],
            "egress": [
                {"to": [{"ipBlock": {"cidr": "1.0.0.0/8"}}]},
                {"to": [{"ipBlock": {"cidr": "2.0.0.0/8"}}], "ports": [{"port": 80}]},
                {"ports": [{"port": 80}, {"port": 90}]},
                {"to": [{"podSelector": {}}], "ports": [{"port": "http"}]},
            ],
        },
    )
    named = pod("shop/named", ["10.0.0.9"], on="node-a", ports=[{"name": "http", "containerPort": 8080}])
    links: dict[Address, str] = {WEB: "veth1", WEB6: "veth1", CART: "veth2", ipaddress.ip_address("10.0.0.9"): "veth3"}
    state = enforced([*SHOP, blocks, named], Options(interface_prefix="veth"), links)
    found = elements_of(state)
    assert sum(found.values()) == sum(len(one.elements) for one in state.desired.sets.values())
    assert all(found.values())


def test_before_the_lists_have_come_it_is_not_ready(tmp_path: Path) -> None:
    """And a pod that it knows of waits, and it says for what."""
    state = agent()
    tell(state, *told(snapshot_of(SHOP))[3:], Listed(None))
    one = publisher(tmp_path)
    one.publish(state)
    assert one.ready() == (False, "the API server has not told of every Namespace, NetworkPolicy, Node yet")
    assert one.current is not None
    assert one.current.pods["waiting"] == 2
    assert "NetworkPolicy" in one.current.unenforced[0].reason


def test_a_change_on_its_way_is_no_enforcement_yet(tmp_path: Path) -> None:
    """The generation counts what was planned; ready is what the kernel has confirmed."""
    state = agent()
    one = publisher(tmp_path)
    assert one.ready() == (False, "the agent is starting")
    tell(state, *told(snapshot_of(SHOP)), Listed(None))
    assert (state.ready, state.changing) == (True, True)
    one.publish(state)
    assert one.ready() == (False, "the rules are not in the kernel yet")
    tell(state, Refused("no"))
    one.publish(state)
    assert one.ready() == (False, "the kernel refused the last change: no")
    tell(state, Listed(None))
    tell(state, Applied())
    one.publish(state)
    assert one.ready() == (True, "ok")


def test_ready_is_taken_back_for_what_makes_it_untrue(tmp_path: Path) -> None:
    """A refusal, somebody's hand in the table, a node that cannot enforce; and given again when it is over."""
    state = enforced()
    one = publisher(tmp_path)
    one.publish(state)
    assert one.ready()[0]
    tell(state, Drifted("somebody"))
    one.publish(state)
    assert one.ready() == (False, "somebody has changed our table, and it is not mended yet")
    tell(state, Listed(state.actual))
    one.publish(state)
    assert one.ready()[0]
    one.hindered(["bridged packets pass no hook: load br_netfilter"])
    one.publish(state)
    assert one.ready() == (False, "this node cannot be enforced: bridged packets pass no hook: load br_netfilter")
    one.hindered([])
    one.publish(state)
    assert one.ready()[0]


def test_on_a_hindered_node_no_pod_counts_as_enforced(tmp_path: Path) -> None:
    """Whatever is in the kernel."""
    one = publisher(tmp_path)
    one.hindered(["no bridge netfilter"])
    one.publish(enforced())
    assert one.current is not None
    assert one.current.pods == {"enforced": 0, "waiting": 0, "contested": 0, "unenforceable": 2}
    assert (one.current.ready, one.current.hindrances) == (False, ("no bridge netfilter",))


def test_a_lost_api_server_is_lag_and_not_unreadiness(tmp_path: Path) -> None:
    """The rules stand; since when there are no news is told."""
    clock, state = Clock(), enforced()
    one = publisher(tmp_path, clock)
    tell(state, Troubled("Pod", "connection refused"))
    one.publish(state)
    clock.now += 90
    one.publish(state)
    assert one.ready()[0]
    assert one.current is not None
    assert one.current.troubled == {"Pod": "connection refused"}
    assert one.current.lag.watch == {kind: 90 if kind == "Pod" else 0 for kind in NEEDED}
    tell(state, Recovered("Pod"))
    clock.now += 1
    one.publish(state)
    assert one.current.lag.watch["Pod"] == 0


def test_the_lag_of_the_kernel_is_that_of_the_oldest_change(tmp_path: Path) -> None:
    """From when it was read until it is in; also while it is on its way."""
    clock, state = Clock(), enforced()
    one = publisher(tmp_path, clock)
    tell(state, Drifted("somebody"))
    (changed,) = snapshot_of([pod("shop/cart", ["10.0.0.7"], on="node-a", app="cart")]).pods
    tell(state, Upserted("Pod", changed, clock.now - 5))
    one.publish(state)
    assert one.current is not None
    assert one.current.lag.kernel == 5
    one.applying([clock.now - 7])
    clock.now += 1
    one.publish(state)
    assert one.current.lag.kernel == 8
    state.received = []
    one.applied()
    clock.now += 1
    one.publish(state)
    assert one.current.lag.kernel == 0
    assert one.current.applied == "2023-11-14T22:13:20.000Z"


def test_a_change_that_takes_long_is_told_while_it_does(tmp_path: Path) -> None:
    """The loop waits for the kernel and writes nothing: the file of a node that hangs would be that of a quiet one."""
    clock = Clock()
    one = publisher(tmp_path, clock)

    def written() -> AgentStatus:
        text = one.settings.status_file.read_bytes()
        assert complaints(json.loads(text)) == []
        return read_status(text, "status.json")

    one.still_applying()
    one.publish(enforced())
    before = written()
    one.applying([clock.now - 3])
    clock.now += 1
    one.still_applying()
    assert written() == before, "every change would be told"
    clock.now += 61
    one.still_applying()
    assert (written().programming, written().lag.kernel) == ("2023-11-14T22:13:20.000Z", 65)
    assert written().ready, "what is in the kernel is what was wanted before"
    words = "the loop has not turned for 62 s: a change is being programmed since 2023-11-14T22:13:20.000Z"
    assert one.live() == (False, words)
    one.refused()
    one.still_applying()
    one.publish(enforced())
    assert (written().programming, one.live()) == (None, (True, "ok"))


def test_a_refused_change_waits_until_the_kernel_has_it_all_the_same(tmp_path: Path) -> None:
    """A process of nft may be stopped when the kernel is done already: then nothing waits, and nothing is refused."""
    clock, state = Clock(), enforced()
    one = publisher(tmp_path, clock)
    stands = state.actual
    tell(state, Refused("nft did not end"))
    one.applying([clock.now - 3])
    one.refused()
    one.publish(state)
    assert one.current is not None
    assert (one.current.lag.kernel, one.current.ready) == (3, False)
    tell(state, Listed(stands))
    clock.now += 1
    one.publish(state)
    assert (one.current.lag.kernel, one.current.ready, one.current.last_refusal) == (0, True, "")


def test_pods_that_are_not_enforced_are_named_with_the_reason(tmp_path: Path) -> None:
    """At 3 a.m. "1 pod waits" is no help."""
    unaddressed = pod("shop/new", [], on="node-a")
    twin = pod("shop/twin", ["10.0.0.2"], on="node-a")
    links: dict[Address, str] = {CART: "veth2"}
    found = status(enforced([*SHOP, unaddressed, twin], Options(interface_prefix="veth"), links), tmp_path)
    assert [(one.name, one.state, one.reason) for one in found.unenforced] == [
        ("cart", "contested", "10.0.0.2 is claimed by shop/twin too; closed until one of them is gone"),
        ("new", "waiting", "has no address yet"),
        ("twin", "contested", "10.0.0.2 is claimed by shop/cart too; closed until one of them is gone"),
        ("web", "waiting", "no interface of this node leads to 10.0.0.1 yet"),
    ]
    assert found.pods == {"enforced": 0, "waiting": 2, "contested": 2, "unenforceable": 0}


def test_policies_by_mode(tmp_path: Path) -> None:
    """Broken ones are neither enforced as written nor audited; a strange annotation closes, and is said."""
    audit = {"outgate.dev/enforcement": "audit"}
    manifests = [
        *SHOP,
        policy("shop/watched", {"podSelector": {}}) | {"metadata": _named("shop", "watched", audit)},
        policy("shop/odd", {"podSelector": {}})
        | {"metadata": _named("shop", "odd", {"outgate.dev/enforcement": "no", "outgate.dev/established": "Keep"})},
        policy("shop/bad", {"podSelector": {}}),
    ]
    state = enforced(manifests)
    tell(state, Broken("NetworkPolicy", "shop", "bad", (InputError("cluster", 0, "spec.egress", "is no list"),)))
    found = status(state, tmp_path)
    assert found.policies == {"enforce": 2, "audit": 1, "broken": 1}
    assert found.audited == ("shop/watched",)
    assert [(one.name, one.errors[0].path) for one in found.broken] == [("bad", "spec.egress")]
    assert found.strange == (
        "policy shop/odd: outgate.dev/enforcement is 'no', which is neither enforce nor audit: enforced",
        "policy shop/odd: outgate.dev/established is 'Keep', which is neither keep nor cut: cut",
    )
    assert status(state, tmp_path, mode=Mode.AUDIT).policies == {"enforce": 1, "audit": 2, "broken": 1}


def test_what_a_newer_api_has_is_named(tmp_path: Path) -> None:
    """A peer, or a subject, that is not known here closes pods that nobody would look for a reason for."""
    peers: list[object] = [{"namespaces": {}}, {"planets": {}}]
    rules = [{"action": action, "to": peers} for action in ("Accept", "Deny")]
    above = [
        cluster_policy("new", subject={"namespaces": {}}, egress=rules),
        cluster_policy("newer", subject={"moons": {}}, egress=[{"action": "Deny", "to": [{"namespaces": {}}]}]),
    ]
    state, reader = enforced(SHOP), Reader(KINDS["ClusterNetworkPolicy"], "cluster")
    for one in above:
        read = reader.read(json.dumps(one).encode()).value
        assert read is not None
        tell(state, Upserted("ClusterNetworkPolicy", read, 0.0))
    found = status(state, tmp_path).strange
    assert [one.partition(" (")[0] for one in found] == [
        "ClusterNetworkPolicy new: spec.egress[0].to[1]: this peer is in no form that is known here",
        "ClusterNetworkPolicy new: spec.egress[1].to[1]: this peer is in no form that is known here",
        "ClusterNetworkPolicy newer: spec.subject: this subject is in no form that is known here",
    ]


def test_rules_that_close_because_of_nodes_are_named(tmp_path: Path) -> None:
    """Where other nodes are not watched, and where one of them is and cannot be read."""
    to = [{"nodes": {"matchLabels": {"zone": "x"}}}]
    rules = {name: [{"action": name.capitalize(), "to": to}] for name in ("accept", "deny")}
    above = [cluster_policy(name, subject={"namespaces": {}}, egress=one) for name, one in rules.items()]
    state = enforced([*SHOP, *above])
    every = "has peers of nodes, and only this node is watched (see --all-nodes): closed"
    assert status(state, tmp_path).strange == tuple(f"ClusterNetworkPolicy {name} {every}" for name in rules)
    state.world.all_nodes = True
    assert status(state, tmp_path).strange == ()
    tell(state, Broken("Node", "", "n9", (InputError("cluster", 0, "status", "is no mapping"),)))
    one = "ClusterNetworkPolicy deny denies nodes or passes them on, and Node n9 cannot be understood: closed"
    assert status(state, tmp_path).strange == (one,)


def _named(space: str, name: str, annotations: dict[str, str]) -> dict[str, object]:
    return {"namespace": space, "name": name, "annotations": annotations}


def test_lists_are_bounded(tmp_path: Path) -> None:
    """A cluster with ten thousand broken objects does not fill /run with them."""
    state = enforced([*SHOP, *(pod(f"shop/p{number}", [], on="node-a") for number in range(300))])
    for number in range(300):
        tell(state, Broken("Pod", "shop", f"b{number}", (InputError("cluster", 0, "", "x"),) * 300))
    found = status(state, tmp_path)
    assert found.pods["waiting"] == 300
    assert (len(found.unenforced), len(found.broken), len(found.broken[0].errors)) == (100, 100, 100)


def test_it_is_written_at_most_once_a_second_and_at_the_end(tmp_path: Path) -> None:
    """The loop may turn a thousand times a second; what it ends with is in the file."""
    clock, state = Clock(), enforced()
    one = publisher(tmp_path, clock)
    one.publish(state)
    first = one.settings.status_file.stat().st_ino
    state.drift = 5
    clock.now += 0.5
    one.publish(state)
    assert one.settings.status_file.stat().st_ino == first
    clock.now += 0.5
    one.publish(state)
    assert json.loads(one.settings.status_file.read_bytes())["driftRepairs"] == 5
    state.drift = 6
    one.publish(state, last=True)
    assert json.loads(one.settings.status_file.read_bytes())["driftRepairs"] == 6
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]


def test_a_file_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    """It is said; and what asks the publisher itself is answered."""
    clock = Clock()
    one = publisher(tmp_path / "gone", clock)
    one.publish(enforced())
    assert "status.json: No such file or directory" in one.trouble
    assert one.ready()[0]
    (tmp_path / "gone").mkdir()
    clock.now += 1
    one.publish(enforced())
    assert one.trouble == ""


def test_a_loop_that_hangs_is_not_alive(tmp_path: Path) -> None:
    """So that the kubelet starts it again; one that is only slow is."""
    clock = Clock()
    one = publisher(tmp_path, clock)
    clock.now += 59
    assert one.live() == (True, "ok")
    clock.now += 2
    assert one.live() == (False, "the loop has not turned for 61 s")
    one.publish(agent())
    assert one.live()[0]


@pytest.mark.parametrize(("seconds", "words"), [(0, "1970-01-01T00:00:00.000Z"), (1.5, "1970-01-01T00:00:01.500Z")])
def test_times_are_utc(seconds: float, words: str) -> None:
    """Whatever the node's time zone is."""
    assert rfc3339(seconds) == words


def test_a_namespace_that_is_not_known_does_not_stop_the_count(tmp_path: Path) -> None:
    """A policy may be told before its namespace, or outlive it."""
    state = enforced([namespace("shop"), policy("gone/x", {"podSelector": {}})])
    tell(state, Replaced("Namespace", ()))
    assert status(state, tmp_path).policies["enforce"] == 1


def test_policies_are_counted_anew_after_each_change(tmp_path: Path) -> None:
    """The count is kept from one second to the next, and must not outlive what it counts."""
    clock, state = Clock(), enforced()
    one = publisher(tmp_path, clock)
    counts = []
    for policies in (SHOP[-1:], (), SHOP[-1:]):
        tell(state, Replaced("NetworkPolicy", tuple(snapshot_of(policies).policies)))
        tell(state, Applied())
        one.publish(state, last=True)
        assert one.current is not None
        counts.append(one.current.policies["enforce"])
    tell(state, Broken("NetworkPolicy", "shop", "web", (InputError("x", 0, "", "y"),)))
    one.publish(state, last=True)
    assert counts == [1, 0, 1]
    assert one.current is not None
    assert one.current.policies == {"enforce": 0, "audit": 0, "broken": 1}
