"""A watch against a server in good health: what is asked, in which order, and what comes of it."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from outgate.cluster import watch as module
from outgate.cluster.events import Broken, Recovered, Removed, Replaced, Troubled, Upserted
from outgate.cluster.watch import Pace, Subscription
from outgate.model import ClusterPolicy, Direction, NetworkPolicy, Pod
from outgate.testing import cluster_policy
from tests.cluster.following import Follower, follow, state_of
from tests.cluster.watched import namespace, pod, policy
from tests.cluster.watchserver import Streaming, WatchServer
from tests.cluster.watchstreams import Request
from tests.model.test_validate_cluster_policy import old


@pytest.fixture
def server() -> Iterator[WatchServer]:
    """A server that offers streaming lists, and has three pods."""
    with WatchServer() as one:
        one.put_all(pod(f"web-{i}") for i in range(3))
        yield one


@pytest.fixture
def follower() -> Follower:
    """Who is told."""
    return Follower()


def asked(server: WatchServer, name: str) -> list[str]:
    """What the requests so far have said under a name, where they have."""
    return [one.query[name] for one in list(server.asked) if name in one.query]


@pytest.mark.parametrize("streaming", ["offered", "refused", "unknown"])
def test_the_whole_and_then_each_change(server: WatchServer, follower: Follower, streaming: Streaming) -> None:
    """Whatever the server has to offer, the follower sees the same."""
    server.streaming = streaming
    server.bookmark_every = 0.01
    with follow(server, follower):
        follower.until(lambda: len(follower.state) == 3)
        server.put(pod("new", address="10.1.0.9"))
        follower.until(lambda: len(follower.state) == 4)
        server.put(pod("new", address="10.1.0.10"))
        server.delete("Pod", "shop", "web-1")
        follower.until(lambda: ("Pod", "shop", "web-1") not in follower.state)
        assert follower.state == state_of(server, "Pod")
    assert [type(one) for one in follower.events] == [Replaced, Upserted, Upserted, Removed]
    assert follower.of(Removed)[0].object.uid != ""
    # A bookmark that does not say that it ends the state ends nothing.
    assert server.total().lists == (0 if streaming == "offered" else 1)
    assert follower.troubled == {}


def test_what_a_streaming_list_asks(server: WatchServer, follower: Follower) -> None:
    """One request, for the newest state, with bookmarks, and with an end that leaves time for a large one."""
    with follow(server, follower, pace=Pace(start=0)):
        follower.until(lambda: len(follower.state) == 3)
    (request,) = server.asked
    assert request.path == "/api/v1/pods"
    assert request.query == {
        "watch": "1",
        "allowWatchBookmarks": "true",
        "timeoutSeconds": "86400",
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
    }


def test_a_refused_streaming_list_is_remembered(server: WatchServer, follower: Follower) -> None:
    """It is asked for once, and then never again by this client."""
    server.streaming = "refused"
    with follow(server, follower):
        follower.until(lambda: len(follower.state) == 3)
        for number in range(3):
            server.compact()
            server.cut()
            server.put(pod(f"later-{number}"))
            follower.until(lambda: len(follower.state) == 4 + number)  # noqa: B023 - called at once
    assert len(asked(server, "sendInitialEvents")) == 1
    assert len(follower.of(Replaced)) == 4


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_streaming_list_that_is_never_complete(server: WatchServer, follower: Follower, times: int) -> None:
    """Once may be chance; then pages get through, if anything does. No half of a state is ever told."""
    server.cut_initial(times)
    with follow(server, follower):
        follower.until(lambda: len(follower.state) == 3 and not follower.troubled)
    assert len(asked(server, "sendInitialEvents")) == min(times + 1, module.UNFINISHED)
    assert [len(one.objects) for one in follower.of(Replaced)] == [3]
    assert "is cut off" in follower.of(Troubled)[0].words


def test_pages(server: WatchServer, follower: Follower, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, and the watch begins where the list ends."""
    monkeypatch.setattr(module, "PAGE", 2)
    server.streaming = "refused"
    server.put_all(pod(f"more-{i}") for i in range(4))
    with follow(server, follower):
        follower.until(lambda: len(follower.state) == 7)
        server.put(pod("last"))
        follower.until(lambda: len(follower.state) == 8)
    assert asked(server, "limit") == ["2"] * 4
    assert asked(server, "resourceVersion") == [str(server.store.version - 1)]
    assert [type(one) for one in follower.events] == [Replaced, Upserted]


def test_a_list_that_expires_is_begun_again(
    server: WatchServer, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the first one is taken over: a pod that went away in between is not there."""
    monkeypatch.setattr(module, "PAGE", 2)
    server.streaming = "refused"
    times = itertools.count()

    def forget(request: Request) -> None:
        if "continue" in request.query and next(times) == 0:
            server.delete("Pod", "shop", "web-0")
            server.compact()

    server.before = forget
    with follow(server, follower):
        follower.until(lambda: bool(follower.of(Replaced)))
    assert follower.state == state_of(server, "Pod")
    assert len(follower.state) == 2
    assert follower.troubled == {}


def test_a_list_that_expires_for_ever_is_asked_for_whole(
    server: WatchServer, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server under load may forget faster than we read."""
    monkeypatch.setattr(module, "PAGE", 1)
    server.streaming = "refused"
    server.before = lambda request: server.compact() if "continue" in request.query else None
    with follow(server, follower):
        follower.until(lambda: len(follower.state) == 3)
    lists = [one for one in server.asked if "watch" not in one.query]
    assert [one.query.get("limit") for one in lists] == ["1"] * 6 + [None]


@pytest.mark.parametrize("streaming", ["offered", "refused"])
def test_bookmarks_move_the_version_on(server: WatchServer, follower: Follower, streaming: Streaming) -> None:
    """So that a watch of a kind that seldom changes is not from before everything."""
    server.streaming = streaming
    with follow(server, follower, ["NetworkPolicy"]):
        assert server.until(lambda: server.watching() == 1)
        server.put(pod("other"))
        server.bookmark()
        assert server.until(lambda: server.total().bookmarks == 1)
        server.cut()
        watches = 1 if streaming == "offered" else 2
        # Before it goes on from there, it asks whether the server is as far.
        assert server.until(lambda: len(asked(server, "resourceVersion")) == watches + 1)
    assert asked(server, "resourceVersion")[-2:] == [str(server.store.version)] * 2
    assert asked(server, "limit")[-1] == "1"
    assert [type(one) for one in follower.events] == [Replaced]


def test_selectors(server: WatchServer, follower: Follower) -> None:
    """A pod that is moved out of what is selected is gone, and one that is moved in is new."""
    server.put(pod("far", node="node-b", color="red"))
    wanted = Subscription("Pod", field_selector="spec.nodeName=node-b", label_selector="color=red")
    with follow(server, follower, [wanted]):
        follower.until(lambda: len(follower.state) == 1)
        server.put(pod("web-1", node="node-b"))
        server.put(pod("web-1", node="node-b", color="red"))
        follower.until(lambda: len(follower.state) == 2)
        server.put(pod("far", node="node-b", color="blue"))
        follower.until(lambda: list(follower.state) == [("Pod", "shop", "web-1")])
    assert [type(one) for one in follower.events] == [Replaced, Upserted, Removed]
    assert asked(server, "fieldSelector") == ["spec.nodeName=node-b"]


@pytest.mark.parametrize("streaming", ["offered", "refused"])
def test_a_broken_policy_closes_its_own_pods(server: WatchServer, follower: Follower, streaming: Streaming) -> None:
    """In its own direction, whether it is there from the beginning or breaks later; and no other is harmed."""
    server.streaming = streaming
    broken: dict[str, Any] = {
        "podSelector": {"matchLabels": {"app": "web"}},
        "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0"}}]}],
    }
    server.put_all([policy("good"), policy("bad", **broken), policy("breaks")])
    with follow(server, follower, ["NetworkPolicy"]):
        follower.until(lambda: len(follower.broken) == 1)
        bad = follower.state["NetworkPolicy", "shop", "bad"]
        assert isinstance(bad, NetworkPolicy)
        assert (str(bad.pods), bad.types) == ("app=web", frozenset({Direction.EGRESS}))
        assert (bad.egress, bad.ingress) == ((), ())
        (error,) = follower.broken["NetworkPolicy", "shop", "bad"].errors
        assert (error.file, error.path) == (
            "cluster:test/networkpolicies/shop/bad",
            "spec.egress[0].to[0].ipBlock.cidr",
        )
        server.put(policy("breaks", **broken))
        follower.until(lambda: len(follower.broken) == 2)
        server.put(policy("bad"))
        server.delete("NetworkPolicy", "shop", "breaks")
        follower.until(lambda: len(follower.of(Removed)) == 1)
    kinds = [type(one) for one in follower.events]
    assert kinds == [Replaced, Broken, Upserted, Broken, Upserted, Removed]
    assert follower.state == state_of(server, "NetworkPolicy")


def test_a_broken_pod_is_said(server: WatchServer, follower: Follower) -> None:
    """It may not come up as one without an address."""
    server.put(pod("bad", address="10.1.0"))
    with follow(server, follower):
        follower.until(lambda: len(follower.broken) == 1)
        assert len(follower.state) == 3
        server.put(pod("web-0", address="10.1.0.999"))
        follower.until(lambda: len(follower.broken) == 2)
        # What was known of it stands.
        assert len(follower.state) == 3
        server.delete("Pod", "shop", "web-0")
        follower.until(lambda: len(follower.state) == 2)
    assert follower.of(Broken)[0].errors[0].file == "cluster:test/pods/shop/bad"


def test_several_kinds_at_once(server: WatchServer, follower: Follower) -> None:
    """Each with its own version and its own end."""
    server.put_all([namespace("shop", team="a"), policy("deny")])
    kinds = ("Pod", "Namespace", "NetworkPolicy", "Node", "Service", "EndpointSlice")
    with follow(server, follower, kinds):
        follower.until(lambda: len(follower.of(Replaced)) == 6)
        server.cut("Pod")
        server.put(namespace("shop", team="b"))
        server.put(pod("new"))
        follower.until(lambda: len(follower.of(Upserted)) == 2)
    assert follower.state == state_of(server, *kinds)
    assert {one.kind for one in follower.of(Replaced)} == set(kinds)


def test_the_time_of_a_change(server: WatchServer, follower: Follower) -> None:
    """By the clock that is given, when its line was complete."""
    ticks = itertools.count(1000.0)
    with follow(server, follower, clock=lambda: next(ticks)):
        follower.until(lambda: len(follower.state) == 3)
        server.put(pod("a"))
        follower.until(lambda: len(follower.of(Upserted)) == 1)
        server.put(pod("b"))
        follower.until(lambda: len(follower.of(Upserted)) == 2)
    first, second = (one.received for one in follower.of(Upserted))
    assert 1000 < first < second < next(ticks)


def test_watches_of_many_nodes_do_not_end_together(server: WatchServer) -> None:
    """Nor do they begin together: 5 000 agents may be started by one rollout."""
    waits: list[float] = []
    ends = set()
    server.streaming = "refused"
    for seed in range(20):
        follower = Follower()
        with follow(
            server, follower, pace=Pace(relist=0), wait=waits.append, dice=lambda seed=seed: random.Random(seed)
        ):
            assert server.until(lambda: len(asked(server, "resourceVersion")) == seed + 1)  # noqa: B023 - called at once
        ends.add(asked(server, "timeoutSeconds")[-1])
    assert len(ends) > 15
    assert len(set(waits)) == 20
    assert min(waits) < 0.5
    assert 1.5 < max(waits) <= Pace().start


def test_a_pod_of_the_host_waits_for_its_node(server: WatchServer, follower: Follower) -> None:
    """Its addresses are the node's, and that is for who knows the node."""
    value = pod("host")
    value["spec"]["hostNetwork"] = True
    server.put(value)
    with follow(server, follower):
        follower.until(lambda: len(follower.state) == 4)
    found = follower.state["Pod", "shop", "host"]
    assert isinstance(found, Pod)
    assert (found.host_network, found.addresses) == (True, ())


@pytest.mark.parametrize("streaming", ["offered", "refused", "unknown"])
def test_policies_of_the_cluster(server: WatchServer, follower: Follower, streaming: Streaming) -> None:
    """All three kinds; what of one is not known is no trouble, and what is broken closes."""
    server.streaming = streaming
    server.bookmark_every = 0.01
    kinds = ("ClusterNetworkPolicy", "AdminNetworkPolicy", "BaselineAdminNetworkPolicy")
    server.put_all([cluster_policy("a"), old(), old("BaselineAdminNetworkPolicy", "default")])
    server.put(cluster_policy("odd", egress=[{"action": "Deny", "to": [{"newer": {}}]}]))
    with follow(server, follower, kinds):
        follower.until(lambda: len(follower.of(Replaced)) == 3)
        assert follower.broken == {}
        server.put(cluster_policy("bad", tier="None"))
        follower.until(lambda: len(follower.broken) == 1)
        server.delete("ClusterNetworkPolicy", "", "a")
        server.put(cluster_policy("bad"))
        follower.until(lambda: follower.state == state_of(server, *kinds))
    assert follower.broken == {}
    assert follower.of(Troubled) == []


def wait_for_requests(server: WatchServer, count: int) -> None:
    """So many more requests for policies of the cluster."""

    def asked_for() -> int:
        return sum("clusternetworkpolicies" in one.path for one in list(server.asked))

    before = asked_for()
    assert server.until(lambda: asked_for() >= before + count)


@pytest.mark.parametrize("rights", [True, False])
def test_a_kind_beside_one_that_is_installed(server: WatchServer, follower: Follower, rights: bool) -> None:
    """Two kinds are of one version, and each has a definition of its own."""
    server.absent.add("BaselineAdminNetworkPolicy")
    if not rights:
        server.forbidden.add(("watch", "BaselineAdminNetworkPolicy"))
    server.put(old())
    with follow(server, follower, ["AdminNetworkPolicy", "BaselineAdminNetworkPolicy"]):
        follower.until(lambda: len(follower.of(Replaced)) == 2)
    assert follower.of(Troubled) == []
    assert list(follower.state) == [("AdminNetworkPolicy", "", "p")]


@pytest.mark.parametrize("rights", [True, False])
def test_a_kind_that_is_not_installed(server: WatchServer, follower: Follower, rights: bool) -> None:
    """No trouble, with and without the right to ask; it may be installed, and taken out again."""
    kind = "ClusterNetworkPolicy"
    server.absent.add(kind)
    if not rights:
        server.forbidden |= {("watch", kind), ("list", kind)}
    with follow(server, follower, [kind]):
        follower.until(lambda: len(follower.events) == 1)
        wait_for_requests(server, 3)
        assert follower.events == [Replaced(kind, ())]
        server.forbidden.clear()
        # Whoever was still told 403 has asked whether it is there by the time that it is.
        wait_for_requests(server, 3)
        server.put(cluster_policy("a"))
        server.absent.clear()
        follower.until(lambda: len(follower.state) == 1)
        server.uninstall(kind)
        follower.until(lambda: follower.events[-1] == Replaced(kind, ()))
        assert follower.state == {}
        server.absent.clear()
        server.put(cluster_policy("b"))
        follower.until(lambda: (kind, "", "b") in follower.state)
    assert follower.of(Troubled) == []


@pytest.mark.parametrize("rights", [True, False])
def test_a_kind_that_is_served_under_another_version(server: WatchServer, follower: Follower, rights: bool) -> None:
    """A server need not have every version of a kind, and may change which it has."""
    kind = "ClusterNetworkPolicy"
    server.moved[kind] = "policy.networking.k8s.io/v1beta1"
    server.put(cluster_policy("a"))
    with follow(server, follower, [kind]):
        follower.until(lambda: list(follower.state) == [(kind, "", "a")])
        (policy_,) = (one for event in follower.of(Replaced) for one in event.objects)
        assert isinstance(policy_, ClusterPolicy)
        assert policy_.api_version == "policy.networking.k8s.io/v1beta1"
        server.put(cluster_policy("b"))
        follower.until(lambda: len(follower.state) == 2)
        server.moved.clear()
        server.cut()
        server.put(cluster_policy("c"))
        follower.until(lambda: len(follower.state) == 3)
        # Only where no version is left there are no objects.
        assert all(event.objects for event in follower.of(Replaced))
        server.uninstall(kind)
        follower.until(lambda: follower.events[-1] == Replaced(kind, ()))
        if not rights:
            server.forbidden |= {("watch", kind), ("list", kind)}
        wait_for_requests(server, 4)
        server.moved[kind] = "policy.networking.k8s.io/v1beta1"
        server.forbidden.clear()
        server.absent.clear()
        server.put(cluster_policy("d"))
        follower.until(lambda: (kind, "", "d") in follower.state)
    assert follower.of(Troubled) == []


def test_a_right_to_what_is_installed(server: WatchServer, follower: Follower) -> None:
    """Is said to be missing; that the kind is taken out then ends the trouble."""
    kind = "ClusterNetworkPolicy"
    server.forbidden |= {("watch", kind), ("list", kind)}
    with follow(server, follower, [kind]):
        follower.until(lambda: bool(follower.troubled))
        assert "may not watch clusternetworkpolicies.policy.networking.k8s.io (403)" in follower.troubled[kind]
        assert follower.of(Replaced) == []
        server.absent.add(kind)
        follower.until(lambda: not follower.troubled)
    assert follower.events[-2:] == [Replaced(kind, ()), Recovered(kind)]


def test_a_kind_that_is_not_installed_is_asked_for_slowly(server: WatchServer, follower: Follower) -> None:
    """There are many nodes, and most clusters never have it."""
    waits: list[float] = []
    done = threading.Event()

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) > 5:
            done.set()
            threading.Event().wait(0.01)

    server.absent.add("AdminNetworkPolicy")
    with follow(server, follower, ["AdminNetworkPolicy"], wait=wait, pace=Pace(start=0)):
        assert done.wait(20)
    assert all(30 <= seconds <= 60 for seconds in waits[1:])
