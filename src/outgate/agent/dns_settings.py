"""What the DNS proxy is told at its start; the rest comes in its orders (`proxy.orders`), and may change."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["DnsSettings"]


@dataclass(frozen=True, slots=True)
class DnsSettings:
    """Files and patience of one proxy. Times are seconds."""

    run_dir: Path = Path("/run/outgate")
    state_dir: Path = Path("/var/lib/outgate")
    leased: bool = False
    """Questions are led to the proxy only for as long as it says that it lives: without it they are forwarded plainly.
    Else they get no answer then."""
    deadline: float = 0.1
    """How long an answer waits for its addresses to be in the kernel (Cilium: tofqdns-proxy-response-max-delay)."""
    listened: float = 1.0
    """The same where an agent listens that has to tell Envoy: a connection that comes before that is not only late, it
    is refused. Envoy takes tens of milliseconds; a busy node takes its time."""
    patience: float = 6.0
    """How long a question waits for its answer. resolv.conf(5): a client asks again after 5."""
    most_questions: int = 8192
    most_of_a_pod: int = 512

    @property
    def orders_file(self) -> Path:
        """What the agent writes."""
        return self.run_dir / "dns" / "orders.json"

    @property
    def status_file(self) -> Path:
        """What the proxy counts, as JSON."""
        return self.run_dir / "dns-status.json"

    @property
    def refusals_file(self) -> Path:
        """The log of questions that were not passed on, a line of JSON each."""
        return self.run_dir / "questions.jsonl"

    @property
    def lock_file(self) -> Path:
        """Held for as long as a proxy lives, by it alone."""
        return self.run_dir / "dns.lock"

    @property
    def learned_socket(self) -> Path:
        """Where an agent listens that has to know addresses before pods do."""
        return self.run_dir / "learned.sock"

    def waiting(self) -> float:
        """How long an answer waits now."""
        return max(self.listened, self.deadline) if self.learned_socket.exists() else self.deadline

    @property
    def line_patience(self) -> float:
        """How long the agent is waited for within that; the kernel took its share before."""
        return 0.9 * max(self.listened, self.deadline)

    @property
    def memory_file(self) -> Path:
        """What was learnt, for the next start."""
        return self.state_dir / "names.msgpack"
