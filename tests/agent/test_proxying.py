"""What Envoy is told by the agent: what a compile would say, made again when what it is made of changed."""

from __future__ import annotations

import dataclasses
import ipaddress
import queue
from collections.abc import Collection
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.agent.proxying import RequestProxy, copy_of
from outgate.agent.settings import Settings
from outgate.agent.step import State
from outgate.host.envoy import Answer, Envoy
from outgate.host.learned_line import Heard, LearnedLine
from outgate.model import Direction, Pod, Snapshot
from outgate.nft.compile import compile_node
from outgate.nft.options import Options
from outgate.nft.redirects import CATCHES
from outgate.packets import Address
from outgate.policy import Policies
from outgate.proxy.envoy import RuleFiles, rule_files
from outgate.proxy.orders import Element
from outgate.proxy.redirecting import redirects_of
from outgate.testing import Manifest, pod, snapshot_of
from outgate.testing_cilium import cilium_policy
from tests.agent.player import differences, reached
from tests.agent.states import agent, settings

OPTIONS = Options(proxied=True)
APPS = ("web", "api", "db")


def manifest(number: int, app: str, *, here: bool) -> Manifest:
    """A pod of this node, or of another."""
    return pod(f"shop/p{number}", [f"10.1.0.{number + 10}"], on="node-a" if here else "node-b", app=app)


PODS = {
    (number, app, here): next(iter(snapshot_of([manifest(number, app, here=here)]).pods))
    for number in range(4)
    for app in APPS
    for here in (True, False)
}
PORTS = {"ports": [{"port": "80", "protocol": "TCP"}], "rules": {"http": [{"method": "GET"}]}}
POLICY = cilium_policy(
    "shop/web",
    {
        "endpointSelector": {"matchLabels": {"app": "web"}},
        "egress": [{"toEndpoints": [{"matchLabels": {"app": "db"}}], "toPorts": [PORTS]}],
    },
)
TOLD = snapshot_of([POLICY])
BY_NAME = cilium_policy(
    "shop/names",
    {
        "endpointSelector": {"matchLabels": {"app": "web"}},
        "egress": [{"toFQDNs": [{"matchName": "api.example.com"}], "toPorts": [PORTS]}],
    },
)


def town(told: Snapshot = TOLD, options: Options = OPTIONS) -> State:
    """A node that knows the policy and no pod."""
    state = State.of("node-a", options)
    for namespace in told.namespaces.values():
        state.world.put_namespace(namespace)
    for one in told.cilium_policies:
        state.world.cilium[one.kind, one.namespace, one.name] = (one,)
    state.desired.rebuild()
    state.generation = 1
    return state


def whole(state: State) -> Policies:
    """All of it, as a compile would see it."""
    world = state.world
    return Policies(
        Snapshot.of(
            namespaces=world.namespaces.values(),
            pods=[one.pod for one in world.pods.values()],
            cilium_policies=world.cilium_policies(),
        )
    )


STEPS = st.lists(st.tuples(st.integers(0, 3), st.sampled_from((*APPS, "")), st.booleans()), max_size=12)


@given(STEPS)
def test_pod_by_pod_kernel_and_envoy_know_what_a_compile_says(steps: list[tuple[int, str, bool]]) -> None:
    """Whoever comes in whatever order; without a change of the revision Envoy's rules are those of before."""
    state = town()
    desired = state.desired
    last = desired.requests_revision, ""
    for number, app, here in steps:
        touched = state.world.put_pod(PODS[number, app, here]) if app else state.world.drop_pod(("shop", f"p{number}"))
        if desired.begins_to_catch(touched):
            desired.rebuild()
        else:
            desired.move(touched)
        policies = whole(state)
        local = [one for one in policies.snapshot.pods if one.node == "node-a" and one.key in desired.held]
        free = {one.key for one in local if not policies.isolation(one, Direction.EGRESS).policies}
        said = rule_files(redirects_of(policies, local, free)).version
        assert copy_of(desired).rules().version == said
        if desired.requests_revision == last[0] and last[1]:
            assert said == last[1]
        last = desired.requests_revision, said
        compiled = compile_node(policies, "node-a", OPTIONS).ruleset
        if "catch" in desired.chains and "catch" not in compiled.chains:
            # The frame stays for what is held; nobody is caught by it.
            assert all(not desired.sets[name].elements for name in CATCHES.values())
            desired.rebuild()
            assert "catch" in desired.chains
            assert desired.let_go()
            desired.rebuild()
        assert differences(reached(desired.ruleset), reached(compiled)) == []


def test_who_does_not_concern_it_costs_nothing() -> None:
    """Nothing is copied for a pod that no rule about requests is about."""
    state = town()
    web, other = PODS[0, "web", True], PODS[1, "api", False]
    state.world.put_pod(web)
    state.desired.rebuild()
    before = state.desired.requests_revision
    state.desired.move(state.world.put_pod(other))
    assert state.desired.requests_revision == before
    state.desired.move(state.world.put_pod(PODS[2, "db", False]))
    assert state.desired.requests_revision > before


def test_a_claimed_address_counts() -> None:
    """The network plugin says it before the API server does."""
    state = town()
    web: Pod = PODS[0, "web", True]
    state.world.put_pod(dataclasses.replace(web, addresses=()))
    state.desired.rebuild()
    assert copy_of(state.desired).caught == ()
    state.world.put_pod(web)
    state.desired.rebuild()
    assert copy_of(state.desired).caught == (web.key,)


def test_it_is_told_nothing_before_the_agent_knows(tmp_path: Path) -> None:
    """An agent that has not heard of all pods would make rules of some."""
    proxy = RequestProxy(Settings("node-a", run_dir=tmp_path, envoy="/bin/false"), lambda _: None)
    state = town()
    state.generation = 0
    proxy.turned(state, 0.0)
    assert proxy.pending is False
    state.generation = 1
    proxy.turned(state, 0.0)
    assert proxy.pending is True


def test_what_envoy_refuses_closes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would go on with the rules of before, which may allow what is no longer allowed."""
    said: list[str] = []
    proxy = RequestProxy(Settings("node-a", run_dir=tmp_path, envoy="/bin/false"), said.append)
    told: list[RuleFiles] = []

    def tell(_envoy: Envoy, rules: RuleFiles, timeout: float) -> Answer:  # noqa: ARG001 - of the same shape
        told.append(rules)
        return Answer(accepted=len(told) > 1, reason="refused")

    monkeypatch.setattr(Envoy, "tell", tell)
    state = town()
    state.world.put_pod(PODS[0, "web", True])
    state.world.put_pod(PODS[1, "db", False])
    state.desired.rebuild()
    rules = copy_of(state.desired).rules()
    assert rules.version != rule_files(()).version
    proxy.tell(rules)
    assert told == [rules, rule_files(())]
    assert "refused" in said[0]


def test_rules_that_cannot_be_made_allow_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake of ours must not leave Envoy with what was allowed before."""
    said: list[str] = []
    proxy = RequestProxy(settings(tmp_path, envoy="/bin/true"), said.append)
    copy = copy_of(agent().desired)
    monkeypatch.setattr(type(copy), "rules", lambda _: 1 // 0)
    assert proxy._made(copy) == rule_files(())
    assert "allow nothing" in said[0]


def test_whoever_connects_may_have_been_trying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What pods learned while the DNS proxy could not say it is read from the kernel then, not half a minute later."""
    web = PODS[0, "web", True]
    told: queue.SimpleQueue[RuleFiles] = queue.SimpleQueue()
    kernel: list[Address] = []

    def tell(_envoy: Envoy, rules: RuleFiles, timeout: float) -> Answer:  # noqa: ARG001 - of the same shape
        told.put(rules)
        return Answer(accepted=True)

    def learned(ids: Collection[str]) -> list[Heard]:
        return [(one, web.addresses[0], address) for one in ids for address in kernel]

    monkeypatch.setattr(Envoy, "tell", tell)
    monkeypatch.setattr("outgate.agent.proxying.learned_now", learned)
    here = settings(tmp_path, envoy="/bin/true", names="closed")
    proxy = RequestProxy(here, lambda _: None)
    state = town(snapshot_of([BY_NAME]), dataclasses.replace(OPTIONS, names=True))
    state.world.put_pod(web)
    state.desired.rebuild()
    proxy._telling.start()
    try:
        proxy.turned(state, 0.0)
        assert b"203.0.113.1" not in b"".join(told.get(timeout=20).files.values())
        kernel.append(ipaddress.ip_address("203.0.113.1"))
        with LearnedLine(here.dns.learned_socket, 30.0) as line:
            # Of a set that nobody asks for: it says no more than that somebody is there.
            line.tell([Element("none", web.addresses[0].packed, b"\xc0\0\2\1")])
            assert b"203.0.113.1" in b"".join(told.get(timeout=20).files.values())
    finally:
        proxy.stop()
