"""Whether a policy is enforced: who says so, in which order, and what a strange word means."""

from __future__ import annotations

import pytest

from outgate.model import Namespace, NetworkPolicy
from outgate.policy.mode import ANNOTATION, Mode, mode_of, strange_mode
from outgate.testing import namespace, snapshot_of


def policy(written: str | None) -> NetworkPolicy:
    """A policy with the annotation, or without it."""
    return NetworkPolicy("shop", "deny", annotations={} if written is None else {ANNOTATION: written})


def space(written: str | None) -> Namespace:
    """Its namespace, likewise."""
    return Namespace("shop", annotations={} if written is None else {ANNOTATION: written})


@pytest.mark.parametrize("default", Mode)
@pytest.mark.parametrize(
    ("own", "around", "expected"),
    [
        ("audit", None, Mode.AUDIT),
        ("audit", "enforce", Mode.AUDIT),
        ("enforce", "audit", Mode.ENFORCE),
        (None, "audit", Mode.AUDIT),
        (None, "enforce", Mode.ENFORCE),
        (None, None, None),
        ("Audit", "audit", Mode.ENFORCE),
        ("", "audit", Mode.ENFORCE),
        ("audit ", None, Mode.ENFORCE),
        (None, "off", Mode.ENFORCE),
    ],
)
def test_who_says_it(own: str | None, around: str | None, expected: Mode | None, default: Mode) -> None:
    """The nearer word counts, and one that nobody knows closes: a slip of the pen must not open a pod."""
    assert mode_of(policy(own), space(around), default) is (expected or default)


@pytest.mark.parametrize(("own", "around"), [("off", None), ("", "audit"), (None, "off"), ("AUDIT", "off")])
def test_a_strange_word_is_reported(own: str | None, around: str | None) -> None:
    """Whoever wrote it believes that the policy is only watched."""
    words = strange_mode(policy(own), space(around))
    assert repr(own if own is not None else around) in words
    assert "enforced" in words


@pytest.mark.parametrize(("own", "around"), [("audit", "enforce"), ("enforce", None), (None, None)])
def test_nothing_is_said_of_known_words(own: str | None, around: str | None) -> None:
    """Nor of none."""
    assert strange_mode(policy(own), space(around)) == ""


def test_the_annotation_of_a_namespace_is_read() -> None:
    """The reader keeps what it knows of, and nothing else of a namespace's metadata."""
    written = {**namespace("shop"), "metadata": {"name": "shop", "annotations": {ANNOTATION: "audit", "other": "x"}}}
    (found,) = snapshot_of([written]).namespaces.values()
    assert found.annotations == {ANNOTATION: "audit"}
