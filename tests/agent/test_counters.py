"""Series never go back, whatever becomes of the chains that they are counted in."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from outgate.agent.counters import PacketCounters, Series, policy_names
from outgate.errors import KernelError
from outgate.model import Direction
from outgate.nft.objects import Counter
from outgate.policy import Origin


def origin(name: str, rule: int | None = None, direction: Direction = Direction.EGRESS) -> Origin:
    """A policy of the namespace shop, or one of its rules."""
    return Origin("networking.k8s.io/v1", "NetworkPolicy", "shop", name, direction, rule)


INDEX: Mapping[str, tuple[Origin, ...]] = {
    "r_one": (origin("web", 0),),
    "r_two": (origin("web", 1, Direction.INGRESS),),
    "d_all": (origin("web"), origin("cart")),
    "w_all": (origin("watched"),),
}


class Kernel:
    """Counters as a test sets them, and a clock."""

    def __init__(self) -> None:
        self.chains: dict[str, int] = {}
        self.broken = False
        self.readings = 0
        self.now = 0.0
        self.counters = PacketCounters(self.read, lambda: INDEX, clock=lambda: self.now)

    def read(self) -> dict[tuple[str, int], Counter]:
        """As `Nftables.counters` does."""
        self.readings += 1
        if self.broken:
            raise KernelError("no")
        return {(name, 0): Counter(packets, packets * 60) for name, packets in self.chains.items()}

    def later(self) -> Mapping[Series, int]:
        """Read again, a while later."""
        self.now += 5
        return self.counters.read()


def test_each_chain_is_a_series_with_the_names_of_its_policies() -> None:
    """By what happened to the packet, who decided, and in which direction. Other chains count nothing that is told."""
    kernel = Kernel()
    kernel.chains = {
        "r_one": 1,
        "r_two": 2,
        "d_all": 3,
        "w_all": 4,
        "unknown": 5,
        "spoof": 6,
        "r_gone": 7,
        "forward": 8,
    }
    assert kernel.later() == {
        Series("allowed", "egress", "shop", "web", "0"): 1,
        Series("allowed", "ingress", "shop", "web", "1"): 2,
        Series("denied", "egress", "shop", "web,cart"): 3,
        Series("would-deny", "egress", "shop", "watched"): 4,
        Series("unknown"): 5,
        Series("spoofed"): 6,
    }


def test_a_policy_is_named_once() -> None:
    """Whatever stands behind a chain."""
    assert policy_names((origin("b"), origin("a"), origin("b"))) == "b,a"


def test_the_kernel_is_read_at_most_once_a_second() -> None:
    """Reading lists the table, and anybody may ask for metrics as often as he likes."""
    kernel = Kernel()
    kernel.chains = {"unknown": 1}
    for _ in range(5):
        kernel.counters.read()
    assert kernel.readings == 1
    kernel.chains = {"unknown": 2}
    assert kernel.counters.read(now=True)[Series("unknown")] == 2
    kernel.now = 1.0
    kernel.counters.read()
    assert kernel.readings == 3


def test_a_kernel_that_cannot_be_read_leaves_what_was_told() -> None:
    """A counter that fell to nothing for a moment would be a reset, and twice the rate."""
    kernel = Kernel()
    kernel.chains = {"unknown": 7}
    before = kernel.later()
    kernel.broken = True
    assert kernel.later() == before
    assert kernel.counters.failures == 1


def test_a_new_agent_begins_with_what_the_kernel_has() -> None:
    """Rules outlive the agent, and so do their counts."""
    kernel = Kernel()
    kernel.chains = {"d_all": 1000}
    assert list(kernel.later().values()) == [1000]


class Truth:
    """A chain that comes and goes: what was counted while it was there and was read before it went."""

    def __init__(self) -> None:
        self.kernel = Kernel()
        self.total = 0

    def step(self, action: str, packets: int) -> None:
        """What may happen between two readings."""
        chains = self.kernel.chains
        if action == "count" and "d_all" in chains:
            chains["d_all"] += packets
            self.total += packets
        elif action == "remove":
            # The agent reads before a change that removes chains.
            self.kernel.counters.read(now=True)
            chains.pop("d_all", None)
            self.kernel.counters.read(now=True)
        else:
            chains.setdefault("d_all", 0)


@given(st.lists(st.tuples(st.sampled_from(["count", "remove", "come"]), st.integers(0, 100)), max_size=30))
def test_a_chain_that_comes_and_goes_loses_nothing(steps: list[tuple[str, int]]) -> None:
    """The sum over all of its lives, and never less than before."""
    truth = Truth()
    before = 0
    for action, packets in steps:
        truth.step(action, packets)
        now = sum(truth.kernel.counters.read(now=True).values())
        assert now >= before
        assert now == truth.total
        before = now


@given(st.lists(st.one_of(st.none(), st.integers(0, 1000)), max_size=30))
def test_whatever_the_kernel_says_a_series_does_not_go_back(values: list[int | None]) -> None:
    """Even where a chain was away between two readings and nobody saw it."""
    kernel, before = Kernel(), 0
    for value in values:
        kernel.chains = {} if value is None else {"d_all": value}
        now = sum(kernel.later().values())
        assert now >= max(before, value or 0)
        before = now
