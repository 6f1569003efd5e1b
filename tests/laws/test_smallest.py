"""The reducer: what it hands to the reader of a failure is as small as can be, and still fails."""

from __future__ import annotations

import pytest

from outgate.testing import Manifest, random_cluster
from tests.laws.smallest import agreed, smallest


def mentions(cluster: list[Manifest], port: str) -> bool:
    """Whether a policy mentions a port name: stands for any complaint."""
    return any(f"'port': '{port}'" in str(one) for one in cluster)


def test_only_what_is_needed_is_left() -> None:
    """A reader of forty lines of manifests looks at the wrong one."""
    cluster = next(one for one in map(random_cluster, range(1000)) if mentions(one, "dns"))
    least = smallest(cluster, lambda one: mentions(one, "dns"))
    assert mentions(least, "dns")
    assert len(least) == 1
    assert str(least).count("'port'") == 1


def test_candidates_that_are_no_cluster_are_passed_over() -> None:
    """Taking a name away from a pod breaks the reader, not the law."""

    def broken(one: list[Manifest]) -> bool:
        return [manifest["metadata"]["name"] for manifest in one] != []

    (least,) = smallest(random_cluster(1), broken)
    assert set(least) == {"metadata"}
    assert set(least["metadata"]) == {"name"}


def test_complaint_comes_with_its_cluster() -> None:
    """A failure that cannot be repeated is none."""
    with pytest.raises(AssertionError, match=r"(?s)seed 5:\nno pod may be called pod-0\nin\n.*pod-0"):
        agreed(5, lambda one: ["no pod may be called pod-0" for pod in one.snapshot.pods if pod.name == "pod-0"])
