"""What the agent keeps pod by pod is what a compile makes of the whole cluster, whatever came in whatever order."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterator
from functools import partial

from hypothesis import example, given, settings
from hypothesis import strategies as st

from outgate.agent.desired import Desired, Move
from outgate.agent.trust import Trust
from outgate.agent.world import World
from outgate.model import Pod, Snapshot
from outgate.nft.asking import ASKERS, DOORS
from outgate.nft.compile import compile_node
from outgate.nft.epoch import with_epoch
from outgate.nft.objects import Judgement, NftSet, Ruleset, SetKey
from outgate.nft.options import Options
from outgate.packets import Address
from outgate.policy import Mode, Policies
from outgate.testing import Manifest, pod, policy, random_cluster, random_cluster_policies, snapshot_of
from tests.agent.player import differences, reached
from tests.agent.test_kept_walks import annotated

PREFIX = "og"
Content = dict[SetKey, Judgement | None]


def told(one: Pod) -> Pod:
    """A pod as the API server tells of it: without the stand-ins of a snapshot."""
    return one if one.addressed else dataclasses.replace(one, addresses=(), addressed=True)


def names(world: World) -> dict[tuple[str, str], str]:
    """One bridge for all: whose interface an address of two pods is, the route says, and a compile cannot know."""
    return dict.fromkeys(world.pods, f"{PREFIX}br")


def links(world: World) -> dict[Address, str]:
    """The interface behind each address of this node."""
    mine = names(world)
    return {address: mine[key] for key in world.local for address in world.pods[key].addresses}


def compiled(world: World, options: Options) -> Ruleset:
    """The same cluster, compiled as a whole."""
    snapshot = Snapshot.of(
        namespaces=world.namespaces.values(),
        pods=[record.pod for record in world.pods.values()],
        policies=world.policies.values(),
        cluster_policies=world.cluster_policies.values(),
        nodes=world.nodes.values(),
    )
    # Not empty, so that the check of links is there even without a pod.
    here = (
        dataclasses.replace(options, interfaces={("", ""): ""} | names(world)) if options.interface_prefix else options
    )
    return compile_node(Policies(snapshot), world.node, here).ruleset


Contents = dict[str, dict[SetKey, Judgement | None]]


class Walk:
    """A world that goes from one cluster to another in random steps."""

    def __init__(self, seed: int, *, names: bool = False, keep: bool = False) -> None:
        self.chance = random.Random(seed)
        self.world = World("node-a", all_nodes=True)
        modes = (None, Mode.ENFORCE, Mode.AUDIT)
        self.options = Options(
            interface_prefix=self.chance.choice(("", PREFIX)), mode=self.chance.choice(modes), names=names, keep=keep
        )
        self.distrusted = 0
        """How many addresses have been distrusted, at the most."""
        self.asked = False
        """Whether any pod has asked for names."""
        self.desired = Desired(self.world, self.options, Trust(believing=keep))
        self.desired.rebuild()

    def to(self, manifests: list[Manifest]) -> None:
        """All changes that lead to another cluster, in some order, placed one by one or together."""
        snapshot = snapshot_of(manifests)
        steps = list(self._steps(snapshot))
        self.chance.shuffle(steps)
        touched: set[Address] = set()
        rebuild = False
        for step in steps:
            result = step()
            if isinstance(result, bool):
                rebuild |= result
            else:
                touched |= result
            if self.chance.random() < 0.4:
                self._follow(touched, rebuild)
                touched, rebuild = set(), False
        self._follow(touched, rebuild)

    def _follow(self, touched: set[Address], rebuild: bool) -> None:
        touched |= self.world.link(links(self.world))
        if rebuild:
            self.desired.rebuild()
        else:
            self._move(touched)
        self._sweep()
        used = dataclasses.replace(self.options, names=self.desired.asking, believing=self.desired.believing)
        whole = compiled(self.world, used)
        assert differences(reached(self.desired.ruleset), reached(whole)) == []
        asked = any(one.elements for one in asking_parts(compiled(self.world, self.options)))
        assert self.desired.asking or not asked
        self.asked |= asked

    def _sweep(self) -> None:
        """Whoever was doubted only because he was distrusted before is believed again."""
        trust = self.desired.trust
        trust.relieved |= trust.doubts.keys()
        trust.doubts.clear()
        self._move(set(trust.relieved))
        trust.relieved.clear()
        self.distrusted = max(self.distrusted, len(self.desired.distrusted))

    def _move(self, touched: set[Address]) -> None:
        before = {name: dict(one.elements) for name, one in self.desired.sets.items()}
        moved = self.desired.move(touched)
        assert applied(before, moved) == {name: dict(one.elements) for name, one in self.desired.sets.items()}

    def _steps(self, snapshot: Snapshot) -> Iterator[Callable[[], set[Address] | bool]]:
        world = self.world
        for one in snapshot.pods:
            yield partial(world.put_pod, told(one))
        for key in world.pods.keys() - {one.key for one in snapshot.pods}:
            yield partial(world.drop_pod, key)
        for name in snapshot.namespaces.values():
            yield partial(world.put_namespace, name)
        for policy_ in snapshot.policies:
            yield partial(world.put_policy, policy_)
        for key in world.policies.keys() - {(one.namespace, one.name) for one in snapshot.policies}:
            yield partial(world.drop_policy, key)
        for above in snapshot.cluster_policies:
            yield partial(world.put_cluster_policy, above)
        for kind, gone in world.cluster_policies.keys() - {(one.kind, one.name) for one in snapshot.cluster_policies}:
            yield partial(world.drop_cluster_policy, kind, gone)
        for node in snapshot.nodes.values():
            yield partial(world.put_node, node)


def applied(before: dict[str, Content], moved: Move) -> dict[str, Content]:
    """The sets after a move, from what it says of itself: a key that is not there cannot be taken away."""
    for one in moved.sets:
        assert one.name not in before
        before[one.name] = dict(one.elements)
    for name, content in moved.less.items():
        for key in content:
            del before[name][key]
    for name, content in moved.more.items():
        for key, value in content.items():
            assert key not in before[name], "an element that is there already is no addition"
            before[name][key] = value
    return before


@given(st.integers(0, 1 << 32))
@example(1146824976)  # two pods alike, of which the one without an address took the other's kind away
def test_pod_by_pod_is_the_whole(seed: int) -> None:
    """An agent that drifts from what a compile would say enforces something that nobody wrote."""
    walk = Walk(seed)
    for number in range(3):
        walk.to(random_cluster(seed + number))


@settings(max_examples=50)
@given(st.integers(0, 1 << 32))
def test_with_keep_pod_by_pod_is_the_whole(seed: int) -> None:
    """Who is believed follows policies, namespaces and labels, one by one as all at once."""
    walk = Walk(seed, keep=True)
    for number in range(3):
        walk.to(annotated([*random_cluster(seed + number), *random_cluster_policies(seed, number)], walk.chance))


def test_somebody_is_distrusted_in_what_is_compared() -> None:
    """The comparison above would be void if every pod were believed."""
    walks = [Walk(seed, keep=True) for seed in range(6)]
    for seed, walk in enumerate(walks):
        walk.to(annotated(random_cluster(seed), walk.chance))
    assert any(walk.distrusted for walk in walks)


def asking_parts(ruleset: Ruleset) -> list[NftSet]:
    """The sets of askers and the maps of doors."""
    return [ruleset.sets[name] for name in (*ASKERS.values(), *DOORS.values()) if name in ruleset.sets]


@given(st.integers(0, 1 << 32))
def test_with_names_pod_by_pod_is_the_whole(seed: int) -> None:
    """Askers come and go with their pods, and a door with the last of its class; all of it with the last policy."""
    walk = Walk(seed, names=True)
    for number in range(3):
        above = random_cluster_policies(seed + number, number % 2 * 3, names=True)
        walk.to([*random_cluster(seed + number), *above])


def test_pods_ask_in_what_is_compared() -> None:
    """The comparison above would be void if no pod ever asked for names."""
    for seed in range(30):
        walk = Walk(seed, names=True)
        walk.to([*random_cluster(seed), *random_cluster_policies(seed, 3, names=True)])
        if walk.asked:
            return
    raise AssertionError("nobody ever asked")


def test_the_epoch_is_not_in_what_is_compared() -> None:
    """The comparison above would be void if it could not see a chain that differs."""
    walk = Walk(1)
    walk.to(random_cluster(1))
    ruleset = walk.desired.ruleset
    from outgate.nft.epoch import Epoch

    assert differences(ruleset, with_epoch(ruleset, Epoch(0xFFFF0000, 9))) != []


def town() -> World:
    """Two pods of this node, one of another, one policy."""
    deny = {
        "podSelector": {"matchLabels": {"app": "web"}},
        "policyTypes": ["Egress"],
        "egress": [{"to": [{"podSelector": {}}]}],
    }
    snapshot = snapshot_of(
        [
            pod("shop/web", ["10.1.0.10"], on="node-a", app="web"),
            pod("shop/api", ["10.1.0.11"], on="node-a", app="api"),
            pod("shop/far", ["10.2.0.12"], on="node-b", app="far"),
            policy("shop/deny", deny),
        ]
    )
    world = World("node-a")
    for one in snapshot.pods:
        world.put_pod(one)
    for namespace in snapshot.namespaces.values():
        world.put_namespace(namespace)
    for one_policy in snapshot.policies:
        world.put_policy(one_policy)
    return world


def test_one_pod_costs_its_own_elements() -> None:
    """Thousands of pods of other nodes must not be looked at when one comes."""
    world = town()
    desired = Desired(world, Options(interface_prefix=PREFIX))
    desired.rebuild()
    (example,) = (record.pod for key, record in world.pods.items() if key == ("shop", "far"))
    moved = desired.move(world.put_pod(dataclasses.replace(example, name="near", addresses=example.addresses)))
    assert {name[:3] for name in moved.less} == {"p4_"}, "two pods claim one address: it is nobody's"
    (gone,) = moved.less.values()
    assert len(gone) == 1


def test_a_class_of_before_is_found_again() -> None:
    """A policy that changed elsewhere must not cost the chains of this pod anew."""
    world = town()
    desired = Desired(world, Options(interface_prefix=PREFIX))
    desired.rebuild()
    before = {name: chain for name, chain in desired.chains.items() if name.startswith("e4")}
    other = policy("elsewhere/p", {"podSelector": {}})
    (one,) = snapshot_of([other]).policies
    assert world.put_policy(one)
    desired.rebuild()
    assert before
    assert all(desired.chains[name] is chain for name, chain in before.items())
