"""The DNS proxy and Envoy as containers: they find what the agent writes, and are called as the agent calls them."""

from __future__ import annotations

from typing import Any

import pytest

from outgate.agent.dns_settings import DnsSettings
from outgate.agent.proxying import envoy_of
from outgate.agent.settings import SIDECAR, Settings
from outgate.cli.agent_dns import dns
from outgate.host.envoy import arguments
from outgate.nft.options import Options
from tests.deploy.chart import containers, render

BOTH = {"names": {"mode": "closed"}, "http": {"enabled": True}}
SETTINGS = Settings("node-a", envoy=SIDECAR)


def pod_of(**values: Any) -> dict[str, Any]:
    """The agent's pod."""
    return render({**BOTH, **values}).daemonset()


def mounts(pod: dict[str, Any], container: str) -> dict[str, dict[str, Any]]:
    """Where a container sees which volume, the volume as it is declared."""
    volumes = {one["name"]: one for one in pod["volumes"]}
    (found,) = [one for one in containers(pod) if one["name"] == container]
    return {one["mountPath"]: volumes[one["name"]] for one in found["volumeMounts"]}


def test_the_dns_proxy_shares_orders_and_memory_with_the_agent() -> None:
    """Two folders of the node: orders, status and lock go with a reboot, what was learnt does not."""
    pod = pod_of()
    mine, agents = mounts(pod, "names"), mounts(pod, "agent")
    ours = DnsSettings()
    assert mine.keys() == {str(ours.run_dir), str(ours.state_dir)}
    for path, volume in mine.items():
        assert agents[path] is volume
        assert volume["hostPath"] == {"path": path, "type": "DirectoryOrCreate"}


@pytest.mark.parametrize("mode", ["closed", "forward"])
def test_the_dns_proxy_is_told_what_the_agent_is_told(mode: str) -> None:
    """One that lets the lease go where the kernel waits for it, or the other way round, would close or open names."""
    (found,) = [one for one in pod_of(names={"mode": mode})["containers"] if one["name"] == "names"]
    assert found["args"][:2] == ["agent", "dns"]
    told = dns.make_context("dns", found["args"][2:]).params
    assert (told["while_down"], told["standby"], told["lock_fd"]) == (mode, True, None)
    assert (told["run_dir"], told["state_dir"]) == (DnsSettings().run_dir, DnsSettings().state_dir)


def test_envoy_sees_its_folder_and_nothing_else() -> None:
    """It is gone with a reboot, when addresses belong to others, and outlives each of the three that use it."""
    pod = pod_of()
    folder = str(SETTINGS.envoy_dir)
    for container in ("envoy", "envoy-folder"):
        assert mounts(pod, container) == {folder: {"name": "envoy", "emptyDir": {"medium": "Memory"}}}
    assert mounts(pod, "agent")[folder] is mounts(pod, "envoy")[folder]
    assert [one["name"] for one in pod["initContainers"]] == ["boot", "envoy-folder"]


def test_envoy_is_called_as_the_agent_would_call_it() -> None:
    """And listens where the kernel hands over."""
    (found,) = [one for one in pod_of()["containers"] if one["name"] == "envoy"]
    assert tuple(found["args"]) == arguments(envoy_of(SETTINGS).proxying)
    port = Options().proxy_port
    assert [(one["containerPort"], one["hostPort"]) for one in found["ports"]] == [(port, port)]


def test_what_is_removed_has_neither() -> None:
    """They would go on beside an agent that takes its rules away."""
    pod = pod_of(mode="remove")
    assert [one["name"] for one in containers(pod)] == ["uninstall", "removed"]
    assert "envoy" not in {one["name"] for one in pod["volumes"]}
