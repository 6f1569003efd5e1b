"""All that an agent knows, and what its step may ask to be done (`outgate.agent.step`)."""

from __future__ import annotations

from dataclasses import dataclass, field

from outgate.agent.desired import Desired
from outgate.agent.remembered import Memory
from outgate.agent.trust import Sweep, Trust
from outgate.agent.world import Claim, World
from outgate.cluster.watch import Subscription
from outgate.errors import InputError
from outgate.nft.delta import Change
from outgate.nft.epoch import Epoch, epoch_of
from outgate.nft.objects import Ruleset
from outgate.nft.options import Options
from outgate.packets import Address

__all__ = ["CLUSTER_POLICIES", "NEEDED", "OF_CILIUM", "Answer", "Apply", "Do", "Follow", "Look", "PodKey", "State"]

CLUSTER_POLICIES = frozenset({"AdminNetworkPolicy", "BaselineAdminNetworkPolicy", "ClusterNetworkPolicy"})
"""The kinds of policies of the whole cluster. Where one is not installed there are none of it, which is said, too."""

OF_CILIUM = frozenset({"CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy", "CiliumCIDRGroup"})
"""The kinds of Cilium's, likewise."""

NEEDED = frozenset({"Namespace", "NetworkPolicy", "Node", "Pod"}) | CLUSTER_POLICIES | OF_CILIUM
"""The kinds without which nothing is written to the kernel."""

PodKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Apply:
    """Change the kernel, and say `Applied` or `Refused`."""

    change: Change
    whole: bool
    """Whether policies were compiled; a move of elements alone is False."""
    received: tuple[float, ...] = ()
    """When the events behind it were received, as far as they said so."""


@dataclass(frozen=True, slots=True)
class Look:
    """List our table, and say `Listed`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Tell the network plugin that its pod is enforced."""

    token: int


@dataclass(frozen=True, slots=True)
class Follow:
    """Watch these beside the kinds that are always needed, and nothing else beside."""

    subscriptions: tuple[Subscription, ...]


Do = Apply | Look | Answer | Follow | Sweep


@dataclass(slots=True)
class State:
    """All that an agent knows."""

    world: World
    desired: Desired
    trust: Trust = field(default_factory=Trust)
    synced: set[str] = field(default_factory=set)
    followed: tuple[Subscription, ...] = ()
    """What is watched beside because policies ask for it."""
    out_of_reach: set[str] = field(default_factory=set)
    """The kinds that somebody has to give us a right to."""
    actual: Ruleset | None = None
    """The kernel's table, where `seen`."""
    guard: Ruleset | None = None
    """The kernel's table of the bridges, where `seen`."""
    seen: bool = False
    looking: bool = False
    doubtful: bool = False
    """The table was changed while it was listed: the listing may be older than that."""
    changing: bool = False
    rebuild: bool = True
    dirty: set[Address] = field(default_factory=set)
    ghosts: dict[Address, frozenset[object]] = field(default_factory=dict)
    """What an address had of which the pod, one of another node, is gone: its set memberships."""
    owed: bool = True
    """The next change raises the epoch, whatever it does."""
    last: Epoch | None = None
    """The epoch that this agent left the table with, or was about to; before that, the last one of others."""
    received: list[float] = field(default_factory=list)
    waiting: dict[int, tuple[PodKey, Claim]] = field(default_factory=dict)
    covered: tuple[int, ...] = ()
    """Who can be answered once the change that is on its way has come in."""
    broken: dict[tuple[str, str, str], tuple[InputError, ...]] = field(default_factory=dict)
    troubled: dict[str, str] = field(default_factory=dict)
    generation: int = 0
    """How often policies have been compiled into the kernel."""
    comparing: bool = False
    """Nothing has changed since the table was as it should be, so whatever is found is somebody else's doing."""
    drift: int = 0
    """How often our table was not as we left it."""
    refused: str = ""
    """What the kernel said to the last change, where it refused it."""

    @classmethod
    def of(cls, node: str, options: Options, memory: Memory | None = None) -> State:
        """An agent that knows nothing yet, but what the one before it remembered."""
        world, trust = World(node), Trust()
        if memory is not None:
            trust.remember(memory)
        return cls(world, Desired(world, options, trust), trust, dirty=set(trust.owners))

    @property
    def ready(self) -> bool:
        """Whether the kernel has been given what the whole cluster asks for, once at least."""
        return self.generation > 0

    @property
    def unheard(self) -> frozenset[str]:
        """The kinds without whose news nothing is written to the kernel for the first time.

        What policies ask for is waited for: else a new agent would close what the one before it had let pass. Not so
        where only a person can mend it: then one policy must not keep all others from the kernel.
        """
        lacking = {one.kind for one in self.followed if self.world.around.lacks(one)} - self.out_of_reach
        return (NEEDED - self.synced) | (frozenset() if self.ready else lacking)

    @property
    def settled(self) -> bool:
        """Whether there is nothing left to do."""
        return self.seen and not (self.changing or self.rebuild or self.dirty)

    @property
    def epoch(self) -> int:
        """The epoch of the table; 0 where it has none."""
        found = epoch_of(self.actual) if self.actual is not None else None
        return found.value if found else 0
