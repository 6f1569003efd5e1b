"""A proxy is started when it is needed and not before, and its orders follow what the kernel has taken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from outgate.agent.dns_companion import DnsCompanion, empties_learned
from outgate.agent.dns_settings import DnsSettings
from outgate.agent.kernel import Timing
from outgate.agent.settings import Settings
from outgate.agent.step import Apply, State, plan
from outgate.cluster.events import Upserted
from outgate.host.closing import Closing
from outgate.model.cilium import CiliumObject
from outgate.nft.delta import Change
from outgate.nft.objects import KeyType, NftSet
from outgate.nft.transaction import AddSet, AddTable, Transaction
from outgate.proxy.orders import Orders, read
from outgate.testing import snapshot_of
from outgate.testing_cilium import cilium_policy
from tests.agent.states import NODE, SHOP, enforced
from tests.agent.test_dns_orders import POLICY


def listed(pattern: str) -> dict[str, object]:
    """Which names one pod may ask for."""
    port = {"ports": [{"port": "53"}], "rules": {"dns": [{"matchPattern": pattern}]}}
    web = {"matchLabels": {"app": "web"}}
    return cilium_policy("shop/p", {"endpointSelector": web, "egress": [{"toEndpoints": [{}], "toPorts": [port]}]})


class Fake(Closing):
    """A supervisor that starts nothing."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        """Noted."""
        self.closed = True


class Stage:
    """A companion, what it started and said, and where it writes."""

    def __init__(self, folder: Path, names: str = "closed") -> None:
        self.settings = Settings(NODE, run_dir=folder / "run", state_dir=folder / "state", names=names)
        self.said: list[str] = []
        self.started: list[Fake] = []
        self.companion = DnsCompanion(self.settings, self.said.append, supervise=self._supervise)

    def _supervise(self, settings: DnsSettings, _: Callable[[str], None]) -> Closing:
        assert settings == self.settings.dns
        self.started.append(Fake())
        return self.started[-1]

    def state(self, *more: dict[str, object]) -> State:
        """An agent that is done."""
        return enforced([*SHOP, *more], self.settings.options(""))

    def turn(self, state: State, change: Change | None = None) -> None:
        """A turn, in which the kernel took a change where one is given."""
        if change is not None:
            self.companion.applied(Apply(change, whole=False), Timing(), 0.0, 0.0)
        self.companion.turned(state, 0.0)

    def orders(self) -> Orders:
        """What the proxy reads."""
        file = self.settings.dns.orders_file
        return read(file.read_bytes(), str(file))


@pytest.mark.parametrize(("names", "more"), [("off", [POLICY]), ("closed", []), ("forward", [])])
def test_nothing_is_made_that_nobody_needs(tmp_path: Path, names: str, more: list[dict[str, object]]) -> None:
    """No process, no folder, no file."""
    stage = Stage(tmp_path, names)
    stage.turn(stage.state(*more), Change())
    assert stage.started == []
    assert list(tmp_path.iterdir()) == []
    stage.companion.close()


def test_orders_follow_and_the_proxy_stays(tmp_path: Path) -> None:
    """One supervisor for good; without the policy its orders name nobody."""
    stage = Stage(tmp_path)
    stage.turn(stage.state(POLICY))
    stage.turn(stage.state(POLICY), Change())
    (one,) = stage.orders().pods
    assert one.key == "shop/web/uid-of-web"
    before = stage.settings.dns.orders_file.stat().st_mtime_ns
    stage.turn(stage.state(POLICY), Change())
    assert stage.settings.dns.orders_file.stat().st_mtime_ns == before, "written for nothing"
    stage.turn(stage.state(), Change())
    assert stage.orders().pods == ()
    stage.companion.close()
    assert [one.closed for one in stage.started] == [True]


def test_while_the_kernel_refuses_nothing_is_said(tmp_path: Path) -> None:
    """An agent that begins does not know yet whether the sets stand."""
    stage = Stage(tmp_path)
    state = stage.state(POLICY)
    state.refused = "no"
    stage.turn(state)
    assert not stage.settings.dns.orders_file.exists()
    state.refused, state.changing = "", True
    stage.turn(state)
    assert not stage.settings.dns.orders_file.exists()
    state.changing = False
    stage.turn(state)
    assert stage.orders().pods


def test_a_set_that_is_new_asks_for_all_that_is_known(tmp_path: Path) -> None:
    """An empty set whose proxy believes it full would deny until names are asked for again."""
    stage = Stage(tmp_path)
    state = stage.state(POLICY)
    stage.turn(state)
    tables = [stage.orders().table]
    learned = NftSet("f4_x", (KeyType.IPV4_ADDR, KeyType.IPV4_ADDR), timeout=True)
    for change in (Change(prepare=(Transaction((AddSet(learned),)),)), Change(flip=Transaction((AddTable(),)))):
        assert empties_learned(change)
        stage.turn(state, change)
        tables.append(stage.orders().table)
    assert len(set(tables)) == 3
    plain = Change(prepare=(Transaction((AddSet(NftSet("p4_x", (KeyType.IPV4_ADDR,))),)),))
    assert not empties_learned(plain)
    stage.turn(state, plain)
    assert stage.orders().table == tables[-1]
    other = Stage(tmp_path)
    other.turn(state)
    assert other.orders().table not in tables, "another agent does not know what was made meanwhile"


def test_lists_of_names_change_orders_and_no_rule(tmp_path: Path) -> None:
    """What the proxy refuses by itself is in no table; another policy has to reach it all the same."""
    stage = Stage(tmp_path)
    state = stage.state(listed("*.example.com"))
    stage.turn(state)
    (policy,) = snapshot_of([listed("*")]).cilium_policies
    _, commands = plan(state, [Upserted("CiliumNetworkPolicy", CiliumObject(policy.kind, "shop", "p", (policy,)), 0.0)])
    assert commands == (), "the rules are the same"
    stage.turn(state)
    (one,) = stage.orders().pods
    assert [asking.names.patterns if asking.names else None for asking in one.asks or ()] == [("*",), None]


def test_a_folder_that_cannot_be_had_is_said_once_and_tried_again(tmp_path: Path) -> None:
    """The proxy goes on by its old orders; the agent goes on, too."""
    stage = Stage(tmp_path)
    (tmp_path / "run").write_text("")
    state = stage.state(POLICY)
    stage.turn(state)
    stage.turn(state)
    (words,) = stage.said
    assert "old orders" in words
    (tmp_path / "run").unlink()
    stage.turn(state)
    assert stage.orders().pods
