"""Values and lines from events: nothing that a text holds may crash, and each line is the right one."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from outgate.cluster.yamlbuild import MAX_ALIASED, MAX_DEPTH, BadYamlError, build, find_lines
from outgate.model.place import Path


def value(text: str) -> object:
    """The value alone."""
    return build(text.encode())[0]


def problem(text: str | bytes) -> tuple[int, str]:
    """Line and words of the error of a text."""
    with pytest.raises(BadYamlError) as caught:
        build(text.encode() if isinstance(text, str) else text)
    return caught.value.line, caught.value.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None), ("# only\n", None), ("---\n", None), ("a: 1", {"a": 1}),
        ("- a\n- [b, {c: d}]", ["a", ["b", {"c": "d"}]]),
        ("{}", {}), ("[]", []), ("a:\n", {"a": None}), ("a: ''", {"a": ""}), ("a: 'yes'", {"a": "yes"}),
        ('a: "80"', {"a": "80"}), ("a: |\n  80\n", {"a": "80\n"}), ("a: >-\n  yes\n", {"a": "yes"}), ("x", "x"),
        ("80", 80),
        ("on: off", {"true": False}), ("80: 443", {"80": 443}), ("1.5: x", {"1.5": "x"}), ("a: !!str 80", {"a": "80"}),
        ("? a\n: b", {"a": "b"}), ("%YAML 1.1\n---\na: b\n", {"a": "b"}), ("\ufeffa: b", {"a": "b"}),
        ("a: !own {b: c}", {"a": {"b": "c"}}), ("a: ! 80", {"a": "80"}), ("a: &x\nb: *x", {"a": None, "b": None}),
    ],
)  # fmt: skip
def test_values(text: str, expected: object) -> None:
    """Plain scalars are resolved, quoted ones and blocks never, and keys become strings."""
    assert value(text) == expected


def test_merge_keys() -> None:
    """go-yaml merges where the << stands: keys below it win over it, and it wins over those above."""
    base = "base: &b {x: 1, w: 2}\nother: &o {x: 3, z: 4}\n"
    made: Any = value(base + "one: {<<: *b, w: 5}\ntwo: {w: 5, <<: *b}\nthree: {<<: [*b, *o]}\nfour: {'<<': 1}\n")
    assert made["one"] == {"x": 1, "w": 5}
    assert made["two"] == {"x": 1, "w": 2}
    assert made["three"] == {"x": 1, "w": 2, "z": 4}
    assert made["four"] == {"<<": 1}
    assert problem("a: {<<: 5}") == (0, "map merge requires map or sequence of maps as the value")
    assert build(b"a: {x: 1, <<: {x: 2}}")[1] == {}


def test_aliases_share_one_value() -> None:
    """An alias is not copied, or a small text could fill the memory."""
    made: Any = value("a: &x [1, 2]\nb: *x\nc: {*x2 : 1}\n".replace("{*x2 : 1}", "*x"))
    assert made["a"] is made["b"] is made["c"]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: *nobody", 0, "unknown anchor 'nobody' referenced"),
        ("a: &x\n  b: *x", 1, "anchor 'x' value contains itself"),
        ("a: 1\n[b]: 2", 1, "a mapping or a list cannot be a key"),
        ("a: 1\n{b: c}: 2", 1, "a mapping or a list cannot be a key"),
        ("a: &x [1]\n*x : 2", 1, "a mapping or a list cannot be a key"),
        ("a:\n  ~: 2", 1, "null cannot be a key: quote it, or give the key its name"),
        ("a:\n- .inf", 1, "JSON has no number .inf: quote it"),
        ("a: !!int x", 0, "cannot decode `x` as a !!int"),
        ("a: b\n  c: d", 1, "mapping values are not allowed in this context"),
        ("a: [1, 2\nb: 3", 1, "while parsing a flow sequence, did not find expected ',' or ']'"),
        ("a: 'b", 0, "while scanning a quoted scalar, found unexpected end of stream"),
    ],
)
def test_errors_have_line_and_words(text: str, line: int, words: str) -> None:
    """A text that cannot be read is an error at a line, in words that can be acted on."""
    found = problem(text)
    assert found[1] == words
    assert found[0] == line or "end of stream" in words


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (b"a: b\nc: \0\n", 1, "a NUL character: this is no text"),
        (b"a: b\nc: \x01\n", 1, "control characters are not allowed (#x01): this is no text, or not in UTF-8"),
        (b"a: \xc3\xbc\nb: c\nc: \xff\n", 2, "the text must be in UTF-8"),
        (b"a: \xc3\xbc\nb: \xc3(\n", 1, "the text must be in UTF-8"),
    ],
)
def test_bytes_that_are_no_text(text: bytes, line: int, words: str) -> None:
    """A binary file, or one of another encoding, is named with the line at which it stops being text."""
    found = problem(text)
    assert found[0] == line
    assert words in found[1]


def test_a_billion_laughs_are_refused() -> None:
    """Ten lines of aliases stand for ten thousand million values; the line where it gets too much is said."""
    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for i in range(1, 10):
        laughs += f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n"
    line, words = problem(laughs)
    assert words == "document contains excessive aliasing"
    assert 3 <= line <= 6
    few = "a: &a [1, 2, 3]\n" + "".join(f"b{i}: *a\n" for i in range(1000))
    assert len(value(few)) == 1001  # type: ignore[arg-type]  # it is a mapping
    many = "a: &a [1, 2, 3]\n" + "".join(f"b{i}: *a\n" for i in range(MAX_ALIASED // 4 + 1))
    assert problem(many)[1] == "document contains excessive aliasing"


def test_keys_given_twice() -> None:
    """The last one counts; that it was given twice is remembered with the line of the last."""
    text = b"a: 1\nspec:\n  egress: 1\n  list:\n  - x: 1\n    x: 2\n  egress: 2\n  egress: 3\na: 2\n"
    made, repeated, _ = build(text)
    assert made == {"a": 2, "spec": {"egress": 3, "list": [{"x": 2}]}}
    assert repeated == {("spec", "list", 0, "x"): 5, ("spec", "egress"): 7, ("a",): 8}


def test_a_block_given_twice_has_the_line_of_its_key() -> None:
    """Where a block ends is below it: the line of the next rule, which nobody has to look at."""
    assert build(b"to: []\nto:\n- x: 1\n  x:\n    y: 1\nz: 1\n")[1] == {("to", 0, "x"): 3, ("to",): 1}
    assert build(b"- &k a: 1\n  *k : {}\n")[1] == {(0, "a"): 1}


def test_what_follows_the_end_of_a_document_is_seen() -> None:
    """Kubectl stops reading at `...`; whoever wrote on after it must be told."""
    assert build(b"a: 1\n...\n")[2] is None
    assert build(b"a: 1\n...\n# c\nb: 2\n")[2] == 3
    assert build(b"a: |\n  x\n  ...\nb: 2\n")[2] is None
    assert problem("{a: 1}\nb: 2\n") == (1, "did not find expected <document start>")


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 100_000, "- " * 50_000])
def test_deep_nesting_is_an_error_and_not_a_crash(text: str) -> None:
    """A hundred thousand brackets overflow the stack of a recursive reader, which ends the whole process."""
    program = (
        "import sys\nfrom outgate.cluster.yamlbuild import BadYamlError, build\n"
        "try: build(sys.stdin.buffer.read())\nexcept BadYamlError as error: print(error.message)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], input=text, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == f"nested more than {MAX_DEPTH} levels deep"


def test_deep_indentation_is_an_error_too() -> None:
    """Nesting by indentation is nesting as well, and what is a little less than the limit is read."""
    assert problem("\n".join(f"{' ' * i}a:" for i in range(MAX_DEPTH + 2)))[1].startswith("nested more than")
    assert isinstance(value("\n".join(f"{' ' * i}a:" for i in range(MAX_DEPTH - 2))), dict)


def test_lines() -> None:
    """A collection under a key has the key's line; a value that stands below its key has its own."""
    text = b"# c\nspec:\n  a:\n    long\n  egress:\n  - to:\n    - ipBlock: {cidr: 1,\n        except: [2]}\n  on: 1\n"
    assert find_lines(text) == {
        (): 1,
        ("spec",): 1,
        ("spec", "a"): 3,
        ("spec", "egress"): 4,
        ("spec", "egress", 0): 5,
        ("spec", "egress", 0, "to"): 5,
        ("spec", "egress", 0, "to", 0): 6,
        ("spec", "egress", 0, "to", 0, "ipBlock"): 6,
        ("spec", "egress", 0, "to", 0, "ipBlock", "cidr"): 6,
        ("spec", "egress", 0, "to", 0, "ipBlock", "except"): 7,
        ("spec", "egress", 0, "to", 0, "ipBlock", "except", 0): 7,
        ("spec", "true"): 8,
    }
    assert find_lines(b"") == {}
    assert find_lines(b"a: &x 1\nb: *x\n*x : 2\n")["b",] == 1


WORDS = st.text("abcxz", min_size=1, max_size=4)
TREES = st.recursive(
    WORDS | st.integers(-9, 9) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(WORDS, inner, min_size=1, max_size=3),
)


def write(tree: object, indent: int, lines: list[str], at: Path, where: dict[Path, int]) -> None:
    """A tree as block YAML with a line for each value, noting on which line each stands."""
    margin = " " * indent
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for step, inner in pairs:
        path = (*at, step)
        head = f"{margin}-" if isinstance(step, int) else f'{margin}"{step}":'
        if isinstance(inner, dict | list):
            lines.append(f"{head} # a collection follows")
            # An element begins where its first key or dash stands; a collection under a key has the key's line.
            where[path] = len(lines) + 1 if isinstance(step, int) else len(lines)
            write(inner, indent + 2, lines, path, where)
        else:
            lines.append(f'{head} "{inner}"')
            where[path] = len(lines)


@given(TREES.filter(lambda tree: isinstance(tree, dict)), st.integers(0, 3))
def test_every_line_is_where_the_value_was_written(tree: object, above: int) -> None:
    """Trees are written with known lines: each must be found, or errors would point at innocent lines."""
    lines, where = ["# above"] * above, dict[Path, int]()
    write(tree, 0, lines, (), where)
    found = find_lines("\n".join(lines).encode())
    assert {path: line + 1 for path, line in found.items() if path} == where


@given(TREES)
def test_values_agree_with_the_yaml_library(tree: object) -> None:
    """What PyYAML writes and quotes as it must is read back as it was."""
    assert value(yaml.safe_dump(tree)) == tree
    assert value(yaml.safe_dump(tree, default_flow_style=True)) == tree


@given(st.binary(max_size=60) | st.text("a:-[]{}#&*!|>'\"%@`,? \n\t~0", max_size=40).map(str.encode))
def test_any_bytes_are_answered(text: bytes) -> None:
    """Whatever the bytes, there is a value or an error with a line."""
    found: list[BadYamlError] = []
    try:
        build(text)
    except BadYamlError as error:
        found.append(error)
    else:
        assert isinstance(find_lines(text), dict)
    assert all(0 <= error.line <= text.count(b"\n") + text.count(b"\r") + 2 for error in found)
    assert all(error.message for error in found)
