"""Settings become the options of a ruleset, and nothing of them is lost on the way."""

from __future__ import annotations

from pathlib import Path

from outgate.agent.settings import Settings
from outgate.policy import Mode


def test_each_choice_reaches_the_ruleset() -> None:
    """A choice that is taken and forgotten is a promise that the kernel does not keep."""
    given = Settings("n1", Mode.AUDIT, open_at_birth=True, reject=True, mark_mask=0xFF00, log_group=7, log_allowed=True)
    made = given.options("veth")
    assert (made.mode, made.open_at_birth, made.reject) == (Mode.AUDIT, True, True)
    assert (made.mark_mask, made.log_group, made.log_allowed, made.interface_prefix) == (0xFF00, 7, True, "veth")


def test_files_stand_in_the_run_folder() -> None:
    """Who sets one folder has set them all."""
    settings = Settings("n1", run_dir=Path("/x"))
    files = (settings.lock_file, settings.status_file, settings.log_file, settings.cni_socket)
    assert {one.parent for one in files} == {Path("/x")}
    assert len(set(files)) == 4
