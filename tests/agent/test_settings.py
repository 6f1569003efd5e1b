"""The choices of an agent, and the ruleset's options that follow from them."""

from __future__ import annotations

import dataclasses

import pytest

from outgate.agent.settings import AUTO, Settings
from outgate.nft.options import Options
from outgate.policy import Mode

SHARED = {"mark_mask", "reject", "log_group", "log_allowed", "mode", "open_at_birth"}


@pytest.mark.parametrize("name", sorted(SHARED))
def test_a_choice_reaches_the_ruleset(name: str) -> None:
    """One that is read and then forgotten is worse than one that does not exist."""
    other = {"mark_mask": 0xFF00, "log_group": 9, "mode": Mode.AUDIT}.get(name, True)
    chosen = dataclasses.replace(Settings("here"), **{name: other})  # type: ignore[arg-type] # of that field
    assert getattr(chosen.options("og"), name) == other
    assert getattr(Settings("here").options("og"), name) != other


def test_who_chooses_nothing_enforces() -> None:
    """And is closed at birth; whose interfaces are pods' is found out, never guessed here."""
    plain = Settings("here")
    assert plain.options("og") == Options(interface_prefix="og", mode=Mode.ENFORCE, log_group=5)
    assert plain.interface_prefix == AUTO
    assert plain.options("").interface_prefix == ""


@pytest.mark.parametrize(
    ("names", "there", "leased"), [("off", False, False), ("closed", True, False), ("forward", True, True)]
)
def test_names_reach_the_ruleset_and_the_proxy(names: str, there: bool, leased: bool) -> None:
    """Both must agree about what happens while there is no proxy."""
    chosen = dataclasses.replace(Settings("here"), names=names)
    assert (chosen.options("").names, chosen.options("").names_leased, chosen.dns.leased) == (there, leased, leased)
    assert (chosen.dns.run_dir, chosen.dns.state_dir) == (chosen.run_dir, chosen.state_dir)


def test_files_are_in_their_folders() -> None:
    """What two agents must share is one path; what a reboot clears is not among what is kept."""
    plain = Settings("here")
    files = [plain.lock_file, plain.status_file, plain.log_file, plain.cni_socket]
    assert {one.parent for one in files} == {plain.run_dir}
    assert len(set(files)) == len(files)
    assert not plain.run_dir.is_relative_to(plain.state_dir)


def test_requests_are_looked_into_only_where_there_is_envoy() -> None:
    """Without it the ruleset has nothing of it."""
    assert not Settings("here").options("og").proxied
    assert Settings("here", envoy="/usr/bin/envoy").options("og").proxied
