"""The labels that come nearest."""

from __future__ import annotations

from outgate.checks.nearest import Carried, nearest_labels
from outgate.model.labels import LabelSelector, Operator, Requirement

CARRIED = Carried([{"app": "api", "tier": "back"}, {"app": "web"}])


def test_spelling_first_then_the_same_key() -> None:
    """At most three."""
    assert nearest_labels(LabelSelector.of({"app": "apj"}), CARRIED) == "there is app=api, app=web"
    assert nearest_labels(LabelSelector.of({"ap": "api"}), CARRIED) == "there is app=api"
    assert nearest_labels(LabelSelector.of({"tier": "zzz"}), CARRIED) == "there is tier=back"


def test_what_is_there_is_no_mistake() -> None:
    """Of two requirements the one that is met is not explained; where nothing is near, nothing is said."""
    assert nearest_labels(LabelSelector.of({"app": "api", "tier": "bakc"}), CARRIED) == "there is tier=back"
    assert nearest_labels(LabelSelector.of({"x": "y"}), CARRIED) == ""
    assert nearest_labels(LabelSelector.of({}, [Requirement("app", Operator.DOES_NOT_EXIST)]), CARRIED) == ""
