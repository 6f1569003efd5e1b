"""The first thing after a reboot: packets are dropped as before, or all of them, and never none by accident."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from outgate.agent.boot import Booted, Outcome, boot
from outgate.agent.step import State
from outgate.agent.store import CLOSED, RULESET, Picture, Store
from outgate.host import process
from outgate.host.nft import Nftables
from outgate.nft.canonical import canonical
from outgate.nft.options import Options
from outgate.policy import Mode
from outgate.testing import cluster_policy, pod, random_cluster
from outgate.testing_cilium import cilium_policy
from tests.agent.estates import ENFORCED, NODE, agent, gatehouse
from tests.lab.alone import alone
from tests.lab.flood import Count, count, flood, make_router

UNIT = Path(__file__).resolve().parents[2] / "deploy" / "boot" / "outgate-boot.service"
ELSEWHERE = 0x0B00_0001


def saved(folder: Path, state: State) -> Store:
    """The store of an agent that has saved its state."""
    store = Store(folder, NODE)
    store.write(Picture.of(state))
    return store


def spoil(folder: Path, *names: str) -> None:
    """Make texts that are whole as files and that nft refuses."""
    for name in names:
        path = folder / name
        path.write_text(path.read_text().replace("accept", "acept"))


def flooded() -> Count:
    """What comes through when the pod sends both kinds, some hundreds of each."""
    before = count()
    with flood([ELSEWHERE]):
        while count().denied_before < before.denied_before + 200:
            pass
    now = count()
    return Count(*(getattr(now, name) - getattr(before, name) for name in Count.__slots__))


# ---- with a kernel ---------------------------------------------------------------------------------------------------


@pytest.mark.kernel
@pytest.mark.parametrize("seed", range(4))
def test_the_kernel_has_what_the_agent_had(tmp_path: Path, seed: int) -> None:
    """Enforcement property 30: a node that has been emptied holds the same table again, whatever was in it."""
    state = agent(random_cluster(seed, crowded=seed % 2 == 1))

    def inside() -> None:
        store = saved(tmp_path, state)
        booted = boot(store, Nftables())
        assert (booted.outcome, booted.faults) == (Outcome.LOADED, ())
        assert "loaded the rules saved at 2" in booted.words
        listed = Nftables().list()
        assert listed is not None
        assert canonical(listed) == canonical(state.desired.ruleset)

    alone(inside)


@pytest.mark.kernel
def test_what_proxies_decide_is_there_before_them(tmp_path: Path) -> None:
    """By the boot unit alone: what only a name or a request may open waits for its proxy, and is closed until then."""
    port = {"port": "80", "protocol": "TCP"}
    looked = {"toEndpoints": [{}], "toPorts": [{"ports": [port], "rules": {"http": [{"method": "GET"}]}}]}
    named = {"action": "Accept", "to": [{"domainNames": ["www.example.com"]}]}
    estate = [
        pod("shop/web", ["10.0.0.1"], on=NODE, app="web"),
        cluster_policy("names", subject={"namespaces": {}}, egress=[named]),
        cilium_policy("shop/p", {"endpointSelector": {}, "egress": [looked]}),
    ]
    state = agent(estate, replace(ENFORCED, names=True, names_leased=True, proxied=True))
    assert {"dns", "catch"} <= state.desired.ruleset.chains.keys()

    def inside() -> None:
        saved(tmp_path, state)
        process.run(("nft", "-f", str(tmp_path / RULESET)))
        listed = Nftables().list()
        assert listed is not None
        assert canonical(listed) == canonical(state.desired.ruleset)

    alone(inside)


@pytest.mark.kernel
def test_packets_are_dropped_as_before(tmp_path: Path) -> None:
    """With real packets; and without a table they pass, or this would prove nothing."""

    def inside() -> tuple[Count, Count, Count]:
        make_router()
        store, door = saved(tmp_path, gatehouse()), Nftables()
        assert boot(store, door).outcome is Outcome.LOADED
        first = flooded()
        door.remove()
        opened = flooded()
        # Connections that were judged are of another kernel after a reboot.
        process.run(("ip", "link", "set", "ogp1", "down"))
        process.run(("ip", "link", "set", "ogp1", "up"))
        assert boot(store, door).outcome is Outcome.LOADED
        return first, opened, flooded()

    first, opened, again = alone(inside)
    assert opened.leaked > 0
    for one in (first, again):
        assert one.allowed_after > 0
        assert (one.leaked, one.lost) == (0, 0)


@pytest.mark.kernel
def test_a_table_that_stands_is_not_touched(tmp_path: Path) -> None:
    """Only the agent's container has restarted. What stands may be newer than what is saved."""

    def inside() -> tuple[str, str, Booted]:
        store = saved(tmp_path, gatehouse())
        process.run(("nft", "-f", "-"), input="table inet outgate {\n\tchain newer {\n\t\tcounter\n\t}\n}\n")
        before = process.run(("nft", "list", "ruleset")).stdout
        booted = boot(store, Nftables())
        return before, process.run(("nft", "list", "ruleset")).stdout, booted

    before, after, booted = alone(inside)
    assert before == after
    assert booted.outcome is Outcome.STANDING


@pytest.mark.kernel
def test_a_table_that_comes_meanwhile_is_not_mixed_with_ours(tmp_path: Path) -> None:
    """The text itself refuses to add to a table, so two that load it cannot make one of two halves."""

    def inside() -> tuple[str, str, Booted]:
        store, door = saved(tmp_path, gatehouse()), Nftables()
        boot(store, door)
        before = process.run(("nft", "list", "ruleset")).stdout

        class Late(Nftables):
            answers = iter((False, True, True))

            def stands(self) -> bool:
                return next(self.answers)

        booted = boot(store, Late())
        return before, process.run(("nft", "list", "ruleset")).stdout, booted

    before, after, booted = alone(inside)
    assert before == after
    assert booted.outcome is Outcome.LOADED


@pytest.mark.kernel
def test_neighbours_stay(tmp_path: Path) -> None:
    """Other tables are others'."""

    def inside() -> str:
        process.run(("nft", "-f", "-"), input="table ip nat {\n\tchain c {\n\t}\n}\n")
        boot(saved(tmp_path, gatehouse()), Nftables())
        return process.run(("nft", "list", "tables")).stdout

    assert alone(inside).split("\n")[:2] == ["table ip nat", "table inet outgate"]


@pytest.mark.kernel
def test_what_nft_refuses_closes_the_node(tmp_path: Path) -> None:
    """Nothing comes through, and it is said in nft's own words."""

    def inside() -> tuple[Booted, Count]:
        make_router()
        store = saved(tmp_path, gatehouse())
        text = (tmp_path / RULESET).read_text()
        (tmp_path / RULESET).write_text(text.replace("accept", "acept"))
        booted = boot(store, Nftables())
        return booted, flooded()

    booted, counted = alone(inside)
    assert booted.outcome is Outcome.CLOSED
    assert "acept" in booted.faults[0]
    assert counted.denied_before > 0
    assert (counted.allowed_after, counted.denied_after) == (0, 0)


@pytest.mark.kernel
def test_a_ruleset_that_is_lost_closes_the_node(tmp_path: Path) -> None:
    """Half a file, or none beside a closed table."""
    for lose in (lambda path: path.unlink(), lambda path: path.write_text("half")):

        def inside(lose: Callable[[Path], object] = lose) -> Booted:
            store = saved(tmp_path, gatehouse())
            lose(tmp_path / RULESET)
            return boot(store, Nftables())

        assert alone(inside).outcome is Outcome.CLOSED


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (Options(mode=Mode.ENFORCE), "not known what its pods are known by"),
        (Options(interface_prefix="ogp", mode=Mode.AUDIT), "its default was to watch"),
    ],
)
def test_where_nothing_closes_it_says_open(tmp_path: Path, options: Options, words: str) -> None:
    """In a word that nobody overlooks."""

    def inside() -> tuple[Booted, bool]:
        store = saved(tmp_path, agent([], options))
        spoil(tmp_path, RULESET)
        return boot(store, Nftables()), Nftables().stands()

    booted, stands = alone(inside)
    assert (booted.outcome, stands) == (Outcome.OPEN, False)
    assert "OPEN" in booted.words
    assert words in booted.words


@pytest.mark.kernel
def test_all_of_it_lost_or_of_another_node(tmp_path: Path) -> None:
    """A disk that was cloned closes and opens nothing by another node's blocks; each file is named."""

    def inside() -> tuple[Booted, Booted]:
        saved(tmp_path, gatehouse())
        return boot(Store(tmp_path, "node-z"), Nftables()), boot(Store(tmp_path, "node-z"), Nftables())

    first, second = alone(inside)
    assert first.outcome is Outcome.OPEN
    assert len(first.faults) == 4
    assert second.outcome is Outcome.NOTHING


@pytest.mark.kernel
def test_nothing_saved_is_no_error(tmp_path: Path) -> None:
    """The first start of a node."""
    assert alone(lambda: boot(Store(tmp_path, NODE), Nftables())).outcome is Outcome.NOTHING


# ---- the unit --------------------------------------------------------------------------------------------------------


def settings() -> dict[str, list[str]]:
    """The unit's settings: key → values in order."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def test_the_unit_comes_before_every_container() -> None:
    """A pod that starts first talks first."""
    unit = settings()
    before = " ".join(unit["Before"]).split()
    runtimes = {"kubelet", "containerd", "crio", "docker", "k3s", "k3s-agent", "rke2-server", "rke2-agent"}
    assert {f"{name}.service" for name in runtimes} <= set(before)
    assert {"network-pre.target", "nftables.service"} <= set(unit["After"][0].split())
    assert unit["WantedBy"] == ["multi-user.target"]
    # What kubelet required would keep a node down whose saved rules are broken, and the agent with it.
    assert not {"RequiredBy", "Requires", "BindsTo", "BoundBy", "Requisite"} & unit.keys()


def test_the_unit_names_the_files_that_are_saved() -> None:
    """Renamed there and not here, a reboot would be open."""
    text = UNIT.read_text()
    assert text.count(f"/var/lib/outgate/{RULESET}") == text.count(f"/var/lib/outgate/{CLOSED}") == 2
    assert "python" not in "".join(settings()["ExecStart"] + settings()["ExecCondition"])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd's own checker")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    """By its own checker: a word that it does not know is only a warning in a log."""
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text())
    environment = os.environ | {"SYSTEMD_UNIT_PATH": f"{tmp_path}:", "LC_ALL": "C"}
    argv = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(copy)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)
    assert [line for line in done.stderr.splitlines() if UNIT.name in line] == []


def run_unit(folder: Path) -> list[int]:
    """What systemd does: the condition, then the command; their exit codes."""
    codes = []
    for key in ("ExecCondition", "ExecStart"):
        (line,) = settings()[key]
        assert line.startswith("/bin/sh -c '")
        script = line.removeprefix("/bin/sh -c '").removesuffix("'").replace("/var/lib/outgate", str(folder))
        environment = dict(one.split("=", 1) for one in settings()["Environment"])
        codes.append(subprocess.run(["/bin/sh", "-c", script], check=False, env=environment).returncode)
        if codes[-1]:
            break
    return codes


@pytest.mark.kernel
def test_the_unit_does_what_boot_does(tmp_path: Path) -> None:
    """Without Python: loaded into an empty kernel, left where a table stands, closed where the text is refused."""
    state = gatehouse()

    def inside() -> None:
        door = Nftables()
        saved(tmp_path, state)
        assert run_unit(tmp_path) == [0, 0]
        listed = door.list()
        assert listed is not None
        assert canonical(listed) == canonical(state.desired.ruleset)
        assert run_unit(tmp_path) == [1]
        door.remove()
        spoil(tmp_path, RULESET)
        assert run_unit(tmp_path) == [0, 0]
        closed = door.list()
        assert closed is not None
        assert not any(one.elements for one in closed.sets.values())
        door.remove()
        spoil(tmp_path, CLOSED)
        assert run_unit(tmp_path)[1] != 0
        assert not door.stands()

    alone(inside)


@pytest.mark.kernel
def test_the_agent_mends_what_boot_loaded(tmp_path: Path) -> None:
    """From the closed table, too: it begins with a listing, like any other start."""
    from outgate.agent.events import Applied, Listed
    from outgate.agent.step import Apply, plan

    state = gatehouse()

    def inside() -> None:
        door = Nftables()
        store = saved(tmp_path, state)
        spoil(tmp_path, RULESET)
        assert boot(store, door).outcome is Outcome.CLOSED
        _, (apply,) = plan(state, [Listed(door.list())])
        assert isinstance(apply, Apply)
        door.apply(apply.change)
        plan(state, [Applied()])
        listed = door.list()
        assert listed is not None
        assert canonical(listed) == canonical(state.desired.ruleset)

    alone(inside)
