"""Who plays in a lab that cannot hold everybody, and that nobody is left out in silence."""

from __future__ import annotations

import pytest

from outgate.errors import UsageError
from outgate.lab.representatives import choose
from outgate.model import Snapshot
from tests.lab.clusters import DNS, snapshot_of

POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: shop, labels: {{app: {app}}}{owner}}}
spec: {{containers: [{{name: c, image: x}}]}}
---
"""
OWNER = ", ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: db, uid: u, controller: true}]"


def many() -> Snapshot:
    """Three pods of a StatefulSet, two bare ones alike, one more, and DNS."""
    pods = [POD.format(name=f"db-{number}", app="db", owner=OWNER) for number in range(3)]
    pods += [POD.format(name=name, app="web", owner="") for name in ("web-a", "web-b")]
    pods.append(POD.format(name="job", app="job", owner=""))
    policy = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\n"
    policy += "spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress]}\n"
    return snapshot_of(DNS + "".join(pods) + policy)


def names(snapshot: Snapshot) -> list[str]:
    """Who plays."""
    return [pod.name for pod in snapshot.endpoints]


def test_everybody_plays_while_there_is_room() -> None:
    """A small cluster is shown whole."""
    cast = choose(many(), max_pods=7)
    assert (len(cast.snapshot.endpoints), cast.notes()) == (7, ())


def test_one_of_each_kind_beyond_that() -> None:
    """One pod stands for its workload; a bare pod for those that no selector can tell from it."""
    cast = choose(many(), max_pods=6)
    assert names(cast.snapshot) == ["coredns", "db-0", "job", "web-a"]
    assert (cast.represented, cast.dropped) == (3, ())
    assert cast.notes() == ("4 pods stand for 7: the others are of the same workload or kind",)


def test_more_of_each_workload_if_asked() -> None:
    """--pods-per-workload also holds where everybody would have had room."""
    assert names(choose(many(), per_workload=2).snapshot) == ["coredns", "db-0", "db-1", "job", "web-a", "web-b"]


def test_kinds_are_dropped_in_order_and_named() -> None:
    """Who is dropped without a word is believed to have been tested. DNS and selected pods come first."""
    cast = choose(many(), max_pods=2)
    assert names(cast.snapshot) == ["coredns", "web-a"]
    assert cast.dropped == ("shop/db-0", "shop/job")
    assert "left out" in cast.notes()[-1]
    assert "shop/db-0, shop/job" in cast.notes()[-1]


def test_a_pod_that_is_asked_about_always_plays() -> None:
    """A flow about a pod that is not there would be no answer to the question."""
    snapshot = many()
    wanted = snapshot.pod("shop", "db-2")
    assert wanted is not None
    cast = choose(snapshot, max_pods=1, named=[wanted])
    assert names(cast.snapshot) == ["db-2"]


def test_the_rest_of_the_snapshot_stays() -> None:
    """Policies and Services are those of the whole cluster."""
    before = many()
    after = choose(before, max_pods=1).snapshot
    assert (after.policies, after.services, after.namespaces) == (before.policies, before.services, before.namespaces)


@pytest.mark.parametrize("numbers", [{"max_pods": 0}, {"per_workload": 0}])
def test_nobody_is_no_choice(numbers: dict[str, int]) -> None:
    """A lab without pods would agree with everything."""
    with pytest.raises(UsageError):
        choose(many(), **numbers)  # type: ignore[arg-type] # of integers
