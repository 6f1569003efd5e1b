"""What happens to a packet that is denied, and to one that only audited policies would deny.

    d_…   count, log, drop (or answer, where that is chosen)
    w_…   count, log, and go on as if allowed: "would be denied"

Each class of policies has its own chain, so that the counter and the log lines can be laid to them. A limit in the
rule that drops would limit the drop (nft(8), LIMIT STATEMENT: the rule matches "until this limit is reached"): log and
verdict are two rules, and past the limit lines are lost, never packets.
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.nft.objects import (
    DROP,
    RETURN,
    ChainRule,
    Compare,
    Counter,
    Field,
    Limit,
    Log,
    Reject,
)
from outgate.nft.options import LOG_BURST, LOG_RATE, Options
from outgate.packets import Protocol

__all__ = ["denial", "log_line", "warning"]


def log_line(chain: str, options: Options) -> Iterator[ChainRule]:
    """A copy of the packet to the log, with the name of the chain; nothing where nobody listens."""
    if options.log_group is not None:
        yield ChainRule((Limit(LOG_RATE, LOG_BURST), Log(f"{chain} ", options.log_group)))


def denial(chain: str, comment: str, options: Options) -> Iterator[ChainRule]:
    """The rules of a chain that denies."""
    yield ChainRule((Counter(),), comment)
    yield from log_line(chain, options)
    if options.reject:
        tcp = Compare(Field.L4PROTO, int(Protocol.TCP), int(Protocol.TCP))
        yield ChainRule((tcp, Reject("tcp reset")))
        yield ChainRule((Reject("icmpx admin-prohibited"),))
    else:
        yield ChainRule((DROP,))


def warning(chain: str, comment: str, options: Options) -> Iterator[ChainRule]:
    """The rules of a chain that would deny, and lets pass."""
    yield ChainRule((Counter(),), comment)
    yield from log_line(chain, options)
    yield ChainRule((RETURN,))
