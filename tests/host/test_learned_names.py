"""What pods have learned, as Envoy is told it."""

from __future__ import annotations

import ipaddress

from outgate.host.learned_names import LINGERING, LearnedNames
from outgate.packets import Address, AddressSet

POD, OTHER, ONE, TWO = map(ipaddress.ip_address, ("10.1.0.10", "10.1.0.11", "203.0.113.1", "203.0.113.2"))


class Clock:
    """A clock that stands."""

    now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def names(clock: Clock | None = None) -> LearnedNames:
    """Of two sets and one pod."""
    made = LearnedNames(clock or Clock())
    made.follow({"a", "b"}, {POD: "one 1"})
    return made


def told(made: LearnedNames, name: str, pod: Address) -> AddressSet:
    """All that Envoy is told of."""
    live, lingering = made.live(name, pod), made.lingering(name, pod)
    assert not live & lingering
    return live | lingering


def of(*addresses: ipaddress.IPv4Address | ipaddress.IPv6Address) -> AddressSet:
    """These."""
    return AddressSet.of(addresses)


def test_what_is_heard_is_news_once() -> None:
    """And nothing is of a pod, or a set, that nobody asked for."""
    made = names()
    assert made.hear([("a", POD, ONE)])
    assert not made.hear([("a", POD, ONE), ("c", POD, ONE), ("a", OTHER, ONE)])
    assert told(made, "a", POD) == of(ONE)
    assert told(made, "a", OTHER) == told(made, "c", POD) == told(made, "b", POD) == of()


def test_what_is_gone_lingers_for_who_is_connected() -> None:
    """Until Envoy would have let go of it; or the address is another name's, whose requests it must not let pass."""
    clock = Clock()
    made = names(clock)
    made.read([("a", POD, ONE), ("a", POD, TWO)], clock())
    clock.now += 60
    made.read([], clock())
    assert made.live("a", POD) == of()
    assert told(made, "a", POD) == of(ONE, TWO)
    made.hear([("b", POD, TWO)])
    assert (told(made, "a", POD), told(made, "b", POD)) == (of(ONE), of(TWO))
    assert made.hear([("a", POD, TWO)])
    assert (told(made, "a", POD), told(made, "b", POD)) == (of(ONE, TWO), of(TWO))
    clock.now += LINGERING
    made.read([], clock())
    assert told(made, "a", POD) == of(TWO)


def test_what_is_heard_while_the_kernel_is_read_stays() -> None:
    """The reader may have been past it. What was heard before, and is not there, has gone."""
    clock = Clock()
    made = names(clock)
    made.hear([("a", POD, ONE)])
    clock.now += 1
    begun = clock()
    made.hear([("a", POD, TWO)])
    made.read([("b", POD, ONE)], begun)
    assert (made.live("a", POD), made.live("b", POD)) == (of(TWO), of(ONE))
    clock.now += 1
    made.read([], clock())
    assert made.live("a", POD) == made.live("b", POD) == of()


def test_the_next_pod_with_an_address_begins_with_nothing() -> None:
    """A set that nobody uses any more is forgotten, too."""
    made = names()
    made.hear([("a", POD, ONE), ("b", POD, ONE)])
    made.follow({"a"}, {POD: "one 1", OTHER: "two 1"})
    assert (told(made, "a", POD), told(made, "b", POD)) == (of(ONE), of())
    made.follow({"a"}, {POD: "one 2"})
    assert told(made, "a", POD) == of()


def test_a_copy_stays_as_it_is() -> None:
    """It is read by another thread."""
    made = names()
    made.hear([("a", POD, ONE)])
    copy = made.copied()
    made.hear([("a", POD, TWO)])
    assert told(copy, "a", POD) == of(ONE)
