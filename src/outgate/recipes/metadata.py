"""The addresses at which clouds hand out credentials, as exceptions of an address block."""

from __future__ import annotations

from outgate.analysis.exposure_metadata import CLOUD_ADDRESSES, CloudAddress, CloudUse
from outgate.model.objects import Network

__all__ = ["BLOCKED", "NEEDED", "exceptions_within", "single"]

NEEDED: tuple[CloudAddress, ...] = tuple(
    one for one in CLOUD_ADDRESSES if any(what == "EKS Pod Identity agent" for _, what in one.what)
)
"""What gives a workload its own credentials and nobody else's: to block it breaks those that use it."""

BLOCKED: tuple[CloudAddress, ...] = tuple(
    one for one in CLOUD_ADDRESSES if one.use is CloudUse.METADATA and one not in NEEDED
)
"""What gives out the credentials of the machine."""


def single(place: CloudAddress) -> str:
    """The block of just that address."""
    return f"{place.address}/{place.address.max_prefixlen}"


def exceptions_within(block: Network) -> list[str]:
    """The metadata services in a block, in the order of the table; none of a block that is one of them."""
    if block.prefixlen == block.max_prefixlen:
        return []
    return [single(one) for one in BLOCKED if one.address.version == block.version and one.address in block]
