"""What the step makes of pods behind a bridge: the guard first, and nobody talks whose port is not known."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.agent.events import Applied, Born, Died, Event, Linked, Listed, Refused
from outgate.agent.step import NEEDED, Answer, Apply, Do, Look, State, plan
from outgate.agent.world import Claim
from outgate.cluster.events import Removed, Replaced, Upserted
from outgate.host.bridges import Behind
from outgate.model import Node, Pod
from outgate.nft.guard import FAMILY, MACS, PORTS, SPOOF
from outgate.nft.objects import ACCEPT, DROP, Field, Lookup, Ruleset, among
from outgate.nft.options import Options
from outgate.nft.transaction import apply
from outgate.packets import Address
from outgate.packets.addresses import address_of
from outgate.policy import Mode

BRIDGE = "cni0"
OPTIONS = Options(interface_prefix=BRIDGE)
ONE, TWO, FAR = (address_of(4, 0x0A010000 + number) for number in (1, 2, 0x101))


def pod(name: str, *addresses: Address, on: str = "n1") -> Pod:
    """A pod of a node."""
    return Pod("a", name, {"app": name}, addresses, node=on, uid=name)


def linked(holders: Mapping[Address, tuple[str, ...]], *more: str, bridge: str = BRIDGE) -> Linked:
    """All addresses of the node are behind a bridge; `more` ports have none of them."""
    doors = frozenset(itertools.chain(more, *holders.values()))
    return Linked(
        dict.fromkeys((ONE, TWO), bridge), Behind(frozenset({BRIDGE}), holders, {}, doors, frozenset({"up0"}))
    )


class Node1:
    """An agent whose kernel is two values."""

    def __init__(self, *events: Event, options: Options = OPTIONS) -> None:
        self.state = State.of("n1", options)
        self.tables: dict[str, Ruleset | None] = {"inet": None, FAMILY: None}
        self.order: list[str] = []
        """The families of the transactions, as they came."""
        self.answered: list[int] = []
        self.tell(*(Replaced(kind, ()) for kind in sorted(NEEDED)), *events)

    def tell(self, *events: Event) -> None:
        """Something happens, and all that follows is done."""
        waiting: list[Event] = list(events)
        while waiting:
            self.state, commands = plan(self.state, waiting)
            waiting = [event for one in commands for event in self._perform(one)]

    def _perform(self, command: Do) -> Iterable[Event]:
        match command:
            case Look():
                yield Listed(self.tables["inet"], self.tables[FAMILY])
            case Answer(token):
                self.answered.append(token)
            case Apply(change):
                for one in change.transactions:
                    self.tables[one.family] = apply(one, self.tables[one.family])
                    self.order.append(one.family)
                yield Applied()

    def owners(self) -> dict[Address, str]:
        """Whose port each address is, in the kernel."""
        guard = self.tables[FAMILY]
        elements = guard.sets["if4"].elements if guard is not None else {}
        return {address_of(4, key[1][0]): str(key[0]) for key in elements if isinstance(key[1], tuple)}

    def placed(self, address: Address) -> bool:
        """Whether the kernel lets an address talk."""
        table = self.tables["inet"]
        return table is not None and ((int(address), int(address)),) in table.sets["eg4"].elements


def test_the_guard_comes_before_what_lets_a_pod_talk() -> None:
    """Between the two nobody talks whose packets could be another's."""
    node = Node1(linked({ONE: ("veth1",)}), Upserted("Pod", pod("one", ONE), 0.0))
    assert node.owners() == {ONE: "veth1"}
    assert node.placed(ONE)
    node.order.clear()
    node.tell(linked({ONE: ("veth1",), TWO: ("veth2",)}), Upserted("Pod", pod("two", TWO), 0.0))
    assert (node.order[0], node.order[-1]) == (FAMILY, "inet")
    assert node.placed(TWO)


def test_a_pod_whose_port_is_not_known_is_closed_and_not_answered_for() -> None:
    """What the network plugin is told is true of both tables."""
    node = Node1(linked({}))
    node.tell(Upserted("Pod", pod("one"), 0.0), Born("a", "one", Claim("one", (ONE,), BRIDGE), 7))
    assert not node.placed(ONE)
    assert node.answered == []
    node.tell(linked({ONE: ("veth1",)}))
    assert node.placed(ONE)
    assert node.owners() == {ONE: "veth1"}
    assert node.answered == [7]


def test_the_port_that_the_network_plugin_names_is_believed() -> None:
    """It made the link. A name that is no port of a bridge tells nothing."""
    node = Node1(linked({}, "veth1"), Upserted("Pod", pod("one"), 0.0))
    node.tell(Born("a", "one", Claim("one", (ONE,), "veth1"), 7))
    assert node.owners() == {ONE: "veth1"}
    assert node.answered == [7]
    node.tell(Upserted("Pod", pod("one", ONE), 0.0), linked({}, "veth1"))
    assert node.owners() == {ONE: "veth1"}, "the other end needs no address of its own, as of a virtual machine"


def test_what_two_ports_claim_is_of_the_one_that_had_it() -> None:
    """And of none where that is not known, until one is gone."""
    node = Node1(linked({ONE: ("veth1",)}), Upserted("Pod", pod("one", ONE), 0.0))
    node.tell(linked({ONE: ("veth0", "veth1"), TWO: ("veth0", "veth2")}), Upserted("Pod", pod("two", TWO), 0.0))
    assert node.owners() == {ONE: "veth1"}
    assert not node.placed(TWO)
    node.tell(linked({ONE: ("veth1",), TWO: ("veth2",)}))
    assert node.owners() == {ONE: "veth1", TWO: "veth2"}


def test_a_pod_that_moves_is_let_talk_at_its_new_port_alone() -> None:
    """In one change, the guard first."""
    node = Node1(linked({ONE: ("veth1",)}), Upserted("Pod", pod("one", ONE), 0.0))
    node.tell(linked({ONE: ("veth9",)}))
    assert node.owners() == {ONE: "veth9"}
    guard = node.tables[FAMILY]
    assert guard is not None
    assert ("veth1",) not in guard.sets[PORTS].elements


def test_the_port_of_a_pod_that_is_gone_stays_shut_while_it_is_there() -> None:
    """Its processes may run on for the time that they are given to end."""
    node = Node1(linked({ONE: ("veth1",), TWO: ("veth2",)}))
    node.tell(*(Upserted("Pod", one, 0.0) for one in (pod("one", ONE), pod("two", TWO))))
    node.tell(Removed("Pod", pod("one", ONE)))
    guard = node.tables[FAMILY]
    assert guard is not None
    assert ("veth1",) in guard.sets[PORTS].elements
    assert node.owners() == {TWO: "veth2"}
    node.tell(linked({TWO: ("veth2",)}))
    guard = node.tables[FAMILY]
    assert guard is not None
    assert ("veth1",) not in guard.sets[PORTS].elements


def test_pods_of_other_nodes_do_not_touch_the_guard() -> None:
    """The table is not even made again: one comparison."""
    node = Node1(linked({ONE: ("veth1",)}), Upserted("Pod", pod("one", ONE), 0.0))
    before = node.state.desired.guard()
    node.order.clear()
    node.tell(Upserted("Pod", pod("far", FAR, on="n2"), 0.0))
    node.tell(Removed("Pod", pod("far", FAR, on="n2")))
    assert FAMILY not in node.order
    assert node.state.desired.guard() is before


@pytest.mark.parametrize("options", [Options(BRIDGE, mode=Mode.AUDIT), Options(BRIDGE, open_at_birth=True)])
def test_who_only_watches_waits_for_no_port_and_drops_nothing(options: Options) -> None:
    """A pod that could talk without its policies would not be closed, but free of them."""
    node = Node1(linked({}), Upserted("Pod", pod("one", ONE), 0.0), options=options)
    assert node.placed(ONE)
    node.tell(linked({ONE: ("veth1",)}))
    guard = node.tables[FAMILY]
    assert guard is not None
    assert guard.chains[SPOOF].rules[0].statements[-1] == ACCEPT


def test_blocks_are_closed_where_all_pods_are_behind_the_bridge() -> None:
    """One pod elsewhere, and an address of a block may come from anywhere."""
    block = ipaddress.ip_network("10.1.0.0/24")
    node = Node1(linked({ONE: ("veth1",)}), Upserted("Node", Node("n1", pod_cidrs=(block,)), 0.0))
    node.tell(Upserted("Pod", pod("one", ONE), 0.0))
    guard = node.tables[FAMILY]
    assert guard is not None
    assert guard.chains["unknown"].rules[0].statements[-1] == DROP
    assert len(guard.chains["prerouting"].rules) == 4
    assert guard.sets[PORTS].elements["up0",] == ACCEPT
    behind = Behind(frozenset({BRIDGE}), {ONE: ("veth1",)}, {}, frozenset({"veth1"}), frozenset({"up0"}))
    node.tell(Linked({ONE: BRIDGE, TWO: "cali2"}, behind), Upserted("Pod", pod("two", TWO), 0.0))
    guard = node.tables[FAMILY]
    assert guard is not None
    assert len(guard.chains["prerouting"].rules) == 1


def test_what_is_kept_for_a_reboot_closes_every_address_that_has_a_port() -> None:
    """By the node's blocks where they are closed, else one by one; a node that watches closes nothing."""
    node = Node1(linked({ONE: ("veth1",)}), Upserted("Pod", pod("one", ONE), 0.0))
    node.tell(Upserted("Pod", pod("two", TWO), 0.0))
    kept, live = node.state.desired.guard_at_boot(), node.tables[FAMILY]
    assert kept is not None
    assert live is not None
    closed = {rule.statements[0] for rule in kept.chains["prerouting"].rules[1:]}
    sources = {among(field, ipaddress.ip_network(ONE)) for field in (Field.IP_SADDR, Field.ARP_SADDR)}
    assert closed == {*sources, Lookup((Field.ETHER_SADDR,), MACS)}, "and the MAC of whom is known"
    assert kept.sets[PORTS].elements["up0",] == ACCEPT, "the node's own wires may carry anything"
    assert (kept.sets["if4"], kept.chains["guard"]) == (live.sets["if4"], live.chains["guard"])
    node.tell(Upserted("Node", Node("n1", pod_cidrs=(ipaddress.ip_network("10.1.0.0/24"),)), 0.0))
    node.tell(Removed("Pod", pod("two", TWO)))
    assert node.state.desired.guard_at_boot() is node.state.desired.guard()
    watching = Node1(
        linked({ONE: ("veth1",)}), Upserted("Pod", pod("one", ONE), 0.0), options=Options(BRIDGE, mode=Mode.AUDIT)
    )
    assert watching.state.desired.guard_at_boot() is watching.state.desired.guard() is not None
    assert Node1().state.desired.guard_at_boot() is None


def test_without_a_bridge_there_is_no_second_table() -> None:
    """And one that is left over goes, before anything else."""
    node = Node1(linked({ONE: ("veth1",)}), Upserted("Pod", pod("one", ONE), 0.0))
    assert node.tables[FAMILY] is not None
    node.tell(Linked({ONE: "cali1"}))
    assert node.tables[FAMILY] is None
    assert node.placed(ONE)


def test_a_refusal_means_to_look_at_both() -> None:
    """What came in before the refusal is found, and the rest made."""
    node = Node1(linked({ONE: ("veth1",)}), Upserted("Pod", pod("one", ONE), 0.0))
    node.state, (command,) = plan(
        node.state, [linked({ONE: ("veth1",), TWO: ("veth2",)}), Upserted("Pod", pod("two", TWO), 0.0)]
    )
    assert isinstance(command, Apply)
    assert command.change.first
    node.tell(Refused("no"))
    assert node.owners() == {ONE: "veth1", TWO: "veth2"}
    assert node.placed(TWO)
    node.tables[FAMILY] = None
    node.tell(Refused("somebody took it away"))
    assert node.owners() == {ONE: "veth1", TWO: "veth2"}


PORTS_OF = st.dictionaries(
    st.sampled_from([ONE, TWO]), st.sampled_from([("veth1",), ("veth2",), ("veth3",), ("veth1", "veth3")])
)
EVENTS = st.one_of(
    st.builds(linked, PORTS_OF),
    st.builds(lambda bridge: linked({}, bridge=bridge), st.sampled_from([BRIDGE, "cali1"])),
    st.builds(
        lambda name, addresses: Upserted("Pod", pod(name, *addresses), 0.0),
        st.sampled_from(["one", "two"]),
        st.lists(st.sampled_from([ONE, TWO]), max_size=2, unique=True),
    ),
    st.builds(lambda name: Removed("Pod", pod(name)), st.sampled_from(["one", "two"])),
    st.builds(lambda name: Died("a", name, name), st.sampled_from(["one", "two"])),
)


@given(st.lists(EVENTS, max_size=12), PORTS_OF)
def test_whatever_happens_nobody_talks_without_a_port(
    events: list[Event], last: Mapping[Address, tuple[str, ...]]
) -> None:
    """An address that is let talk has a port, that is there; and what is certain in the end is what the kernel has."""
    node = Node1()
    for event in (*events, linked(last)):
        node.tell(event)
        assert node.tables[FAMILY] == node.state.desired.guard()
        behind = node.state.world.behind
        for address, port in node.owners().items():
            assert port in behind.doors
            assert node.state.world.ports[address] == port
        for address in (ONE, TWO):
            if node.placed(address) and node.state.world.links.get(address) == BRIDGE:
                assert address in node.owners()
    local = {one for key in node.state.world.local for one in node.state.world.pods[key].addresses}
    certain = {address: holders[0] for address, holders in last.items() if len(holders) == 1 and address in local}
    assert node.owners().items() >= certain.items()
