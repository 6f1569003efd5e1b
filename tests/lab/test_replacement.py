"""A change is atomic to the packets: nothing denied before and after is let through, nothing allowed is lost."""

from __future__ import annotations

import pytest

from outgate.host.nft import Nftables
from outgate.nft.canonical import canonical
from outgate.nft.delta import delta
from outgate.nft.names import named
from outgate.nft.objects import (
    ACCEPT,
    DROP,
    RETURN,
    Chain,
    ChainRule,
    Compare,
    Counter,
    Field,
    Hook,
    Judgement,
    KeyType,
    Lookup,
    NftSet,
    Ruleset,
    SetKey,
    StampMark,
    VerdictMap,
    goto,
    jump,
)
from outgate.nft.text import ruleset_text
from tests.lab.alone import alone
from tests.lab.flood import ALLOWED, DENIED, POD, Count, count, flood, make_router

pytestmark = pytest.mark.kernel

REPLACEMENTS = 1000
BLOCK_PEER, POD_PEER = 0xCB00_7105, 0x0A09_0002
MASK = 0xFFFF_0000
UDP = (17, 17)
Elements = dict[SetKey, Judgement | None]


def single(value: int) -> tuple[int, int]:
    """The range of one value."""
    return value, value


def dispatch(chain: str) -> NftSet:
    """The map from the pod to its class."""
    return NftSet("eg4", (KeyType.IPV4_ADDR,), {(single(POD),): goto(chain)}, is_map=True)


def generation(number: int, fillers: int = 40) -> Ruleset:
    """A ruleset of the shape that the compiler makes, each of another class chain, block map and port set.

    The pod may send to port 53 of a block, by an interval map, and of another pod, by a set that keeps its
    name while another of its members comes and goes. Nothing may be sent to port 54. Each generation is an epoch of its
    own, so it judges anew what the one before it let through: its sets are asked about every packet.
    """
    rule, epoch = f"r_{number % 3}", number + 1 << 16
    # The block is another range in every generation, around the same address; the fillers never hold it.
    low = BLOCK_PEER - 1 - number % 4
    blocks: Elements = {((low, BLOCK_PEER + 1), UDP, single(ALLOWED)): goto(rule)}
    start = 0x0B00_0000 + (number << 12)
    blocks |= {((start + 8 * one, start + 8 * one + 3), (0, 255), (0, 65535)): goto(rule) for one in range(fillers)}
    key = (KeyType.IPV4_ADDR, KeyType.INET_PROTO, KeyType.INET_SERVICE)
    block_map = NftSet(named("b4", [str(number)]), key, blocks, interval=True, is_map=True)
    ports: Elements = {(UDP, (ALLOWED - number % 2, ALLOWED)): None, ((6, 6), (8000, 9000)): None}
    port_set = NftSet(named("t", [str(number)]), key[1:], ports, interval=True)
    members: Elements = {(single(POD_PEER),): None, (single(POD_PEER + 1 + number % 5),): None}
    peers = NftSet("p4_pods", (KeyType.IPV4_ADDR,), members)
    policy = Chain(
        named("e4", [str(number)]),
        (
            ChainRule((VerdictMap((Field.IP_DADDR, Field.L4PROTO, Field.TH_DPORT), block_map.name),)),
            ChainRule(
                (
                    Lookup((Field.L4PROTO, Field.TH_DPORT), port_set.name),
                    Lookup((Field.IP_DADDR,), peers.name),
                    goto(rule),
                )
            ),
            ChainRule((goto("d_all"),)),
        ),
    )
    chains = [
        policy,
        Chain(rule, (ChainRule((Counter(), RETURN), f"rule {number}"),)),
        Chain("d_all", (ChainRule((Counter(),)), ChainRule((DROP,)))),
        Chain("est", (ChainRule((Compare(Field.CT_MARK, epoch, epoch, mask=MASK), ACCEPT)),)),
        Chain("stamp", (ChainRule((StampMark(MASK, epoch), ACCEPT)),)),
        Chain("egress", (ChainRule((VerdictMap((Field.IP_SADDR,), "eg4"),)), ChainRule((goto("d_all"),)))),
        Chain(
            "forward",
            tuple(ChainRule((one,)) for one in (jump("est"), jump("egress"), goto("stamp"))),
            Hook("forward", -10),
        ),
    ]
    sets = (block_map, port_set, peers, dispatch(policy.name))
    return Ruleset({one.name: one for one in chains}, {one.name: one for one in sets})


def between(begin: Count, end: Count) -> Count:
    """What was counted from one moment to another."""
    return Count(*(getattr(end, name) - getattr(begin, name) for name in Count.__slots__))


@pytest.mark.timeout(600)
def test_a_thousand_replacements_lose_and_leak_nothing() -> None:
    """A window in which new rules look into empty sets would drop what is allowed or pass what is denied."""

    def inside() -> tuple[Count, bool]:
        make_router()
        door = Nftables()
        change = delta(generation(0), door.list())
        door.apply(change)
        begin = count()
        with flood([BLOCK_PEER, POD_PEER]):
            for number in range(1, REPLACEMENTS + 1):
                change = delta(generation(number), change.after)
                door.apply(change)
        end, listed = count(), door.list()
        assert listed is not None
        assert change.after is not None
        return between(begin, end), canonical(listed) == canonical(change.after)

    packets, same = alone(inside)

    assert same
    assert packets.allowed_before > REPLACEMENTS
    assert packets.denied_before > REPLACEMENTS
    assert (packets.lost, packets.leaked) == (0, 0)


def naive(number: int) -> str:
    """The same policy said the other way round, replaced as a whole: denied ranges in an interval set."""
    low = POD_PEER - 1
    denied: Elements = {((low, POD_PEER), UDP, single(DENIED)): None}
    start = 0x0B00_0000 + (number << 16)
    denied |= {((start + 8 * one, start + 8 * one + 3), UDP, (1, 65535)): None for one in range(2000)}
    key = (KeyType.IPV4_ADDR, KeyType.INET_PROTO, KeyType.INET_SERVICE)
    deny = NftSet("deny", key, denied, interval=True)
    rules = (ChainRule((Lookup((Field.IP_DADDR, Field.L4PROTO, Field.TH_DPORT), "deny"), DROP)),)
    ruleset = Ruleset({"forward": Chain("forward", rules, Hook("forward", -10))}, {"deny": deny})
    return f"add table inet outgate\ndelete table inet outgate\n{ruleset_text(ruleset)}"


def test_the_flood_sees_a_leak() -> None:
    """A flood that cannot show the leak of a careless replacement would prove nothing above."""

    def inside() -> Count:
        make_router()
        door = Nftables()
        door.load(naive(0))
        begin = count()
        with flood([POD_PEER]):
            for number in range(1, REPLACEMENTS):
                door.load(naive(number))
                if count().leaked > begin.leaked:
                    break
        return between(begin, count())

    assert alone(inside).leaked > 0


def test_the_flood_sees_a_loss() -> None:
    """The same for packets that are allowed before and after, and dropped in between."""

    def inside() -> Count:
        make_router()
        door = Nftables()
        door.load(ruleset_text(generation(0)))
        with flood([BLOCK_PEER, POD_PEER]):
            # A pod that leads to no class is nobody, and nobody may send; but what passed before goes on in its epoch.
            door.load("delete element inet outgate eg4 { 10.9.0.1 }")
            door.load("flush chain inet outgate est")
            begin = count()
            while count().allowed_before == begin.allowed_before:
                pass
        return between(begin, count())

    assert alone(inside).lost > 0
