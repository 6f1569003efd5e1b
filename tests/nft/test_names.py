"""Names of kernel objects: the one place where two tenants could come to share a chain."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from outgate.nft.names import named

PARTS = st.lists(st.text(max_size=12), max_size=4)


@given(PARTS, PARTS)
def test_two_identities_never_share_a_name(one: list[str], other: list[str]) -> None:
    """Parts joined with nothing between would make one name of ("prod", "x") and ("pro", "dx")."""
    assert (named("r", one) == named("r", other)) == (one == other)


def test_the_split_between_parts_counts() -> None:
    """The collision that peers have been caught with, spelled out."""
    spellings = [("prod", "x"), ("pro", "dx"), ("prodx",), ("prodx", ""), ("", "prodx"), ("prod", "x", "")]
    assert len({named("r", one) for one in spellings}) == len(spellings)


@given(PARTS)
def test_a_name_is_an_identifier_whatever_goes_in(parts: list[str]) -> None:
    """Nothing of a manifest may come out: a name is spelled into commands."""
    assert re.fullmatch(r"e4_[a-z2-7]{26}", named("e4", parts))


def test_a_name_never_changes() -> None:
    """An agent finds its own chains again after an upgrade only if it names them as before."""
    assert named("r", ("NetworkPolicy", "production", "app-egress")) == "r_forncr3udjqydeohelucs7zqei"
