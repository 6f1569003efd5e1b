"""The names of Cilium's kinds, and that how they are read is loaded only where there is one."""

from __future__ import annotations

import subprocess
import sys

from outgate.model.cilium_kinds import CILIUM_KINDS, CILIUM_POLICIES, GROUP
from outgate.model.validate_cilium_schema import CILIUM_DEFINITIONS

SCRIPT = """
import sys
from outgate.model.parse import parse
from outgate.model.place import Document
metadata = {"name": "p"}
parse([Document("a", {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata})])
print([name for name in sys.modules if "outgate.model" in name and ("cilium" in name or "expression" in name)])
"""


def test_every_kind_has_its_definition() -> None:
    """A kind without one could not be checked."""
    assert set(CILIUM_KINDS) == set(CILIUM_DEFINITIONS)
    assert {kind for _, kind in CILIUM_KINDS} == {*CILIUM_POLICIES, GROUP}


def test_an_input_without_them_pays_nothing() -> None:
    """To read and to check them takes as long to load as a third of the model; what they become is little."""
    told = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "['outgate.model.cilium', 'outgate.model.cilium_kinds']"
