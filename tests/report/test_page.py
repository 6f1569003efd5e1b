"""The whole document: complete without scripts, safe with any names, and small enough to send."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.report.page import page
from outgate.report.page_assets import boot, content_policy, script, style
from outgate.report.page_data import Page, PageEdge, PageNode, PagePolicy, PageRule
from outgate.report.page_markup import visible
from tests.report.document import Element, parse
from tests.report.pages import HOSTILE_NAMES, comparison, crowd, empty, everything, hostile, small

SAMPLES = {
    "small": small(),
    "comparison": comparison(),
    "hostile": hostile(),
    "crowd": crowd(),
    "beyond": crowd(320, 500),
    "everything": everything(60),
    "empty": empty(),
}


@pytest.fixture(scope="module", params=SAMPLES)
def sample(request: pytest.FixtureRequest) -> tuple[Page, str, Element]:
    """A page, its text, and what a parser makes of that."""
    data = SAMPLES[request.param]
    text = page(data)
    return data, text, parse(text)


def test_the_page_is_one_document(sample: tuple[Page, str, Element]) -> None:
    """Closed elements (the parser asserts it), a title, a language, an encoding."""
    data, text, document = sample
    assert text.startswith("<!doctype html>\n<html lang=en")
    assert text.endswith("</html>\n")
    assert text.encode()
    head = document.one("head")
    assert head.one("title").text() == f"{visible(data.title)} · Outgate"
    assert next(head.every("meta")).attributes == {"charset": "utf-8"}
    assert document.one("h1").text() == visible(data.title)
    assert visible(data.subtitle) in document.one("header").text()


def test_identifiers_are_there_once_and_links_lead_to_them(sample: tuple[Page, str, Element]) -> None:
    """A link that leads nowhere, or to the first of two."""
    _, _, document = sample
    identifiers = [one.attributes["id"] for one in document.every() if "id" in one.attributes]
    assert len(identifiers) == len(set(identifiers))
    known = set(identifiers)
    assert {one.attributes["href"] for one in document.every("a")} <= {f"#{one}" for one in known}
    for one in document.every():
        for attribute in ("aria-labelledby", "aria-controls", "aria-describedby"):
            assert set(one.attributes.get(attribute, "").split()) <= known
    assert all(re.fullmatch(r"[a-z0-9-]+", one) for one in known)


def test_nothing_runs_but_the_page_s_own(sample: tuple[Page, str, Element]) -> None:
    """No handler, no inline style, no foreign script, no address, whatever the names are."""
    _, _, document = sample
    scripts = list(document.every("script"))
    assert [one.attributes.get("type") for one in scripts] == [None, "application/json", None]
    assert [scripts[0].text(), scripts[2].text()] == [boot(), script()]
    assert document.one("style").text() == style()
    policies = [one for one in document.every("meta") if one.attributes.get("http-equiv") == "Content-Security-Policy"]
    assert [one.attributes["content"] for one in policies] == [content_policy()]
    allowed = {
        "a",
        "aside",
        "b",
        "body",
        "button",
        "caption",
        "circle",
        "dd",
        "defs",
        "details",
        "dialog",
        "div",
        "dl",
        "dt",
    }
    allowed |= {
        "fieldset",
        "figure",
        "g",
        "h1",
        "h2",
        "head",
        "header",
        "html",
        "i",
        "input",
        "kbd",
        "label",
        "legend",
        "li",
    }
    allowed |= {
        "main",
        "marker",
        "meta",
        "nav",
        "ol",
        "p",
        "path",
        "rect",
        "script",
        "section",
        "span",
        "style",
        "summary",
    }
    allowed |= {"svg", "table", "tbody", "td", "text", "th", "thead", "title", "tr", "ul", ""}
    for one in document.every():
        assert one.tag in allowed
        assert not [
            name for name in one.attributes if name.startswith("on") or name in {"style", "src", "action", "srcdoc"}
        ]
        assert one.attributes.get("href", "#").startswith("#")


def test_the_page_is_complete_without_scripts(sample: tuple[Page, str, Element]) -> None:
    """Picture, every connection, every workload, every line of every policy, and the notes."""
    data, _, document = sample
    known = {one.attributes.get("id") for one in document.every()}
    assert {f"c{index}" for index in range(len(data.edges))} <= known
    assert {f"w{index}" for index in range(len(data.nodes))} <= known
    assert {f"n{index}" for index in range(len(data.nodes))} <= known
    assert {f"p{index}" for index in range(len(data.policies))} <= known
    assert len(list(document.one(id="policies").every("li"))) == sum(
        one.text.removesuffix("\n").count("\n") + 1 for one in data.policies
    )
    for note in data.notes:
        assert visible(note) in document.one(id="notes").text()


def test_what_needs_the_script_is_hidden_without_it(sample: tuple[Page, str, Element]) -> None:
    """A button that does nothing is worse than none."""
    _, _, document = sample
    hidden = [
        one
        for one in document.every()
        if "scripted" in one.classes() or one.attributes.get("id") in {"panel", "shortcuts"}
    ]
    covered = [one for outer in hidden for one in outer.every()]
    assert [one for one in document.every() if one.tag in {"button", "input"} and one not in covered] == []
    assert "html:not(.js) .scripted { display: none; }" in style()
    assert "hidden" in document.one(id="panel").attributes
    assert "open" not in document.one("dialog").attributes


def test_landmarks_and_names(sample: tuple[Page, str, Element]) -> None:
    """What a screen reader walks along: header, navigation, main, named sections, named buttons."""
    _, _, document = sample
    for tag in ("header", "nav", "main", "aside", "h1"):
        document.one(tag)
    for section in document.every("section"):
        assert "aria-labelledby" in section.attributes
    for button in document.every("button"):
        assert button.text().strip() or button.attributes.get("aria-label")
        assert button.attributes["type"] == "button"
    levels = [int(one.tag[1]) for one in document.every() if one.tag in {"h1", "h2", "h3"}]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert document.one(id="status").attributes["aria-live"] == "polite"


def test_hostile_names_are_shown_as_they_are() -> None:
    """None is swallowed, none is cut in the tables, and none becomes anything."""
    document = parse(page(hostile()))
    shown = document.one(id="connections").text() + document.one(id="workloads").text()
    for name in HOSTILE_NAMES:
        assert visible(name) in shown
    names = [row[2] for row in document.one(id="data").data()["nodes"]]
    assert len(names) == len(HOSTILE_NAMES)


def test_the_page_of_300_workloads_is_small() -> None:
    """Below 2 MB with 3 000 connections and 60 policies: it can be mailed."""
    data = SAMPLES["crowd"]
    assert (len(data.nodes), len(data.edges)) == (303, 3000)
    assert len(page(data).encode()) < 1_600_000


def test_everything_allowed_everywhere_stays_small() -> None:
    """What is the same is said once."""
    data = everything(120)
    assert len(data.edges) > 14_000
    assert len(page(data).encode()) < 1_600_000


def test_the_same_page_is_the_same_text() -> None:
    """A page that is kept under version control changes only when the answers do."""
    for data in (small(), comparison(), hostile()):
        assert page(data) == page(data)


def test_only_a_comparison_has_its_switch() -> None:
    """Before, after and changes mean nothing for one input."""
    sides = [one.attributes["value"] for one in parse(page(comparison())).every("input", name="side")]
    assert sides == ["before", "after", "changes"]
    assert not list(parse(page(small())).every("input", name="side"))


TEXT = st.text(st.characters(exclude_categories=()), max_size=20)


@st.composite
def pages(draw: st.DrawFn) -> Page:
    """Any page at all, with any texts."""
    kind = TEXT | st.sampled_from(["External", "IngressController", "Pod"])
    nodes = tuple(
        draw(
            st.lists(
                st.builds(
                    PageNode,
                    kind,
                    TEXT,
                    TEXT,
                    TEXT,
                    st.tuples(TEXT),
                    st.integers(0, 9),
                    st.booleans(),
                    st.booleans(),
                    TEXT,
                ),
                min_size=1,
                max_size=5,
            )
        )
    )
    policies = tuple(
        draw(st.lists(st.builds(PagePolicy, TEXT, TEXT, TEXT, TEXT, st.integers(1, 9), TEXT), min_size=1, max_size=3))
    )
    policy = st.integers(0, len(policies) - 1)
    rules = tuple(
        draw(
            st.lists(
                st.builds(PageRule, policy, TEXT, st.none() | st.integers(0, 9), st.integers(0, 12)),
                min_size=1,
                max_size=4,
            )
        )
    )
    node, rule = st.integers(0, len(nodes) - 1), st.lists(st.integers(0, len(rules) - 1), max_size=3).map(tuple)
    edges = tuple(draw(st.lists(st.builds(PageEdge, node, node, TEXT, TEXT, TEXT, rule, rule, TEXT, TEXT), max_size=6)))
    return Page(
        draw(TEXT), draw(TEXT), draw(st.tuples(TEXT)), nodes, edges, rules, policies, draw(st.booleans()), (draw(TEXT),)
    )


@settings(max_examples=40)
@given(pages())
def test_any_page_is_well_formed_and_runs_nothing(data: Page) -> None:
    """The two tests above, for texts that nobody thought of."""
    text = page(data)
    made = ("any", (data, text, parse(text)))
    test_identifiers_are_there_once_and_links_lead_to_them(made[1])
    test_nothing_runs_but_the_page_s_own(made[1])
    test_the_page_is_complete_without_scripts(made[1])
