"""The table of the clouds' addresses, and what counts as reaching one."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from outgate.analysis.exposure import Finding
from outgate.analysis.exposure_metadata import CLOUD_ADDRESSES, LINK_LOCAL_METADATA, CloudUse, opened
from outgate.packets import AddressSet, PacketSet, Protocol, TransportSet
from outgate.packets.special import INTERNET, SHARED
from tests.analysis.estate import allow, standing_of

TABLE = {str(one.address): one for one in CLOUD_ADDRESSES}


def to(address: str, *ports: tuple[str, int]) -> dict[str, object]:
    """A rule to one address."""
    entries = [{"protocol": protocol, "port": port} for protocol, port in ports]
    length = ipaddress.ip_address(address).max_prefixlen
    return {"to": [{"ipBlock": {"cidr": f"{address}/{length}"}}], **({"ports": entries} if entries else {})}


def test_the_table_has_each_address_once_and_says_whose_it_is() -> None:
    """Two entries of one address would be counted as two."""
    assert len(TABLE) == len(CLOUD_ADDRESSES)
    assert all(one.what and one.ports for one in CLOUD_ADDRESSES)
    assert {"AWS", "Azure", "GCP", "OCI", "Alibaba", "Tencent", "Scaleway"} <= {
        provider for one in CLOUD_ADDRESSES if one.use is CloudUse.METADATA for provider in one.providers
    }


def test_where_nobody_looks() -> None:
    """WireServer is on the internet, Alibaba's in the carriers' range; both are in "internet only" rules."""
    assert any(TABLE["168.63.129.16"].address in one.addresses for one in INTERNET)
    assert "public" in TABLE["168.63.129.16"].note
    assert TABLE["100.100.100.200"].address in SHARED.addresses
    assert "RFC 6598" in TABLE["100.100.100.200"].note


@pytest.mark.parametrize("place", CLOUD_ADDRESSES, ids=lambda one: str(one.address))
def test_one_address_is_found_by_itself(place: object) -> None:
    """And no other with it."""
    found = opened(PacketSet.cube(AddressSet.of((place.address,)), TransportSet.ports(Protocol.TCP, 80)))  # type: ignore[attr-defined]
    assert [one.place for one in found] == [place]
    assert found[0].exposes_metadata == (found[0].place.use is CloudUse.METADATA)


@pytest.mark.parametrize(
    ("rule", "exposed"),
    [
        (to("169.254.169.254", ("TCP", 80)), True),
        (to("169.254.169.254", ("UDP", 53), ("TCP", 53)), False),
        (to("169.254.169.254", ("UDP", 53), ("TCP", 8080)), True),
        (to("169.254.169.254"), True),
        (to("169.254.169.253", ("UDP", 53)), False),
        (to("169.254.169.253"), False),
        (to("169.254.169.123", ("UDP", 123)), False),
        (to("168.63.129.16", ("TCP", 32526)), True),
        (to("168.63.129.16", ("UDP", 53)), False),
        (to("169.254.169.252", ("TCP", 988)), True),
        (to("fd00:ec2::254", ("TCP", 80)), True),
        (to("169.254.169.25", ("TCP", 80)), False),
    ],
)
def test_names_and_time_are_not_metadata(rule: dict[str, object], exposed: bool) -> None:
    """On GKE the resolver has the address of the metadata service: a rule for it must not be an alarm."""
    standing = standing_of(allow(rule))
    assert (Finding.METADATA in standing.findings) == exposed
    assert bool(standing.metadata()) == exposed


def test_the_classic_leak() -> None:
    """`0.0.0.0/0 except` the private networks still has them all, of IPv4."""
    private = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]
    rule = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": private}}]}
    standing = standing_of(allow(rule))
    expected = {one.address for one in CLOUD_ADDRESSES if one.address.version == 4 and one.use is CloudUse.METADATA}
    assert {one.place.address for one in standing.metadata()} == expected
    assert LINK_LOCAL_METADATA in expected
    assert {origin.rule for one in standing.metadata() for origin in one.origins} == {0}


def test_the_document_has_the_whole_table(repository: Path) -> None:
    """A reader who closes what the document lists must have closed what the command looks at."""
    text = (repository / "docs" / "exposure.md").read_text(encoding="utf-8")
    assert [address for address in TABLE if f"| `{address}` |" not in text] == []
