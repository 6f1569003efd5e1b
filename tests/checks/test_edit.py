"""Edits are values; what they do to a text, `cluster.edits` shows."""

from __future__ import annotations

from outgate.checks.edit import Action, Edit
from outgate.model import NOWHERE


def test_each_way_to_make_one() -> None:
    """The words that checks use."""
    place = NOWHERE / "spec"
    assert [
        (one.action, one.key, one.value)
        for one in (
            Edit.replace(place, 1),
            Edit.rename(place, "a"),
            Edit.add_key(place, "a", 1),
            Edit.add_item(place, 1),
            Edit.remove(place),
        )
    ] == [
        (Action.REPLACE, "", 1),
        (Action.RENAME, "a", None),
        (Action.ADD_KEY, "a", 1),
        (Action.ADD_ITEM, "", 1),
        (Action.REMOVE, "", None),
    ]
