"""What an agent remembers is what it was told; what is no memory is refused."""

from __future__ import annotations

import dataclasses
import ipaddress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.agent.remembered import FORMAT, Memory, Unreadable, recalled, remembered
from outgate.model import ContainerPort, Namespace, Node, Owner, Pod
from outgate.model.hints import NO_HINTS
from outgate.testing import random_cluster, snapshot_of


def kept(pod: Pod, node: str) -> Pod:
    """What is to come back of a pod."""
    found = dataclasses.replace(pod, hints=NO_HINTS, hostname="", subdomain="", assumed=False, addressed=True)
    if not pod.addressed:
        found = dataclasses.replace(found, addresses=())
    return found if pod.node == node else dataclasses.replace(found, ports=())


@given(st.integers(0, 1 << 32), st.sampled_from(["node-a", "node-b"]))
def test_there_and_back(seed: int, node: str) -> None:
    """All of a random cluster: pods of this node in full, others by what they are known by, policies whole."""
    snapshot = snapshot_of(random_cluster(seed))
    memory = Memory(
        node,
        "2026-01-01T00:00:00Z",
        snapshot.pods,
        tuple(snapshot.namespaces.values()),
        snapshot.policies,
        tuple(dataclasses.replace(one, kubelet="", kernel="", system="") for one in snapshot.nodes.values()),
    )
    found = recalled(b"".join(remembered(memory)))
    assert found == dataclasses.replace(memory, pods=tuple(kept(one, node) for one in snapshot.pods))


def test_every_field_of_a_pod_of_this_node() -> None:
    """With what random clusters do not have."""
    pod = Pod(
        "shop",
        "web-ü",
        {"app": "web"},
        (ipaddress.ip_address("10.0.0.1"), ipaddress.ip_address("::1")),
        "here",
        (ContainerPort(80, "UDP", "dns"),),
        host_network=True,
        finished=True,
        ready=False,
        owner=Owner("Job", "web"),
        uid="u",
    )
    node = Node("here", {"a": "b"}, pod.addresses, (ipaddress.ip_network("10.0.0.0/24"),))
    memory = Memory("here", "", (pod,), (Namespace("shop", {"x": "y"}, False, {"outgate.dev/z": "1"}),), (), (node,))
    assert recalled(b"".join(remembered(memory))) == memory


def test_pods_of_a_template_share_their_labels() -> None:
    """A hundred thousand pods of four hundred kinds must not carry a hundred thousand sets of labels."""
    labels = {f"key-{number}": "x" * 60 for number in range(10)}
    pods = tuple(Pod("shop", f"web-{n}", dict(labels), (ipaddress.ip_address(n),), "n") for n in range(1000))
    data = b"".join(remembered(Memory("n", pods=pods)))
    assert len(data) < 60 * 1000
    found = recalled(data).pods
    assert all(one.labels is found[0].labels for one in found)


GOOD = b"".join(remembered(Memory("n", pods=(Pod("a", "b", {"c": "d"}, (ipaddress.ip_address("10.0.0.1"),)),))))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc0",
        b"\x90",
        GOOD[:-1],
        GOOD + b"\x00",
        msgspec.msgpack.encode([FORMAT + 1, "whatever"]),
        msgspec.msgpack.encode([FORMAT, "n", "", [["a", "b", 0, [], "n", 0, None, ""]], [], [], [], []]),
        msgspec.msgpack.encode([FORMAT, "n", "", [["a", "b", -1, [], "n", 0, None, ""]], [[{}, []]], [], [], []]),
        msgspec.msgpack.encode([FORMAT, "n", "", [["a", "b", 0, [b"1"], "n", 0, None, ""]], [[{}, []]], [], [], []]),
        msgspec.msgpack.encode([FORMAT, "n", "", [], [], [], [], [["n", {}, [], ["10.0.0.1/8"]]]]),
        b"\x91" * 100_000,
    ],
)
def test_what_is_no_memory(data: bytes) -> None:
    """A later format, half a file, somebody else's file."""
    with pytest.raises(Unreadable):
        recalled(data)


@given(st.binary(max_size=60), st.integers(0, len(GOOD)))
def test_fuzz(noise: bytes, at: int) -> None:
    """Nothing but the one error, whatever the disk has made of it."""
    for data in (noise, GOOD[:at] + noise + GOOD[at + len(noise) :]):
        try:
            recalled(data)
        except Unreadable:
            continue
