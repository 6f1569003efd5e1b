"""The doors to the kernel: the faster one that can carry a transaction, and an ear that knows its own voice."""

from __future__ import annotations

import pytest

from outgate.agent.events import Applied, Listed
from outgate.agent.kernel import Kernel
from outgate.agent.step import NEEDED, Apply, State, plan
from outgate.cluster.events import Replaced, Upserted
from outgate.host import process
from outgate.model import Pod
from outgate.nft.options import Options
from outgate.packets.addresses import address_of
from tests.lab.alone import alone

pytestmark = pytest.mark.kernel

POD = Pod("a", "one", {"app": "a"}, (address_of(4, 0x0A010001),), node="n1")


def first() -> tuple[State, Apply]:
    """The first programming of a node with one pod."""
    state = State.of("n1", Options(interface_prefix="veth"))
    events = [Replaced(kind, (POD,) if kind == "Pod" else ()) for kind in sorted(NEEDED)]
    plan(state, events)
    _, (command,) = plan(state, [Listed(None)])
    assert isinstance(command, Apply)
    return state, command


def test_rules_take_the_text_door_and_addresses_the_fast_one() -> None:
    """A process for each address would cost a hundred times as much as the change."""

    def inside() -> tuple[int, int, int, int]:
        kernel = Kernel()
        state, command = first()
        whole = kernel.apply(command.change)
        moved = Pod("a", "two", {"app": "a"}, (address_of(4, 0x0A010002),), node="n1")
        _, (then,) = plan(state, [Applied(), Upserted("Pod", moved, 0.0)])
        assert isinstance(then, Apply)
        small = kernel.apply(then.change)
        assert kernel.list() == then.change.after
        kernel.close()
        return len(whole.text), len(whole.netlink), len(small.text), len(small.netlink)

    text, _, none, one = alone(inside)
    assert text > 0
    assert (none, one) == (0, 1)


def test_its_own_changes_are_no_drift_and_those_of_others_are() -> None:
    """An agent that takes its own voice for another's repairs for ever; one that hears nobody repairs nothing."""

    def inside() -> tuple[str, str, str]:
        kernel = Kernel()
        _, command = first()
        kernel.apply(command.change)
        ours = kernel.drifted(0.5)
        process.run(("nft", "add", "table", "inet", "somebody"))
        other = kernel.drifted(0.5)
        process.run(("nft", "flush", "chain", "inet", "outgate", "egress"))
        theirs = kernel.drifted(5)
        kernel.close()
        return ours, other, theirs

    ours, other, theirs = alone(inside)
    assert (ours, other) == ("", "")
    assert theirs == "changed by nft"
