"""The log of refused questions: who, what, of whom, and why; so many a second, and never an error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from outgate.agent.dns_refusals import Refusals
from outgate.agent.log_file import A_SECOND
from outgate.host.dns_origin import Server
from outgate.proxy.glance import Asked
from outgate.proxy.orders import Account, Pod, PodOrder
from tests.proxy.test_learned import Clock
from tests.report.schema import complaints

ORIGIN: dict[str, Any] = {"kind": "CiliumNetworkPolicy", "namespace": "shop", "name": "dns"}
ACCOUNT = Account(("Deployment", "web"), "shop/dns", (ORIGIN,), ("shop/dns egress[0]",))
WEB = Pod(PodOrder("shop/web-1/6c1e", ("10.1.0.10",)), None, ACCOUNT)
DNS = Server("10.96.0.10", 53)


def asked(name: str = "evil.example.org", kind: int = 28) -> Asked:
    """A question."""
    return Asked(name, kind, True, b"")


def lines(folder: Path) -> list[dict[str, Any]]:
    """What was written."""
    return [json.loads(line) for line in (folder / "q").read_bytes().splitlines()]


def test_a_line_says_who_asked_for_what_and_why_not(tmp_path: Path) -> None:
    """With the rules that list names; and of a server that may not be asked that it may not."""
    with Refusals(tmp_path / "q", wall=lambda: 1764212400.123) as log:
        log.node = "node-a"
        log.note(WEB, "10.1.0.10", DNS, "UDP", asked(), refused=True)
        log.note(WEB, "fd00:1::10", Server("2001:db8::53", 53), "TCP", asked(kind=4711), refused=False)
    first, second = lines(tmp_path)
    assert [complaints(one, "LogLine") for one in (first, second)] == [[], []]
    assert first == {
        **first,
        "time": "2025-11-27T03:00:00.123Z",
        "node": "node-a",
        "verdict": "refused",
        "direction": "egress",
        "pod": {"namespace": "shop", "name": "web-1", "uid": "6c1e"},
        "workload": {"kind": "Deployment", "name": "web"},
        "peer": {"kind": "External", "cidrs": ["10.96.0.10/32"]},
        "source": "10.1.0.10",
        "destination": "10.96.0.10",
        "protocol": "UDP",
        "port": 53,
        "policy": "shop/dns",
        "policies": [ORIGIN],
        "rule": "DNS for evil.example.org AAAA: not what shop/dns egress[0] allows",
        "question": {"name": "evil.example.org", "type": "AAAA", "rules": ["shop/dns egress[0]"]},
    }
    assert second["question"] == {"name": "evil.example.org", "type": "TYPE4711", "rules": []}
    assert second["rule"] == "DNS for evil.example.org TYPE4711: no rule allows to ask this server"
    assert second["peer"]["cidrs"] == ["2001:db8::53/128"]


def test_lines_are_limited_and_what_is_lost_is_counted(tmp_path: Path) -> None:
    """A pod that asks without end fills nothing; the next second has lines again."""
    clock = Clock()
    with Refusals(tmp_path / "q", clock=clock, limit=4000) as log:
        for _ in range(3 * A_SECOND):
            log.note(WEB, "10.1.0.10", DNS, "UDP", asked(), refused=True)
        assert log.lost == 2 * A_SECOND
        clock.now += 1
        log.note(WEB, "10.1.0.10", DNS, "UDP", asked(), refused=True)
        assert log.lost == 2 * A_SECOND
    assert sum(one.stat().st_size for one in tmp_path.iterdir()) < 12000


def test_what_cannot_be_written_is_lost(tmp_path: Path) -> None:
    """The proxy goes on."""
    with Refusals(tmp_path / "missing" / "q") as log:
        log.note(WEB, "10.1.0.10", DNS, "UDP", asked(), refused=True)
        assert log.lost == 1


@pytest.mark.parametrize("key", ["", "shop", "shop/web", "shop/web/uid/more"])
def test_any_key_has_a_line(tmp_path: Path, key: str) -> None:
    """Orders may come from another version."""
    with Refusals(tmp_path / "q") as log:
        log.note(Pod(PodOrder(key, ()), None), "10.1.0.10", DNS, "UDP", asked(""), refused=True)
    (line,) = lines(tmp_path)
    assert complaints(line, "LogLine") == []
    assert line["rule"] == "DNS for . AAAA: no rule allows it"
