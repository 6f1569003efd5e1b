"""Selectors as kubectl has them, and the labels that tell pods apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.errors import UsageError
from outgate.model import Pod
from outgate.model.labels import LabelSelector, Operator, Requirement
from outgate.recipes.selecting import exact_labels, is_selector, read_selector, selector_of, telling_labels

KEYS = st.sampled_from(["app", "tier", "example.com/role"])
VALUES = st.sampled_from(["", "web", "a.b_c-d", "1"])
LISTS = st.lists(VALUES, min_size=1, max_size=3, unique=True).map(lambda many: tuple(sorted(many)))
REQUIREMENTS = st.one_of(
    st.builds(Requirement, KEYS, st.sampled_from([Operator.IN, Operator.NOT_IN]), LISTS),
    st.builds(Requirement, KEYS, st.sampled_from([Operator.EXISTS, Operator.DOES_NOT_EXIST])),
)
SELECTORS = st.lists(REQUIREMENTS, min_size=1, max_size=4).map(lambda many: LabelSelector.of({}, many))


def contradicts(selector: LabelSelector) -> bool:
    """Whether it asks two values of one key."""
    exact = [one.key for one in selector.requirements if one.operator is Operator.IN and len(one.values) == 1]
    return len(exact) != len(set(exact))


@given(SELECTORS.filter(lambda one: not contradicts(one)))
def test_what_is_spelled_is_read(selector: LabelSelector) -> None:
    """Our own words for a selector are kubectl's."""
    assert read_selector(str(selector)) == selector


@given(SELECTORS)
def test_what_is_written_for_the_api_means_the_same(selector: LabelSelector) -> None:
    """Labels where they are enough, expressions for the rest."""
    written = selector_of(selector)
    expressions = [
        Requirement(one["key"], Operator(one["operator"]), tuple(one.get("values", ())))
        for one in written.get("matchExpressions", [])  # type: ignore[attr-defined]  # a list, as the API has it
    ]
    assert LabelSelector.of(written.get("matchLabels"), expressions) == selector  # type: ignore[arg-type]  # likewise


def test_spaces_do_not_matter() -> None:
    """As in kubectl."""
    assert str(read_selector(" app == web , tier in ( b, a ),! canary,!x")) == "app=web,!canary,tier in (a,b),!x"
    assert read_selector("a,b!=c,d notin (e)").matches({"a": "", "d": "f"})


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ",",
        "a=b,",
        "=b",
        "a=b=c",
        "a in b",
        "a in (b",
        "a (b)",
        "-a=b",
        "a=b c",
        "a='b'",
        "a=b\nspec: {}",
        "a=b,a=c",
    ],
)
def test_what_is_no_selector(text: str) -> None:
    """All of it is said at once."""
    with pytest.raises(UsageError):
        read_selector(text)


@given(st.text(max_size=30))
def test_nothing_else_happens(text: str) -> None:
    """Any text is a selector or is refused."""
    try:
        found = read_selector(text)
    except UsageError:
        return
    assert all(character.isprintable() and character.isascii() for character in str(found))


def test_names_are_no_selectors() -> None:
    """Names do not compare."""
    assert [is_selector(text) for text in ("a=b", "a!=b", "!a", "a in (b)", "shop/web", "web", "svc/shop/web")] == [
        *[True] * 4,
        *[False] * 3,
    ]


def pod(name: str, **labels: str) -> Pod:
    """A pod of one namespace."""
    return Pod("shop", name, labels)


def test_the_fewest_labels_that_tell() -> None:
    """Those that people choose first; never those that the next roll-out changes."""
    web = [pod("web-1", app="web", tier="front", version="1"), pod("web-2", app="web", tier="front", version="2")]
    api = pod("api", app="api", tier="front")
    assert telling_labels(web, [*web, api]) == exact_labels([("app", "web")])
    canary = pod("canary", app="web", tier="canary")
    assert telling_labels(web, [*web, api, canary]) == exact_labels([("app", "web"), ("tier", "front")])
    assert telling_labels([pod("a", version="1")], [pod("b", version="2")]) is None
    assert telling_labels([pod("a")], []) is None


def test_labels_of_another_namespace_do_not_matter() -> None:
    """A peer names the namespace, too."""
    mine = [pod("web", app="web")]
    assert telling_labels(mine, [*mine, Pod("edge", "web", {"app": "web"})]) == exact_labels([("app", "web")])


@given(
    st.lists(st.dictionaries(st.sampled_from("abcd"), st.sampled_from("xy"), max_size=4), min_size=2, max_size=6),
    st.integers(1, 5),
)
def test_what_is_found_selects_exactly_them(many: list[dict[str, str]], count: int) -> None:
    """And where nothing is found, not even all shared labels would."""
    pods = [pod(str(number), **labels) for number, labels in enumerate(many)]
    meant, others = pods[:count], pods[count:]
    found = telling_labels(meant, pods)
    shared = set.intersection(*(set(one.labels.items()) for one in meant))
    if found is None:
        assert not shared or any(shared <= one.labels.items() for one in others)
    else:
        assert [one for one in pods if found.matches(one.labels)] == meant
