"""CIDRs and addresses as Kubernetes reads them.

The API server has two readers. The old one takes sloppy forms (leading zeros, which it reads as decimal, IPv4 within
IPv6, bits set beyond the prefix) and still reads what is stored. Since 1.36 (``StrictIPCIDRValidation``) a new object
must also satisfy the strict one. `read_cidr` is the first, `cidr_problem` both, in the server's order and words.
"""

from __future__ import annotations

import functools
import ipaddress
import re

from outgate.model.objects import Address, Network
from outgate.model.validate_text import quote

__all__ = [
    "NOT_A_CIDR",
    "cidr_problem",
    "cidr_warning",
    "go_address",
    "go_prefix",
    "is_mapped",
    "netip_prefix",
    "read_address",
    "read_cidr",
    "strictly_inside",
]

NOT_A_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"

_V4 = re.compile(r"[0-9]{1,99}(?:\.[0-9]{1,99}){3}").fullmatch
_V6 = re.compile(r"[0-9A-Fa-f:]*:[0-9A-Fa-f.]*").fullmatch
_GROUP = re.compile("[0-9A-Fa-f]{1,4}").fullmatch
_OCTETS = {str(number): number for number in range(256)}
_ZEROS = re.compile(r"(?<![0-9A-Fa-f])0+(?=[0-9A-Fa-f])")
_LENGTH = re.compile(r"[0-9]{1,9}").fullmatch


def read_address(text: str) -> Address | None:
    """An address in any form that the server has ever accepted; None where it is none.

    Leading zeros are read as decimal, never as octal; a zone (``fe80::1%eth0``) is not accepted.
    """
    if ":" in text:
        return _short_v6(text) or _any_v6(text)
    try:
        a, b, c, d = text.split(".")
        return ipaddress.IPv4Address(_OCTETS[a] << 24 | _OCTETS[b] << 16 | _OCTETS[c] << 8 | _OCTETS[d])
    except (KeyError, ValueError):
        return _any_v4(text)


def _any_v4(text: str) -> Address | None:
    if _V4(text):
        try:
            return ipaddress.IPv4Address(int.from_bytes(map(int, text.split("."))))
        except ValueError:
            return None
    return None


def _short_v6(text: str) -> Address | None:
    """An address whose last group is plain, as nearly all are: neighbours have the groups before it in common."""
    front, _, last = text.rpartition(":")
    number = _front(front)
    return ipaddress.IPv6Address(number | int(last, 16)) if number is not None and _GROUP(last) else None


@functools.lru_cache(maxsize=1 << 12)
def _front(front: str) -> int | None:
    """The number of an address without its last group; None where it is not as the strict reader wants it."""
    address = None if "%" in front else _strict_address(f"{front}:0")
    return None if address is None else int(address)


def _any_v6(text: str) -> Address | None:
    # Zeros beyond the four digits of a group, and beyond the three of an octet, are gone before the strict reader sees.
    return _strict_address(_ZEROS.sub("", text)) if _V6(text) else None


def _strict_address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


@functools.lru_cache(maxsize=1 << 14)
def _split(text: str) -> tuple[Address, int] | None:
    """The address and the length of a block; policies name the same few blocks again and again."""
    host, slash, length = text.partition("/")
    address = read_address(host) if slash and _LENGTH(length) else None
    if address is None or int(length) > address.max_prefixlen:
        return None
    return address, int(length)


@functools.lru_cache(maxsize=1 << 14)
def read_cidr(text: str) -> Network | None:
    """A block in any form that the server has ever accepted, masked; None where it is none.

    IPv4 written within IPv6 (``::ffff:10.0.0.0/104``) is the IPv4 block, as for everything written in Go.
    """
    parts = _split(text)
    if parts is None:
        return None
    address, length = parts
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None and length >= 96:
        address, length = address.ipv4_mapped, length - 96
    return ipaddress.ip_network((address, length), strict=False)


@functools.lru_cache(maxsize=1 << 14)
def cidr_problem(text: str, *, stored: bool = False) -> str:
    """What the server says of a block in a new object; empty where it accepts it. A stored one may be sloppy."""
    parts = _split(text)
    if parts is None:
        return NOT_A_CIDR
    if stored:
        return ""
    address, length = parts
    # What the sloppy reader takes and the strict one refuses can only have zeros too many.
    if _has_leading_zeros(text):
        return "must not have leading 0s in IP or prefix length"
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return "must not have an IPv4-mapped IPv6 address"
    if ipaddress.ip_network((address, length), strict=False).network_address != address:
        return "must not have bits set beyond the prefix length"
    return ""


def _has_leading_zeros(text: str) -> bool:
    host, _, length = text.partition("/")
    if len(length) > 1 and length[0] == "0":
        return True
    # IPv6 groups may have leading zeros up to four digits.
    return _strict_address(host) is None


def cidr_warning(text: str) -> str:
    """What the server warns of in a block that it accepts (``GetWarningsForCIDR``); empty for nothing."""
    network = read_cidr(text)
    if network is None or network.version == 4 or str(network) == text or cidr_problem(text):
        return ""
    return f"IPv6 CIDR value {quote(text)} should be in RFC 5952 canonical format ({quote(str(network))})"


def strictly_inside(inner: str, outer: str) -> bool:
    """Whether a block lies within another and has the longer prefix, both as written; both must be readable."""
    small, large = read_cidr(inner), read_cidr(outer)
    if small is None or large is None or _prefix_length(outer) >= _prefix_length(inner):
        return False
    return small.version == large.version and small.network_address in large


def _prefix_length(text: str) -> int:
    return int(text.partition("/")[2])


def go_prefix(text: str) -> Network | None:
    """A block as the readers of Go's own libraries take it (``net.ParseCIDR``), masked; None where it is none.

    They know no leading zeros in an IPv4 address and no zone. Bits beyond the prefix are no fault.
    """
    host, slash, length = text.partition("/")
    if not (slash and length.isascii() and length.isdigit() and len(length) <= 3) or "%" in host:
        return None
    try:
        return ipaddress.ip_network((ipaddress.ip_address(host), int(length)), strict=False)
    except ValueError:
        return None


def netip_prefix(text: str) -> Network | None:
    """A block as Go's newer reader takes it (``netip.ParsePrefix``): no leading zeros in the prefix length either."""
    length = text.partition("/")[2]
    return go_prefix(text) if len(length) == 1 or not length.startswith("0") else None


def go_address(text: str) -> Address | None:
    """An address as the readers of Go's own libraries take it, without a zone; None where it is none."""
    return _strict_address(text) if "%" not in text else None


def is_mapped(block: Network) -> bool:
    """Whether a block is of IPv4 within IPv6 (``::ffff:10.0.0.0/104``), as nothing on the wire is."""
    return block.version == 6 and block.prefixlen >= 96 and block.network_address.ipv4_mapped is not None
