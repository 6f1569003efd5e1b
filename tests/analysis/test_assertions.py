"""Files of assertions: what they may say, and that all mistakes are said at once, each with its line."""

from __future__ import annotations

import ipaddress

import pytest

from outgate.analysis.assertions import Verb, is_suite, read
from outgate.cluster.files import documents_of
from outgate.cluster.reading import Unreadable
from outgate.errors import InputError, InvalidInput
from outgate.model import Direction, Document
from outgate.policy import OUTGATE
from tests.analysis.suites import HEAD, assertion, suite

FLOWS = "apiVersion: outgate.dev/v1\nkind: FlowList\nflows:\n"


def errors_of(text: str) -> list[tuple[int, str]]:
    """Line and path of everything that is wrong."""
    return [(one.line, one.path) for one in complaints(text)]


def complaints(text: str) -> tuple[InputError, ...]:
    """Everything that is wrong."""
    documents = list(documents_of(text.encode(), "tests.yaml", Unreadable()))
    with pytest.raises(InvalidInput) as caught:
        read(documents)
    assert all(one.file == "tests.yaml" for one in caught.value.errors)
    return caught.value.errors


def test_an_assertion_of_every_part() -> None:
    """The subject, the verb, the entries, the ports of each, what is ignored, and the words for people."""
    found = assertion(
        "{name: ' what  web needs', because: 'no\n  more', from: shop/web, port: 443, "
        "exactly: [data/db, {to: [10.0.0.0/8, every node], ports: [53/UDP]}], ignore: dns}"
    )
    assert (found.verb, found.direction, found.name, found.because) == (
        Verb.EXACTLY,
        Direction.EGRESS,
        "what web needs",
        "no more",
    )
    assert [str(one) for one in found.entries] == ["data/db", "10.0.0.0/8, every node UDP 53"]
    assert [str(one) for one in found.ignored] == ["anywhere UDP 53, TCP 53, SCTP 53"]
    assert str(found.ports) == "443"
    assert (found.place.file, found.place.line) == ("tests.yaml", 4)
    assert found.title == "what web needs"


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ("{from: shop/web, allow: data/db}", "from shop/web: allow to data/db"),
        ("{to: data/db, port: 5432, only: [shop/web, x]}", "to data/db 5432: only from shop/web, x"),
        ("{from: shop/*, only: []}", "from shop/*: only to nobody"),
    ],
)
def test_an_assertion_without_a_name_says_itself(written: str, title: str) -> None:
    """A line of a report that says `assertion 17` sends its reader to look for the file."""
    assert assertion(written).title == title


def test_a_suite_has_names_and_a_profile() -> None:
    """One address or several; a name compares without case and without its last dot."""
    found = suite(
        "{from: a/b, deny: API.example.com}", head="names: {Api.Example.com.: [1.2.3.4, '2001:db8::1'], b: 1.1.1.1}\n"
    )
    assert found.names == {
        "api.example.com": (ipaddress.ip_address("1.2.3.4"), ipaddress.ip_address("2001:db8::1")),
        "b": (ipaddress.ip_address("1.1.1.1"),),
    }
    assert found.profile is OUTGATE


def test_every_mistake_is_said_at_once_with_its_line() -> None:
    """Whoever fixes a file of a hundred assertions does not want a hundred runs."""
    text = HEAD + "\n".join(
        (
            "names: {a: b, c: [], '*.d': 1.1.1.1, é.f: 1.1.1.1}",
            "profile: nothing",
            "surprise: 1",
            "assertions:",
            "- {from: a/b, allow: c/d, colour: red}",
            "- {from: a/b}",
            "- {from: a/b, to: c/d, allow: e/f}",
            "- {from: a/b, allow: c/d, deny: c/d}",
            "- {from: a/b, allow: {from: c/d}}",
            "- {from: a/b, allow: {to: c/d, port: 0}}",
            "- {from: a/b, allow: {to: c/d, port: 1, ports: 2}}",
            "- {from: a/b, allow: []}",
            "- {from: a/b, allow: c/d, ignore: dns}",
            "- {from: a/b, only: c/d, ignore: {}}",
            "- {name: 7, from: a/b, only: c/d}",
            "- words",
            "- {allow: c/d}",
            "- {from: a/b, allow: c/d}",
        )
    )
    assert errors_of(text) == [
        (5, "surprise"),
        (4, "profile"),
        (7, "assertions[0].colour"),
        (8, "assertions[1]"),
        (9, "assertions[2]"),
        (10, "assertions[3]"),
        (11, "assertions[4].allow.from"),
        (11, "assertions[4].allow"),
        (12, "assertions[5].allow.port"),
        (13, "assertions[6].allow.ports"),
        (14, "assertions[7].allow"),
        (15, "assertions[8].ignore"),
        (16, "assertions[9].ignore"),
        (17, "assertions[10].name"),
        (18, "assertions[11]"),
        (19, "assertions[12]"),
        (3, "names.a"),
        (3, "names.c"),
        (3, "names.*.d"),
        (3, "names.é.f"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind: Pod\napiVersion: v1\n", "no ReachabilityTest and no FlowList"),
        ("[]\n", "no ReachabilityTest"),
        (HEAD, "must be a list of assertions"),
        (HEAD + "assertions: []\n", "an empty list asserts nothing"),
        (HEAD + "names: 1\nassertions: [{from: a/b, allow: c/d}]\n", "mapping from names to addresses"),
        (HEAD + "assertions:\n- {from: a/b, from: c/d, allow: e/f}\n", "is written twice"),
        (FLOWS + "- {from: a/b, to: c/d, port: 1, expect: maybe}\n", "must be allow or deny"),
        (FLOWS + "- {from: a/b, expect: deny}\n", "is missing"),
        (FLOWS + "- {from: a/b, to: c/d, port: 1, expect: deny, x: 1}\n", "unknown field"),
        (FLOWS + "- 7\n", "must be a mapping"),
        ("apiVersion: outgate.dev/v1\nkind: FlowList\n", "must be a list of flows"),
    ],
)
def test_what_is_no_file_of_assertions(text: str, words: str) -> None:
    """A file that is passed over in silence would be a test that proves nothing."""
    assert words in " ".join(one.message for one in complaints(text))


def test_a_list_of_flows_is_read_as_assertions() -> None:
    """The older files go on to mean what they meant; a flow that expects nothing asserts nothing."""
    text = FLOWS + "\n".join(
        (
            "- {from: a/b, to: c/d, port: 53, protocol: udp, expect: Allow}",
            "- {from: a/b, to: 10.0.0.1, protocol: ICMP, expect: deny}",
            "- {from: a/b, to: c/d, port: 1}",
        )
    )
    (found,) = read(list(documents_of(text.encode(), "flows.yaml", Unreadable())))
    assert [one.title for one in found.assertions] == [
        "from a/b: allow to c/d UDP 53",
        "from a/b: deny to 10.0.0.1 ICMP",
    ]
    assert found.unasserted == 1


def test_suites_are_told_from_other_documents() -> None:
    """Assertions may lie beside manifests: a folder is searched for them."""
    kinds = ("ReachabilityTest", "FlowList", "LabReport")
    values: list[object] = [{"apiVersion": "outgate.dev/v1", "kind": kind} for kind in kinds]
    values += [{"kind": "FlowList"}, [], None]
    assert [is_suite(Document("x", one)) for one in values] == [True] * 2 + [False] * 4
