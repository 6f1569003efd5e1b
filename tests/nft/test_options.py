"""What an administrator chooses about a ruleset."""

from __future__ import annotations

import dataclasses

import pytest

from outgate.nft.epoch import Epoch
from outgate.nft.options import LOG_BURST, LOG_RATE, Options
from outgate.policy import Mode


@pytest.mark.parametrize(("mode", "passive"), [(None, False), (Mode.ENFORCE, False), (Mode.AUDIT, True)])
def test_only_the_default_to_watch_is_passive(mode: Mode | None, passive: bool) -> None:
    """A node that drops what no policy asks it to, while it should only watch, is an outage."""
    assert Options(mode=mode).passive is passive


def test_the_defaults_close_and_fit() -> None:
    """Who chooses nothing is enforced, closed at birth, and gets drops; the epoch fits its mask."""
    plain = Options()
    assert not any((plain.passive, plain.open_at_birth, plain.reject, plain.log_allowed))
    assert Epoch(plain.mark_mask, plain.epoch).highest == 0xFFFF
    assert plain.mark_mask & 0xC000 == 0, "kube-proxy's own bits"
    assert LOG_BURST >= LOG_RATE > 0
    assert {one.name for one in dataclasses.fields(plain)} >= {"interface_prefix", "interfaces"}
