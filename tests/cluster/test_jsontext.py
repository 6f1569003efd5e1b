"""JSON at speed, with lines all the same, and answers for what is no JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.cluster.jsontext import BadJsonError, find_lines, read_json, read_typed
from outgate.cluster.reading import Unreadable
from outgate.model.parse_pods import TypedPod
from outgate.model.place import Document, Path
from tests.cluster.texts import errors_of, read

POLICY: dict[str, Any] = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "a"},
    "spec": {"egress": [{"to": [{}]}]},
}
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"a": "b"}}, "spec": {"volumes": [1]}}


def values(text: str, file: str = "input.json") -> list[object]:
    """The values of all documents."""
    documents, unreadable = read(text, file)
    assert unreadable.errors == []
    return [document.value for document in documents]


def test_one_value_and_several() -> None:
    """Kubectl takes JSON values one after the other, with or without space between them."""
    one = json.dumps(POLICY)
    for text in (one, f"{one}\n{one}", f" {one}{one} \n"):
        assert values(text) == [POLICY] * text.count("apiVersion")


def test_lists_are_read_item_by_item() -> None:
    """Each item is a document of its own, with what a typed list implies."""
    items = [{"metadata": {"name": "x"}}, {**POD, "metadata": {"name": "y"}}]
    text = json.dumps({"kind": "PodList", "apiVersion": "v1", "items": items})
    assert [one["metadata"]["name"] for one in values(text) if isinstance(one, dict)] == ["x", "y"]
    assert [one["kind"] for one in values(text) if isinstance(one, dict)] == ["Pod", "Pod"]
    assert values(json.dumps({"kind": "List", "apiVersion": "v1", "items": [POLICY, [], 5]})) == [POLICY, [], 5]
    odd = {"kind": "List", "apiVersion": "v1", "items": {}}
    assert values(json.dumps(odd)) == [odd]


def test_values_hold_what_the_parser_looks_at() -> None:
    """Of pods only what matters is read, of other people's kinds only what they are; a policy is read whole."""
    other = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"x": "y"}}
    wrong = {"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"a": 1}}, "extra": 1}
    text = "".join(map(json.dumps, (POD, other, POLICY, wrong)))
    assert values(text) == [
        {**POD, "spec": {}},
        {"apiVersion": "v1", "kind": "ConfigMap"},
        POLICY,
        wrong,
    ]


def test_lines() -> None:
    """Lines are the file's, for the first item and for the last."""
    items = [{**POLICY, "metadata": {"name": name}} for name in "ab"]
    text = "\n\n" + json.dumps({"kind": "List", "apiVersion": "v1", "items": items}, indent=1)
    for document in read(text, "input.json")[0]:
        assert isinstance(document.value, dict)
        name = document.value["metadata"]["name"]
        line = document.locate(("metadata", "name"))
        assert f'"name": "{name}"' in text.splitlines()[line - 1]
        assert '"to": [' in text.splitlines()[document.locate(("spec", "egress", 0, "to")) - 1]
    minified = read(json.dumps(POLICY), "input.json")[0][0]
    assert minified.locate(("spec", "egress", 0, "to", 0)) == 1


def test_items_that_look_alike_have_their_own_lines() -> None:
    """Two equal items stand in two places."""
    text = '{"kind": "List", "items": [\n{"a": 1},\n{"a": 1},\n{"a": 1}]}'
    assert [document.locate(("a",)) for document in read(text, "x.json")[0]] == [2, 3, 4]


def test_keys_given_twice_in_a_policy() -> None:
    """The server refuses them, and a fast reader does not see them."""
    text = json.dumps(POLICY, indent=1).replace('"spec"', '"sp\\u0065c": {},\n "spec"')
    (document,) = read(text, "input.json")[0]
    assert list(document.repeated) == [("spec",)]
    assert '"spec"' in text.splitlines()[document.repeated["spec",] - 1]
    pod = json.dumps(POD).replace('"spec"', '"spec": {}, "spec"')
    assert read(pod, "input.json")[0][0].repeated == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1', "input.json:1: this is no JSON: "),
        ('{"a": 1,\n"b": tru}', "input.json:2: this is no JSON: "),
        ('{"a": 1}\n{"b": }', "input.json:2: this is no JSON: "),
        ("{'a': 1}", "input.json:1: this is no JSON: "),
        ('{"a": NaN}', "input.json:1: this is no JSON: "),
        ("", None),
        ("   \n", None),
        ("a: 1", "input.json:1: this is no JSON: "),
        ("[" * 100_000, "input.json:1: "),
        ('{"a":' * 100_000, "input.json:1: "),
        ('{"kind":"List","apiVersion":"v1","items":[' * 50_000, "input.json:1: "),
        ("\n" + "[" * 100_000 + "]" * 100_000, "input.json:2: nested too deep"),
    ],
)
def test_what_is_no_json(text: str, expected: str | None) -> None:
    """A file that says it is JSON and is not gets a line and a reason, however deep it is nested."""
    errors = errors_of(text, "input.json")
    assert [error[: len(expected)] for error in errors] == [expected] if expected else errors == []


def test_bytes_that_are_no_text() -> None:
    """A string that is not UTF-8 is refused, with its line."""
    (error,) = errors_of(
        b'{\n"kind": "NetworkPolicy", "apiVersion": "networking.k8s.io/v1", "x": "\xff"}', "input.json"
    )
    assert error == "input.json:2: this is not in UTF-8"


def test_braces_in_a_file_of_another_name() -> None:
    """Braces begin YAML too: what is no JSON there is read as YAML, comments and all."""
    assert read("{a: 1, b: [2]} # c\n---\n{c: 3}\n")[0][0].value == {"a": 1, "b": [2]}
    assert read('{"a": 1}')[0][0].value == {"a": 1}
    (error,) = errors_of("{{ .Values.x }}")
    assert error.endswith("this looks like a template, which must be rendered first (helm template)")


def test_the_reader_raises_before_the_first_document() -> None:
    """Whoever tries JSON first must be able to try something else, without documents already taken."""
    with pytest.raises(BadJsonError) as caught:
        next(read_json(b'{"a": 1}\n{', "x", Unreadable()))
    assert caught.value.line == 2


KEYS = st.text(max_size=4)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | KEYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
)


def places(tree: object, at: Path = ()) -> list[Path]:
    """Every place in a tree, in the order of the text."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [at, *(path for step, inner in pairs for path in places(inner, (*at, step)))]


@given(TREES, st.sampled_from([None, 0, 1]), st.booleans())
def test_every_value_has_a_line(tree: object, indent: int | None, ascii_only: bool) -> None:
    """Written with a line for each value, the n-th value stands on the line that Python's writer gave it."""
    text = json.dumps(tree, indent=indent, ensure_ascii=ascii_only)
    found = find_lines(text.encode())
    assert list(found) == places(tree)
    if indent is None:
        assert set(found.values()) <= {0}
        return
    opening = [number for number, line in enumerate(text.split("\n")) if line.strip(" ,") not in ("]", "}")]
    assert list(found.values()) == opening


@given(TREES)
def test_any_json_is_read(tree: object) -> None:
    """What Python writes, indented or not, is read as it was."""
    text = json.dumps(tree)
    assert values(text) in ([tree], [])


def test_pods_come_in_their_type() -> None:
    """Callers that ask for it get pods without a dictionary; those that do not, and all other objects, as ever."""
    text = json.dumps({"kind": "List", "items": [POD, POLICY, {**POD, "kind": "ConfigMap"}]}).encode()
    found = list(read_typed(text, "x", Unreadable()))
    assert [type(one) for one in found] == [TypedPod, Document, Document]
    (pod,) = found[0].whole() if isinstance(found[0], TypedPod) else ()
    assert pod.value == {**POD, "spec": {}}
    implied = json.dumps({"kind": "PodList", "apiVersion": "v1", "items": [{"metadata": {"name": "x"}}]}).encode()
    assert isinstance(next(read_typed(implied, "x", Unreadable())), TypedPod)


@pytest.mark.parametrize(
    "text",
    [
        '{"apiVersion": "v1", "kind": "Pod", "kind": "Secret"}',
        '{"kind": "Pod", "apiVersion": "v2"}',
        '{"apiVersion": "v1", "kind": "Pod", "metadata": []}',
        '{"apiVersion": "v1", "kind": "Pod", "spec": {"hostNetwork": null}}',
    ],
)
def test_what_only_begins_as_a_pod(text: str) -> None:
    """The last key counts, and what is not of the type is read in full for its error."""
    (found,) = read_typed(text.encode(), "x", Unreadable())
    assert isinstance(found, Document)
    assert found.value == json.loads(text) or found.value == {"apiVersion": "v1", "kind": "Secret"}


def test_a_pod_that_is_no_text_is_reported_when_it_is_read_in_full() -> None:
    """Labels are not looked into before somebody asks; their bytes may be no text."""
    good = json.dumps(POD)
    data = f'{{"kind": "List", "items": [{good},\n{good}]}}'.encode()
    at = data.rindex(b'"a": "b"')
    unreadable = Unreadable()
    first, second = read_typed(data[:at] + b'"a": "\xff"' + data[at + 8 :], "x", unreadable)
    assert isinstance(first, TypedPod)
    assert isinstance(second, TypedPod)
    assert (len(list(first.whole())), list(second.whole())) == (1, [])
    assert list(map(str, unreadable.errors)) == ["x:2: this is not in UTF-8"]


def test_items_are_found_where_they_stand() -> None:
    """What looks like an item may stand before the list, or in it, or be all there is between two commas."""
    text = '{"metadata": {},\n"other": [{}],\n"x": {"items": [7]},\n"kind": "List", "items" : [\n{}\n,\n\n{},{\n}]}'
    assert [one.locate(()) for one in read(text, "x.json")[0]] == [5, 8, 8]
    escaped = text.replace('"items" :', '"item\\u0073" :')
    assert len(read(escaped, "x.json")[0]) == 3


NAMES = st.sampled_from(["a", "b", 'q"', "c:", '":', "\\", "\\ ", 'x\\"', " :", "\u00fc"])


@given(st.recursive(st.integers(0, 9) | NAMES, lambda inner: st.lists(st.tuples(NAMES, inner), max_size=3)),
       st.sampled_from([":", " :", "\t\n: "]), st.booleans())  # fmt: skip
def test_no_key_given_twice_is_missed(tree: object, colon: str, ascii_only: bool) -> None:
    """Keys are counted first and looked at only where their number is odd; strings may look like keys."""

    def text(one: object) -> str:
        if isinstance(one, list):
            return "{" + ",".join(json.dumps(k, ensure_ascii=ascii_only) + colon + text(v) for k, v in one) + "}"
        return json.dumps(one, ensure_ascii=ascii_only)

    def twice(one: object) -> bool:
        if not isinstance(one, list):
            return False
        return len({k for k, _ in one}) < len(one) or any(twice(v) for _, v in one)

    whole = f'{{"kind": "NetworkPolicy", "x": {text(tree)}}}'
    (document,) = read(whole, "x.json")[0]
    # What is within a value that is replaced later is seen as well.
    assert bool(document.repeated) == twice(tree)
