"""What policies mean: tiered rules with their origin, decisions over all packets, traces of one.

Every policy kind is brought into `Rule`s. `decide` and `Policies` answer for sets of packets, `judge` for
one flow with reasons. Nothing here knows how the answer is enforced or shown.
"""

from outgate.policy.decide import ClassKey, Decision, Part, Policies, decide
from outgate.policy.endpoints import Endpoint
from outgate.policy.mode import Mode
from outgate.policy.profile import OUTGATE, PROFILES, Profile
from outgate.policy.rules import Action, BlockMatch, NamedPort, Origin, PodMatch, PortMatch, Rule, Tier, Verdict
from outgate.policy.trace import Flow, Judge, Side, Trace, judge, matched, unstoppable

__all__ = [
    "OUTGATE",
    "PROFILES",
    "Action",
    "BlockMatch",
    "ClassKey",
    "Decision",
    "Endpoint",
    "Flow",
    "Judge",
    "Mode",
    "NamedPort",
    "Origin",
    "Part",
    "PodMatch",
    "Policies",
    "PortMatch",
    "Profile",
    "Rule",
    "Side",
    "Tier",
    "Trace",
    "Verdict",
    "decide",
    "judge",
    "matched",
    "unstoppable",
]
