"""The first thing after a reboot: the rules of before, into an empty kernel, before a pod can start.

No API server is asked, and nothing is decided. The saved table is loaded if there is none of ours; where there is one
(the agent's container has only restarted), it is not touched. Where pods were behind a bridge, the guard of its ports
(`outgate.nft.guard`) comes back in the same transaction: a pod that is born with the address of one that was there
before the reboot has another port, and nothing of the other's rights. What cannot be loaded must not leave the node
open by accident: if policies were enforced, a table is loaded in which no pod may talk, until the agent has heard of
all.

    our table stands          ─► nothing is done
    nothing was saved         ─► nothing is done: this node has never enforced
    the ruleset loads         ─► the node is as it was
    nft refuses it            ─► the closed table; where there is none, the node is open, and that is said

deploy/boot/outgate-boot.service does the same without Python, before kubelet.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from outgate.agent.store import CLOSED, RULESET, Store
from outgate.errors import KernelError, NotPermitted, one_line
from outgate.host.nft import Nftables
from outgate.policy import Mode

__all__ = ["Booted", "Outcome", "boot"]


class Outcome(enum.Enum):
    """How the node stands."""

    STANDING = "standing"
    """Our table was there and is as it was."""
    NOTHING = "nothing"
    """Nothing was saved, so there is nothing to load: open."""
    LOADED = "loaded"
    """The rules of before are in force."""
    CLOSED = "closed"
    """No pod may talk until the agent runs."""
    OPEN = "open"
    """Something was saved and nothing of it could be loaded."""


@dataclass(frozen=True, slots=True)
class Booted:
    """What `boot` did."""

    outcome: Outcome
    words: str
    """One sentence for a log."""
    faults: tuple[str, ...] = ()
    """What was wrong, in nft's words where they are nft's."""


def boot(store: Store, door: Nftables) -> Booted:
    """Load what was saved, if our table is not in the kernel.

    Raises:
        NotPermitted: the caller may not change the kernel's tables.
        KernelError: nft is missing, or the kernel cannot be asked.
    """
    if door.stands():
        return Booted(Outcome.STANDING, "the table inet outgate stands and was not touched")
    text, fault = store.ruleset(RULESET)
    if not text and not fault and not (store.folder / CLOSED).exists():
        return Booted(Outcome.NOTHING, f"nothing is saved in {store.folder}: there are no rules yet")
    faults = [fault] if fault else []
    if text and _loaded(door, text, faults):
        return _done(door, Outcome.LOADED, f"loaded the rules saved at {_written(text)}", faults)
    return _close(store, door, faults)


def _close(store: Store, door: Nftables, faults: list[str]) -> Booted:
    text, fault = store.ruleset(CLOSED)
    if fault:
        faults.append(fault)
    if text and _loaded(door, text, faults):
        return _done(door, Outcome.CLOSED, "no pod of this node may talk until the agent runs", faults)
    known = store.load()
    faults += known.notes
    if known.mode is Mode.AUDIT:
        why = "its default was to watch"
    elif known.mode is None:
        why = "it is not known whether it enforced"
    else:
        why = "it is not known what its pods are known by, or the table that closes it cannot be loaded"
    return Booted(Outcome.OPEN, f"this node is OPEN, no rule is in force: {why}", tuple(faults))


def _loaded(door: Nftables, text: str, faults: list[str]) -> bool:
    try:
        door.load(text)
    except NotPermitted:
        raise
    except KernelError as error:
        if "File exists" in error.message and door.stands():
            return True  # somebody was faster: the first line of the text refuses to add to a table
        faults.append(one_line(error.message))
        return False
    return True


def _done(door: Nftables, outcome: Outcome, words: str, faults: list[str]) -> Booted:
    # nft says 0 and has done it; a text that is somebody else's would have made another table.
    if not door.stands():
        faults.append("nft loaded a text that does not make the table inet outgate")
        return Booted(Outcome.OPEN, "this node is OPEN, no rule of ours is in force", tuple(faults))
    return Booted(outcome, words, tuple(faults))


def _written(text: str) -> str:
    return text.partition("\n")[0].rpartition('"written": "')[2].partition('"')[0]
