"""No text becomes markup or script, and no character hides."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.report.page_markup import element, escape, script_json, start, visible
from tests.report.pages import HOSTILE_NAMES

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)
"""Surrogates and controls too."""


class _Reader(HTMLParser):
    """What a parser of HTML makes of a text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.data = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.data += data

    def handle_comment(self, data: str) -> None:
        self.tags.append(("comment", {data: None}))


def read(markup: str) -> _Reader:
    """The parsed markup."""
    reader = _Reader()
    reader.feed(markup)
    reader.close()
    return reader


@given(ANY_TEXT)
def test_text_in_an_element_stays_text(text: str) -> None:
    """A name with a tag in it is shown as a name with a tag in it."""
    found = read(f"<p>{escape(text)}</p>")
    assert [tag for tag, _ in found.tags] == ["p"]
    assert found.data == visible(text)


@given(ANY_TEXT)
def test_text_in_an_attribute_stays_text(text: str) -> None:
    """A name with a quote in it would end the attribute and begin an event handler."""
    found = read(start("p", title=text))
    assert found.tags == [("p", {"title": visible(text)})]


@given(ANY_TEXT)
def test_json_in_a_script_ends_nowhere_and_is_the_same_value(text: str) -> None:
    """`</script` and `<!--` change how a script element is read, wherever they stand."""
    written = script_json({"name": text, "list": [text, 1, None, True]})
    assert written.isascii()
    assert not set("<>&") & set(written)
    assert json.loads(written) == {"name": visible(text), "list": [visible(text), 1, None, True]}


@given(ANY_TEXT)
def test_what_is_visible_can_be_written_to_a_file(text: str) -> None:
    """Half of a surrogate pair cannot be encoded: the page could not be saved because of one name."""
    assert visible(text).encode().decode() == visible(text)
    assert visible(visible(text)) == visible(text)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain", "plain"),
        ("two\tcolumns\nand lines", "two\tcolumns\nand lines"),
        ("evil\u202egnp.exe", "evil\\u202egnp.exe"),
        ("\u2066isolated\u2069", "\\u2066isolated\\u2069"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("\x00\x1b[31m\x7f\x85\r", "\\u0000\\u001b[31m\\u007f\\u0085\\u000d"),
        ("half\ud800", "half\\ud800"),
        ("soft\u00adhyphen\U000e0041tag", "soft\\u00adhyphen\\U000e0041tag"),
        ("مرحبا 名前 🦀 é", "مرحبا 名前 🦀 é"),
    ],
)
def test_characters_that_nobody_sees_are_spelled(text: str, seen: str) -> None:
    """Two names that look alike must not be two names, and no name may turn its line around."""
    assert visible(text) == seen


def test_hostile_names_are_hostile() -> None:
    """If the samples held nothing dangerous, the tests that use them would pass on anything."""
    together = "".join(HOSTILE_NAMES)
    assert all(
        one in together for one in ("</script", "<!--", '"><img', "' onfocus", "\u2028", "\u202e", "\x00", "\ud800")
    )


def test_elements_and_attributes() -> None:
    """Short where nothing is lost: a page holds thousands of these."""
    assert element("td", "1", class_="count") == "<td class=count>1</td>"
    assert element("td", "1", class_=None) == "<td>1</td>"
    assert element("a", "x", href="#p3l21") == "<a href=#p3l21>x</a>"
    assert element("a", "x", href="/") == '<a href="/">x</a>'
    assert element("th", scope="row", aria_label="a b") == '<th scope=row aria-label="a b"></th>'
    assert element("meta", charset="utf-8") == "<meta charset=utf-8>"
    assert start("details", open=True, hidden=False, title="") == '<details open title="">'
    assert start("svg", viewBox="0 0 1 1") == '<svg viewBox="0 0 1 1">'
