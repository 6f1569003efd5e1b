"""The names and reasons on the page, and which lines a rule has."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.report.page_data import PageRule
from outgate.report.page_words import (
    count,
    edge_change,
    isolation_words,
    node_name,
    node_small,
    node_title,
    policy_title,
    rule_lines,
    rule_title,
    short,
    without_name,
)
from tests.report.pages import WEB_POLICY, edge, node, policy

BUT = replace(
    node("every address except 10.0.0.1/32, ::1/128", "", "External", cidrs=("a", "b")),
    excepted=("10.0.0.1/32", "::1/128"),
)
BUT_ONE = replace(
    node("every IPv4 address except 10.0.0.0/8", "", "External", cidrs=("a", "b")), excepted=("10.0.0.0/8",)
)


@pytest.mark.parametrize(
    ("one", "name", "title", "small"),
    [
        (node("web"), "web", "shop/web", "Deployment · 2 pods"),
        (node("web", pods=1, kind="Pod"), "web", "shop/web", "Pod"),
        (node("web", pods=0), "web", "shop/web", "Deployment · no pod yet"),
        (node("web", part="version=v2"), "web", "shop/web (version=v2)", "version=v2 · 2 pods"),
        (node("", "", "External", cidrs=("10.0.0.0/8",)), "10.0.0.0/8", "10.0.0.0/8", "addresses"),
        (node("", "", "External", cidrs=("10.0.0.0/8", "::/0")), "10.0.0.0/8 +1", "10.0.0.0/8 +1", "addresses"),
        (node("metadata", "", "External", cidrs=("a", "b", "c")), "metadata", "metadata", "a +2"),
        (node("a.x", "", "External"), "a.x", "a.x", "DNS name"),
        (node("*.x", "", "External"), "*.x", "*.x", "DNS names"),
        (node("a.x", "", "External", part="within ::/0"), "a.x", "a.x (within ::/0)", "within ::/0"),
        (BUT, "every address but", BUT.name, "10.0.0.1 +1"),
        (BUT_ONE, "all of IPv4 but", BUT_ONE.name, "10.0.0.0/8"),
        (
            node("every IPv6 address", "", "External", cidrs=("::/0",)),
            *("all of IPv6", "every IPv6 address", "::/0"),
        ),
        (node("nginx", "edge", "IngressController"), "nginx", "edge/nginx", "ingress controller"),
        (node("", "", "Node"), "Node", "Node", "Node · 2 pods"),
    ],
)
def test_what_nodes_are_called(one: object, name: str, title: str, small: str) -> None:
    """The title tells a node from all others; what it stands for is below."""
    from outgate.report.page_data import PageNode

    assert isinstance(one, PageNode)
    assert (node_name(one), node_title(one), node_small(one)) == (name, title, small)


def test_isolation_is_said_of_workloads_alone() -> None:
    """Addresses outside have no policies: to say that nothing guards them would be an accusation."""
    words = [isolation_words(node("a", guards=guards)) for guards in ("", "e", "i", "ei")]
    assert len(set(words)) == 4
    assert words[0] == "no policy guards it"
    assert isolation_words(node("", "", "External")) == ""


def test_a_change_that_is_not_known_is_none() -> None:
    """The word becomes a class and a row of a table: nothing else than the five may pass."""
    assert [edge_change(edge(0, 1, change=one)) for one in ("", "opened", "x y", '"><b>')] == [
        "same",
        "opened",
        "same",
        "same",
    ]


@pytest.mark.parametrize(
    ("line", "lines"),
    [(13, (13, 18)), (20, (20, 24)), (6, (6, 24)), (24, (24, 24)), (0, None), (25, (25, 25)), (26, None)],
)
def test_a_rule_ends_where_its_indentation_does(line: int, lines: tuple[int, int] | None) -> None:
    """The whole rule is marked, no line of the next one, and not the comment above that."""
    assert rule_lines(PageRule(0, "Egress", 0, line), policy("p", text=WEB_POLICY)) == lines


def test_lines_count_in_the_file() -> None:
    """A policy is one of many documents in its file."""
    second = policy("p", text=WEB_POLICY, first_line=101)
    assert rule_lines(PageRule(0, "Egress", 0, 113), second) == (113, 118)
    assert rule_lines(PageRule(0, "Egress", 0, 13), second) is None


def test_rules_of_a_list_without_indentation() -> None:
    """YAML lets the items of a list stand below their key."""
    text = "egress:\n- to: []\n  ports: []\n\n- ports:\n  - port: 1\nother: 1\n"
    found = [rule_lines(PageRule(0, "Egress", 0, line), policy("p", text=text)) for line in (2, 5)]
    assert found == [(2, 3), (5, 6)]


@given(st.text(alphabet=" -:a\n#", max_size=80), st.integers(-3, 30), st.integers(1, 9))
def test_marked_lines_are_lines_of_the_text(text: str, line: int, first: int) -> None:
    """A line outside the text would lead nowhere."""
    one = policy("p", text=text, first_line=first)
    lines = rule_lines(PageRule(0, "Egress", 0, line), one)
    if lines is not None:
        assert lines[0] == line
        assert first <= lines[0] <= lines[1] <= first + text.count("\n")


def test_titles_of_policies_and_rules() -> None:
    """As the API server counts and as people speak."""
    assert policy_title(policy("web")) == "NetworkPolicy shop/web"
    assert policy_title(policy("all", "")) == "NetworkPolicy all"
    assert rule_title(PageRule(0, "EGRESS", 1, 3), policy("web")) == "shop/web egress[1]"
    assert rule_title(PageRule(0, "Ingress", None, 3), policy("all", "")) == "all ingress"


def test_a_reason_beside_a_name() -> None:
    """Only the whole name counts: `shop/web` is not in `shop/web-api`."""
    web = node("web", kind="Pod")
    part = node("web", part="version=v2")
    assert without_name("no policy selects shop/Deployment/web[version=v2] for ingress", part).count(" it ") == 1
    assert "/web " in without_name("no policy selects shop/Deployment/web for ingress", part)
    whole = node("web")
    assert without_name("no policy selects shop/Deployment/web for ingress", whole).count(" it ") == 1
    assert without_name("no policy selects shop/web for ingress", web) == "no policy selects it for ingress"
    assert (
        without_name("no policy selects shop/web-api for ingress", web) == "no policy selects shop/web-api for ingress"
    )
    assert without_name("anything at all", node("", "", "External")) == "anything at all"


@given(st.text(max_size=60), st.integers(4, 40))
def test_shortened_text_fits_and_keeps_its_ends(text: str, room: int) -> None:
    """What is cut is cut in the middle, and says so."""
    made = short(text, room)
    wide = sum(2 if ord(character) > 0x2E7F else 1 for character in made)
    assert len(made) <= room
    assert wide <= 2 * room
    if "…" in made and "…" not in text:
        assert len(made) < len(text) or not made.isascii()


def test_shortened_names() -> None:
    """The number at the end of a name is often all that differs."""
    assert short("web", 10) == "web"
    assert short("payments-gateway-canary-2", 13) == "payments…ry-2"
    assert short("名前名前名前名前", 9) == "名前名…前"


def test_counts() -> None:
    """Numbers are read aloud."""
    assert [count(0, "pod"), count(1, "pod"), count(2, "policy"), count(3000, "connection")] == [
        "0 pods",
        "1 pod",
        "2 policies",
        "3\u202f000 connections",
    ]
