"""Addresses at which the large clouds hand out credentials, names and the time to whoever asks.

A metadata service asks for no password: being able to send it a packet is the right to be the machine. Most clouds
use one address of the link, some have others, and several lie where nobody looks: Azure's WireServer is a public
address, Alibaba's is in the shared range of carriers, and the IPv6 ones are in blocks that rules for IPv4 do not
speak of. So `0.0.0.0/0 except` the private networks lets all of them through.

Port 53 of such an address is a resolver in some clouds (GKE's Cloud DNS, Azure), and port 123 is the time. What passes
there alone is said, and is not taken for metadata. Every other port is: clouds differ in which they use, and none has
anything else to offer at the address.
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Iterator

from outgate.analysis.exposure_outside import DNS_PORTS
from outgate.analysis.on_condition import Asked, chosen
from outgate.packets import Address, AddressSet, PacketSet, Protocol, TransportSet
from outgate.policy import Origin
from outgate.records import dataclass

__all__ = ["CLOUD_ADDRESSES", "LINK_LOCAL_METADATA", "CloudAddress", "CloudUse", "Opened", "opened"]

LINK_LOCAL_METADATA = ipaddress.ip_address("169.254.169.254")
"""The one that most clouds share."""

_HARMLESS = DNS_PORTS | TransportSet.ports(Protocol.UDP, 123)


class CloudUse(enum.Enum):
    """What an address is for."""

    METADATA = "metadata"
    """Credentials, or what leads to them."""
    DNS = "dns"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class CloudAddress:
    """An address that means something to a cloud."""

    address: Address
    use: CloudUse
    what: tuple[tuple[str, str], ...]
    """(provider, what it finds there)."""
    ports: TransportSet
    """The ports that the services there are known to use."""
    note: str = ""

    @property
    def providers(self) -> tuple[str, ...]:
        """Each provider once."""
        return tuple(dict.fromkeys(provider for provider, _ in self.what))


def _tcp(*ports: int) -> TransportSet:
    found = TransportSet()
    for port in ports:
        found |= TransportSet.ports(Protocol.TCP, port)
    return found


def _metadata(address: str, *what: tuple[str, str], ports: TransportSet | None = None, note: str = "") -> CloudAddress:
    return CloudAddress(ipaddress.ip_address(address), CloudUse.METADATA, what, ports or _tcp(80), note)


def _dns(address: str, provider: str, note: str = "") -> CloudAddress:
    return CloudAddress(
        ipaddress.ip_address(address), CloudUse.DNS, ((provider, "resolver of the network"),), DNS_PORTS, note
    )


def _time(address: str, provider: str) -> CloudAddress:
    ntp = TransportSet.ports(Protocol.UDP, 123)
    return CloudAddress(ipaddress.ip_address(address), CloudUse.TIME, ((provider, "time"),), ntp)


_SHARED = "in 100.64.0.0/10 (RFC 6598), which is neither private nor link-local"
_LOCAL6 = "a unique local address: rules for IPv4 do not speak of it"

CLOUD_ADDRESSES: tuple[CloudAddress, ...] = (
    _metadata(
        "169.254.169.254",
        ("AWS", "EC2 instance metadata"),
        ("Azure", "instance metadata"),
        ("GCP", "Compute Engine and GKE metadata"),
        ("OCI", "instance metadata"),
        *((one, "instance metadata") for one in ("Akamai/Linode", "DigitalOcean", "Exoscale", "Hetzner", "Huawei")),
        *((one, "instance metadata") for one in ("IBM Cloud", "OpenStack", "OVHcloud", "UpCloud", "Vultr")),
        ports=_tcp(80, 8080),
        note="port 53 is the resolver of GCP, GKE and OCI",
    ),
    _metadata("169.254.169.252", ("GCP", "GKE workload identity"), ports=_tcp(987, 988)),
    _metadata("169.254.170.2", ("AWS", "ECS and Fargate task credentials")),
    _metadata("169.254.170.23", ("AWS", "EKS Pod Identity agent"), note="workloads that use Pod Identity need it"),
    _metadata(
        "168.63.129.16",
        ("Azure", "WireServer"),
        ports=_tcp(80, 32526),
        note="a public address: every rule for the internet contains it; port 53 is the resolver of Azure",
    ),
    _metadata("192.0.0.192", ("OCI", "Classic instance metadata")),
    _metadata("100.100.100.200", ("Alibaba", "instance metadata"), note=_SHARED),
    _metadata("169.254.0.23", ("Tencent", "instance metadata")),
    _metadata("169.254.42.42", ("Scaleway", "instance metadata")),
    _metadata("fd00:ec2::254", ("AWS", "EC2 instance metadata"), note=_LOCAL6),
    _metadata(
        "fd00:ec2::23",
        ("AWS", "EKS Pod Identity agent"),
        note="a unique local address; workloads that use Pod Identity need it",
    ),
    _metadata("fd20:ce::254", ("GCP", "Compute Engine metadata"), note=_LOCAL6),
    _metadata("fd00:c1::a9fe:a9fe", ("OCI", "instance metadata"), note=_LOCAL6),
    _metadata("fe80::a9fe:a9fe", ("OpenStack", "instance metadata"), ("Hetzner", "instance metadata")),
    _metadata("fd00:a9fe:a9fe::1", ("Akamai/Linode", "instance metadata"), note=_LOCAL6),
    _metadata("fd00:42::42", ("Scaleway", "instance metadata"), note=_LOCAL6),
    _dns("169.254.169.253", "AWS"),
    _dns("fd00:ec2::253", "AWS"),
    _dns("100.100.2.136", "Alibaba", _SHARED),
    _dns("100.100.2.138", "Alibaba", _SHARED),
    _time("169.254.169.123", "AWS"),
    _time("fd00:ec2::123", "AWS"),
)
"""By address. Services that have a name and no fixed address (Equinix Metal, CloudStack) cannot be here."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A cloud's address that something passes to."""

    place: CloudAddress
    transports: TransportSet
    origins: tuple[Origin, ...] = ()
    """The rules that let it through. Empty where no policy isolates the workload."""
    asked: tuple[Asked, ...] = ()
    """What is asked of it above TCP."""

    @property
    def exposes_metadata(self) -> bool:
        """Whether more passes than names and the time, to an address that has more."""
        return self.place.use is CloudUse.METADATA and bool(self.transports - _HARMLESS)

    @property
    def openly(self) -> bool:
        """Whether it exposes metadata whatever is asked for."""
        passing = self.transports - chosen(one.part for one in self.asked) - _HARMLESS
        return self.place.use is CloudUse.METADATA and bool(passing)


def opened(packets: PacketSet) -> tuple[Opened, ...]:
    """The addresses of clouds that some packets go to, in the order of the table."""
    return tuple(_opened(packets.restrict(_EVERY_ADDRESS)))


_EVERY_ADDRESS = AddressSet.of(one.address for one in CLOUD_ADDRESSES)


def _opened(packets: PacketSet) -> Iterator[Opened]:
    for place in CLOUD_ADDRESSES if packets else ():
        transports = packets.transports(place.address)
        if transports:
            yield Opened(place, transports)
