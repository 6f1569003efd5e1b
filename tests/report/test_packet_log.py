"""A line of the log as JSON and as text: nothing that a stranger named leaves its line."""

from __future__ import annotations

import re

import msgspec
import pytest

from outgate.report.packet_log import LogRecord, Party, PodName, Workload, record_text, rule_words

DENIED = LogRecord(
    time="2026-11-26T03:00:00.123Z",
    node="node-a",
    verdict="denied",
    direction="egress",
    pod=PodName("shop", "web"),
    workload=Workload("Deployment", "web"),
    peer=Party("Pod", "shop", "postgres"),
    source="10.0.0.1",
    destination="10.0.0.2",
    protocol="TCP",
    port=5432,
    policy="shop/deny",
    policies=({"name": "deny"},),
    rule="isolated, nothing allows",
)


def text(record: LogRecord) -> str:
    """Without colours."""
    return re.sub(r"\x1b\[[0-9]*m", "", record_text(record))


def test_a_denied_packet() -> None:
    """Who, to whom, by what, in columns."""
    assert text(DENIED) == (
        "2026-11-26T03:00:00.123Z denied      egress  shop/web                     -> shop/postgres                "
        "TCP 5432     shop/deny: isolated, nothing allows"
    )


def test_columns_stand_under_each_other() -> None:
    """Whatever the verdict is."""
    other = msgspec.structs.replace(
        DENIED, verdict="would-deny", direction="ingress", peer=Party("External", cidrs=("1.1.1.1/32",)), protocol="UDP"
    )
    assert text(other).index("shop/web") == text(DENIED).index("shop/web")
    assert "<- 1.1.1.1 " in text(other)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"decided_by": {"rule": 0}, "rule": "shop/web egress[0]", "verdict": "allowed"},
            "TCP 5432     shop/web egress[0]",
        ),
        ({"port": None, "protocol": "ICMP", "icmp_type": 8}, "ICMP type 8  shop/deny: isolated, nothing allows"),
        ({"reply": True}, "nothing allows (an answer)"),
        ({"pod": None}, " 10.0.0.1 "),
        ({"peer": Party("Node", name="node-b")}, "-> node/node-b "),
        ({"peer": None, "protocol": None, "port": None, "direction": None, "pod": None, "source": None}, "? "),
    ],
)
def test_what_else_may_be(changed: dict[str, object], words: str) -> None:
    """And what is not known is a question mark."""
    assert words in text(msgspec.structs.replace(DENIED, **changed))


def test_the_line_is_json_with_names_that_stay() -> None:
    """Other tools read it."""
    found = msgspec.json.decode(msgspec.json.encode(DENIED))
    assert found["pod"] == {"namespace": "shop", "name": "web"}
    assert found["peer"] == {"kind": "Pod", "namespace": "shop", "name": "postgres"}
    assert found["icmpType"] is None
    assert found["decidedBy"] is None
    assert msgspec.json.decode(msgspec.json.encode(DENIED), type=LogRecord) == DENIED


@pytest.mark.parametrize("evil", ["a\nb", "a\x1b[2Jb", "a\r\x00b", "a\u202eb"])
def test_names_stay_on_their_line(evil: str) -> None:
    """They are printed on a terminal."""
    fields = ("time", "verdict", "direction", "protocol", "policy", "rule")
    record = msgspec.structs.replace(
        DENIED, pod=PodName(evil, evil), peer=Party("Pod", evil, evil), **dict.fromkeys(fields, evil)
    )
    assert text(record).isprintable()


def test_what_decided_in_words() -> None:
    """For each verdict."""
    assert [rule_words(verdict, "x[0]") for verdict in ("allowed", "denied", "would-deny")] == ["x[0]"] * 3
    words = [rule_words(verdict) for verdict in ("denied", "would-deny", "unknown-pod")]
    assert words == [
        "isolated, nothing allows",
        "isolated by audited policies alone, nothing allows",
        "the pod is not programmed",
    ]
