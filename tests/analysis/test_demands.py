"""What assertions demand: which packets must all pass, and which must all be stopped."""

from __future__ import annotations

import ipaddress

import pytest

from outgate.analysis import demands
from outgate.analysis.demand import Demand
from outgate.analysis.demands import Demands
from outgate.analysis.ends import Places
from outgate.analysis.lookup import Lookup
from outgate.errors import InputError, TooComplex
from outgate.packets import AddressSet, Protocol, TransportSet
from outgate.policy import Judge, Verdict
from tests.analysis.shop import EGRESS_TO_DB, judge_of
from tests.analysis.suites import assertion

JUDGE = judge_of(EGRESS_TO_DB)


def demands_of(written: str, judge: Judge = JUDGE) -> list[Demand]:
    """The demands of an assertion without a mistake."""
    errors: list[InputError] = []
    found = Demands(judge, Places(Lookup(judge.policies.snapshot))).of(assertion(written), errors)
    assert errors == []
    return found


def shown(found: list[Demand], wanted: Verdict | None) -> set[tuple[str, str, int]]:
    """Pairs of ends and the family, of the demands of one sort."""
    return {
        (str(one.source), str(one.destination), one.source.address.version)
        for one in found
        if one.wanted is wanted and one.addresses is None
    }


def asked_of(found: list[Demand], destination: str, wanted: Verdict | None) -> TransportSet:
    """What is asked at a known destination."""
    transports = TransportSet()
    for one in found:
        if one.addresses is None and str(one.destination) == destination and one.wanted is wanted:
            transports |= one.asked
    return transports


def outside_of(found: list[Demand], wanted: Verdict | None) -> AddressSet:
    """The addresses outside that the demands of one sort are about."""
    return AddressSet.union_of(one.addresses for one in found if one.addresses is not None and one.wanted is wanted)


def test_allow_and_deny_demand_the_entries() -> None:
    """Each pair of kinds in each family that both have, and nothing else."""
    for verb, verdict in (("allow", Verdict.ALLOW), ("deny", Verdict.DENY)):
        found = demands_of(f"{{from: shop/web, {verb}: [{{to: data/db, port: 5432}}, 203.0.113.0/24]}}")
        assert shown(found, verdict) == {("shop/web-1", "data/db", 4), ("shop/web-1", "data/db", 6)}
        assert outside_of(found, verdict) == AddressSet.network("203.0.113.0/24")
        assert asked_of(found, "data/db", verdict) == TransportSet.ports(Protocol.TCP, 5432)


def test_only_demands_that_all_the_rest_is_denied() -> None:
    """Over every known end and the whole address space; what is listed is carried along, and nothing demanded of it."""
    found = demands_of("{from: data/db, only: [{to: shop/web, port: 80}, 203.0.113.0/24], ignore: dns}")
    rest = TransportSet.governed()
    for protocol in (Protocol.UDP, Protocol.TCP, Protocol.SCTP):
        rest = rest - TransportSet.ports(protocol, 53)
    assert asked_of(found, "shop/web-1", Verdict.DENY) == rest - TransportSet.ports(Protocol.TCP, 80)
    assert asked_of(found, "shop/web-1", None) == TransportSet.ports(Protocol.TCP, 80)
    assert asked_of(found, "node node-a", Verdict.DENY) == rest
    denied = outside_of(found, Verdict.DENY)
    assert ipaddress.ip_address("203.0.113.7") not in denied
    assert ipaddress.ip_address("8.8.8.8") in denied
    assert ipaddress.ip_address("2001:db8::1") in denied
    assert {one.wanted for one in found} == {Verdict.DENY, None}


def test_exactly_demands_both() -> None:
    """What is listed must pass, less what is ignored."""
    found = demands_of("{from: data/db, exactly: {to: shop/web, port: 80-90}, ignore: {port: 85}}")
    passing = TransportSet.ports(Protocol.TCP, 80, 84) | TransportSet.ports(Protocol.TCP, 86, 90)
    assert asked_of(found, "shop/web-1", Verdict.ALLOW) == passing
    assert asked_of(found, "shop/web-1", Verdict.DENY) == TransportSet.governed() - TransportSet.ports(
        Protocol.TCP, 80, 90
    )


def test_ports_beside_the_subject_are_all_that_only_looks_at() -> None:
    """`port: 443, only: [...]` says nothing of other ports."""
    found = demands_of("{from: data/db, port: 443, only: [shop/web]}")
    assert {one.asked for one in found} == {TransportSet.ports(Protocol.TCP, 443)}
    assert asked_of(found, "shop/web-1", None) == TransportSet.ports(Protocol.TCP, 443)
    assert not asked_of(found, "shop/web-1", Verdict.DENY)


def test_ingress_divides_the_sources_by_what_they_may() -> None:
    """A source in two entries may use the ports of both, everybody else none."""
    found = demands_of("{to: data/db, only: [{from: shop/*, port: 80}, {from: [shop/web, 203.0.113.0/24], port: 443}]}")
    asked = {(str(one.source), one.source.address.version): one.asked for one in found if one.wanted is Verdict.DENY}
    web = TransportSet.ports(Protocol.TCP, 80)
    https = TransportSet.ports(Protocol.TCP, 443)
    everything = TransportSet.governed()
    assert asked["shop/web-1", 4] == everything - web - https
    assert asked["shop/planned", 4] == everything - web
    assert asked["data/lone", 4] == everything
    assert outside_of(found, Verdict.DENY) == JUDGE_OUTSIDE
    by_block = {one.asked for one in found if one.addresses == AddressSet.network("203.0.113.0/24")}
    assert by_block == {everything - https, https}


JUDGE_OUTSIDE = Places(Lookup(JUDGE.policies.snapshot)).everybody.outside


def test_a_host_network_pod_is_its_node_in_a_list() -> None:
    """A packet to the node's address is one to the pod's: listing either lists both."""
    for listed in ("data/agent", "node/node-b", "192.168.50.12"):
        found = demands_of(f"{{from: data/lone, only: {listed}}}")
        assert {one for one in shown(found, Verdict.DENY) if "node" in one[1]} == {("data/lone", "node node-a", 4)}


@pytest.mark.parametrize(
    "written",
    [
        "{from: data/lone, deny: '2001:db8::1'}",
        "{from: 203.0.113.0/24, deny: 198.51.100.0/24}",
        "{from: shop/planned, allow: {to: {any: shop/*, except: shop/web}}}",
        "{from: node/node-b, allow: {to: {any: node/node-b}, port: ICMPv6}}",
        "{from: data/lone, deny: {to: data/db, protocol: ICMPv6}}",
    ],
)
def test_an_assertion_that_cannot_fail_is_a_mistake(written: str) -> None:
    """It would be green for ever."""
    errors: list[InputError] = []
    found = Demands(JUDGE, Places(Lookup(JUDGE.policies.snapshot))).of(assertion(written), errors)
    assert found == []
    assert [(one.line, one.path) for one in errors] == [(4, "assertions[0]")]
    assert "nothing to assert" in errors[0].message


def test_icmp_is_of_the_family_of_the_addresses() -> None:
    """`ICMP` is ICMP over IPv4, and ICMPv6 over IPv6."""
    found = demands_of("{from: shop/web, deny: {to: data/db, port: ICMP}}")
    assert {(one.source.address.version, one.asked) for one in found} == {
        (4, TransportSet.protocol(1)),
        (6, TransportSet.protocol(58)),
    }


def test_too_many_kinds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer about some of them would be an approximation."""
    monkeypatch.setattr(demands, "MOST_DEMANDS", 3)
    with pytest.raises(TooComplex, match=r"tests\.yaml:4"):
        demands_of("{from: every pod, deny: every pod}")


def test_the_packets_of_a_demand_are_seen_from_the_end_with_policies() -> None:
    """Where a block sends, the pod is the one that is known."""
    (found,) = demands_of("{from: 203.0.113.0/24, deny: {to: data/lone, port: 80}}")
    assert (str(found.known), str(found.far)) == ("data/lone", "203.0.113.0")
    assert found.packets().addresses() == AddressSet.network("203.0.113.0/24")
