"""Where the proxy's files are."""

from __future__ import annotations

from pathlib import Path

from outgate.agent.dns_settings import DnsSettings


def test_orders_have_a_folder_of_their_own() -> None:
    """It is watched: what the agent writes beside them every second must wake nobody."""
    settings = DnsSettings(run_dir=Path("/r"), state_dir=Path("/s"))
    files = {settings.status_file, settings.lock_file, settings.memory_file}
    assert settings.orders_file.parent not in {one.parent for one in files}
    assert {settings.status_file.parent, settings.lock_file.parent} == {Path("/r")}
    assert settings.memory_file.parent == Path("/s"), "it outlives a reboot"
