"""What a lab found out, as data: every probe with what was expected and what was observed.

`lab_text` makes a matrix of it for people, `lab_json` the document `LabReport`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from outgate.packets import Address, Protocol
from outgate.policy import Endpoint, Origin, Side, Verdict
from outgate.report.lab_names import NameResult, QuestionResult
from outgate.report.lab_requests import RequestResult

__all__ = ["KernelRule", "LabReport", "ProbeResult"]


@dataclass(frozen=True, slots=True)
class KernelRule:
    """The rule of a node's kernel that decides about a packet, as the listed ruleset has it."""

    node: str
    hook: str
    chain: str
    comment: str
    verdict: str

    def __str__(self) -> str:
        comment = f' "{self.comment}"' if self.comment else ""
        return f"{self.node}, {self.hook}: {self.chain}{comment} {self.verdict}"


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One probe and what came of it."""

    source: Endpoint
    destination: Endpoint
    """Who was meant; behind a Service with several backends, the one that answered, or the first."""
    address: Address
    """What was dialled."""
    protocol: Protocol
    port: int
    """0 for an ICMP echo."""
    via: str
    expected: Verdict
    observed: Verdict
    evidence: str
    """What was seen, in words."""
    egress: Side
    ingress: Side
    """What the policies say on each end."""
    service: str = ""
    backends: int = 1
    """How many ends the Service leads to."""
    mixed: bool = False
    """The policies treat those ends differently, so that the result hangs on which of them was picked."""
    name: str = ""
    """The DNS name that was asked for."""
    reason: str = ""
    """Why the address was worth a probe."""
    specified: bool = True
    demanded: Verdict | None = None
    """What the file of flows says must come of it."""
    misled: bool = False
    """An answer came, and from the wrong party: a disagreement whatever was expected."""
    kernel: tuple[KernelRule, ...] = ()
    """The kernel rules that decided, in the order in which the packet meets them; looked up for disagreements."""

    @property
    def disagrees(self) -> bool:
        """Whether prediction, packets and the file of flows do not all say the same."""
        if self.misled or self.observed is not self.expected:
            return True
        return self.demanded is not None and self.demanded is not self.observed

    @property
    def decided_by(self) -> Origin | None:
        """Who denied it, the first end first; None where nobody did."""
        side = next((one for one in (self.egress, self.ingress) if not one.verdict.allows), None)
        return side.decided_by if side is not None else None


@dataclass(frozen=True, slots=True)
class LabReport:
    """A whole run."""

    topology: Mapping[str, Any]
    """As the JSON document has it: nodes, pods, their addresses."""
    probes: tuple[ProbeResult, ...]
    seconds: float
    """From the first namespace to the last answer."""
    enforced: bool = True
    policies: tuple[Origin, ...] = ()
    notes: tuple[str, ...] = field(default=())
    """What was left out, in sentences."""
    unmentioned: int | None = None
    """The port that stands for all that nobody mentions."""
    at_once: int = 0
    """Probes that had room under the limit of open files at a time."""
    requests: tuple[RequestResult, ...] = ()
    """What came of requests and TLS names, where policies have rules about them and there was a proxy."""
    names: tuple[NameResult, ...] = ()
    """What came of connections to names that move, where policies have rules about names."""
    questions: tuple[QuestionResult, ...] = ()
    """What came of questions for names that may be asked for, and that may not."""
    moved: tuple[str, ...] = ()
    """The names that led elsewhere in the course of the run."""

    @property
    def disagreements(self) -> tuple[ProbeResult, ...]:
        """The probes that disagree."""
        return tuple(one for one in self.probes if one.disagrees)

    @property
    def misjudged(self) -> tuple[RequestResult, ...]:
        """The requests that disagree."""
        return tuple(one for one in self.requests if one.disagrees)

    @property
    def misnamed(self) -> tuple[NameResult | QuestionResult, ...]:
        """What names opened, or questions were answered, that disagrees."""
        every: tuple[NameResult | QuestionResult, ...] = (*self.names, *self.questions)
        return tuple(one for one in every if one.disagrees)

    @property
    def asked(self) -> int:
        """How many questions of DNS were asked for the sake of rules about names."""
        return sum(one.asked for one in self.names) + len(self.questions)

    @property
    def count(self) -> int:
        """How many disagreements there are."""
        return len(self.disagreements) + len(self.misjudged) + len(self.misnamed)

    @property
    def agrees(self) -> bool:
        """Whether everything came as predicted."""
        return not self.count
