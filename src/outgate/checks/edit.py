"""Edits: how a finding is mended, as changes of values in the document that was read.

An edit says what to change and never how the text looks: the reader of the text knows where the value stands and how it
is indented, and leaves every other byte alone. Values are what JSON would hold.
"""

from __future__ import annotations

import enum

from outgate.model import Place
from outgate.records import dataclass

__all__ = ["Action", "Edit"]


class Action(enum.Enum):
    """What is done at a place."""

    REPLACE = "replace"
    """The value there is another one."""
    RENAME = "rename"
    """The key there is another one (`key`); its value stays."""
    ADD_KEY = "add key"
    """The mapping there gets one more key, at its end."""
    ADD_ITEM = "add item"
    """The list there gets one more item, at its end."""
    REMOVE = "remove"
    """The key, or the item of a list, goes."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One change. The place of an `ADD_KEY` or `ADD_ITEM` is that of the collection."""

    action: Action
    place: Place
    key: str = ""
    value: object = None

    @classmethod
    def replace(cls, place: Place, value: object) -> Edit:
        """Another value."""
        return cls(Action.REPLACE, place, value=value)

    @classmethod
    def rename(cls, place: Place, key: str) -> Edit:
        """Another key for the same value."""
        return cls(Action.RENAME, place, key)

    @classmethod
    def add_key(cls, place: Place, key: str, value: object) -> Edit:
        """One more key."""
        return cls(Action.ADD_KEY, place, key, value)

    @classmethod
    def add_item(cls, place: Place, value: object) -> Edit:
        """One more item."""
        return cls(Action.ADD_ITEM, place, value=value)

    @classmethod
    def remove(cls, place: Place) -> Edit:
        """One less."""
        return cls(Action.REMOVE, place)
