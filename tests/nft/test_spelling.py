"""Values, names and comments as nft spells them."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from outgate.nft.objects import Field, KeyType
from outgate.nft.spelling import (
    FIELD_KIND,
    KEY_KIND,
    Kind,
    checked_interface,
    checked_name,
    escape,
    read_value,
    shorten,
    unescape,
    write_value,
)

SAFE = re.compile(r"[A-Za-z0-9 ._/:@=,()\[\]!<>+*~%-]*")
HOSTILE = ['"', "a\nb", "}", "; drop", "\\", "#", "$x", "é", "\x00", "%41", "a~12345678", "\ud800", "'", "`id`"]


@pytest.mark.parametrize(
    ("kind", "low", "high", "text"),
    [
        (Kind.IPV4, 0x0A00_0001, 0x0A00_0001, "10.0.0.1"),
        (Kind.IPV4, 0x0A00_0000, 0x0A00_0007, "10.0.0.0/29"),
        (Kind.IPV4, 0x0A00_0001, 0x0A00_0008, "10.0.0.1-10.0.0.8"),
        (Kind.IPV4, 0, (1 << 32) - 1, "0.0.0.0/0"),
        (Kind.IPV6, 1, 1, "::1"),
        (Kind.IPV6, 0xFE80 << 112, (0xFEC0 << 112) - 1, "fe80::/10"),
        (Kind.PROTOCOL, 6, 6, "tcp"),
        (Kind.PROTOCOL, 47, 47, "47"),
        (Kind.PROTOCOL, 6, 17, "6-17"),
        (Kind.PROTOCOL, 0, 255, "0-255"),
        (Kind.PORT, 8000, 9000, "8000-9000"),
        (Kind.MARK, 0x10000, 0x10000, "0x00010000"),
        (Kind.DIRECTION, 1, 1, "reply"),
        (Kind.FAMILY, 10, 10, "ipv6"),
    ],
)
def test_each_kind_has_its_spelling(kind: Kind, low: int, high: int, text: str) -> None:
    """A spelling that nft does not read, or reads as another value, is another rule."""
    assert write_value(kind, (low, high)) == text
    assert read_value(kind, text) == (low, high)


@given(
    st.sampled_from([Kind.IPV4, Kind.IPV6, Kind.PORT, Kind.PROTOCOL, Kind.ICMP_TYPE, Kind.ICMPV6_TYPE, Kind.MARK]),
    st.data(),
)
def test_what_is_written_is_read_back(kind: Kind, data: st.DataObject) -> None:
    """Otherwise a listing of what we loaded would look like drift."""
    tops = {Kind.IPV4: 1 << 32, Kind.IPV6: 1 << 128, Kind.PORT: 1 << 16, Kind.MARK: 1 << 32}
    values = st.integers(0, tops.get(kind, 256) - 1)
    low, high = sorted((data.draw(values), data.draw(values)))

    assert read_value(kind, write_value(kind, (low, high))) == (low, high)


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (Kind.PROTOCOL, "ipv6-icmp", (58, 58)),
        (Kind.PROTOCOL, "icmpv6", (58, 58)),
        (Kind.PROTOCOL, "ipv6-icmp-sctp", (58, 132)),
        (Kind.ICMPV6_TYPE, "nd-router-solicit-nd-neighbor-advert", (133, 136)),
        (Kind.ICMPV6_TYPE, "135", (135, 135)),
        (Kind.ICMP_TYPE, "time-exceeded-parameter-problem", (11, 12)),
        (Kind.STATE, "related", (4, 4)),
        (Kind.MARK, "65536", (0x10000, 0x10000)),
    ],
)
def test_names_of_a_listing_are_read(kind: Kind, text: str, expected: tuple[int, int]) -> None:
    """A person lists without numeric flags; what is shown then means the same."""
    assert read_value(kind, text) == expected


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Kind.IPV4, "fd00::1"),
        (Kind.IPV4, "fd00::/8"),
        (Kind.IPV4, "10.0.0.9-10.0.0.1"),
        (Kind.IPV4, "10.0.0.1/24"),
        (Kind.PORT, "65536"),
        (Kind.PORT, "http"),
        (Kind.PORT, "-1"),
        (Kind.PORT, ""),
        (Kind.PROTOCOL, "256"),
        (Kind.DIRECTION, "2"),
        (Kind.INTERFACE, 'eth0"'),
    ],
)
def test_what_means_nothing_is_refused(kind: Kind, text: str) -> None:
    """A word taken for the nearest value would hide what somebody changed."""
    with pytest.raises(ValueError, match=r"."):
        read_value(kind, text)


@pytest.mark.parametrize("part", [(5, 4), (-1, 3), (0, 65536), "eth0"])
def test_no_value_outside_its_kind_is_written(part: tuple[int, int] | str) -> None:
    """A port of 65536 is a bug in the compiler, not a text for nft to judge."""
    with pytest.raises(ValueError, match="port"):
        write_value(Kind.PORT, part)


def test_every_field_and_key_has_a_kind() -> None:
    """A field added without a kind could be written and not be read."""
    assert set(FIELD_KIND) == set(Field)
    assert set(KEY_KIND) == set(KeyType)


@pytest.mark.parametrize("name", ["", "1a", "a-b", "a b", "a;b", "a" * 62, "tcp", "set", "fwd", 'a"', "a\n", "ä"])
def test_names_that_nft_could_misread_are_refused(name: str) -> None:
    """Quoting does not help with a reserved word, and a line break in a name is another command."""
    with pytest.raises(ValueError, match="name"):
        checked_name(name)


@pytest.mark.parametrize("name", ["est", "stamp", "forward", "input", "reply", "egress", "e4r_abc234", "a" * 61])
def test_our_names_pass(name: str) -> None:
    """The list of reserved words must not grow over our own names."""
    assert checked_name(name) == name


@pytest.mark.parametrize("name", ["", "a" * 16, "a*b", "*", 'a"', "a b", "a/b", "a\nb", "$(x)", "é"])
def test_interface_names_are_bounded(name: str) -> None:
    """An interface name comes from the machine and stands between quotes."""
    with pytest.raises(ValueError, match="interface"):
        checked_interface(name)


@example("".join(HOSTILE))
@given(st.one_of(st.text(), st.text(st.sampled_from('"%\n};~aé'), max_size=200), st.sampled_from(HOSTILE)))
def test_a_comment_holds_nothing_but_plain_characters(text: str) -> None:
    """A quote, a line break or a brace of a manifest in a ruleset is a command of the manifest's author."""
    escaped = escape(text)

    assert SAFE.fullmatch(escaped)
    assert len(escaped) <= 128


@given(st.text(max_size=40), st.text(max_size=40))
def test_two_comments_that_fit_are_never_spelled_alike(one: str, other: str) -> None:
    """Two policies with the same comment cannot be told apart in the kernel."""
    assume(shorten(one) == one and shorten(other) == other)

    assert (escape(one) == escape(other)) == (one == other)
    assert unescape(escape(one)) == one


@given(st.text(min_size=60))
def test_a_comment_that_is_cut_stays_what_it_is(text: str) -> None:
    """Cut again at each round trip, the comment would be drift for ever."""
    once = shorten(text)

    assert shorten(once) == once
    assert unescape(escape(text)) == once


def test_long_comments_with_one_beginning_differ() -> None:
    """A namespace and a policy name may have 63 and 253 characters: a plain cut makes many alike."""
    one, other = escape("x" * 300 + "a"), escape("x" * 300 + "b")

    assert one != other
    assert one[:119] == other[:119] == "x" * 119
    assert re.fullmatch(r"~[0-9a-f]{8}", one[119:])


@pytest.mark.parametrize("text", ["%", "%4", "%zz", "%41", "100%", "%FF", "é", "x" * 129])
def test_foreign_comments_are_left_as_they_are(text: str) -> None:
    """Somebody else's comment is not ours to decode, and then it is seen to differ."""
    assert unescape(text) == text
