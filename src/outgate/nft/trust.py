"""Which connections are believed that were judged under an older epoch, where policies may keep what is live.

Chain ``est`` hands over what does not carry the current number. A number that is not 0 says that the connection was
judged once, and allowed. That is still believed if neither end is *distrusted*: then the connection gets the current
number without being judged, so each asks here once in an epoch. The sets of distrusted addresses hold

    the pods of this node that an enforced policy selects which cuts (`outgate.policy.established`)
    addresses of this node's pods that another one claims, too
    whoever has an address that was another's, until no connection of it carries an older number any more
    who comes to be believed for another reason, until then likewise

The agent sees to all of them (`outgate.agent.trust`). Whoever is put into a set is put there by the transaction that
raises the epoch. Where no policy keeps anything there is none of this, and what is older is judged anew.
"""

from __future__ import annotations

from outgate.nft.epoch import EST, STAMP
from outgate.nft.objects import RETURN, Chain, ChainRule, Compare, Field, KeyType, Lookup, NftSet, Ruleset, goto

__all__ = ["DISTRUSTED", "OLDER", "believes", "distrusted_set", "older"]

OLDER = "older"
"""The chain of connections that do not carry the current epoch."""
DISTRUSTED = {4: "distrusted4", 6: "distrusted6"}
"""The sets of addresses whose older numbers are not believed, by family."""


def distrusted_set(family: int) -> NftSet:
    """The declaration of the set of a family."""
    return NftSet(DISTRUSTED[family], (KeyType.IPV4_ADDR if family == 4 else KeyType.IPV6_ADDR,))


def older(mask: int) -> Chain:
    """The chain itself; it returns what has to be judged."""
    ends = (
        (4, Field.IP_SADDR),
        (4, Field.IP_DADDR),
        (6, Field.IP6_SADDR),
        (6, Field.IP6_DADDR),
    )
    return Chain(
        OLDER,
        (
            ChainRule((Compare(Field.CT_MARK, 0, 0, mask=mask), RETURN), "nobody has judged it"),
            *(ChainRule((Lookup((end,), DISTRUSTED[family]), RETURN)) for family, end in ends),
            ChainRule((goto(STAMP),)),
        ),
    )


def believes(ruleset: Ruleset) -> bool:
    """Whether older epochs are believed in a table, as far as they are here."""
    led = any(goto(OLDER) in rule.statements for rule in ruleset.chains.get(EST, Chain(EST)).rules)
    return led and OLDER in ruleset.chains and ruleset.sets.keys() >= set(DISTRUSTED.values())
