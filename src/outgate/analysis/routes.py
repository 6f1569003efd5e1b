"""The ways that lead through the address of a Service, whether or not the input says what that address is.

Manifests that were never applied have no clusterIP, and the endpoints behind it are the same whatever it will be: an
address that no real network uses stands in for it.
"""

from __future__ import annotations

import dataclasses

from outgate.model import Service, Snapshot
from outgate.model.services import ServiceRoute, resolve
from outgate.model.snapshot import STAND_IN_V4, STAND_IN_V6
from outgate.packets import Address
from outgate.packets.addresses import Family

__all__ = ["UNASSIGNED", "routes_of"]

UNASSIGNED: dict[Family, Address] = {4: STAND_IN_V4[0], 6: STAND_IN_V6[0]}
"""Stands for the cluster address of a Service that the input gives none: manifests seldom do."""


def routes_of(snapshot: Snapshot, service: Service) -> tuple[ServiceRoute, ...]:
    """The cluster routes of a Service; with a stand-in for its address where the input gives it none."""
    if service.cluster_ips or service.headless:
        return tuple(route for route in resolve(snapshot, service) if not route.node_port and not route.external)
    stand_ins = dataclasses.replace(service, cluster_ips=tuple(UNASSIGNED.values()))
    return tuple(route for route in resolve(snapshot, stand_ins) if not route.node_port and not route.external)
