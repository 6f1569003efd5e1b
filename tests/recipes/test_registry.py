"""All recipes, as one: valid, quiet in lint, the same each time, and nothing else for hostile input."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.cluster import Text, load
from outgate.errors import InvalidInput
from outgate.recipes import RECIPES, Asked, scaffold
from outgate.report.scaffold_json import scaffold_json
from outgate.report.scaffold_yaml import scaffold_yaml
from tests.recipes.town import findings, made, notes, objects, survey

USUAL: dict[str, dict[str, Any]] = {
    "allow-namespace": {"to": ("monitoring",), "ports": ("9090",)},
    "allow-app": {"selector": "app=batch", "to": ("svc/shop/db",)},
    "allow-cidr": {"to": ("203.0.113.0/24",), "ports": ("443",)},
    "zero-trust-namespace": {"sources": ("edge",)},
}
"""What the recipes need that do not go without."""

NAMES = [recipe.name for recipe in RECIPES]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_is_accepted_and_quiet(name: str) -> None:
    """By our own validate, with the cluster; and lint finds nothing."""
    text = made(name, **USUAL.get(name, {}))
    loaded = load([Text("x.yaml", text.encode())])
    assert (loaded.errors, loaded.warnings) == ((), ())
    assert loaded.objects == len(loaded.snapshot.policies) > 0
    assert findings(text) == []


@pytest.mark.parametrize("name", NAMES)
def test_yaml_and_json_are_the_same_objects(name: str) -> None:
    """As another reader of YAML has them; and each time the same."""
    asked = Asked(**{"namespace": "shop", "survey": survey(), **USUAL.get(name, {})})
    once = scaffold(name, asked)
    value = scaffold_json(once)
    assert objects(scaffold_yaml(once)) == (value["items"] if value["kind"] == "List" else [value])
    assert scaffold(name, Asked(**{"namespace": "shop", "survey": survey(), **USUAL.get(name, {})})) == once


@pytest.mark.parametrize("name", [one for one in NAMES if one not in ("allow-api-server", "zero-trust-namespace")])
def test_without_input_and_namespace(name: str) -> None:
    """What needs no cluster goes without one; nothing is written that was not given."""
    asked = {**USUAL.get(name, {}), "survey": None, "namespace": None}
    if name == "allow-app":
        asked["to"] = ("shop:app=db",)
    assert all("namespace" not in one["metadata"] for one in objects(made(name, **asked)))


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_ones_own(name: str) -> None:
    """Every object has it, or begins with it."""
    for one in objects(made(name, name="mine", **USUAL.get(name, {}))):
        assert one["metadata"]["name"].startswith("mine")


def test_options_that_a_recipe_does_not_have() -> None:
    """Are refused: what is asked and not done is a lie."""
    for recipe in RECIPES:
        for option, asked in (
            ("selector", {"selector": "a=b"}),
            ("to", {"to": ("a",)}),
            ("from", {"sources": ("a",)}),
            ("port", {"ports": ("1",)}),
            ("admin-tier", {"admin_tier": True}),
        ):
            if option not in recipe.takes:
                with pytest.raises(InvalidInput, match=f"{recipe.name} takes no --{option}"):
                    made(recipe.name, **asked)


@pytest.mark.parametrize(
    ("name", "near"),
    [("alow-dns", "allow-dns"), ("deny-all", "default-deny-all"), ("zzz", "the recipes are: default-deny-egress")],
)
def test_a_recipe_that_there_is_not(name: str, near: str) -> None:
    """The nearest, or all."""
    with pytest.raises(InvalidInput, match="there is no recipe") as caught:
        made(name)
    assert near in caught.value.hint


@pytest.mark.parametrize(
    "asked",
    [
        {"namespace": "shpo"},
        {"namespace": "Shop", "survey": None},
        {"namespace": "a\nb", "survey": None},
        {"namespace": "x: y", "survey": None},
        {"name": "Mine"},
        {"name": "mine\nspec: {}"},
        {"name": ""},
        {"name": "a" * 254},
        {"name": "a" * 250},
        {"selector": "a=b\n# c"},
    ],
)
def test_hostile_names(asked: dict[str, Any]) -> None:
    """Are refused before anything is written; the last of the long ones grows too long by what is put behind it."""
    with pytest.raises(InvalidInput):
        made("default-deny-egress", **asked)


WORDS = st.one_of(
    st.text(max_size=12), st.sampled_from(["shop", "app=web", "svc/shop/db", "10.0.0.0/8", "443", "::/0"])
)


@settings(max_examples=150)
@given(
    st.sampled_from(NAMES),
    st.none() | WORDS,
    st.none() | WORDS,
    st.none() | WORDS,
    st.lists(WORDS, max_size=2),
    st.lists(WORDS, max_size=2),
    st.lists(WORDS, max_size=2),
    st.booleans(),
)
def test_any_text_is_refused_or_harmless(
    recipe: str,
    namespace: str | None,
    name: str | None,
    selector: str | None,
    to: list[str],
    sources: list[str],
    ports: list[str],
    known: bool,
) -> None:
    """Nothing but InvalidInput; and what is written means what it says, to other readers too."""
    asked = Asked(namespace, name, selector, tuple(to), tuple(sources), tuple(ports), survey=THERE if known else None)
    try:
        found = scaffold(recipe, asked)
    except InvalidInput:
        return
    assert objects(scaffold_yaml(found)) == [dict(one.value) for one in found.manifests]


THERE = survey()


def test_a_policy_that_is_there_is_said() -> None:
    """It would be replaced, whatever it holds."""
    there = survey(made("allow-dns"))
    (words,) = notes("allow-dns", survey=there)
    assert words.startswith("policy shop/allow-dns is in the input already (1.yaml:")
    assert words.endswith("): this would take its place")
