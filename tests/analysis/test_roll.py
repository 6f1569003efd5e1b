"""Every end by a number: sets of ends as integers, and who is at an address."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from outgate.analysis.roll import Roll, bits_of, key_of, numbers
from outgate.packets import AddressSet
from outgate.policy import Endpoint
from outgate.testing import random_cluster, snapshot_of
from tests.analysis.shop import snapshot


def test_the_ports_at_an_address_are_those_of_all_pods_there() -> None:
    """A packet to a port of a host-network pod is one to its node."""
    roll = Roll(snapshot())
    meant = {
        str(roll.ends[number]): {port.name for port in ports}
        for ports, some in roll.by_ports_at.items()
        for number in numbers(some)
    }
    assert meant["node node-b"] == meant["data/agent"] == {"metrics"}
    assert (meant["data/db"], meant["node node-a"]) == ({"sql", "metrics"}, set())


@given(st.sets(st.integers(0, 5000)))
def test_sets_and_integers_are_the_same(some: set[int]) -> None:
    """There and back, in order."""
    assert list(numbers(bits_of(some))) == sorted(some)
    assert bits_of(some) == sum(1 << number for number in some)


def test_everybody_is_everybody_once() -> None:
    """A host-network pod is its node there, and itself among the pods; who has finished is nobody."""
    roll = Roll(snapshot())
    everybody = [roll.ends[number] for number in numbers(roll.everybody)]
    assert {str(end) for end in everybody} == {
        "shop/web-1",
        "shop/web-2",
        "shop/planned",
        "data/db",
        "data/lone",
        "node node-a",
        "node node-b",
    }
    assert len({key_of(end) for end in everybody}) == len(everybody)
    pods = {str(roll.ends[number]) for number in numbers(roll.pods)}
    assert pods == {"shop/web-1", "shop/web-2", "shop/planned", "data/db", "data/lone", "data/agent"}
    assert [str(roll.ends[number]) for number in numbers(roll.nodes)] == ["node node-a", "node node-b"]


def test_a_host_network_pod_and_its_node_are_twins() -> None:
    """No packet shows which of the two it is for; a pod with an address of its own has no twin."""
    roll = Roll(snapshot())
    agent = roll.of_pods(pod for pod in roll.snapshot.endpoints if pod.host_network)
    twins = {str(roll.ends[number]) for number in numbers(roll.twins(agent))}
    assert twins == {"data/agent", "node node-b"}
    assert roll.twins(roll.pods & ~agent) == 0


def test_a_newcomer_gets_a_new_number_and_nobody_another() -> None:
    """Sets that were made before go on to mean the same, and the newcomer is found at its address."""
    roll = Roll(snapshot())
    before, everybody = list(roll.ends), roll.everybody
    assert roll.at(AddressSet.any()) == (1 << len(before)) - 1
    newcomer = Endpoint(ipaddress.ip_address("10.77.0.1"))
    number = roll.number(newcomer)
    assert (number, roll.number(newcomer)) == (len(before), len(before))
    assert (roll.ends[:-1], roll.everybody) == (before, everybody)
    assert roll.at(AddressSet.network("10.77.0.0/24")) == 1 << number


@given(st.integers(0, 2**32 - 1), st.lists(st.sampled_from(("10.0.0.0/9", "10.1.0.0/16", "fd00::/8", "0.0.0.0/0"))))
def test_who_is_at_an_address_is_what_looking_at_each_says(seed: int, blocks: list[str]) -> None:
    """By bisection, as by asking every end; and by ports, as by asking every pod."""
    roll = Roll(snapshot_of(random_cluster(seed)))
    addresses = AddressSet.union_of(map(AddressSet.network, blocks))
    there = {number for number, end in enumerate(roll.ends) if end.address in addresses}
    assert set(numbers(roll.at(addresses))) == there
    assert roll.addresses == AddressSet.of(roll.ends[number].address for number in numbers(roll.everybody))
    for ports, some in roll.by_ports.items():
        declared = {number for number, end in enumerate(roll.ends) if end.pod is not None and end.pod.ports == ports}
        assert set(numbers(some)) == declared
    by_address = {number: ports for ports, some in roll.by_ports_at.items() for number in numbers(some)}
    for number, ports in by_address.items():
        holders = [pod for pod in roll.snapshot.endpoints if roll.ends[number].address in pod.addresses]
        assert set(ports) == {port for pod in holders for port in pod.ports}
    assert by_address.keys() == set(numbers(roll.everybody | roll.pods | roll.nodes))
