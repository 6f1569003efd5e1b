"""What is in the kernel's sets of learned addresses now, for whoever begins to follow them.

Each set is read by itself: the whole table may be large.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Iterator
from typing import Any

from outgate.errors import KernelError
from outgate.host import process
from outgate.host.learned_line import Heard
from outgate.nft.objects import Ruleset

__all__ = ["learned"]

_OURS = Ruleset()


def learned(ids: Iterable[str]) -> Iterator[Heard]:
    """The pairs in both families' sets of these ids; nothing of a set that is not there.

    Raises:
        NotPermitted: the caller may not look.
        KernelError: nft is missing or failed.
    """
    for one in ids:
        for family in (4, 6):
            argv = ("nft", "-nn", "-j", "list", "set", _OURS.family, _OURS.table, f"f{family}_{one}")
            done = process.run(argv, check=False)
            if done.code == 0:
                yield from ((one, *pair) for pair in _pairs(json.loads(done.stdout)))
            elif "No such file or directory" not in done.stderr:
                raise KernelError(f"the learned addresses cannot be read: {done.stderr.strip()}")


def _pairs(listing: Any) -> Iterator[tuple[Any, Any]]:
    for item in listing["nftables"]:
        for element in item.get("set", {}).get("elem", ()):
            pod, address = element["elem"]["val"]["concat"]
            yield ipaddress.ip_address(pod), ipaddress.ip_address(address)
