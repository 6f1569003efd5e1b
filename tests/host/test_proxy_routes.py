"""The routes of marked packets, in a namespace of their own."""

from __future__ import annotations

import pytest

from outgate.host import process, proxy_routes
from tests.lab.alone import alone


def local(address: str, mark: str = "0x100") -> bool:
    """Whether a packet with this mark is delivered here."""
    return "local" in process.run(("ip", "route", "get", address, "mark", mark)).stdout.split()[:1]


@pytest.mark.kernel
def test_made_twice_and_taken_away() -> None:
    """What has the bit is local, whatever other bits it has; nothing else changes."""

    def inside() -> tuple[list[bool], str, str]:
        process.run(("ip", "link", "set", "lo", "up"))
        process.run(("ip", "route", "add", "default", "dev", "lo"))
        proxy_routes.ensure(0x100)
        proxy_routes.ensure(0x100)
        rules = process.run(("ip", "rule", "list", "pref", str(proxy_routes.PRIORITY))).stdout
        ways = [local("203.0.113.9"), local("203.0.113.9", "0x4100"), local("203.0.113.9", "0x4000")]
        proxy_routes.remove(0x100)
        proxy_routes.remove(0x100)
        return ways, rules, process.run(("ip", "rule", "list", "pref", str(proxy_routes.PRIORITY))).stdout

    ways, rules, after = alone(inside)
    assert ways == [True, True, False]
    assert len(rules.splitlines()) == 1
    assert after == ""
