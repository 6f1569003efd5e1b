"""Random rulesets against the kernel: real packets through the forward hook of a namespace, and what became of them.

One namespace is a router with two links. Frames are written to the far end of the first link with any source and
destination; the route leads everything out by the second. Another table, asked last, keeps for each packet that
came through (known by its IP identification or flow label) the connection mark it left with; a packet that is
missing there was stopped.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from outgate.host import process
from outgate.nft.evaluate import Header
from outgate.nft.objects import CtState
from tests.lab.alone import alone

__all__ = ["INCOMING", "OUTGOING", "Sent", "forwarded"]

INCOMING, OUTGOING = "ogp1", "eth0"
_MAC = bytes.fromhex("0200000000aa")
_OBSERVER = """
table inet observer {
    set seen4 {
        typeof ip id . ct mark
        flags dynamic
        size 65535
    }
    set seen6 {
        typeof ip6 flowlabel . ct mark
        flags dynamic
        size 65535
    }
    chain before {
        type filter hook prerouting priority 300; policy accept;
        ct mark set meta mark
    }
    chain after {
        type filter hook postrouting priority 300; policy accept;
        add @seen4 { ip id . ct mark }
        add @seen6 { ip6 flowlabel . ct mark }
    }
}
"""
