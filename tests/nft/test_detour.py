"""The detour of bridged pods, as text."""

from __future__ import annotations

import ipaddress

import pytest

from outgate.nft.detour import TABLE, Detour, detour_text, without_detour

ONE = tuple(map(ipaddress.ip_address, ("10.1.0.10", "fd00:1::10")))
MAC, BRIDGE = "02:00:00:00:00:01", "02:00:00:00:00:02"


def test_only_first_packets_under_own_addresses_take_it() -> None:
    """Each port has a chain of its own, in which no other address stands."""
    other = (ipaddress.ip_address("10.1.0.11"),)
    text = detour_text(Detour({"vethtwo": other, "vethone": ONE}, {BRIDGE: ("vethone", "up")}), "og0", MAC, 0x100)
    chains = {part.split('device "')[1].split('"')[0]: part for part in text.split("chain port")[1:]}
    assert set(chains) == {"vethone", "vethtwo"}
    assert "10.1.0.11" not in chains["vethone"]
    for address in ("ip saddr 10.1.0.10", "ip6 saddr fd00:1::10"):
        assert (
            f'{address} tcp flags & (syn | ack) == syn counter ether daddr set {MAC} fwd to "og0"' in chains["vethone"]
        )
    assert f'iifname {{ "vethone", "up" }} ether daddr set {BRIDGE} meta pkttype set host' in text


def test_it_takes_the_place_of_what_was_before() -> None:
    """In the same transaction, so that nothing stands in between."""
    assert detour_text(Detour({}, {}), "og0", MAC, 0x100).startswith(without_detour())
    assert without_detour().count(f"delete table netdev {TABLE}") == 1


def test_no_name_becomes_a_command() -> None:
    """An interface may be called nearly anything."""
    for bad in (Detour({'a" accept; #': ONE}, {}), Detour({}, {BRIDGE: ('b"',)})):
        with pytest.raises(ValueError, match="interface"):
            detour_text(bad, "og0", MAC, 0x100)


def test_what_is_held_needs_no_port() -> None:
    """Connections that are kept find their way back; no new ones come."""
    assert not Detour()
    assert Detour({}, {BRIDGE: ("a",)})
