"""Can this node enforce? What the kernel says before anything is changed.

Looked at are facts of this node alone: that nftables takes a table like ours, that packets of pods pass the hooks that
the table hangs on, and that nobody else writes into our bits of the connection mark. What stands in the way is a
hindrance; what may come to, a warning. Nothing is guessed from the name of a daemon.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from outgate.agent.desired import Desired
from outgate.agent.links import hindrances
from outgate.agent.world import World
from outgate.errors import KernelError
from outgate.host.conntrack import foreign_bits
from outgate.host.interfaces import Interfaces
from outgate.host.mark_rules import mark_rules
from outgate.host.nft import Asleep, Nftables
from outgate.nft.epoch import Epoch, epoch_of
from outgate.nft.objects import Ruleset
from outgate.nft.options import Options
from outgate.nft.text import ruleset_text

__all__ = ["Preflight", "look"]


@dataclass(frozen=True, slots=True)
class Preflight:
    """What was found."""

    kernel: str
    table: str
    """What there is of our table: ``none``, ``asleep``, or its epoch and how many chains it has."""
    hindrances: tuple[str, ...]
    warnings: tuple[str, ...]


def look(mask: int) -> Preflight:
    """Look at the network namespace of the calling thread. `mask`: the bits of the connection mark that are to be ours.

    Raises:
        NotPermitted: the caller may not look.
        KernelError: the kernel does not tell.
    """
    found, warned = list[str](), list[str]()
    try:
        table = Nftables().list()
        words = _words(table)
        found += _refused()
    except Asleep as error:
        # What nft makes of our rules cannot be asked meanwhile. An agent that begins wakes the table first.
        table, words = Ruleset(), "asleep"
        warned.append(f"{error.message}; {error.hint}")
    interfaces = Interfaces.read()
    found += hindrances(interfaces, ())
    if interfaces.bridges() and not Nftables().guards():
        warned.append(
            "the kernel has no nftables for bridges (CONFIG_NF_TABLES_BRIDGE): pods on a bridge of this node can send "
            "under each other's addresses"
        )
    warned += (
        f"packets between two ports of the bridge {bridge.name} do not pass the rules: if its ports are pods, "
        "load br_netfilter and set net.bridge.bridge-nf-call-iptables and -ip6tables to 1"
        for bridge in interfaces.bridges()
        if bridge.ports and not (bridge.ipv4_filtered and bridge.ipv6_filtered)
    )
    writers = [str(rule) for rule in mark_rules() if rule.bits & mask]
    warned += (f"{one}: it writes bits of the connection mark that are to be ours ({mask:#010x})" for one in writers)
    if table is None:
        strange = sum(foreign_bits(mask, ()).values())
        if strange:
            warned.append(
                f"{strange} connections have a number in our bits of the mark ({mask:#010x}): somebody uses them"
            )
    return Preflight(os.uname().release, words, tuple(found), tuple(warned))


def _refused() -> list[str]:
    """What nft says to a table such as ours."""
    empty = Desired(World("check"), Options(interface_prefix="veth", log_group=5)).rebuild()
    try:
        Nftables().check(ruleset_text(empty))
    except KernelError as error:
        return [f"nftables does not take our rules: {error.message}"]
    return []


def _words(table: Ruleset | None) -> str:
    if table is None:
        return "none"
    epoch: Epoch | None = epoch_of(table)
    return f"{len(table.chains)} chains, {len(table.sets)} sets, epoch {epoch.value if epoch else 'unknown'}"
