"""Schemas as the API server reads them; what it says of whole objects is in test_validate_cluster_policy.py."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.model.parse_decode import Flaw
from outgate.model.structural import (
    UNCHECKED,
    Rule,
    Schema,
    blocks_rules,
    repeated_items,
    rule_flaws,
    schema_flaws,
    unknown_fields,
    with_defaults,
    without_nulls,
)

TEXT = Schema("string")
NUMBER = Schema("integer", fewest=1, most=10)
THING = Schema(
    "object",
    {
        "b": Schema("array", items=TEXT, fewest=1, most=2, unique=True),
        "a": Schema("string", most=3, pattern="^a+$"),
        "n": NUMBER,
        "e": Schema("string", enum=("X", "Y")),
        "m": Schema("object", values=TEXT),
        "o": Schema("object", {"p": TEXT, "q": TEXT}, fewest=1, most=1, required=("q",)),
        "d": Schema("string", default="D"),
    },
    rules=(Rule(lambda one: one.get("a") != "aa", "no aa"),),
)


def said(value: object) -> list[str]:
    """What the schema says of a value."""
    return [f"{'.'.join(map(str, one.path))}: {one.message}" for one in schema_flaws(value, THING)]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"n": "x"}, 'n: Invalid value: "string": n in body must be of type integer: "string"'),
        ({"n": [1]}, 'n: Invalid value: "array": n in body must be of type integer: "array"'),
        # Of a format, and not of text or a list, it is the format that is wanted.
        ({"n": True}, 'n: Invalid value: "": n in body must be of type int32: ""'),
        ({"n": {}}, 'n: Invalid value: "": n in body must be of type int32: ""'),
        ({"n": 0}, "n: Invalid value: 0: n in body should be greater than or equal to 1"),
        ({"n": 11.0}, "n: Invalid value: 11: n in body should be less than or equal to 10"),
        ({"a": 5}, 'a: Invalid value: "integer": a in body must be of type string: "integer"'),
        ({"a": "aaaa"}, "a: Too long: may not be more than 3 bytes"),
        ({"a": "b"}, "a: Invalid value: \"b\": a in body should match '^a+$'"),
        ({"a": "a\n"}, "a: Invalid value: \"a\\n\": a in body should match '^a+$'"),
        ({"e": "x"}, 'e: Unsupported value: "x": supported values: "X", "Y"'),
        ({"b": []}, "b: Invalid value: 0: b in body should have at least 1 items"),
        ({"b": ["x", "y", "z"]}, "b: Too many: 3: must have at most 2 items"),
        ({"b": [None]}, 'b.0: Invalid value: "null": b[0] in body must be of type string: "null"'),
        ({"m": {"x/y": 5}}, 'm.x/y: Invalid value: "integer": m.x/y in body must be of type string: "integer"'),
        ({"o": {"p": ""}}, "o.q: Required value"),
        ([], ': Invalid value: "array":  in body must be of type object: "array"'),
    ],
)
def test_one_fault(value: object, words: str) -> None:
    """In the words of kube-openapi."""
    assert said(value) == [words]


def test_all_faults_at_once_in_order() -> None:
    """Fields by the alphabet; of each the type, then what it has; what is required comes last."""
    assert said({"n": 2.5, "e": 5, "b": ["x", 1, "y"], "o": {}}) == [
        'b.1: Invalid value: "integer": b[1] in body must be of type string: "integer"',
        "b: Too many: 3: must have at most 2 items",
        'e: Invalid value: "integer": e in body must be of type string: "integer"',
        'e: Unsupported value: 5: supported values: "X", "Y"',
        'n: Invalid value: "float64": n in body must be of type int32: "float64"',
        "o: Invalid value: 0: o in body should have at least 1 properties",
        "o.q: Required value",
    ]


def test_whole_numbers_may_have_a_point() -> None:
    """JSON has one sort of number."""
    assert said({"n": 5.0}) == []
    assert said({"n": 1e300})[0].endswith('of type int32: "float64"')


def test_which_faults_keep_the_rules_from_being_checked() -> None:
    """Those whose kind says that a value is not there, or not of its type."""
    stopping = [*schema_flaws({"n": "x", "e": "", "a": "aaaa", "b": ["x"] * 3, "o": {"p": ""}}, THING)]
    assert all(map(blocks_rules, stopping))
    assert len(stopping) == 5
    going_on = [*schema_flaws({"n": 0, "a": "b", "b": [], "o": {"q": "", "p": ""}}, THING)]
    assert [one.message[:8] for one in going_on if blocks_rules(one)] == ["Too many"]
    words = 'Invalid value: "x in body must be of type y: \\"z\\"": a in body should match \'^a+$\''
    assert not blocks_rules(Flaw(("a",), words, ()))
    assert not blocks_rules(UNCHECKED)


def test_what_stands_twice_in_a_set() -> None:
    """Said once, whatever number of times."""
    found = [*repeated_items({"b": ["x", "y", "x", "x", "y"]}, THING)]
    assert [(one.path, one.message) for one in found] == [
        (("b", 2), 'Duplicate value: "x"'),
        (("b", 4), 'Duplicate value: "y"'),
    ]


def test_rules_that_do_not_hold() -> None:
    """Of an object without its value; the whole object is called <nil>."""
    (found,) = rule_flaws({"a": "aa"}, THING)
    assert (found.path, found.message, found.at) == (("<nil>",), "Invalid value: no aa", ())
    inner = Schema("array", items=Schema("string", rules=(Rule(str.islower, "lower"),)))
    (found,) = rule_flaws(["a", "B"], inner, ("x",))
    assert (found.path, found.message) == (("x", 1), 'Invalid value: "B": lower')


def test_unknown_fields_are_sorted_and_found_in_values_of_the_wrong_type_too() -> None:
    """They are sorted as text: "a[10]" comes before "a[2]"."""
    value = {"z": 1, "o": {"x": None}, "m": {"free": 1}, "a": {"y": 1}, "n": [{"w": 1}], "b": [{"k": 1}] * 11}
    found = [".".join(map(str, one)) for one in unknown_fields(value, THING)]
    assert found == ["a.y", "b.0.k", "b.10.k", *(f"b.{i}.k" for i in range(1, 10)), "n.0.w", "o.x", "z"]
    assert unknown_fields({"z": 1, "o": {"z": 1}}, THING, passed=["z"]) == [("o", "z")]


def test_nulls_and_defaults() -> None:
    """A null is as good as absent, but in lists, where nobody knows the field, and where there is a default."""
    value = {"a": None, "d": None, "u": None, "b": [None], "m": {"x": None}, "o": {"p": None}}
    kept = without_nulls(value, THING)
    assert kept == {"d": None, "u": None, "b": [None], "m": {}, "o": {}}
    assert with_defaults(kept, THING)["d"] == "D"
    assert with_defaults({}, THING) == {"d": "D"}
    assert value["a"] is None


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 20) | st.floats(allow_nan=False) | st.sampled_from(["", "aa", "X"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*THING.properties, "q", "u"]), inner),
    max_leaves=12,
)


@given(JSON)
def test_no_value_is_too_strange(value: Any) -> None:
    """Words and no traceback; and who is let through holds to what the schema says."""
    before = copy.deepcopy(value)
    unknown_fields(value, THING)
    tidy = with_defaults(without_nulls(value, THING), THING)
    found = [*schema_flaws(tidy, THING), *repeated_items(tidy, THING)]
    assert repr(value) == repr(before)
    if not any(map(blocks_rules, found)):
        assert isinstance(tidy, dict)
        list(rule_flaws(tidy, THING))
        assert isinstance(tidy.get("a", ""), str)
        assert tidy.get("e", "X") in ("X", "Y")
