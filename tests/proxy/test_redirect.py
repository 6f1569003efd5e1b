"""Redirects: their ports, and the digests by which Envoy knows rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.proxy.redirect import Redirect, rule_key


@pytest.mark.parametrize("ports", [(0, 0), (0, 65535), (90, 80), (80, 65536)])
def test_port_ranges(ports: tuple[int, int]) -> None:
    """Port 0 means all in some policies; here it would mean none, so it is refused."""
    with pytest.raises(ValueError, match="no range of TCP ports"):
        Redirect((), (), (ports,), ())


@given(st.lists(st.text()), st.lists(st.text()))
def test_keys_are_plain_and_apart(left: list[str], right: list[str]) -> None:
    """Whatever a rule is called, its key is 24 hexadecimal digits, one for one set of rules."""
    assert set(rule_key(left)) <= set("0123456789abcdef")
    assert len(rule_key(left)) == 24
    if "\0" not in "".join((*left, *right)) and left and right:
        assert (rule_key(left) == rule_key(right)) == (set(left) == set(right))
