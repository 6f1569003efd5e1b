"""What becomes of a denied packet, and of one that would be denied."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from outgate.nft.denial import denial, log_line, warning
from outgate.nft.evaluate import Fate, Header, evaluate
from outgate.nft.objects import DROP, RETURN, Chain, ChainRule, Counter, Hook, Judgement, Limit, Log, Ruleset, jump
from outgate.nft.options import LOG_BURST, LOG_RATE, Options

CHOICES = [Options(), Options(reject=True), Options(log_group=5), Options(log_group=5, reject=True)]


def fate(rules: Iterable[ChainRule], protocol: int) -> Fate:
    """What becomes of a packet that a hook leads into a chain of these rules."""
    chains = {
        "d": Chain("d", tuple(rules)),
        "forward": Chain("forward", (ChainRule((jump("d"),)),), Hook("forward", 0)),
    }
    return evaluate(Ruleset(chains), "forward", Header(4, 1, 2, protocol, 1, 2)).fate


@pytest.mark.parametrize("options", CHOICES)
@pytest.mark.parametrize("protocol", [1, 6, 17, 47, 132])
def test_a_denial_denies_and_a_warning_does_not(options: Options, protocol: int) -> None:
    """Of whatever protocol the packet is, and whether or not somebody listens."""
    denied = Fate.REJECT if options.reject else Fate.DROP
    assert fate(denial("d", "why", options), protocol) is denied
    assert fate(warning("d", "why", options), protocol) is Fate.ACCEPT


@pytest.mark.parametrize("options", CHOICES)
def test_a_limit_never_stands_before_the_verdict(options: Options) -> None:
    """Past its rate a rule ends: with the verdict in it, a flood of denied packets would be let through."""
    for rules in (tuple(denial("d", "why", options)), tuple(warning("d", "why", options))):
        for rule in rules:
            limited = any(isinstance(one, Limit) for one in rule.statements)
            assert not (limited and any(isinstance(one, Judgement) for one in rule.statements))
        assert rules[0] == ChainRule((Counter(),), "why")
        assert rules[-1].statements[-1] in {DROP, RETURN} or options.reject


def test_a_line_names_its_chain() -> None:
    """By the name the reader of the log finds the policy; the space ends it."""
    (line,) = log_line("d_abc", Options(log_group=7))
    assert line.statements == (Limit(LOG_RATE, LOG_BURST), Log("d_abc ", 7))
    assert list(log_line("d_abc", Options())) == []
    assert list(log_line("d_abc", Options(log_group=0))) != [], "group 0 is a group"


def test_tcp_is_reset_and_the_rest_is_told() -> None:
    """A reset is understood by TCP alone."""
    kinds = [rule.statements[-1] for rule in denial("d", "why", Options(reject=True))][-2:]
    assert [getattr(one, "kind", "") for one in kinds] == ["tcp reset", "icmpx admin-prohibited"]
