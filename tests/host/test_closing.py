"""A `with` lets go, however it ends."""

from __future__ import annotations

import pytest

from outgate.host.closing import Closing


class Door(Closing):
    """Counts how often it was closed."""

    closed = 0

    def close(self) -> None:
        """Let go."""
        self.closed += 1


def test_the_end_of_the_block_closes() -> None:
    """Once, and the block has the thing itself."""
    door = Door()
    with door as same:
        assert same is door
        assert door.closed == 0
    assert door.closed == 1


def test_an_error_closes_too_and_comes_out() -> None:
    """A socket that an error leaves open is one that nobody can open again."""
    door = Door()
    with pytest.raises(KeyError), door:
        raise KeyError
    assert door.closed == 1
