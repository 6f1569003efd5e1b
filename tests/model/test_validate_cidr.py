"""CIDRs, as the old reader of the API server takes them and as the strict one refuses them."""

from __future__ import annotations

import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.model.validate_cidr import (
    NOT_A_CIDR,
    cidr_problem,
    cidr_warning,
    read_address,
    read_cidr,
    strictly_inside,
)

ZEROS = "must not have leading 0s in IP or prefix length"
MAPPED = "must not have an IPv4-mapped IPv6 address"
BITS = "must not have bits set beyond the prefix length"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("10.0.0.0/8", ""), ("0.0.0.0/0", ""), ("::/0", ""), ("10.0.0.1/32", ""), ("2001:DB8::/32", ""),
        ("2001:0db8:0000::/48", ""), ("::ffff:0:0/96", MAPPED), ("::ffff:10.0.0.0/104", MAPPED), ("::1.2.3.4/128", ""),
        ("010.0.0.0/8", ZEROS), ("10.0.0.0/08", ZEROS), ("10.0.0.00/8", ZEROS), ("0.0.0.0/00", ZEROS),
        ("2001:00db8::/32", ZEROS), ("::ffff:010.0.0.0/104", ZEROS), ("00000::/0", ZEROS), ("010.0.0.1/8", ZEROS),
        ("10.0.0.5/24", BITS), ("2001:db8::1/64", BITS), ("::1/0", BITS),
        ("", NOT_A_CIDR), ("10.0.0.0", NOT_A_CIDR), ("10.0.0.0/33", NOT_A_CIDR), ("::/129", NOT_A_CIDR),
        ("10.0.0.0/-1", NOT_A_CIDR), ("10.0.0.0/+8", NOT_A_CIDR), ("10.0.0.0/8 ", NOT_A_CIDR), ("10.0.0/8", NOT_A_CIDR),
        ("10.0.0.0/8/8", NOT_A_CIDR), ("10.0.0.0/", NOT_A_CIDR), ("/8", NOT_A_CIDR), ("10.0.0.0.0/8", NOT_A_CIDR),
        ("256.0.0.0/8", NOT_A_CIDR), ("10.0.0.0/255.0.0.0", NOT_A_CIDR), ("fe80::%eth0/64", NOT_A_CIDR),
        ("1::2::3/64", NOT_A_CIDR), ("12345::/16", NOT_A_CIDR), ("[::]/0", NOT_A_CIDR), ("0x0a.0.0.0/8", NOT_A_CIDR),
        ("\u0661.0.0.0/8", NOT_A_CIDR), ("10.0.0.0/\u0668", NOT_A_CIDR), ("10.0.0.0/8\n", NOT_A_CIDR),
        (":::/0", NOT_A_CIDR),
        ("1:2:3:4:5:6:7/64", NOT_A_CIDR), ("1:2:3:4:5:6:7:8:9/64", NOT_A_CIDR), ("10.1_0.0.0/8", NOT_A_CIDR),
        ("1.2.3.4::/64", NOT_A_CIDR), ("10.0.0.0/99999999999999999999", NOT_A_CIDR),
    ],
)  # fmt: skip
def test_what_the_server_says_of_a_new_block(text: str, problem: str) -> None:
    """One problem at a time, in the server's order: no CIDR, zeros, IPv4 in IPv6, bits beyond the prefix."""
    assert cidr_problem(text) == problem


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("010.0.0.5/08", "10.0.0.0/8"), ("010.010.0.0/16", "10.10.0.0/16"), ("::ffff:10.1.0.0/112", "10.1.0.0/16"),
        ("2001:00db8::1/32", "2001:db8::/32"), ("::ffff:0:0/90", "::ffc0:0:0/90"),
        ("::ffff:010.1.2.3/128", "10.1.2.3/32"),
        ("::0010/124", "::10/124"), ("ten/8", None),
    ],
)  # fmt: skip
def test_stored_blocks_are_read_as_the_server_reads_them(text: str, network: str | None) -> None:
    """Zeros are decimal and never octal, bits are masked off: any other reading is another set of addresses."""
    assert read_cidr(text) == (None if network is None else ipaddress.ip_network(network))
    assert cidr_problem(text, stored=True) == ("" if network else NOT_A_CIDR)


@given(st.ip_addresses())
def test_every_address_is_read_as_itself(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """The usual and the exploded spelling of an address are that address."""
    assert read_address(str(address)) == address
    assert read_address(address.exploded) == address
    assert read_address(str(address).upper()) == address


@given(st.ip_addresses(), st.integers(0, 128))
def test_masked_blocks_have_no_problem(address: ipaddress.IPv4Address | ipaddress.IPv6Address, length: int) -> None:
    """A block in its usual spelling is accepted, unless it is IPv4 within IPv6."""
    network = ipaddress.ip_network((address, min(length, address.max_prefixlen)), strict=False)
    mapped = isinstance(network.network_address, ipaddress.IPv6Address) and network.network_address.ipv4_mapped
    assert cidr_problem(str(network)) == (MAPPED if mapped else "")
    assert mapped or read_cidr(str(network)) == network


@given(st.text("0123456789abcdef.:/%x ", max_size=20))
def test_any_text_is_answered(text: str) -> None:
    """A reader that raises would be a traceback for a typing mistake."""
    assert (read_cidr(text) is None) == (cidr_problem(text) == NOT_A_CIDR)
    assert read_address(text) is None or "/" not in text


@pytest.mark.parametrize(
    ("inner", "outer", "inside"),
    [
        ("10.1.0.0/16", "10.0.0.0/8", True), ("10.0.0.0/8", "10.0.0.0/8", False), ("10.0.0.0/7", "10.0.0.0/8", False),
        ("11.0.0.0/16", "10.0.0.0/8", False), ("fd00::/8", "::/0", True), ("fd00::/8", "0.0.0.0/0", False),
        ("0.0.0.0/1", "::/0", False), ("x", "::/0", False), ("::ffff:10.1.0.0/112", "10.0.0.0/8", True),
    ],
)  # fmt: skip
def test_strictly_inside(inner: str, outer: str, inside: bool) -> None:
    """An exception must lie within its block and be smaller; the other family is never within."""
    assert strictly_inside(inner, outer) is inside


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        ("2001:db8::/32", False), ("2001:DB8::/32", True), ("2001:db8:0::/32", True), ("10.0.0.0/8", False),
        ("2001:db8::1/32", False), ("x", False), ("0:0:0:0:0:0:0:0/0", True), ("::1.2.3.4/128", True),
    ],
)  # fmt: skip
def test_warnings(text: str, warned: bool) -> None:
    """The server warns of IPv6 in another spelling than RFC 5952's, and of nothing else that it accepts."""
    assert bool(cidr_warning(text)) is warned


GROUPS = st.lists(st.sampled_from(["0", "1", "ab", "00ff", "FFFF", "00012", "g", "", "1.2.3.4"]), max_size=9)


@given(GROUPS, st.sampled_from(["", ":", "::", ":::"]), GROUPS)
def test_the_quick_reader_of_ipv6_agrees_with_the_library(front: list[str], between: str, back: list[str]) -> None:
    """What has a ``::`` in it is read by hand, and everything else once its needless zeros are gone."""
    text = ":".join(front) + between + ":".join(back)
    try:
        expected: object = ipaddress.IPv6Address(re.sub("(?<![0-9A-Fa-f])0+(?=[0-9A-Fa-f])", "", text))
    except ValueError:
        expected = None
    if ":" in text:
        assert read_address(text) == expected
