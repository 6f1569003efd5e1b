"""The points that the API leaves open, and how they are read.

Where Kubernetes says "undefined" or "implementation defined", an answer that pretends to be *the*
answer is a guess. Each such point is a field here; `OUTGATE` is what Outgate itself enforces. A
verdict is called specified when no open point that the flow touches could turn it.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["OUTGATE", "Profile"]


@dataclass(frozen=True, slots=True)
class Profile:
    """One reading of the open points."""

    name: str
    blocks_match_pods: bool = True
    """An address block matches a pod's address too (upstream e2e expects it; Cilium differs)."""
    blocks_see_service: bool = False
    """Address blocks are compared with the service address, before translation (concept page: undefined)."""
    own_node_exempt: bool = False
    """A pod always reaches the node it runs on (the concept page says so, types.go exempts ingress alone)."""
    host_network_isolated: bool = False
    """Policies that select a host-network pod isolate it (concept page: undefined; nearly all ignore them)."""
    host_network_selected: bool = False
    """Selectors of peers match host-network pods (concept page: undefined)."""
    hairpin_exempt: bool = False
    """A pod that reaches itself through a Service is exempt (undefined; network-policy-api makes it subject)."""
    stand_ins_in_blocks: bool = False
    """A pod whose address is not known yet is taken to lie in every address block."""


OUTGATE = Profile("outgate")
