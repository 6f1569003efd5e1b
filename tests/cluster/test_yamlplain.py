"""The quick reader of YAML takes what it takes as libyaml does, and leaves everything else to it."""

from __future__ import annotations

import random

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from outgate.cluster.yamlbuild import BadYamlError, build, find_lines
from outgate.cluster.yamlplain import plain_lines, read_plain

POLICY = """---
# a comment
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: web   # the name
  labels: {}
  annotations:
    note: "a: b # c"
    other: 'say "x"'
    time: 2025-03-04T05:06:07Z

spec:
  podSelector: {}
  policyTypes: [Ingress, Egress]
  egress:
  - ports:
    - port: 443
      protocol: TCP
    - {}
    to:
      - ipBlock:
          cidr: 10.0.0.0/8
          except: []
      - podSelector:
          matchExpressions:
          - key: tier
            operator: In
            values:
            - web
            - "1"
  - - a
    - - b
      - c: on
"""


def test_a_policy_is_plain() -> None:
    """The quick way would be no way at all if it did not take what people write."""
    value = read_plain(POLICY.encode())
    assert isinstance(value, dict)
    assert value == build(POLICY.encode())[0]
    assert value["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert value["spec"]["egress"][1] == ["a", ["b", {"c": True}]]


def test_lines_of_a_policy() -> None:
    """A finding is shown at the line where its value stands, whoever has looked for it."""
    lines = plain_lines(POLICY.encode())
    assert lines == find_lines(POLICY.encode())
    assert lines["spec", "egress", 0, "to", 0, "ipBlock", "cidr"] == 22
    assert lines["spec", "policyTypes", 1] == 14


@pytest.mark.parametrize(
    "text",
    [
        "a: 1", "a:", "- a", "- a: 1\n  b: 2\n- c: 3\n", "a:\n- b\n- c\nd: 1\n", "a:\n  - b\n  - c\n",
        "  a: 1\n  b: 2\n", "a:\nb:\n", "- a:\n- b\n", "- a:\n  - b\n", "- a:\n    - b\n",
        "- - - x\n    - y\n  - z\n", "a: b c d", "a: b - c", "a: x:y", "a: 1e3", "a: 0123", "a: 1:30", "a: yes",
        "a: 'yes'", "a: \"\"", "a: b   ", "a: b # c", "a: # c\n  b: 1\n", "a: [80, on, x]", "a: a/b@sha256:00",
        "_a-b.c/d: 1", "a: {b: c}", "a: {b: 1, c: [x, {d: on}], e: {}}  # f",
        "a: [a, [], {}, [b, 'c, d'], {e: \"f: g\"}]", "- {a: 1}\n- [b]\n", "- - {a: 1, b: [c]}\n", "a: [b] # c]",
        "a:\n    b: 1\n    c: 2\nd: 3", "#x\n\na: 1\n\n#y\n", "a: 1.5",
    ],
)  # fmt: skip
def test_what_is_plain(text: str) -> None:
    """Taken, and as libyaml takes it."""
    value = read_plain(text.encode())
    assert value is not None
    assert (value, {}, None) == build(text.encode())
    assert plain_lines(text.encode()) == find_lines(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "", "#\n", "x", "80", "{a: 1}", "[a]", "a: &x 1", "a: *x", "a: !!str 1", "a: |\n  b\n", "a: >\n  b\n", "a: ~",
        "a: b: c", "a: b:", "a: b\n  c", "a: b\n  c: d", "a: b\n  - c", "a: b\n- c", "a:\n b\n", "a: 1\na: 2",
        "a: 1\n b: 2", "  a: 1\nb: 2", "a:\n    b: 1\n  c: 2", "- a\nb: 1", "a: 1\n- b", "- a: 1\n b: 2",
        "- a\n  b: 1", "on: 1", "1: 2", "null: 1", "<<: 1", "a: \"x\\n\"", "a: 'it''s'", "a: 'b\n  c'", "a:\tb",
        "a: \u00fc", "a: b\r\n", "a: 1\n...\n", "a: 1\n---\nb: 2", "? a\n: b", "-\n  a: 1", "-  a: 1", "- ", "--- a",
        "--- # x\na: 1", "%YAML 1.1\n---\na: 1", "a: b#c: d", "a: [a,b]", "a: [a: b]", "a: {b: c, b: d}",
        "a: {on: c}", "a: {b}",
        "a: {b: }", "a: {b:c}", "a: {b: c,d: e}", "a: { b: c }", "a: {b: c, }", "a: [b, ]", "a: [, b]", "a: {b: c",
        "a: [b}",
        "a: {b: c}}", "a: {b: c} d", "a: [b]]", "a: {\"b\": c}", "a: {b: c: d}", "a: {b: x:y}", "a: {b: .inf}",
        "a: [b\n  ]", "a: {b: c}: d", "a: {b: |}", "- {a: 1}: b", "'a': 1", "a : 1",
        "a: @b", "a: `b", "a: - b", "a: ? b", "a: %b", "a: a  b", "a: \x01", "a: .inf", "a:b: c d: e",
    ],
)  # fmt: skip
def test_what_is_not_plain(text: str) -> None:
    """Left to the reader that knows all of YAML: what means more than it seems, and what is wrong."""
    assert read_plain(text.encode()) is None


def test_documents_share_no_collection() -> None:
    """Lines are remembered between documents, and what one document does to its values must not reach another."""
    text = b"a: {}\nb: [x, {c: []}]\n"
    one, other = read_plain(text), read_plain(text)
    assert isinstance(one, dict)
    assert isinstance(other, dict)
    one["a"]["y"] = 1
    one["b"][1]["c"].append(1)
    assert other == {"a": {}, "b": ["x", {"c": []}]} == read_plain(text)


def test_deep_nesting_is_left_to_the_other_reader() -> None:
    """Depth is limited there, with an error; here it must not cost more than time."""
    assert read_plain(b"- " * 50_000 + b"a") is None
    deep = "".join(f"{'  ' * depth}a:\n" for depth in range(1000))
    assert read_plain(deep.encode()) is None
    assert read_plain(b"a: " + b"[" * 50_000 + b"]" * 50_000) is None


def agrees(text: bytes) -> bool:
    """Whether the quick reader is silent or right; what it takes must be good YAML, with nothing to be said of it."""
    value = read_plain(text)
    if value is None:
        return True
    try:
        return (value, {}, None) == build(text) and plain_lines(text) == find_lines(text)
    except BadYamlError:
        return False


WORDS = st.sampled_from(
    ["a", "b", "key", "on", "null", "80", "-1", "1.5", "0x1f", "a b", "x:y", "x: y", "a #b", "# c", "", "''", '"q"',
     "{}", "[]", "[a, b]", "{a: b}", "{a: [b, {c: 1}], d: {}}", "{a: on, a: x}", "{", "}", "[x", "- a", "-", "---",
        "...", "|", ">", "&x", "*x", "!t", "10.0.0.0/8", "2025-01-02", "1e999",
     "=", "<<", "?"]
)  # fmt: skip
LINES = st.builds(
    lambda indent, dashes, key, colon, value, end: " " * indent + "- " * dashes + key + colon + value + end,
    st.integers(0, 6), st.integers(0, 2), WORDS, st.sampled_from([": ", ":", "", ":  ", " : "]), WORDS,
    st.sampled_from(["", "", "", " ", " # c", "\r", "\t"]),
)  # fmt: skip


@given(st.lists(LINES, max_size=8))
def test_any_lines(lines: list[str]) -> None:
    """Lines thrown together: most are no YAML, some are YAML that means something else than it seems."""
    assert agrees("\n".join(lines).encode())


SIMPLE = st.sampled_from(["a", "b", "c", "d-e", "x/y"])
SCALARS: st.SearchStrategy[object] = st.sampled_from(
    ["x", "80", "yes", "1.2.3.4", "a b", "", "2025-01-02", None, True, 7, 1.5, {}, []]
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(SIMPLE, inner, min_size=1, max_size=3),
    max_leaves=12,
)


@given(
    st.dictionaries(SIMPLE, TREES, min_size=1, max_size=4),
    st.booleans(),
    st.sampled_from([False, None]),
    st.integers(0, 1 << 32),
)
def test_printed_trees_and_what_becomes_of_them(tree: object, indented: bool, braces: bool | None, seed: int) -> None:
    """Printed by a library, whole and with a character lost, put in or doubled: right, or left to libyaml."""

    class Dumper(yaml.SafeDumper):
        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
            super().increase_indent(flow, indentless and not indented)

    text = yaml.dump(tree, Dumper=Dumper, default_flow_style=braces)
    assert agrees(text.encode())
    dice = random.Random(seed)
    for _ in range(5):
        at = dice.randrange(len(text) + 1)
        broken = (
            text[:at]
            + dice.choice(["", " ", "- ", ":", "\n", "#", "'", '"', "a", "  ", "{", "}", "[", "]", ", ", ","])
            + text[at + dice.randrange(2) :]
        )
        assert agrees(broken.encode()), broken
