"""Services, and the endpoints of some of them: what policies of Cilium's may mean, watched while one does.

To follow all EndpointSlices is what costs kube-proxy most, so an agent asks for as little as it can, and for nothing
while nobody needs it (`Around.wanted`):

    Services          all of them, while any policy has ``toServices``: they seldom change
    EndpointSlices    those of the Services without selectors that a peer means, by their label; and that of
                      ``default/kubernetes`` where a policy speaks of ``kube-apiserver`` or ``cluster``

A Service with a selector means its pods, which are known anyway. What is asked for changes with policies and Services;
what had been told under other selectors stays until the new list is whole, and what that adds is not known before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from outgate.cluster.watch import Subscription
from outgate.model import CiliumPolicy, EndpointSlice, Service
from outgate.model.cilium import EntityPeer, ServicePeer
from outgate.policy.cilium_sight import API_SERVER, is_meant

__all__ = ["ON_DEMAND", "Around"]

ON_DEMAND = frozenset({"Service", "EndpointSlice"})
"""The kinds that are followed only while a policy asks for them."""

MOST_NAMES = 50
"""Services that are named in the query of a watch; where more are needed, the slices of all are followed."""

_OF_SERVICE = "kubernetes.io/service-name"
_API_SERVER = frozenset({"kube-apiserver", "cluster"})
_Key = tuple[str, str]


@dataclass(slots=True)
class Around:
    """What is asked for, and what has been told."""

    services: dict[_Key, Service] = field(default_factory=dict)
    slices: dict[_Key, EndpointSlice] = field(default_factory=dict)
    meant: dict[_Key, Service] = field(default_factory=dict)
    """The Services that some peer means."""
    told: dict[str, str] = field(default_factory=dict)
    """Of the kinds that have been listed, under which selector of labels."""
    _peers: Counter[ServicePeer] = field(default_factory=Counter)
    _api_server: int = 0

    # ---- what is asked for -------------------------------------------------------------------------------------------

    def ask(self, policies: Iterable[CiliumPolicy], *, less: bool = False) -> None:
        """Policies begin to count, or count no more."""
        weight, found = (-1 if less else 1), False
        for policy in policies:
            for peer in _peers(policy):
                if isinstance(peer, ServicePeer):
                    self._peers[peer] += weight
                    found = True
                elif isinstance(peer, EntityPeer) and peer.name in _API_SERVER:
                    self._api_server += weight
        if found:
            self._peers = +self._peers
            self.meant = {key: one for key, one in self.services.items() if self._is_meant(one)}

    @property
    def needed(self) -> frozenset[_Key]:
        """The Services whose slices are asked for."""
        named = (key for key, one in self.meant.items() if not one.selector)
        return frozenset((*named, *((API_SERVER,) if self._api_server else ())))

    @property
    def wanted(self) -> tuple[Subscription, ...]:
        """What is to be watched."""
        found = [Subscription("Service")] if self._peers else []
        names = sorted({name for _, name in self.needed})
        if names:
            selector = f"{_OF_SERVICE} in ({','.join(names)})" if len(names) <= MOST_NAMES else ""
            found.append(Subscription("EndpointSlice", label_selector=selector))
        return tuple(found)

    # ---- what has been told ------------------------------------------------------------------------------------------

    def put_service(self, one: Service) -> bool:
        """A Service is new or another; whether that may change a rule. No more is kept of it than that hangs on."""
        key = one.namespace, one.name
        kept = Service(*key, selector=one.selector, labels=one.labels)
        self.services[key] = kept
        before = self.meant.pop(key, None)
        if self._is_meant(kept):
            self.meant[key] = kept
        return before != self.meant.get(key)

    def drop_service(self, key: _Key) -> bool:
        """A Service is gone."""
        self.services.pop(key, None)
        return self.meant.pop(key, None) is not None

    def put_slice(self, one: EndpointSlice) -> bool:
        """A slice is new or another; whether that may change a rule."""
        before = self.slices.get((one.namespace, one.name))
        self.slices[one.namespace, one.name] = one
        return before is None or (before.service, _addresses(before)) != (one.service, _addresses(one))

    def drop_slice(self, key: _Key) -> bool:
        """A slice is gone."""
        return self.slices.pop(key, None) is not None

    def hears(self, kind: str, selector: str) -> None:
        """A list under a selector is whole."""
        self.told[kind] = selector

    def forget(self, kind: str) -> None:
        """A kind is not followed any more: what is known of it grows old."""
        self.told.pop(kind, None)
        if kind == "Service":
            self.services.clear()
            self.meant.clear()
        else:
            self.slices.clear()

    def lacks(self, one: Subscription) -> bool:
        """Whether what is asked for has not been told yet."""
        return self.told.get(one.kind) != one.label_selector

    @property
    def endpoints(self) -> frozenset[_Key]:
        """The Services whose slices have been told; the API server's only where they have an address."""
        selector = self.told.get("EndpointSlice")
        if selector is None:
            return frozenset()
        names = frozenset(selector.partition("(")[2].rstrip(")").split(","))
        known = {key for key in self.needed if not selector or key[1] in names}
        if not any(_addresses(one) for one in self.slices.values() if (one.namespace, one.service) == API_SERVER):
            known.discard(API_SERVER)
        return frozenset(known)

    def _is_meant(self, one: Service) -> bool:
        return any(is_meant(peer, one) for peer in self._peers)


def _peers(policy: CiliumPolicy) -> Iterator[object]:
    for many in (policy.egress, policy.egress_deny, policy.ingress, policy.ingress_deny):
        for rule in many:
            yield from rule.peers or ()


def _addresses(one: EndpointSlice) -> tuple[object, ...]:
    """What of a slice a rule can see."""
    return tuple(end.addresses for end in one.endpoints if end.addresses)
