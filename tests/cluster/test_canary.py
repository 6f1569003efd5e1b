"""A probe concludes only what it has seen, and leaves nothing behind however it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from outgate.analysis.doctor_probe import Outcome, ProbeResult
from outgate.cluster.canary import Plan, probe
from outgate.cluster.client import ATTEMPTS, Client
from outgate.model import Direction
from tests.cluster.apiserver import ApiServer, Asked, Reply, access_to, status
from tests.cluster.miniature import Clock, Miniature

PLAN = Plan("abc123", "example/box:1", patience=10.0)
OWN = f"/api/v1/namespaces/{PLAN.namespace}"
Trouble = Callable[[Asked], Reply | None]


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    """One server for all tests of this file."""
    with ApiServer(lambda _: Reply()) as one:
        yield one


def probed(server: ApiServer, cluster: Miniature, said: list[str] | None = None) -> ProbeResult:
    """What a probe of that cluster shows."""
    server.answer = cluster
    clock = Clock()
    with Client(access_to(server, kubectl="kubectl --context test"), wait=lambda _: None) as client:
        say = (lambda _: None) if said is None else said.append
        return probe(client, PLAN, wait=clock.wait, clock=clock, say=say)


def refusing(method: str, ending: str, reply: Reply | None = None, *, times: int = 10**6) -> Trouble:
    """Trouble: requests of a kind are answered so, at first or always."""
    left = [times]

    def trouble(asked: Asked) -> Reply | None:
        if asked.method != method or not asked.path.endswith(ending) or not left[0]:
            return None
        left[0] -= 1
        return reply or status(403, "Forbidden", "you may not")

    return trouble


CUT = Reply(raw=b"")


def test_a_cluster_that_enforces(server: ApiServer) -> None:
    """Each step is seen; the server need not be taken away for it."""
    cluster = Miniature()
    said: list[str] = []
    result = probed(server, cluster, said)
    assert (result.outcome, result.reason, result.left) == (Outcome.ENFORCING, "", "")
    assert [one.words for one in result.steps] == [
        "the server runs",
        "without a policy the client reaches the server",
        "with egress denied the client no longer reaches the server",
        "without the policy the client reaches the server again",
        "with ingress denied the client no longer reaches the server",
        "without the policy the client reaches the server again",
    ]
    assert all(one.seen for one in result.steps)
    space = f"/{PLAN.namespace}"
    assert cluster.writes == [
        "POST ",
        f"POST {space}/pods",
        f"POST {space}/pods",
        f"POST {space}/networkpolicies",
        f"DELETE {space}/networkpolicies/deny-egress",
        f"POST {space}/networkpolicies",
        f"DELETE {space}/networkpolicies/deny-ingress",
        f"DELETE {space}",
    ]
    assert cluster.objects == {}
    assert said[0].startswith(f"making namespace {PLAN.namespace} with two pods of example/box:1")
    assert said[-1] == f"namespace {PLAN.namespace} is removed"


@pytest.mark.parametrize(
    ("obeys", "passed"),
    [
        ((), [Direction.EGRESS, Direction.INGRESS]),
        (("Ingress",), [Direction.EGRESS]),
        (("Egress",), [Direction.INGRESS]),
    ],
)
def test_a_cluster_that_does_not(server: ApiServer, obeys: tuple[str, ...], passed: list[Direction]) -> None:
    """One direction that is not enforced is enough; the client is then seen to notice that the server is gone."""
    cluster = Miniature(obeys)
    result = probed(server, cluster)
    assert result.outcome is Outcome.NOT_ENFORCING
    assert [one.direction for one in result.tried if one.outcome is Outcome.NOT_ENFORCING] == passed
    assert result.steps[-1].words == "without the server the client notices that it is gone"
    assert result.steps[2].seen is ("Egress" in obeys)
    # A denial is waited for as long as the plan says, and no longer.
    assert {one.seconds for one in result.steps if not one.seen} == {10.0}
    assert cluster.objects == {}


@pytest.mark.parametrize(
    ("cluster", "reason"),
    [
        (Miniature(reachable=False), "the positive control failed"),
        (Miniature((), frozen=True), "does not even notice that the server is gone"),
        (Miniature(trouble=refusing("POST", "/namespaces")), "do not let us create a namespace: 403: you may not"),
        (Miniature(trouble=refusing("POST", "/pods")), "do not let us create the server pod: 403"),
        (Miniature(trouble=refusing("GET", "/pods/server")), "do not let us see the server pod: 403"),
        (Miniature(trouble=refusing("GET", "/pods/client")), "do not let us see the client pod: 403"),
        (Miniature(trouble=refusing("POST", "/networkpolicies")), "do not let us create a NetworkPolicy: 403"),
        (Miniature(trouble=refusing("DELETE", "/deny-egress")), "do not let us delete a NetworkPolicy: 403"),
        (Miniature((), trouble=refusing("DELETE", "/pods/server")), "do not let us delete the server: 403"),
        (Miniature(trouble=refusing("GET", "/pods/client", CUT)), f"cut the connection {ATTEMPTS} times"),
        (Miniature(trouble=refusing("GET", "/pods/client", Reply(200, "<html>"))), "the client pod does not run"),
        (Miniature(trouble=refusing("POST", "/namespaces", Reply(500, "ill"))), "create a namespace: 500: ill"),
        (Miniature(trouble=refusing("POST", "/networkpolicies", Reply(503, "busy"))), "NetworkPolicy: 503: busy"),
    ],
)  # fmt: skip
def test_what_cannot_be_concluded(server: ApiServer, cluster: Miniature, reason: str) -> None:
    """Neither yes nor no, with the reason; and nothing stays in the cluster."""
    result = probed(server, cluster)
    assert (result.outcome, result.left) == (Outcome.INCONCLUSIVE, "")
    assert reason in result.reason
    assert cluster.objects == {}


def pod_status(**fields: Any) -> Reply:
    """A pod of that status."""
    return Reply(body={"metadata": {"name": "x"}, "status": fields})


WAITING = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "x"'}}}
UNSCHEDULED = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}


@pytest.mark.parametrize(
    ("pod", "reply", "reason"),
    [
        ("server", pod_status(phase="Pending", containerStatuses=[WAITING]), "ImagePullBackOff Back-off pulling"),
        ("server", pod_status(phase="Pending", conditions=[UNSCHEDULED]), "0/3 nodes are available"),
        ("server", pod_status(phase="Failed", message="evicted"), "the server pod does not run: evicted"),
        ("server", pod_status(phase="Running"), "phase Running"),
        ("server", pod_status(containerStatuses=["x", {"state": 5}]), "phase unknown"),
        ("client", pod_status(phase="Pending"), "the client pod does not run: phase Pending"),
        (
            "client",
            pod_status(phase="Failed", message="DeadlineExceeded"),
            "the client pod has ended: DeadlineExceeded",
        ),
    ],
)
def test_pods_that_never_run(server: ApiServer, pod: str, reply: Reply, reason: str) -> None:
    """The most frequent of all ends: an image that cannot be fetched, a node that has no room."""
    cluster = Miniature(trouble=refusing("GET", f"/pods/{pod}", reply))
    result = probed(server, cluster)
    assert result.outcome is Outcome.INCONCLUSIVE
    assert reason in result.reason
    assert cluster.objects == {}


def test_a_connection_that_does_not_come_back_proves_nothing(server: ApiServer) -> None:
    """A client that is cut off for good was cut off by something else."""
    cluster = Miniature()

    def trouble(asked: Asked) -> Reply | None:
        if asked.method == "DELETE" and asked.path.endswith("/deny-egress"):
            cluster.reachable = False
        return None

    cluster.trouble = trouble
    result = probed(server, cluster)
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "after egress was allowed again" in result.reason


def test_pods_wait_for_the_service_account(server: ApiServer) -> None:
    """A namespace that was made a moment ago has none yet, and refuses every pod until then."""
    words = 'pods "server" is forbidden: error looking up service account x/default: serviceaccount "default" not found'
    cluster = Miniature(trouble=refusing("POST", "/pods", status(403, "Forbidden", words), times=3))
    assert probed(server, cluster).outcome is Outcome.ENFORCING
    never = Miniature(trouble=refusing("POST", "/pods", status(403, "Forbidden", words)))
    assert "serviceaccount" in probed(server, never).reason


@pytest.mark.parametrize("ending", ["/namespaces", "/pods", "/networkpolicies"])
def test_a_lost_answer_is_no_second_object(server: ApiServer, ending: str) -> None:
    """The object was made, the answer cut off: what is sent again finds it there, and goes on."""
    cluster = Miniature()
    lost: list[Asked] = []

    def trouble(asked: Asked) -> Reply | None:
        if asked.method == "POST" and asked.path.endswith(ending) and not lost:
            lost.append(asked)
            cluster.create(asked)
            return CUT
        return None

    cluster.trouble = trouble
    assert probed(server, cluster).outcome is Outcome.ENFORCING
    assert lost
    assert cluster.objects == {}


def test_a_namespace_of_another_is_left_alone(server: ApiServer) -> None:
    """It has the name and not the token."""
    other = {"metadata": {"name": PLAN.namespace, "uid": "uid-1", "labels": {}}}
    cluster = Miniature(objects={OWN: other})
    result = probed(server, cluster)
    assert "cannot be told to be ours" in result.reason
    assert result.outcome is Outcome.INCONCLUSIVE
    assert cluster.objects == {OWN: other}


def test_one_made_anew_under_the_name_is_left_alone(server: ApiServer) -> None:
    """It is removed by its uid."""
    cluster = Miniature()

    def trouble(asked: Asked) -> Reply | None:
        if asked.method == "DELETE" and asked.path == OWN:
            cluster.objects[OWN]["metadata"]["uid"] = "another"
        return None

    cluster.trouble = trouble
    assert probed(server, cluster).left == ""
    assert OWN in cluster.objects


@pytest.mark.parametrize("reply", [None, Reply(500, "ill"), CUT])
def test_what_cannot_be_removed_is_said(server: ApiServer, reply: Reply | None) -> None:
    """With the command that removes it; the conclusion stands."""
    said: list[str] = []
    result = probed(server, Miniature(trouble=refusing("DELETE", PLAN.namespace, reply)), said)
    assert result.outcome is Outcome.ENFORCING
    assert result.left
    assert said[-1].startswith(f"warning: namespace {PLAN.namespace} may still be there (")
    assert said[-1].endswith(f"kubectl --context test delete namespace {PLAN.namespace}")


def test_a_server_that_goes_in_the_middle(server: ApiServer) -> None:
    """Removing is tried, and that it failed is said."""
    cluster = Miniature()
    cluster.trouble = lambda _: CUT if len(cluster.writes) >= 4 else None
    said: list[str] = []
    result = probed(server, cluster, said)
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "cut the connection" in result.reason
    assert "cut the connection" in result.left
    assert [one for one in cluster.writes if one == f"DELETE /{PLAN.namespace}"]
    assert said[-1].startswith("warning: ")


def test_a_server_that_goes_at_the_first_request(server: ApiServer) -> None:
    """Whether the namespace was made was never heard: it is looked for, and removed."""
    cluster = Miniature()

    def trouble(asked: Asked) -> Reply | None:
        if asked.method == "POST":
            cluster.create(asked)
            return CUT
        return None

    cluster.trouble = trouble
    result = probed(server, cluster)
    assert (result.outcome, result.left) == (Outcome.INCONCLUSIVE, "")
    assert cluster.objects == {}


@pytest.mark.parametrize("looks", range(1, 12))
def test_an_interrupt_leaves_nothing(server: ApiServer, looks: int) -> None:
    """Wherever it comes, what was made is removed before it passes on."""
    cluster = Miniature((), reachable=looks > 3)
    server.answer = cluster
    clock = Clock()
    waited = 0

    def wait(seconds: float) -> None:
        nonlocal waited
        waited += 1
        clock.wait(seconds)
        if waited == looks:
            raise KeyboardInterrupt

    with Client(access_to(server), wait=lambda _: None) as client, pytest.raises(KeyboardInterrupt):
        probe(client, PLAN, wait=wait, clock=clock)
    assert waited == looks
    assert cluster.objects == {}
    assert cluster.writes[-1] == f"DELETE /{PLAN.namespace}"


def test_a_second_interrupt_is_told_what_is_left(server: ApiServer) -> None:
    """Who will not wait learns what to remove."""
    server.answer = Miniature(trouble=refusing("DELETE", PLAN.namespace, Reply(503, "busy")))
    said: list[str] = []

    def busy(_: float) -> None:
        raise KeyboardInterrupt

    with Client(access_to(server), wait=busy) as client, pytest.raises(KeyboardInterrupt):
        probe(client, PLAN, wait=lambda _: None, clock=Clock(), say=said.append)
    assert "interrupted while it was removed" in said[-1]
