"""What happens to an agent: what the API server tells (`outgate.cluster.events`), and what its own node does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from outgate.agent.world import Claim
from outgate.cluster.events import Event as ApiEvent
from outgate.host.bridges import Behind
from outgate.nft.epoch import Epoch
from outgate.nft.objects import Ruleset
from outgate.nft.options import Options
from outgate.packets import Address

__all__ = [
    "Applied",
    "Born",
    "Chosen",
    "Died",
    "Drifted",
    "Event",
    "Forgotten",
    "Linked",
    "Listed",
    "Refused",
    "Released",
    "Swept",
]


@dataclass(frozen=True, slots=True)
class Listed:
    """Our tables as the kernel has them; None where it has none."""

    ruleset: Ruleset | None
    guard: Ruleset | None = None
    """The one of the bridges."""
    last: Epoch | None = None
    """The epoch that was given out last, as live connections say; for an agent that begins."""
    woken: int = 0
    """How many of them somebody else had put to sleep, and had to be woken to be listed."""


@dataclass(frozen=True, slots=True)
class Drifted:
    """Somebody else has changed our table, or may have: it is to be looked at."""

    words: str


@dataclass(frozen=True, slots=True)
class Linked:
    """Which interface of the node leads to which address. Asked for the addresses of this node's pods alone."""

    links: Mapping[Address, str]
    behind: Behind = field(default_factory=Behind)
    """Who is behind the ports of its bridges; nobody where bridges are not guarded."""


@dataclass(frozen=True, slots=True)
class Born:
    """The network plugin has made a pod's network, and waits for the answer."""

    namespace: str
    name: str
    claim: Claim
    token: int
    """Whom to answer."""


@dataclass(frozen=True, slots=True)
class Died:
    """The network plugin has taken a pod's network away."""

    namespace: str
    name: str
    uid: str = ""
    addresses: tuple[Address, ...] = ()
    """Those that the network had; empty where the plugin did not say."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Nobody waits for an answer any more."""

    token: int


@dataclass(frozen=True, slots=True)
class Chosen:
    """The ruleset is to be made with other options: it is known now what pods' interfaces are called."""

    options: Options


@dataclass(frozen=True, slots=True)
class Applied:
    """The change is in the kernel."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The kernel did not take the change, or took a part of it."""

    words: str


@dataclass(frozen=True, slots=True)
class Swept:
    """What was to be swept out of connection tracking is (`outgate.agent.trust.Sweep`)."""


@dataclass(frozen=True, slots=True)
class Released:
    """The proxy that looks into requests holds no connection any more."""


Event = ApiEvent | Listed | Drifted | Linked | Born | Died | Forgotten | Chosen | Applied | Refused | Released | Swept
