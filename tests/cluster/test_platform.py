"""What a live cluster says of itself, and what is made of a server that says little."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from outgate.analysis.doctor_facts import OtherPolicy
from outgate.cluster.client import Client
from outgate.cluster.platform import Platform, platform
from outgate.model.parse import parse
from outgate.model.switches import SETTINGS
from tests.cluster.apiserver import ApiServer, Asked, Reply, access_to, status

CONFIGS = "/api/v1/namespaces/kube-system/configmaps"
GROUPS = Reply(body={"groups": [{"name": "apps", "versions": [{"version": "v1"}]}]})
_GROUPS = {"cilium.io": "v2", "k8s.ovn.org": "v1", "crd.antrea.io": "v1beta1"}
CILIUM = Reply(body={"groups": [{"name": name, "versions": [{"version": one}]} for name, one in _GROUPS.items()]})


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    """One server for all tests of this file."""
    with ApiServer(lambda _: Reply()) as one:
        yield one


def told(server: ApiServer, replies: Mapping[str, Reply], other: Reply | None = None) -> Platform:
    """What a server of these answers says."""

    def answer(asked: Asked) -> Reply:
        return replies.get(asked.path) or other or status(404, "NotFound", "not found")

    server.answer = answer
    with Client(access_to(server), wait=lambda _: None) as client:
        return platform(client)


def test_a_server_that_says_all(server: ApiServer) -> None:
    """Its version, its groups, its settings, and what is not read."""
    config = Reply(body={"metadata": {"name": "cilium-config"}, "data": {"enable-policy": "never", "token": "x"}})
    found = told(
        server,
        {
            "/version": Reply(body={"major": "1", "gitVersion": "v1.31.2"}),
            "/apis": CILIUM,
            "/apis/k8s.ovn.org/v1/egressfirewalls": Reply(body={"items": [{}]}),
            "/apis/crd.antrea.io/v1beta1/networkpolicies": status(403, "Forbidden", "no"),
            f"{CONFIGS}/cilium-config": config,
        },
    )
    assert (found.served.version, found.served.groups) == ("v1.31.2", frozenset(_GROUPS))
    assert found.unread == (
        OtherPolicy("egressfirewalls.k8s.ovn.org"),
        OtherPolicy("networkpolicies.crd.antrea.io", certain=False),
    )
    assert found.served.absent == {("kube-system", name) for name in SETTINGS if name != "cilium-config"}
    assert parse(found.settings).snapshot.settings == {("kube-system", "cilium-config"): {"enable-policy": "never"}}


@pytest.mark.parametrize(
    "reply", [status(403, "Forbidden", "no"), Reply(200, "<html>"), Reply(200, "[]"), Reply(200, '{"gitVersion": 5}')]
)
def test_a_server_that_says_nothing(server: ApiServer, reply: Reply) -> None:
    """What is not shown is not known: neither that it is there, nor that it is not."""
    found = told(server, {}, reply)
    assert (found.served.version, found.served.groups, found.served.absent) == ("", None, frozenset())
    assert parse(found.settings).snapshot.settings.keys() <= {("kube-system", name) for name in SETTINGS}
    assert not any(parse(found.settings).snapshot.settings.values())


def test_groups_without_other_policies(server: ApiServer) -> None:
    """The usual cluster."""
    found = told(server, {"/apis": GROUPS})
    assert (found.unread, found.served.groups) == ((), frozenset({"apps"}))
    assert len(found.served.absent) == len(SETTINGS)
