"""Two peers that may have been meant as one."""

from __future__ import annotations

from typing import Any

from outgate.testing import pod
from tests.checks.asking import ask, block, egress, one, pods, to, within

RULE = "peer-and-or-confusion"
CLUSTER = (pod("data/db", app="db"), pod("data/backup", app="backup"))


def test_what_the_wider_one_adds_is_named() -> None:
    """In either order."""
    for peers in ((within("data"), pods(app="db")), (pods(app="db"), within("data"))):
        found = one(RULE, egress("shop/p", to(*peers)), *CLUSTER)
        assert "2 pods, and not only the 1 with app=db (so data/backup)" in found.help
        assert found.related[0].place.path.startswith("spec.egress[0].to[")


def test_one_peer_or_two_that_cannot_be_one() -> None:
    """A selector of pods beside one that has its own, or beside a block; two of a kind; every namespace."""
    many: tuple[tuple[dict[str, Any], ...], ...] = (
        (within("data", app="db"),),
        (within("data", app="x"), pods(app="db")),
        (within("data"), block("10.0.0.0/8"), pods(app="db")),
        (within("data"), within("shop")),
        (pods(app="a"), pods(app="b")),
        ({"namespaceSelector": {}}, pods(app="db")),
    )
    for peers in many:
        assert not ask(RULE, egress("shop/p", to(*peers)), *CLUSTER), peers


def test_without_pods_it_is_still_said() -> None:
    """The words do without numbers then."""
    assert "every pod there" in one(RULE, egress("shop/p", to(within("data"), pods(app="db")))).help
