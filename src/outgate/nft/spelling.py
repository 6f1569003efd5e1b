"""How nft spells values and names: the vocabulary that `text`, `parse` and `listing` share.

Everything that a rule compares with is a closed range of integers (or an interface name); what the range
is written as depends on the kind of value and, when it is read back, on the version and the flags of nft:
``tcp`` or ``6``, ``10.0.0.0/29`` or ``10.0.0.0-10.0.0.7``. Writing has one form for each value, reading
takes them all.

Nothing that is not an identifier, a known word or a number is ever written: `checked_name` and its siblings
raise ValueError, and comments, the one place where text of a manifest may stand, are escaped.
"""

from __future__ import annotations

import enum
import hashlib
import ipaddress
import re

from outgate.nft.objects import Field, KeyPart, KeyType

__all__ = [
    "FIELD_KIND",
    "KEY_KIND",
    "PRIORITIES",
    "STATES",
    "Kind",
    "checked_interface",
    "checked_name",
    "escape",
    "prefix_length",
    "read_value",
    "shorten",
    "unescape",
    "write_value",
]


class Kind(enum.Enum):
    """Kinds of value: what a range of integers counts."""

    INTERFACE = "interface name"
    IPV4 = "IPv4 address"
    IPV6 = "IPv6 address"
    BITS = "128 bits"
    MAC = "MAC address"
    PROTOCOL = "protocol"
    PORT = "port"
    FAMILY = "family"
    ICMP_TYPE = "ICMP type"
    ICMPV6_TYPE = "ICMPv6 type"
    NUMBER = "8-bit number"
    STATE = "connection state"
    DIRECTION = "connection direction"
    MARK = "mark"
    STATUS = "connection status"
    CLASSID = "traffic class"
    FLAGS = "flags of TCP"
    TRUTH = "yes or no"
    ADDRESS_TYPE = "type of address"


_TOP = {
    Kind.IPV4: (1 << 32) - 1,
    Kind.IPV6: (1 << 128) - 1,
    Kind.BITS: (1 << 128) - 1,
    Kind.MAC: (1 << 48) - 1,
    Kind.PORT: 0xFFFF,
    Kind.MARK: 0xFFFF_FFFF,
    Kind.STATUS: 0xFFFF_FFFF,
    Kind.CLASSID: 0xFFFF_FFFF,
    Kind.STATE: 0x7F,
    Kind.DIRECTION: 1,
    Kind.TRUTH: 1,
}

FIELD_KIND: dict[Field, Kind] = {
    Field.IP_SADDR: Kind.IPV4,
    Field.IP_DADDR: Kind.IPV4,
    Field.IP6_SADDR: Kind.IPV6,
    Field.IP6_DADDR: Kind.IPV6,
    Field.NFPROTO: Kind.FAMILY,
    Field.L4PROTO: Kind.PROTOCOL,
    Field.TH_SPORT: Kind.PORT,
    Field.TH_DPORT: Kind.PORT,
    Field.TCP_SPORT: Kind.PORT,
    Field.TCP_DPORT: Kind.PORT,
    Field.UDP_SPORT: Kind.PORT,
    Field.UDP_DPORT: Kind.PORT,
    Field.SCTP_SPORT: Kind.PORT,
    Field.SCTP_DPORT: Kind.PORT,
    Field.ICMP_TYPE: Kind.ICMP_TYPE,
    Field.ICMPV6_TYPE: Kind.ICMPV6_TYPE,
    Field.IP6_HOPLIMIT: Kind.NUMBER,
    Field.ARP_SADDR: Kind.IPV4,
    Field.ARP_DADDR: Kind.IPV4,
    Field.ETHER_SADDR: Kind.MAC,
    Field.ETHER_DADDR: Kind.MAC,
    Field.ND_TARGET: Kind.BITS,
    Field.IIFNAME: Kind.INTERFACE,
    Field.OIFNAME: Kind.INTERFACE,
    Field.CT_STATE: Kind.STATE,
    Field.CT_DIRECTION: Kind.DIRECTION,
    Field.CT_MARK: Kind.MARK,
    Field.CT_STATUS: Kind.STATUS,
    Field.PRIORITY: Kind.CLASSID,
    Field.META_MARK: Kind.MARK,
    Field.TCP_FLAGS: Kind.FLAGS,
    Field.SOCKET_TRANSPARENT: Kind.TRUTH,
    Field.ORIGINAL_ZONE: Kind.PORT,
    Field.SADDR_TYPE: Kind.ADDRESS_TYPE,
    Field.DADDR_TYPE: Kind.ADDRESS_TYPE,
}

KEY_KIND: dict[KeyType, Kind] = {
    KeyType.IPV4_ADDR: Kind.IPV4,
    KeyType.IPV6_ADDR: Kind.IPV6,
    KeyType.INET_PROTO: Kind.PROTOCOL,
    KeyType.INET_SERVICE: Kind.PORT,
    KeyType.IFNAME: Kind.INTERFACE,
    KeyType.ETHER_ADDR: Kind.MAC,
    KeyType.CLASSID: Kind.CLASSID,
}

STATES = {"invalid": 1, "established": 2, "related": 4, "new": 8, "untracked": 64}

PRIORITIES = {"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100}
"""Names of hook priorities that `nft list` uses; we write numbers."""

# Written by us: the five that have a coordinate of their own. Read: every name that nft has been seen to list
# (it takes them from /etc/protocols unless told to be numeric).
_PROTOCOLS_WRITTEN = {1: "icmp", 6: "tcp", 17: "udp", 58: "ipv6-icmp", 132: "sctp"}
_PROTOCOLS = {name: number for number, name in _PROTOCOLS_WRITTEN.items()} | {
    "icmpv6": 58, "ip": 0, "igmp": 2, "ggp": 3, "ipencap": 4, "st": 5, "egp": 8, "igp": 9, "pup": 12, "hmp": 20,
    "xns-idp": 22, "rdp": 27, "iso-tp4": 29, "dccp": 33, "xtp": 36, "ddp": 37, "idpr-cmtp": 38, "ipv6": 41,
    "ipv6-route": 43, "ipv6-frag": 44, "idrp": 45, "rsvp": 46, "gre": 47, "esp": 50, "ah": 51, "skip": 57,
    "ipv6-nonxt": 59, "ipv6-opts": 60, "rspf": 73, "vmtp": 81, "eigrp": 88, "ospf": 89, "ax.25": 93, "ipip": 94,
    "etherip": 97, "encap": 98, "pim": 103, "ipcomp": 108, "comp": 108, "vrrp": 112, "l2tp": 115, "isis": 124,
    "fc": 133, "mobility-header": 135, "udplite": 136, "mpls-in-ip": 137, "manet": 138, "hip": 139, "shim6": 140,
    "wesp": 141, "rohc": 142, "ethernet": 143,
}  # fmt: skip

_ICMP_TYPES = {
    "echo-reply": 0, "destination-unreachable": 3, "source-quench": 4, "redirect": 5, "echo-request": 8,
    "router-advertisement": 9, "router-solicitation": 10, "time-exceeded": 11, "parameter-problem": 12,
    "timestamp-request": 13, "timestamp-reply": 14, "info-request": 15, "info-reply": 16,
    "address-mask-request": 17, "address-mask-reply": 18,
}  # fmt: skip

_ICMPV6_TYPES = {
    "destination-unreachable": 1, "packet-too-big": 2, "time-exceeded": 3, "parameter-problem": 4,
    "echo-request": 128, "echo-reply": 129, "mld-listener-query": 130, "mld-listener-report": 131,
    "mld-listener-done": 132, "mld-listener-reduction": 132, "nd-router-solicit": 133, "nd-router-advert": 134,
    "nd-neighbor-solicit": 135, "nd-neighbor-advert": 136, "nd-redirect": 137, "router-renumbering": 138,
    "ind-neighbor-solicit": 141, "ind-neighbor-advert": 142, "mld2-listener-report": 143,
}  # fmt: skip

# linux/rtnetlink.h, RTN_UNICAST and so on.
_ADDRESS_TYPES = {
    "unicast": 1, "local": 2, "broadcast": 3, "anycast": 4, "multicast": 5, "blackhole": 6, "unreachable": 7,
    "prohibit": 8,
}  # fmt: skip

_WORDS: dict[Kind, dict[str, int]] = {
    Kind.PROTOCOL: _PROTOCOLS,
    Kind.ICMP_TYPE: _ICMP_TYPES,
    Kind.ICMPV6_TYPE: _ICMPV6_TYPES,
    Kind.FAMILY: {"ipv4": 2, "ipv6": 10},
    Kind.STATE: STATES,
    Kind.STATUS: {"dnat": 32},
    Kind.DIRECTION: {"original": 0, "reply": 1},
    Kind.ADDRESS_TYPE: _ADDRESS_TYPES,
}
_WRITTEN: dict[Kind, dict[int, str]] = {
    Kind.PROTOCOL: _PROTOCOLS_WRITTEN,
    Kind.FAMILY: {2: "ipv4", 10: "ipv6"},
    Kind.STATUS: {32: "dnat"},
    Kind.STATE: {bit: name for name, bit in STATES.items()},
    Kind.DIRECTION: {0: "original", 1: "reply"},
    Kind.ADDRESS_TYPE: {number: name for name, number in _ADDRESS_TYPES.items()},
}


def write_value(kind: Kind, part: KeyPart) -> str:
    """One value, range or interface name as nft reads it. Raises ValueError where the kind has no such value."""
    if isinstance(part, str):
        if kind is not Kind.INTERFACE:
            raise ValueError(f"{part!r} is not a value of kind {kind.value}")
        return f'"{checked_interface(part)}"'
    low, high = part
    if kind is Kind.INTERFACE or not 0 <= low <= high <= _TOP.get(kind, 0xFF):
        raise ValueError(f"{low}-{high} is not a value of kind {kind.value}")
    if low == high:
        return _single(kind, low)
    length = prefix_length(kind, low, high)
    if length is not None:
        return f"{_single(kind, low)}/{length}"
    # Between numbers: nft takes ``icmp-tcp`` for one name.
    return f"{low}-{high}" if kind in _WRITTEN else f"{_single(kind, low)}-{_single(kind, high)}"


def _single(kind: Kind, value: int) -> str:
    if kind is Kind.IPV4:
        return f"{value >> 24}.{value >> 16 & 255}.{value >> 8 & 255}.{value & 255}"
    if kind is Kind.IPV6:
        return str(ipaddress.IPv6Address(value))
    if kind is Kind.MARK:
        return f"{value:#010x}"
    if kind is Kind.BITS:
        return f"{value:#x}"
    if kind is Kind.MAC:
        return value.to_bytes(6, "big").hex(":")
    if kind is Kind.CLASSID:
        return f"{value >> 16:x}:{value & 0xFFFF:x}"
    return _WRITTEN.get(kind, {}).get(value) or str(value)


def prefix_length(kind: Kind, low: int, high: int) -> int | None:
    """The length of the address block that a range is, or None where it is not one."""
    bits = {Kind.IPV4: 32, Kind.IPV6: 128}.get(kind)
    size = high - low + 1
    if bits is None or size & (size - 1) or low & (size - 1):
        return None
    return bits - size.bit_length() + 1


def read_value(kind: Kind, text: str) -> KeyPart:
    """The value of a word of nft: a single value, ``low-high`` or ``address/length``.

    Raises ValueError for a word that means no value of this kind.
    """
    if kind is Kind.INTERFACE:
        return checked_interface(text)
    single = _read_single(kind, text)
    if single is not None:
        return single, single
    if "/" in text and kind in (Kind.IPV4, Kind.IPV6, Kind.BITS):
        network = ipaddress.ip_network(text)
        if network.version == (4 if kind is Kind.IPV4 else 6):
            return int(network.network_address), int(network.broadcast_address)
    for position in (index for index, character in enumerate(text) if character == "-"):
        low, high = _read_single(kind, text[:position]), _read_single(kind, text[position + 1 :])
        if low is not None and high is not None and low <= high:
            return low, high
    raise ValueError(f"{text!r} is not a value of kind {kind.value}")


def _read_single(kind: Kind, text: str) -> int | None:
    if kind is Kind.IPV4 or kind is Kind.IPV6 or (kind is Kind.BITS and ":" in text):
        try:
            return int(ipaddress.IPv4Address(text) if kind is Kind.IPV4 else ipaddress.IPv6Address(text))
        except ValueError:
            return None
    if kind is Kind.MAC:
        return int(text.replace(":", ""), 16) if re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", text) else None
    word = _WORDS.get(kind, {}).get(text)
    if word is not None:
        return word
    if kind is Kind.CLASSID and (parts := re.fullmatch(r"([0-9a-f]{1,4}):([0-9a-f]{1,4})", text)):
        return int(parts[1], 16) << 16 | int(parts[2], 16)
    if (
        re.fullmatch(r"0x[0-9a-f]{1,32}|[0-9]{1,39}" if kind is Kind.BITS else r"0x[0-9a-f]{1,8}|[0-9]{1,10}", text)
        is None
    ):
        return None
    value = int(text, 0 if text.startswith("0x") else 10)
    return value if value <= _TOP.get(kind, 0xFF) else None


# ---------------------------------------------------------------------------------------------------------------------
# Names.

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,60}")
# Interface names may hold more (dev_valid_name forbids only "/", ":" and white space); no container network uses it.
_INTERFACE = re.compile(r"[A-Za-z0-9_.-]{1,15}|[A-Za-z0-9_.-]{1,14}\*")

# nft's words, which its grammar refuses as names of chains and sets; quoting does not help.
_RESERVED_WORDS = """
accept add ah all and arp at base bridge burst cgroup chain chains comment comp continue counter counters cpu create
ct daddr dccp define delete describe destroy devgroup device devices direction drop dscp dst dup dynamic ecn element
elements eq ether euid exists expectation fib flags flow flowtable flowtables flush frag fragment fwd gateway ge goto
group gt handle hash hashsize hbh helper helpers hook hoplimit hour ibrname icmp icmpv6 id igmp iif iifgroup iifname
iiftype in include index inet inner insert integer interval ip ip6 ipsec jhash jump l3proto l4proto last le length
limit limits list log lshift lt map maps mark masquerade memory meta meter meters mh missing mod monitor mptcp nat ne
netdev new nexthdr nftrace not notrack numgen obj oif oifgroup oifname oiftype option options or original osf over
packets performance persistent pkttype policy position primary prio priority protocol queue quota quotas random
redefine redirect refresh reject rename replace reset return rpc rshift rt rule rules ruleset sack saddr sctp secmark
secmarks seconds sequence set sets size skgid skuid snaplen snat socket sport src state stateless status symhash
synproxy synproxys table tables tag tcp th time timeout to tproxy transparent type typeof udp udplite undefine unicast
update value vlan vmap vrf wildcard with xor xt zone
"""


_RESERVED = frozenset(_RESERVED_WORDS.split())


def checked_name(name: str) -> str:
    """The name of a table, chain or set, unchanged. Raises ValueError for anything that nft could misread."""
    if _NAME.fullmatch(name) is None or name in _RESERVED:
        raise ValueError(f"{name!r} cannot be the name of an nft object")
    return name


def checked_interface(name: str) -> str:
    """An interface name, unchanged; a last ``*`` stands for any rest. Raises ValueError for anything else."""
    if _INTERFACE.fullmatch(name) is None:
        raise ValueError(f"{name!r} cannot be an interface name in a rule")
    return name


# ---------------------------------------------------------------------------------------------------------------------
# Comments.

COMMENT_LIMIT = 128
"""Bytes. nft: "comment too long, 128 characters maximum allowed"."""
_HASH_DIGITS = 8
_UNSAFE = re.compile(rb"[^A-Za-z0-9 ._/:@=,()\[\]!<>+*~-]")
_ESCAPED = re.compile(rb"%([0-9A-F]{2})")


def _encode(text: str) -> bytes:
    # A name from a broken manifest may hold lone surrogates; they too get a spelling of their own.
    return _UNSAFE.sub(lambda found: b"%%%02X" % found[0][0], text.encode("utf-8", "surrogatepass"))


def shorten(text: str) -> str:
    """The part of a comment that fits: all of it, or its beginning, ``~`` and eight digits of a hash of all of it.

    What fits is returned unchanged, so shortening twice is shortening once.
    """
    if len(_encode(text)) <= COMMENT_LIMIT:
        return text
    digest = hashlib.blake2s(text.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_DIGITS]
    room = COMMENT_LIMIT - _HASH_DIGITS - 1
    kept = 0
    for character in text:
        room -= len(_encode(character))
        if room < 0:
            break
        kept += 1
    return f"{text[:kept]}~{digest}"


def escape(text: str) -> str:
    """A comment as it stands between quotes: at most 128 characters, none of which nft or a reader could misread.

    Bytes other than letters, digits and plain punctuation become ``%XX``, ``%`` itself too, so two comments
    that fit are never spelled alike. A longer one is cut by `shorten`.
    """
    return _encode(shorten(text)).decode("ascii")


def unescape(text: str) -> str:
    """What `escape` was given (shortened). Text that `escape` cannot have written is returned as it is."""
    try:
        plain = _ESCAPED.sub(lambda found: bytes((int(found[1], 16),)), text.encode("ascii"))
        meant = plain.decode("utf-8", "surrogatepass")
    except ValueError:
        return text
    return meant if escape(meant) == text else text
