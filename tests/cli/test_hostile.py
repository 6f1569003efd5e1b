"""Input that was written against the program: every verb answers or refuses, and never falls over.

An answer is an exit code of the contract: 0, 1, or 2. A traceback, whatever it says, means that somebody's manifest has
reached a line that was not written for it.
"""

from __future__ import annotations

import copy
import csv
import io
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outgate.cli.main import main

Node = dict[str, Any] | list[Any]

CLUSTER: list[dict[str, Any]] = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "labels": {"team": "red"}}},
    {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "n"},
        "status": {"addresses": [{"type": "InternalIP", "address": "192.168.0.1"}]},
    },
    {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x", "namespace": "a", "labels": {"app": "x"}, "annotations": {"note": "one\ntwo"}},
        "spec": {
            "nodeName": "n",
            "containers": [{"name": "c", "image": "i", "ports": [{"name": "http", "containerPort": 80}]}],
        },
        "status": {"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]},
    },
    {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "y", "namespace": "a"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "y"}},
            "template": {"metadata": {"labels": {"app": "y"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
        },
    },
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s", "namespace": "a"},
        "spec": {
            "clusterIP": "10.96.0.1",
            "selector": {"app": "x"},
            "ports": [{"name": "h", "port": 80, "targetPort": "http"}],
        },
    },
    {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "s-1", "namespace": "a", "labels": {"kubernetes.io/service-name": "s"}},
        "addressType": "IPv4",
        "endpoints": [
            {
                "addresses": ["10.0.0.1"],
                "conditions": {"ready": True},
                "targetRef": {"kind": "Pod", "name": "x", "namespace": "a"},
            }
        ],
        "ports": [{"name": "h", "port": 80, "protocol": "TCP"}],
    },
    {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "i", "namespace": "a"},
        "spec": {
            "rules": [
                {
                    "http": {
                        "paths": [
                            {
                                "path": "/",
                                "pathType": "Prefix",
                                "backend": {"service": {"name": "s", "port": {"number": 80}}},
                            }
                        ]
                    }
                }
            ]
        },
    },
    {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "p", "namespace": "a"},
        "spec": {
            "podSelector": {"matchLabels": {"app": "x"}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {"from": [{"podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["y"]}]}}]}
            ],
            "egress": [
                {
                    "to": [
                        {"namespaceSelector": {"matchLabels": {"team": "red"}}, "podSelector": {}},
                        {"ipBlock": {"cidr": "203.0.113.0/24", "except": ["203.0.113.128/25"]}},
                    ],
                    "ports": [{"protocol": "TCP", "port": 1000, "endPort": 2000}, {"port": "http"}],
                }
            ],
        },
    },
]
"""One of everything that is looked at."""

TESTS = """
apiVersion: outgate.dev/v1
kind: ReachabilityTest
assertions:
- {from: every pod, only: [{to: 203.0.113.0/24, port: 1000-2000}], ignore: dns}
- {to: "a/*", exactly: [{from: every pod}]}
"""

WORDS: tuple[object, ...] = (
    None,
    True,
    0,
    -1,
    65536,
    10**30,
    1.5,
    "",
    " ",
    "a",
    "=cmd|'/c calc'!A0",
    "</script><script>alert(1)</script>",
    '"];\n}',
    "|",
    "\x1b[31mred",
    "\u202egnp",
    "\U0001f4a5",
    "\ud800",
    "\x00",
    "x" * 300,
    "10.0.0.0/8",
    "::/0",
    [],
    {},
    [[]],
    {"": ""},
    [None],
)
"""What may stand in the place of anything."""


def verbs(folder: str) -> Iterator[list[str]]:
    """Every verb of analysis, in every format."""
    given_f = ["-f", f"{folder}/input.json"]
    for form in ("text", "json", "csv", "markdown", "mermaid", "dot", "html"):
        yield ["list", *given_f, "-o", form]
    for form in ("text", "json", "csv", "markdown", "html"):
        yield ["diff", f"{folder}/before.json", f"{folder}/input.json", "-o", form]
    for form in ("text", "json", "csv", "markdown"):
        yield ["exposure", *given_f, "-o", form]
    for form in ("mermaid", "dot", "json", "html"):
        yield ["graph", *given_f, "-o", form, "a/x"]
    for form in ("text", "json", "junit"):
        yield ["test", f"{folder}/tests.yaml", *given_f, "--coverage", "-o", form]
    for form in ("text", "json"):
        yield ["can-reach", *given_f, "a/x", "a/y:80", "-o", form]
    yield ["list", *given_f, "--profiles-differ"]


def write(folder: Path, objects: object) -> str:
    """The objects as a list in a file, beside what is compared with it and what is asserted."""
    for name, items in (("before", CLUSTER), ("input", objects)):
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=1)
        (folder / f"{name}.json").write_text(text)
    (folder / "tests.yaml").write_text(TESTS)
    return str(folder)


def places(value: object) -> Iterator[tuple[Node, Any]]:
    """Every value of a tree, as its parent and its key or index there."""
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from places(value[key])


def mutated(data: st.DataObject, cluster: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A copy in which up to three values are gone, are another's, stand twice, or are something else."""
    found = copy.deepcopy(cluster)
    for _ in range(data.draw(st.integers(1, 3))):
        everywhere = list(places(found))
        parent, key = everywhere[data.draw(st.integers(0, len(everywhere) - 1))]
        match data.draw(st.sampled_from(("drop", "replace", "borrow", "rename", "double"))):
            case "drop":
                del parent[key]
            case "borrow":
                other, where = everywhere[data.draw(st.integers(0, len(everywhere) - 1))]
                parent[key] = copy.deepcopy(other[where])
            case "rename" if isinstance(parent, dict):
                parent[data.draw(st.sampled_from(("", "x", "Name", "a.b/c", "\u202e")))] = parent.pop(key)
            case "double" if isinstance(parent, list):
                parent.insert(key, copy.deepcopy(parent[key]))
            case _:
                parent[key] = copy.deepcopy(data.draw(st.sampled_from(WORDS)))
    return found


STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]|\u202e")
"""What moves a terminal; the lines of CSV, which end with two characters (RFC 4180), are taken for lines before."""

LOCATED = re.compile(r"(set apart|error|warning): \S+\.(json|yaml)(:[0-9]+)?: .|(note|hint): .|warning: .|error: .")


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_manifest_makes_a_verb_fall_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: st.DataObject
) -> None:
    """Whatever is missing, doubled or of the wrong type: an answer, or an error that says where."""
    folder = write(tmp_path, mutated(data, CLUSTER))
    words = data.draw(st.sampled_from(list(verbs(folder))))
    code = main(words)
    said = capsys.readouterr()
    assert code in (0, 1, 2), (words, said.err)
    assert "Traceback" not in said.err
    assert [line for line in said.err.splitlines() if not LOCATED.match(line)] == []
    assert said.out or code == 2
    assert not STEERING.search(said.out.replace("\r\n", "\n"))


def named(name: str) -> list[dict[str, Any]]:
    """The cluster with a text wherever a manifest may hold one that is not checked, and where it is checked."""
    found = copy.deepcopy(CLUSTER)
    found[2]["metadata"]["annotations"]["note"] = name
    found[7]["metadata"]["annotations"] = {"note": name}
    found.append(copy.deepcopy(found[2]))
    found[-1]["metadata"] |= {"name": name, "labels": {"app": name}}
    return found


HOSTILE = [one for one in WORDS if isinstance(one, str) and one.strip() not in ("", "a")]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_refused_or_escaped(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The name is refused, and its place said; what is left of the text in an answer is no syntax of the format."""
    folder = write(tmp_path, named(name))
    for words in verbs(folder):
        code = main(words)
        said = capsys.readouterr()
        assert code in (0, 1, 2), said.err
        if name == "\ud800" and code == 2:
            assert "no JSON" in said.err
            continue
        assert "input.json" in said.err, words
        for text in (said.out.replace("\r\n", "\n"), said.err):
            assert not STEERING.search(text), words
        sound(words[words.index("-o") + 1] if "-o" in words else "text", said.out)


def sound(form: str, text: str) -> None:
    """Raise where a text is none of its format."""
    match form:
        case "json":
            json.loads(text)
        case "junit":
            ElementTree.fromstring(text)
        case "csv":
            rows = list(csv.reader(io.StringIO(text)))
            assert len({len(row) for row in rows}) == 1
            assert not [cell for row in rows for cell in row if cell.startswith(("=", "@", "\t", "\r"))]
        case "html":
            scripts = Scripts()
            scripts.feed(text)
            assert scripts.count == HOW_MANY_SCRIPTS
        case "markdown":
            table = [line for line in text.splitlines() if line.startswith("|")]
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) <= 2


HOW_MANY_SCRIPTS = 3


class Scripts(HTMLParser):
    """Counts the scripts of a page."""

    count = 0

    def handle_starttag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
        """Called for each element that begins."""
        self.count += tag == "script"
