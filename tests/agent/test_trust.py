"""Who is doubted, and until when."""

from __future__ import annotations

import dataclasses
import ipaddress

import pytest

from outgate.agent.remembered import Memory
from outgate.agent.trust import Trust
from outgate.agent.world import World
from outgate.model import Pod
from outgate.nft.epoch import Epoch
from outgate.nft.objects import Ruleset
from outgate.testing import pod, snapshot_of
from tests.nft.test_trust import NOW, table

FIRST, SECOND = (ipaddress.ip_address(one) for one in ("10.1.0.10", "10.2.0.20"))


def made(name: str, uid: str, address: object = FIRST, node: str = "n") -> Pod:
    """A pod with an address."""
    (found,) = snapshot_of([pod(f"shop/{name}", [str(address)], on=node)]).pods
    return dataclasses.replace(found, uid=uid)


def believing() -> tuple[Trust, World]:
    """An agent that believes, with one pod that has been there all the time."""
    trust, world = Trust(), World("n")
    trust.begin(None, None)
    trust.want(True)
    trust.notice(world, world.put_pod(made("web", "1")))
    assert not trust.doubts
    return trust, world


def test_who_was_there_before_any_connection_is_believed_and_who_comes_is_not() -> None:
    """Whoever had the address of the second before is not known, and need not be."""
    trust, world = believing()
    trust.notice(world, world.put_pod(made("far", "2", SECOND, "elsewhere")))
    assert set(trust.doubts) == {SECOND}
    assert trust.fresh


def test_a_pod_of_this_node_that_goes_is_doubted_at_once_and_one_of_another_when_somebody_comes() -> None:
    """Its process may still be there; and the dead of a large cluster are too many to be looked for."""
    trust, world = believing()
    trust.notice(world, world.drop_pod(("shop", "web")))
    assert set(trust.doubts) == {FIRST}
    trust, world = believing()
    trust.notice(world, world.put_pod(made("far", "2", SECOND, "elsewhere")))
    trust.doubts.clear()
    trust.notice(world, world.drop_pod(("shop", "far")))
    assert not trust.doubts
    trust.notice(world, world.put_pod(made("far", "3", SECOND, "elsewhere")))
    assert set(trust.doubts) == {SECOND}


def test_what_is_doubted_again_while_it_is_swept_is_swept_again() -> None:
    """The second doubt may be of a connection that the first sweep has passed already."""
    trust, world = believing()
    trust.notice(world, world.put_pod(made("web", "2")))
    sweep = trust.next(NOW)
    assert sweep is not None
    assert sweep.addresses == frozenset({FIRST})
    assert trust.next(NOW) is None, "one at a time"
    trust.notice(world, world.put_pod(made("web", "3")))
    assert trust.swept(NOW.following()) == set()
    assert set(trust.doubts) == {FIRST}
    again = trust.next(NOW.following())
    assert again is not None
    assert (again.epoch, again.addresses) == (NOW.following(), frozenset({FIRST}))
    assert trust.swept(NOW.following()) == {FIRST}
    assert not trust.doubts


@pytest.mark.parametrize(
    ("stands", "last", "expected"),
    [
        (table(), NOW, True),
        (table(), None, True),
        (table(), NOW.following(), False),
        (table(believing=False), NOW, False),
        (None, NOW, False),
        (None, None, True),
    ],
    ids=["as left", "no connections", "older than they are", "that cut", "gone", "nothing at all"],
)
def test_an_agent_that_begins_believes_a_table_that_says_so(
    stands: Ruleset | None, last: Epoch | None, *, expected: bool
) -> None:
    """Otherwise what was cut, or is another's, would come to life with the first policy that keeps."""
    trust = Trust()
    trust.begin(stands, last)
    trust.want(True)
    assert trust.believing is expected
    sweep = trust.next(NOW)
    assert (sweep is None) == expected
    if sweep is not None:
        assert sweep.addresses is None
        trust.swept(NOW.following())
        assert not trust.believing, "the epoch is another: what was the current number is an older one now"
        assert trust.next(NOW.following()) is not None
        trust.swept(NOW.following())
        assert trust.believing


def test_what_the_kernel_distrusts_is_doubted_by_who_begins() -> None:
    """The agent before it has died before it swept."""
    trust = Trust()
    trust.begin(table("10.1.0.10", "fd00::1"), NOW)
    assert set(trust.doubts) == {FIRST, ipaddress.ip_address("fd00::1")}


@pytest.mark.parametrize(
    ("uid", "remembered", "expected"),
    [("1", "1", set()), ("2", "1", {FIRST}), ("", "", {FIRST}), ("1", "", {FIRST})],
)
def test_who_was_who_is_remembered_by_the_uid(uid: str, remembered: str, expected: set[object]) -> None:
    """A name comes back, and a pod without a uid could be any."""
    trust, world = Trust(), World("n")
    trust.remember(Memory("n", pods=(made("web", remembered),)))
    trust.begin(table(), NOW)
    trust.notice(world, world.put_pod(made("web", uid)) | {FIRST})
    assert set(trust.doubts) == expected


def test_who_ends_to_want_it_begins_anew() -> None:
    """What was cut meanwhile carries a number, too."""
    trust, _ = believing()
    trust.want(False)
    assert (trust.believing, trust.next(NOW)) == (False, None)
    trust.want(True)
    sweep = trust.next(NOW)
    assert sweep is not None
    trust.want(False)
    trust.swept(NOW)
    assert not trust.believing
