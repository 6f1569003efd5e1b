"""The names that RE2 knows, asked of RE2."""

from __future__ import annotations

import re2  # type: ignore[import-untyped]  # it has none

from outgate.model.expression_words import CLASSES, MEMBERS, PERL, PERL_MEMBERS, SCRIPTS

WRITTEN = [*(f"[{name}]" for name in CLASSES), *(rf"\{one}" for one in PERL), *(rf"\p{{{name}}}" for name in SCRIPTS)]


def test_re2_knows_them() -> None:
    """A name that RE2 does not know would let an expression through that Envoy refuses."""
    assert len(WRITTEN) > 150
    for text in WRITTEN:
        assert re2.compile(text).programsize > 0, text


def test_they_are_all_there() -> None:
    """Fourteen classes each way, three escapes each way, and more scripts than there are letters."""
    assert (len(CLASSES), len(PERL)) == (28, 6)
    assert {"L", "Lu", "N", "Greek", "Han", "Any"} < SCRIPTS


def test_re2_counts_the_same_members() -> None:
    """Each character of ASCII, in each class."""
    named = {f"[[:{name}:]]": members for name, members in MEMBERS.items()}
    named |= {rf"\{letter}": members for letter, members in PERL_MEMBERS.items()}
    for text, members in named.items():
        expression = re2.compile(text)
        found = {chr(code) for code in range(128) if expression.fullmatch(chr(code)) is not None}
        assert found == {one for one in members if ord(one) < 128}, text
