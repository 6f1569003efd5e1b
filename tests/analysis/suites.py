"""Assertions as YAML, read and evaluated: what the tests of this room ask about."""

from __future__ import annotations

from outgate.analysis.assertions import Assertion, Suite, read
from outgate.analysis.verdicts import Outcome, evaluate
from outgate.cluster.files import documents_of
from outgate.cluster.reading import Unreadable
from outgate.policy import Judge

__all__ = ["assertion", "outcome", "outcomes", "suite"]

HEAD = "apiVersion: outgate.dev/v1\nkind: ReachabilityTest\n"


def suite(*written: str, head: str = "") -> Suite:
    """A file with these assertions, one a line, from line 4 on (after the lines of `head`)."""
    text = HEAD + head + "assertions:\n" + "".join(f"- {one}\n" for one in written)
    unreadable = Unreadable()
    documents = list(documents_of(text.encode(), "tests.yaml", unreadable))
    assert unreadable.errors == []
    (found,) = read(documents)
    return found


def assertion(written: str) -> Assertion:
    """The one assertion."""
    (found,) = suite(written).assertions
    return found


def outcomes(judge: Judge, *written: str, head: str = "") -> tuple[Outcome, ...]:
    """What comes of assertions."""
    return evaluate(judge, [suite(*written, head=head)])


def outcome(judge: Judge, written: str, head: str = "") -> Outcome:
    """What comes of one."""
    (found,) = outcomes(judge, written, head=head)
    return found
