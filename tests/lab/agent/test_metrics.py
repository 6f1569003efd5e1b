"""Property 25: metrics as service levels, scraped from a real agent after what they measure has really happened.

docs/metrics.md is the list; `tests/agent/test_measures.py` holds each number against what the loop says. Here they are
held against the API server, the kernel and the packets.
"""

from __future__ import annotations

import pytest

from outgate.testing import pod, policy
from tests.lab.agent.births import called, told, without_two
from tests.lab.agent.cast import CLUSTER, allow, deny
from tests.lab.agent.farm import Farm, grow
from tests.lab.agent.seen import SHOWN, Scraped, scrape

pytestmark = pytest.mark.kernel

OPEN, SHUT = 7000, 7001
THREE = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "three"}}}


def counts(found: Scraped, name: str) -> float:
    """How often a histogram was given something; its parts must agree."""
    buckets = found.buckets(name)
    numbers = [value for _, value in buckets]
    assert buckets[-1][0] == float("inf")
    assert numbers == sorted(numbers)
    assert numbers[-1] == found.of(f"{name}_count")
    assert (found.of(f"{name}_sum") > 0) == (numbers[-1] > 0)
    return numbers[-1]


def test_25_from_an_event_to_the_kernel() -> None:
    """Each event that changes the kernel is in the histogram once it is in force, and none that changes nothing."""

    def check(farm: Farm) -> None:
        before = scrape(farm, "n1")
        assert counts(before, "outgate_event_to_kernel_seconds") == 0, "what was listed is no event"
        for number in range(5):
            farm.server.put(pod(f"b/far-{number}", [f"10.1.1.{20 + number}"], on="n2", app="three"))
            farm.settle(["n1"])
        moved = scrape(farm, "n1")
        assert counts(moved, "outgate_event_to_kernel_seconds") == 5
        assert moved.of("outgate_policy_programming_seconds_count") == counts(
            before, "outgate_policy_programming_seconds"
        ), "no policy has changed"
        farm.server.put(allow("a/q", THREE, OPEN, app="two"))
        farm.settle(["n1"])
        compiled = scrape(farm, "n1")
        assert (
            counts(compiled, "outgate_policy_programming_seconds")
            == counts(moved, "outgate_policy_programming_seconds") + 1
        )
        doors = [compiled.of("outgate_nft_transaction_seconds_count", door=one) for one in ("text", "netlink")]
        assert doors == [farm.agents["n1"].told[one] for one in ("text", "netlink")]

    grow([*CLUSTER, allow("a/p", THREE, OPEN)], check, **SHOWN)


def test_25_from_a_pods_start_to_its_enforcement() -> None:
    """What the network plugin waited, for each pod that it started; a pod that it did not start is none."""

    def check(farm: Farm) -> None:
        without_two(farm)
        assert counts(scrape(farm, "n1"), "outgate_pod_start_to_enforced_seconds") == 0
        assert called(farm, "stranger", 0.5).code != 0
        farm.until(lambda: scrape(farm, "n1").of("outgate_cni_requests_total", result="abandoned") == 1)
        assert counts(scrape(farm, "n1"), "outgate_pod_start_to_enforced_seconds") == 0
        farm.server.put(told("born"))
        assert called(farm, "born").code == 0
        found = scrape(farm, "n1")
        assert counts(found, "outgate_pod_start_to_enforced_seconds") == 1
        assert counts(found, "outgate_cni_wait_seconds") == 1
        assert found.of("outgate_cni_requests_total", result="enforced") == 1

    grow(CLUSTER, check, **SHOWN)


def test_25_pods_that_are_not_enforced() -> None:
    """One that has no address yet, and two that claim one: each is named by its state, until it is enforced."""

    def states(farm: Farm) -> tuple[float, ...]:
        found = scrape(farm, "n1")
        return tuple(found.of("outgate_pods", state=one) for one in ("enforced", "waiting", "contested"))

    def check(farm: Farm) -> None:
        farm.until(lambda: states(farm) == (2, 0, 0))
        farm.server.put(told("new"))
        farm.until(lambda: states(farm) == (2, 1, 0))
        farm.server.put(told("new", "10.1.0.11"))
        farm.until(lambda: states(farm) == (1, 0, 2))
        assert not farm.passes("a/two", "b/three", OPEN), "and it is as it is told"
        farm.server.delete("Pod", "a", "two")
        farm.until(lambda: states(farm) == (2, 0, 0))
        assert scrape(farm, "n1").of("outgate_agent_ready") == 1

    grow(CLUSTER, check, **SHOWN)


def test_25_what_each_rule_counted() -> None:
    """So many packets as were sent, under the policy and the number of the rule that decided."""

    def check(farm: Farm) -> None:
        sent = {("b/three", OPEN): 3, ("world", SHUT): 2, ("b/three", SHUT): 4}
        for (target, port), times in sent.items():
            for _ in range(times):
                assert farm.passes("a/one", target, port) == ((target, port) != ("b/three", SHUT))
        named = {"policy_namespace": "a", "policy": "p", "direction": "egress"}
        farm.until(lambda: scrape(farm, "n1").of("outgate_denied_packets_total", **named) == 4)
        found = scrape(farm, "n1")
        # Each of these datagrams is the first of a connection: `passes` has a new socket each time.
        assert found.of("outgate_allowed_packets_total", **named, rule="0") == 3
        assert found.of("outgate_allowed_packets_total", **named, rule="1") == 2
        assert found.of("outgate_unknown_pod_packets_total") == found.of("outgate_spoofed_packets_total") == 0
        farm.server.put(deny("a/watched", annotations={"outgate.dev/enforcement": "audit"}, app="two"))
        farm.settle()
        assert farm.passes("a/two", "b/three", OPEN)
        farm.until(lambda: scrape(farm, "n1").of("outgate_would_deny_packets_total", policy="watched") == 1)
        farm.until(lambda: scrape(farm, "n1").of("outgate_policies", mode="audit") == 1)

    world = {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}
    ports = [{"port": OPEN, "protocol": "UDP"}]
    egress = [{"to": [THREE], "ports": ports}, {"to": [world]}]
    spec = {"podSelector": {"matchLabels": {"app": "one"}}, "policyTypes": ["Egress"], "egress": egress}
    grow([*CLUSTER, policy("a/p", spec)], check, **SHOWN)


def test_25_repairs_and_news_that_stay_away() -> None:
    """Somebody empties a chain of ours: mended, and counted once. The API server goes away: the lag says so."""

    def check(farm: Farm) -> None:
        assert scrape(farm, "n1").of("outgate_drift_repairs_total") == 0
        farm.stage.run(farm.stage.nodes["n1"], ("nft", "flush", "chain", "inet", "outgate", "egress"))
        farm.until(lambda: scrape(farm, "n1").of("outgate_drift_repairs_total") == 1)
        assert not farm.passes("a/one", "b/three", SHUT)
        assert scrape(farm, "n1").of("outgate_watch_lag_seconds") == 0
        farm.server_down()
        farm.until(lambda: scrape(farm, "n1").of("outgate_watch_lag_seconds", kind="NetworkPolicy") > 0)
        assert scrape(farm, "n1").of("outgate_watch_restarts_total", kind="NetworkPolicy", reason="troubled") > 0
        assert scrape(farm, "n1").of("outgate_agent_ready") == 1, "what was programmed stands"
        farm.server_up()
        farm.until(lambda: scrape(farm, "n1").of("outgate_watch_lag_seconds") == 0)

    grow([*CLUSTER, deny()], check, **SHOWN)
