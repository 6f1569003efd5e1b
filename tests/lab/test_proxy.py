"""Where the lab runs an Envoy, and what is said where there is none. What one does is tested in `test_asking`."""

from __future__ import annotations

import pytest

from outgate.errors import KernelError
from outgate.host import envoy
from outgate.lab import proxy
from outgate.lab.build import build
from outgate.lab.session import run_in_lab
from outgate.lab.sockets import Loop
from tests.lab.clusters import SHOP, outcome, planned
from tests.lab.proxied import needs_envoy
from tests.lab.test_requests import http, policy

RULES = policy(http({"method": "GET"}))


def absent() -> str:
    """Nobody has installed it."""
    raise KernelError("Envoy is not installed")


@pytest.mark.kernel
def test_without_envoy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked, one note says what was not looked into and how to get it, and what remains agrees."""
    monkeypatch.setattr(envoy, "binary", absent)
    prepared = planned(SHOP + RULES)
    assert not prepared.proxied
    report = outcome(prepared)
    assert [one for one in report["notes"] if "outgate[l7]" in one] == [proxy.MISSING]
    assert "requests" not in report
    assert report["disagreements"] == 0


def test_nobody_needs_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without such rules nothing is said about it."""
    monkeypatch.setattr(envoy, "binary", absent)
    prepared = planned(SHOP)
    assert not prepared.proxied
    assert proxy.MISSING not in prepared.plan.notes


@pytest.mark.kernel
@needs_envoy
def test_on_the_nodes_that_need_one() -> None:
    """The pod with the rule is on n1; n2 has none. What was started can be ended."""
    prepared = planned(SHOP + RULES)

    def inside() -> int:
        proxies = proxy.start(build(prepared.snapshot), prepared.policies, Loop())
        assert set(proxies.running) == {"n1"}
        running = proxies.running["n1"].running
        assert running is not None
        codes = [running.code]
        proxies.close()
        codes.append(running.code)
        assert codes[0] is None
        assert codes[1] is not None
        return 0

    assert run_in_lab(inside) == 0
