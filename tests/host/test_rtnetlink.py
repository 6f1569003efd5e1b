"""What rtnetlink tells is what iproute2 shows."""

from __future__ import annotations

import json

import pytest

from outgate.host import links, process, rtnetlink
from outgate.host.netlink import ROUTE, NetlinkSocket
from tests.lab.alone import alone

pytestmark = pytest.mark.kernel


def shown(*words: str) -> list[dict[str, object]]:
    """What `ip -j` says."""
    listing: list[dict[str, object]] = json.loads(process.run(("ip", "-d", "-j", *words)).stdout or "[]")
    return listing


def test_everything_is_read_as_iproute2_reads_it() -> None:
    """Two readings of the same bytes; a wrong offset would show in one of them."""

    def inside() -> None:
        links.batch(
            [
                "link add bridge0 type bridge",
                "link add left type veth peer name right address 02:00:00:00:00:01",
                "link set left master bridge0",
                *(f"link set {name} up" for name in ("lo", "left", "right", "bridge0")),
                "addr add 10.0.0.1/24 dev bridge0",
                "addr add 10.9.0.1 peer 10.9.0.2/32 dev right",
                "addr add fd00::1/64 dev bridge0 nodad",
                "route add 10.1.0.5/32 dev right",
                "route add 10.2.0.0/16 via 10.0.0.9",
                "route add 10.3.0.0/16 nexthop via 10.0.0.9 nexthop via 10.9.0.2",
                "route add fd01::5/128 dev right",
                "route add blackhole 10.4.0.0/16",
                "neigh add 10.0.0.7 lladdr 02:00:00:00:00:07 dev bridge0 nud permanent",
            ]
        )
        with NetlinkSocket(ROUTE, strict=True) as asking:
            found = {one.name: one for one in rtnetlink.links(asking)}
            for one in shown("link"):
                link = found[str(one["ifname"])]
                assert link.index == one["ifindex"]
                assert link.address == one["address"]
                assert link.kind == one.get("linkinfo", {}).get("info_kind", "")  # type: ignore[attr-defined] # JSON
                assert link.master == (found[str(one["master"])].index if "master" in one else 0)
            assert found["left"].member_kind == "bridge"
            assert found["left"].parent == found["right"].index
            names = {one.index: one.name for one in found.values()}
            told = {(str(one.address), names[one.index]) for one in rtnetlink.assigned(asking, rtnetlink.AF_INET)}
            assert told == {("10.0.0.1", "bridge0"), ("10.9.0.1", "right"), ("127.0.0.1", "lo")}
            for family, flag in ((rtnetlink.AF_INET, "-4"), (rtnetlink.AF_INET6, "-6")):
                mine = {str(one.network) for one in rtnetlink.routes(asking, family)}
                theirs = {str(one["dst"]) for one in shown(flag, "route") if one.get("type") == "unicast"}
                assert {one.removesuffix("/32").removesuffix("/128") for one in mine} == theirs
            ways = {str(one.network): one for one in rtnetlink.routes(asking, rtnetlink.AF_INET)}
            assert not ways["10.1.0.5/32"].gateway
            assert ways["10.2.0.0/16"].gateway
            assert ways["10.3.0.0/16"].gateway
            assert [names[one] for one in ways["10.3.0.0/16"].indexes] == ["bridge0", "right"]
            known = {str(one.address): one.link_address for one in rtnetlink.neighbours(asking, rtnetlink.AF_INET)}
            assert known["10.0.0.7"] == "02:00:00:00:00:07"
            assert {names[one.master] for one in rtnetlink.bridge_entries(asking)} == {"bridge0"}

    alone(inside)
