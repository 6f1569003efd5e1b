"""The measured agent: put together as `outgate agent run` does it, in a process that has done nothing else.

    python -m benchmarks.measured_agent URL DESCRIPTOR [all]

It follows the API server at the URL, all Nodes where that is said and else its own, and tells whoever began it, one
line of JSON for each change that is in force.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from outgate.agent.agent import Agent
from outgate.agent.kernel import Timing
from outgate.agent.loop import Observer
from outgate.agent.settings import Settings
from outgate.agent.step import Apply
from outgate.cluster.access import Access, Credentials
from outgate.cluster.watch import Pace
from outgate.host.namespaces import die_with_parent

__all__ = ["NODE", "processor", "resident"]

NODE = "node-0"
_QUICK = Pace(start=0.0, relist=0.0)


def resident() -> float:
    """Megabytes that this process has in memory now."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) / 1024


def processor() -> float:
    """Seconds that the processor has worked for this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class _Meter(Observer):
    """Tells the parent each change that is in force, and the state of the process with it."""

    def __init__(self, pipe: int, begun: float) -> None:
        self._pipe = os.fdopen(pipe, "w", buffering=1)
        self._begun = begun
        self._listed = 0.0

    def applied(self, command: Apply, timing: Timing, seconds: float, now: float) -> None:
        """One line for each change."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        said = {
            "whole": command.whole,
            "seconds": seconds,
            "late": [now - one for one in command.received],
            "since start": now - self._begun,
            "text": sum(timing.text),
            "netlink": sum(timing.netlink),
            "resident": resident(),
            "largest": usage.ru_maxrss / 1024,
            "processor": processor(),
        }
        self._pipe.write(json.dumps(said) + "\n")

    def refused(self, words: str) -> None:
        """A benchmark of refusals is none."""
        self._pipe.write(json.dumps({"refused": words}) + "\n")


def main(url: str, pipe: int, *, all_nodes: bool = False) -> None:
    """Be the agent of `NODE` until somebody ends this process."""
    begun = time.monotonic()
    die_with_parent()
    folder = Path("/run/outgate")
    folder.mkdir(exist_ok=True)
    choices: dict[str, Any] = {"interface_prefix": "veth", "listen": "", "write_events": False, "all_nodes": all_nodes}
    settings = Settings(NODE, run_dir=folder, state_dir=folder, **choices)
    access = Access("cluster:bench", urlsplit(url), Credentials)
    Agent(settings, access, (_Meter(pipe, begun),), pace=_QUICK).run()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), all_nodes="all" in sys.argv[3:])
