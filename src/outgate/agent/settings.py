"""What an agent is told: by options of `outgate agent run`, or by variables of its environment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from outgate.agent.dns_settings import DnsSettings
from outgate.nft.options import Options
from outgate.policy import Mode

__all__ = ["AUTO", "SIDECAR", "Settings"]

AUTO = "auto"
"""The name prefix of pods' interfaces is found out."""
SIDECAR = "sidecar"
"""Envoy is run by somebody else, in a container beside the agent's, on the folder `Settings.envoy_dir`."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The choices of one agent. The defaults enforce."""

    node: str
    mode: Mode = Mode.ENFORCE
    """What policies do that do not say it themselves."""
    open_at_birth: bool = False
    """Pods may talk before their policies are in."""
    keep: bool = False
    """Live connections go on that a policy no longer allows which does not say it itself."""
    reject: bool = False
    mark_mask: int = 0xFFFF0000
    log_group: int | None = 5
    log_allowed: bool = False
    state_dir: Path = Path("/var/lib/outgate")
    run_dir: Path = Path("/run/outgate")
    listen: str = "127.0.0.1:9765"
    """Where ``/livez``, ``/readyz`` and ``/metrics`` are served; nowhere where empty."""
    interface_prefix: str = AUTO
    all_nodes: bool = False
    """Watch all Nodes, for policies of the whole cluster with peers of nodes. Each says every few minutes, in 15 kB,
    that it is well, so in a cluster of 5 000 that is 250 kB a second for each agent."""
    names: str = "off"
    """Whether rules about names are enforced by a DNS proxy; ``off``: they open nothing. While it is not there, pods
    that have such rules get no answer (``closed``), or are answered as if there were none (``forward``)."""
    cluster_cidrs: tuple[str, ...] = ()
    """Blocks of the cluster's pods and Services, whose addresses no name opens."""
    write_events: bool = True
    """Write Events to the API server, where that is allowed."""

    envoy: str = ""
    """The program of Envoy, which looks into requests where policies have rules about them, or `SIDECAR`. Without it
    such rules let nothing through."""

    @property
    def envoy_dir(self) -> Path:
        """What Envoy is told, and what it tells."""
        return self.run_dir / "envoy"

    @property
    def lock_file(self) -> Path:
        """Held by the one agent of this node for as long as it lives."""
        return self.run_dir / "agent.lock"

    @property
    def status_file(self) -> Path:
        """The last status, as JSON."""
        return self.run_dir / "status.json"

    @property
    def log_file(self) -> Path:
        """The log of packets, one JSON object a line."""
        return self.run_dir / "packets.jsonl"

    @property
    def request_log(self) -> Path:
        """The log of requests that Envoy refused, likewise."""
        return self.run_dir / "requests.jsonl"

    @property
    def cni_socket(self) -> Path:
        """Where the network plugin asks."""
        return self.run_dir / "cni.sock"

    @property
    def dns(self) -> DnsSettings:
        """What the DNS proxy is told at its start."""
        return DnsSettings(self.run_dir, self.state_dir, leased=self.names == "forward")

    def options(self, interface_prefix: str) -> Options:
        """The options of the ruleset, once it is known what pods' interfaces are called (empty: it is not)."""
        return Options(
            interface_prefix=interface_prefix,
            mark_mask=self.mark_mask,
            keep=self.keep,
            reject=self.reject,
            log_group=self.log_group,
            log_allowed=self.log_allowed,
            mode=self.mode,
            open_at_birth=self.open_at_birth,
            names=self.names != "off",
            names_leased=self.names == "forward",
            proxied=bool(self.envoy),
        )
