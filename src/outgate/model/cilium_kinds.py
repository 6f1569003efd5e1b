"""The kinds of Cilium that are read, by name: what they are made of is loaded only where there is one of them."""

from __future__ import annotations

__all__ = ["CILIUM_KINDS", "CILIUM_POLICIES", "CLUSTERWIDE", "GROUP", "NAMESPACED"]

NAMESPACED = "CiliumNetworkPolicy"
CLUSTERWIDE = "CiliumClusterwideNetworkPolicy"
GROUP = "CiliumCIDRGroup"

CILIUM_POLICIES = (NAMESPACED, CLUSTERWIDE)
CILIUM_KINDS = (
    *(("cilium.io/v2", kind) for kind in (*CILIUM_POLICIES, GROUP)),
    ("cilium.io/v2alpha1", GROUP),
)
"""``apiVersion`` and ``kind`` of all of them. Of the policies there is one version, of the groups there are two."""
