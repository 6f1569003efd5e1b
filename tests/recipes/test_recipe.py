"""What a recipe is given."""

from __future__ import annotations

from outgate.recipes import Asked


def test_the_namespace_that_is_meant() -> None:
    """Where none is written, kubectl's default is the one to look into."""
    assert Asked().home == "default"
    assert Asked(namespace="shop").home == "shop"
