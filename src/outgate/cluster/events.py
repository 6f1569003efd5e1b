"""What a watch tells: the state of a kind, whole or change by change, and how it stands with the news themselves.

Whoever folds the events of a kind has its state: `Replaced` is all of it, `Upserted` and `Removed` are one object.
While no news come (`Troubled` until `Recovered`) what stands is kept. `Broken` is an object that cannot be understood;
what was known of it before stands too, except that of a policy there is always a stand-in, which closes (see
`outgate.cluster.closed`) and comes as `Upserted` or within `Replaced` as any other policy does. `Broken` follows the
`Replaced` that lacks the object, and the stand-in: an `Upserted` with nothing behind it says that the object is whole.
A kind of a CustomResourceDefinition that is not installed has no objects, and `Replaced` says that; that it is gone
later is the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from outgate.errors import InputError
from outgate.model.cilium import CidrGroup, CiliumObject
from outgate.model.cluster_policy import ClusterPolicy
from outgate.model.objects import EndpointSlice, Namespace, NetworkPolicy, Node, Pod, Service

__all__ = ["Broken", "Event", "Recovered", "Removed", "Replaced", "Troubled", "Upserted", "Watched"]

Watched = Pod | Namespace | Node | Service | EndpointSlice | NetworkPolicy | ClusterPolicy | CiliumObject | CidrGroup
"""What can be watched. `kind` in the events is the name of the class; that of a ClusterPolicy is one of three, that of
a CiliumObject one of two, and a CidrGroup is a CiliumCIDRGroup."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """All objects of the kind that there are. What is not among them is gone."""

    kind: str
    objects: tuple[Watched, ...]
    selector: str = ""
    """Of labels, by which it was asked for; empty for all."""


@dataclass(frozen=True, slots=True)
class Upserted:
    """An object is there, new or changed; `received` is the monotonic time at which its line was complete."""

    kind: str
    object: Watched
    received: float


@dataclass(frozen=True, slots=True)
class Removed:
    """An object is gone. What is given is its last state; of one that cannot be understood its key and uid alone."""

    kind: str
    object: Watched


@dataclass(frozen=True, slots=True)
class Troubled:
    """There are no news, once each time; `words` say why, and what can be done about it."""

    kind: str
    words: str
    lasting: bool = False
    """Only somebody who changes something can mend it: a right is missing. Told once more where it comes to that."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """News come again, and what was missed has been told."""

    kind: str


@dataclass(frozen=True, slots=True)
class Broken:
    """An object that cannot be understood. Its names are empty where even these cannot be read."""

    kind: str
    namespace: str
    name: str
    errors: tuple[InputError, ...]


Event = Replaced | Upserted | Removed | Troubled | Recovered | Broken
