"""Whether what is live goes on: who says so, and what a strange word means."""

from __future__ import annotations

import pytest

from outgate.model import Namespace, NetworkPolicy
from outgate.policy.established import ESTABLISHED, keeps, strange_established
from outgate.testing import namespace, snapshot_of


def said(written: str | None) -> dict[str, str]:
    """The annotation, or none."""
    return {} if written is None else {ESTABLISHED: written}


@pytest.mark.parametrize("default", [False, True])
@pytest.mark.parametrize(
    ("own", "around", "expected", "strange"),
    [
        ("keep", None, True, ""),
        ("keep", "cut", True, ""),
        ("cut", "keep", False, ""),
        (None, "keep", True, ""),
        (None, "cut", False, ""),
        (None, None, None, ""),
        ("Keep", "keep", False, "policy shop/deny"),
        ("", "keep", False, "policy shop/deny"),
        ("keep ", None, False, "policy shop/deny"),
        (None, "yes", False, "namespace shop"),
    ],
)
def test_who_says_it(
    own: str | None, around: str | None, expected: bool | None, strange: str, *, default: bool
) -> None:
    """The nearer word counts, and one that nobody knows cuts, and is reported."""
    policy, space = NetworkPolicy("shop", "deny", annotations=said(own)), Namespace("shop", annotations=said(around))
    assert keeps(policy, space, default=default) is (default if expected is None else expected)
    assert strange_established(policy, space).partition(":")[0] == strange


def test_the_annotation_of_a_namespace_is_read() -> None:
    """The reader keeps what it knows of, and nothing else of a namespace's metadata."""
    written = {**namespace("shop"), "metadata": {"name": "shop", "annotations": {ESTABLISHED: "keep", "other": "x"}}}
    (found,) = snapshot_of([written]).namespaces.values()
    assert found.annotations == {ESTABLISHED: "keep"}
