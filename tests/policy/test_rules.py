"""What a manifest means once it is rules: policyTypes (semantics A2), and nothing against empty (A3), row by row."""

from __future__ import annotations

import pytest

from outgate.model import Direction
from outgate.packets import Protocol, TransportSet
from outgate.policy import Action, BlockMatch, NamedPort, PodMatch, Tier, Verdict
from outgate.policy.rules import Rule, origin_of, rules_of
from outgate.testing import TO_DB, policy, snapshot_of
from tests.policy.asking import Row, names
