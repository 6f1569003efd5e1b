"""What a node's administrator chooses about its ruleset, and what only the node knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from outgate.policy import Mode

__all__ = ["LOG_BURST", "LOG_RATE", "Options"]

LOG_RATE = 50
"""Lines a second that one chain logs at most. Beyond it lines are lost and never packets."""
LOG_BURST = 100


@dataclass(frozen=True, slots=True)
class Options:
    """The choices behind a ruleset; those of a plain `outgate compile` are the defaults."""

    interface_prefix: str = ""
    """Interfaces whose name begins so belong to pods; empty where that is not known."""
    interfaces: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """The node's end of each local pod's link; what comes in there must have the pod's address."""
    mark_mask: int = 0xFFFF0000
    """The bits of the connection mark that are ours."""
    epoch: int = 1
    """1 up to the largest number the mask holds; 0 is the mark of a connection nobody judged."""
    reject: bool = False
    """Answer a denied packet at once instead of dropping it."""
    log_group: int | None = None
    """The nflog group that denied packets are copied to; none where absent."""
    log_allowed: bool = False
    """Copy the first packet of each allowed connection to the group, too."""
    mode: Mode | None = None
    """What policies do that do not say it themselves (`outgate.policy.mode`). None: each
    is enforced, whatever it says."""
    names: bool = False
    """There is a DNS proxy on the node, and the questions of pods whose policies use names go to it."""
    names_leased: bool = False
    """They do so only for as long as it says that it lives, and are passed on plainly without it."""
    unfiltered: bool = False
    """Questions of DNS pass where rules say which names may be asked, and nobody looks at the names. For the lab, whose
    resolver is no proxy; on a node such a rule is closed without one."""
    keep: bool = False
    """Live connections that a policy no longer allows go on where the policy does not say it itself
    (`outgate.policy.established`)."""
    believing: bool = False
    """What was judged under older epochs may go on (`outgate.nft.trust`)."""
    open_at_birth: bool = False
    """Let pods that are not programmed yet talk. Without it they may not, and nobody can be faster than the policy."""

    proxied: bool = False
    """Whether there is a proxy that looks into what rules about requests and TLS names concern. Without one such rules
    open nothing."""
    proxy_port: int = 15001
    proxy_zone: int = 7
    """The zone of connection tracking in which the proxy's connections begin."""
    deliver_mark: int = 0x100
    """The bit of a packet's mark that means: to the proxy, or to a connection of its."""
    upstream_mark: int = 0x200
    """The bit of a packet's mark that means: sent by the proxy in a pod's name."""

    @property
    def passive(self) -> bool:
        """Whether nothing may be dropped that no policy asks to be: the default is to watch."""
        return self.mode is Mode.AUDIT
