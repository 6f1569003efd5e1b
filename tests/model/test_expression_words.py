"""The names that RE2 knows, asked of RE2."""

from __future__ import annotations

import pytest
import re2  # type: ignore[import-untyped]  # it has none

from outgate.model.expression_words import CLASSES, MEMBERS, PERL, PERL_MEMBERS, SCRIPTS

WRITTEN = [*(f"[{name}]" for name in CLASSES), *(rf"\{one}" for one in PERL), *(rf"\p{{{name}}}" for name in SCRIPTS)]


@pytest.mark.parametrize("text", WRITTEN)
def test_re2_knows_it(text: str) -> None:
    """A name that RE2 does not know would let an expression through that Envoy refuses."""
    assert re2.compile(text).programsize > 0


def test_they_are_all_there() -> None:
    """Fourteen classes each way, three escapes each way, and more scripts than there are letters."""
    assert (len(CLASSES), len(PERL)) == (28, 6)
    assert {"L", "Lu", "N", "Greek", "Han", "Any"} < SCRIPTS


@pytest.mark.parametrize("code", range(128))
def test_re2_counts_the_same_members(code: int) -> None:
    """Each character of ASCII, in each class."""
    for name, members in MEMBERS.items():
        assert (re2.fullmatch(f"[[:{name}:]]", chr(code)) is not None) == (chr(code) in members), name
    for letter, members in PERL_MEMBERS.items():
        assert (re2.fullmatch(rf"\{letter}", chr(code)) is not None) == (chr(code) in members), letter
