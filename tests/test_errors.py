"""The tree of errors: exit codes by whose fault it is, and nothing lost on the way to the reader."""

from __future__ import annotations

import inspect
import pickle

import pytest

from outgate import errors
from outgate.errors import InputError, InvalidInput, OutgateError, UnknownName, one_line

CODES = {
    "OutgateError": 2,
    "InvalidInput": 2,
    "UsageError": 2,
    "UnknownName": 2,
    "TooComplex": 2,
    "Unsupported": 2,
    "ClusterError": 3,
    "KernelError": 3,
    "NotPermitted": 3,
}


def test_every_class_owns_its_exit_code() -> None:
    """A class without a row here could leave with a code that means something else to a script."""
    found = {
        name: each.exit_code
        for name, each in inspect.getmembers(errors, inspect.isclass)
        if issubclass(each, OutgateError)
    }
    assert found == CODES


def test_tree_is_the_one_that_is_drawn() -> None:
    """The picture on top of the module is what people catch by: each class stands right of its base, below it."""
    drawn: dict[str, int] = {}
    for line in (errors.__doc__ or "").splitlines():
        name = line.lstrip(" │├└─").partition(" ")[0]
        if name in CODES:
            drawn[name] = line.index(name)
            base = getattr(errors, name).__base__
            assert base is Exception or drawn[base.__name__] < drawn[name]
    assert set(drawn) == set(CODES)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (InputError("a.yaml", 7, "spec.egress[0]", "is wrong"), "a.yaml:7: spec.egress[0]: is wrong"),
        (InputError("a.yaml", 0, "spec", "is wrong"), "a.yaml: spec: is wrong"),
        (InputError("a.yaml", 7, "", "is wrong"), "a.yaml:7: is wrong"),
        (InputError("", 0, "spec", "is wrong"), "spec: is wrong"),
    ],
)
def test_place_is_written_as_editors_read_it(error: InputError, text: str) -> None:
    """`file:line:` is what editors and CI systems turn into a link; line 0 is not a line."""
    assert str(error) == text


def test_all_errors_are_kept() -> None:
    """Reporting only the first error makes people run the tool once for each mistake."""
    found = [InputError("b", 2, "", "second"), InputError("a", 1, "", "first")]
    error = InvalidInput(iter(found), hint="fix them")
    assert error.errors == tuple(found)
    assert str(error) == "b:2: second\na:1: first"
    assert error.hint == "fix them"


def test_errors_sort_by_place() -> None:
    """Line 10 comes after line 9, as numbers, not as words."""
    ninth, tenth = InputError("a", 9, "", "z"), InputError("a", 10, "", "a")
    assert sorted([tenth, ninth]) == [ninth, tenth]


def test_a_sentence_is_enough() -> None:
    """A name that is not there has no place in a file; a string must not be taken for a sequence of errors."""
    error = UnknownName("no pod named web")
    assert error.errors == ()
    assert str(error) == error.message == "no pod named web"


def test_errors_cross_a_process() -> None:
    """pytest-xdist and a forked probe carry exceptions by pickle; what is lost there hides the real failure."""
    error = InvalidInput([InputError("a", 1, "", "first")], hint="fix it")
    copy = pickle.loads(pickle.dumps(error))
    assert isinstance(copy, InvalidInput)
    assert (copy.message, copy.hint, copy.errors) == (error.message, error.hint, error.errors)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("shop/web, Ünï 💥", "shop/web, Ünï 💥"),
        ("one\ntwo", "one\\ntwo"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\u202egnp", "\\u202egnp"),
        ("\ud800", "\\ud800"),
    ],
)
def test_a_strangers_text_stays_on_its_line(text: str, shown: str) -> None:
    """A name that begins a line of its own could say whatever it likes in our voice."""
    assert one_line(text) == shown
