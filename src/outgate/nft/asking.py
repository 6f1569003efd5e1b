"""The part of the frame for pods that ask for names: their questions go to the DNS proxy of the node.

    prerouting ─► anew: a question that goes to the proxy is of a connection of its own
               ─► dns: a pod of ``dns4``/``dns6``, a protocol and a port of DNS ─► led to the proxy's own address
    input      ─► what was led there passes; what goes there of itself does not
    output     ─► asked: an answer that finds no way back is not sent, and the proxy hears of it
               ─► asked: the proxy asks on in the node's name. Its socket carries the traffic class of a *door*, and the
                  door leads to the chain of the pod's policy class: the kernel judges the proxy's question as the pod's

A translation is chosen with the first packet of a connection, and over UDP a connection lasts as long as somebody uses
its port: a resolver that keeps one socket would be led past the proxy, or to one that is gone, for good. So what is led
to the proxy has a zone of connection tracking of its own, in which nothing is known of before and nothing is left of
after. Its answers are found without: the zone is that of one direction. And what has a zone is not taken out of
connection tracking any more (xt_CT.c, nft_ct.c: "Previously seen (loopback or untracked)? Ignore."), as caches on nodes
have it done: without tracking no NAT rule is asked.

`dns` hangs one before ``dstnat``, so the proxy learns which Service was asked and not which endpoint of it; `asked`
hangs behind every translation, where the server is what policies are written about. A door that is gone is closed: the
classes from `DOORS_FIRST` to `DOORS_LAST` are for doors alone, and what comes with one and finds none is dropped.

The elements of ``dns4`` and ``dns6`` belong to the pods of this node, and those of the doors to their classes. The
members of ``dns_up`` are the proxy's: where plain forwarding is chosen for the time that it is dead, questions are led
to it only while they live.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterator

from outgate.nft.objects import (
    ACCEPT,
    DROP,
    Chain,
    ChainRule,
    Compare,
    CtState,
    Dnat,
    Field,
    Hook,
    KeyType,
    Lookup,
    NftSet,
    SetKey,
    SetZone,
    VerdictMap,
)
from outgate.packets import Address, Protocol

__all__ = [
    "ASKERS",
    "DOORS",
    "DOORS_FIRST",
    "DOORS_LAST",
    "LEASE",
    "PORT",
    "STAND_INS",
    "ZONE",
    "asker_keys",
    "asking_chains",
    "asking_sets",
    "door_of",
    "input_lines",
    "is_learned",
]

STAND_INS = {4: "169.254.53.53", 6: "fd6f:7574:6761:7465::53"}
"""The proxy's addresses: link-local, and a unique local one (RFC 4193) whose number spells the project."""
PORT = 10053
"""Of the proxy, on its own addresses."""
ASKERS = {4: "dns4", 6: "dns6"}
"""The sets of (pod, protocol, port) whose packets are questions, by family."""
DOORS = {4: "doors4", 6: "doors6"}
"""The maps from a door to the chain of a policy class, by family."""
LEASE = "dns_up"
"""The set of protocols for which the proxy says that it lives."""
DOORS_FIRST, DOORS_LAST = 0xD000_0000, 0xDFFF_FFFF
"""Traffic classes of doors. A queueing discipline looks at them only if its handle is d000: or above, which none gets
by itself: the kernel numbers them from 8000: (net/sched/sch_api.c, `qdisc_alloc_handle`), one by one."""

_ADDRESS = {4: KeyType.IPV4_ADDR, 6: KeyType.IPV6_ADDR}
_SOURCE = {4: Field.IP_SADDR, 6: Field.IP6_SADDR}
_DESTINATION = {4: Field.IP_DADDR, 6: Field.IP6_DADDR}
_NFPROTO = {4: 2, 6: 10}
_DNAT_STATUS = 32
"""IPS_DST_NAT (nf_conntrack_common.h)."""
_BEFORE_DSTNAT = -101
_BEFORE_RAW = -301
"""Where programs like NodeLocal DNSCache take packets out of connection tracking is the table raw of iptables, -300.
Fragments are put together before both (-400), so each packet has its port."""
ZONE = 8
"""Of connection tracking, for what pods ask. Not that of HTTP (`Options.proxy_zone`): what is sent from there in the
name of a pod may go to port 53, too."""
_DNS = 53


def door_of(chain: str) -> int:
    """The traffic class of the door to a class chain. Names of chains are hashes of their content, and so is this.

    The last four bits are 0, which a queueing discipline by bands takes for ordinary traffic.
    """
    return DOORS_FIRST | int.from_bytes(hashlib.blake2s(chain.encode()).digest()[:3], "big") << 4


def is_learned(name: str) -> bool:
    """Whether the elements of a set are the DNS proxy's: learned addresses, and the sign that it lives."""
    return name == LEASE or name.startswith(("f4_", "f6_"))


def asker_keys(address: Address) -> Iterator[SetKey]:
    """The elements of a pod's address: its questions, over both transports."""
    value = int(address)
    for protocol in (Protocol.TCP, Protocol.UDP):
        yield (value, value), (int(protocol), int(protocol)), (_DNS, _DNS)


def asking_sets() -> Iterator[NftSet]:
    """The declarations of all sets and maps, empty."""
    for family, name in ASKERS.items():
        key = (_ADDRESS[family], KeyType.INET_PROTO, KeyType.INET_SERVICE)
        yield NftSet(name, key, comment="pods whose questions go to the DNS proxy")
    for name in DOORS.values():
        yield NftSet(name, (KeyType.CLASSID,), is_map=True, comment="whose policies a question of the proxy is under")
    yield NftSet(LEASE, (KeyType.INET_PROTO,), timeout=True, comment="the DNS proxy lives")


def asking_chains(*, leased: bool) -> Iterator[Chain]:
    """The chains. `leased`: questions are led to the proxy only while it says that it lives."""
    alive = (Lookup((Field.L4PROTO,), LEASE),) if leased else ()
    anew: list[ChainRule] = []
    led: list[ChainRule] = []
    for family, name in ASKERS.items():
        to = Dnat(ipaddress.ip_address(STAND_INS[family]), PORT)
        for protocol in (Protocol.TCP, Protocol.UDP):
            # nft(8) wants to see a transport protocol before a port, and does not see the one inside a key.
            fixed = Compare(Field.L4PROTO, int(protocol), int(protocol))
            port = Field.TCP_DPORT if protocol is Protocol.TCP else Field.UDP_DPORT
            asked = (*alive, fixed, Lookup((_SOURCE[family], Field.L4PROTO, port), name))
            anew.append(ChainRule((*asked, SetZone(ZONE))))
            led.append(ChainRule((*asked, to)))
    yield Chain("anew", tuple(anew), Hook("prerouting", _BEFORE_RAW))
    yield Chain("dns", tuple(led), Hook("prerouting", _BEFORE_DSTNAT, "nat"))
    judged = [
        ChainRule((Compare(Field.NFPROTO, number, number), VerdictMap((Field.PRIORITY,), DOORS[family])))
        for family, number in _NFPROTO.items()
    ]
    nobody = ChainRule((Compare(Field.PRIORITY, DOORS_FIRST, DOORS_LAST), DROP), "a question of a class that is gone")
    yield Chain("asked", (*_answers(), *judged, nobody), Hook("output", -10))


def _answers() -> Iterator[ChainRule]:
    """Answers over UDP whose way back is not known any more: the proxy is told (EPERM), and puts it back.

    kube-proxy deletes the entries of questions under way, for they lead to no endpoint of a Service (`dns_origin`).
    What is sent then is new to connection tracking, and would reach the pod from an address that it does not know.
    """
    for family, address in STAND_INS.items():
        value = int(ipaddress.ip_address(address))
        new = Compare(Field.CT_STATE, mask=int(CtState.NEW))
        yield ChainRule((Compare(_SOURCE[family], value, value), Compare(Field.UDP_SPORT, PORT, PORT), new, DROP))


def input_lines() -> Iterator[ChainRule]:
    """What comes to the proxy: asked before a pod's own rules are, which say nothing of it."""
    for family, address in STAND_INS.items():
        value = int(ipaddress.ip_address(address))
        mine = Compare(_DESTINATION[family], value, value)
        led = Compare(Field.CT_STATUS, _DNAT_STATUS, _DNAT_STATUS)
        for port in (Field.TCP_DPORT, Field.UDP_DPORT):
            yield ChainRule((mine, led, Compare(port, PORT, PORT), ACCEPT), "questions of pods")
        yield ChainRule((mine, DROP), "the DNS proxy is asked through its servers")
