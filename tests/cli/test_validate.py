"""`outgate validate`: what it says, to whom, and with which exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from outgate.cli.main import main

GOOD = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: good, namespace: shop}
spec: {podSelector: {}, policyTypes: [Egress]}
"""
BAD = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: bad, namespace: shop}
spec:
  egress:
  - to:
    - {}
    ports:
    - port: 0
"""
REQUIRED = "spec.egress[0].to[0]: Required value: must specify a peer"
RANGE = "spec.egress[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"


@pytest.fixture
def manifests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in, so that files have short names."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str], list[str]]:
    """Exit code, lines of standard output and lines of standard error."""
    code = main(["validate", *arguments])
    out, err = capsys.readouterr()
    return code, out.splitlines(), err.splitlines()


def test_clean_input(manifests: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing to refuse is exit 0 and one line that says how much was looked at."""
    (manifests / "a.yaml").write_text(GOOD)
    assert run(capsys, "-f", "a.yaml") == (0, ["1 object, none refused"], [])


def test_refused_objects(manifests: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each error has its line, its object, its path and the server's words; the count comes last; exit 1."""
    (manifests / "a.yaml").write_text(f"{GOOD}---\n{BAD}---\napiVersion: v1\nkind: Secret\n---\na: [\n")
    assert run(capsys, "-f", "a.yaml") == (
        1,
        [
            f"a.yaml:14: NetworkPolicy shop/bad: {RANGE}",
            f"a.yaml:12: NetworkPolicy shop/bad: {REQUIRED}",
            "a.yaml:19: while parsing a flow node, did not find expected node content",
            "3 objects, 1 refused, 1 text that cannot be read, 1 of other kinds not looked at",
        ],
        [],
    )


def test_verbose_adds_the_whole_message(manifests: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever compares with kubectl wants the server's message in one piece."""
    (manifests / "a.yaml").write_text(BAD)
    _, out, _ = run(capsys, "-f", "a.yaml", "-v")
    assert out[2] == (f'    the API server: NetworkPolicy.networking.k8s.io "bad" is invalid: [{RANGE}, {REQUIRED}]')
    (manifests / "a.yaml").write_text("apiVersion: v1\nkind: Pod\nmetadata: {name: A}\n")
    assert run(capsys, "-f", "a.yaml", "-v")[1][1].startswith('    the API server: Pod "A" is invalid: metadata.name: ')
    (manifests / "a.yaml").write_text("apiVersion: v1\nkind: pod\nmetadata: {name: a}\n")
    assert run(capsys, "-f", "a.yaml", "-v")[1] == [
        'a.yaml:2: pod a: kind: no matches for kind "pod" in version "v1"',
        "1 object, 1 refused",
    ]


def test_what_is_not_enforced_is_named_at_its_line(manifests: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The server takes it, so nothing is refused; that such a rule is closed must not be found out later."""
    text = """apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: queue, namespace: shop}
spec:
  endpointSelector: {}
  egress:
    - toPorts:
        - ports: [{port: "9092", protocol: TCP}]
          rules:
            kafka: [{role: produce}]
    - toGroups: [{aws: {region: x}}]
"""
    (manifests / "queue.yaml").write_text(text)
    assert main(["validate", "-f", "queue.yaml"]) == 0
    err = capsys.readouterr().err.splitlines()
    kafka = "queue.yaml:10: spec.egress[0].toPorts[0].rules.kafka: CiliumNetworkPolicy shop/queue: Kafka is not parsed"
    assert err[0].startswith(f"warning: {kafka}; a rule that allows with it allows nothing")
    assert err[1].startswith(
        "warning: queue.yaml:11: spec.egress[1].toGroups[0]: CiliumNetworkPolicy shop/queue: groups"
    )
    assert main(["validate", "-f", "queue.yaml", "-o", "json"]) == 0
    told = json.loads(capsys.readouterr().out)["warnings"]
    assert [(one["line"], one["path"]) for one in told] == [
        (10, "spec.egress[0].toPorts[0].rules.kafka"),
        (11, "spec.egress[1].toGroups[0]"),
    ]


def test_warnings_are_notes(manifests: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the server warns of is no refusal: it goes to standard error, and nowhere with -q."""
    (manifests / "a.yaml").write_text(
        GOOD.replace("policyTypes: [Egress]", "egress: [{to: [{ipBlock: {cidr: '2001:DB8::/32'}}]}]") + "---\n" + GOOD
    )
    code, out, err = run(capsys, "-f", "a.yaml")
    assert (code, out, len(err)) == (0, ["2 objects, none refused"], 2)
    assert err[0].startswith("warning: a.yaml:4: spec.egress[0].to[0].ipBlock.cidr: IPv6 CIDR value")
    assert err[1].startswith("warning: a.yaml:6: NetworkPolicy shop/good is given again")
    assert run(capsys, "-f", "a.yaml", "-q") == (0, [], [])


def test_json(manifests: Path, capsys: pytest.CaptureFixture[str], repository: Path) -> None:
    """The report that other tools read has the fields that the schema promises, and no others in its errors."""
    (manifests / "a.yaml").write_text(f"{BAD}---\napiVersion: v1\nkind: Secret\n")
    code, out, err = run(capsys, "-f", "a.yaml", "-o", "json")
    report: dict[str, Any] = json.loads("\n".join(out))
    assert (code, err) == (1, [])
    assert report == {
        "apiVersion": "outgate.dev/v1",
        "kind": "ValidationReport",
        "objects": 2,
        "errors": [
            {"file": "a.yaml", "line": 9, "path": RANGE.partition(": ")[0], "message": RANGE.partition(": ")[2]},
            {"file": "a.yaml", "line": 7, "path": REQUIRED.partition(": ")[0], "message": REQUIRED.partition(": ")[2]},
        ],
        "warnings": [],
        "skipped": {"v1/Secret": 1},
    }
    schema = json.loads((repository / "docs" / "schema" / "ValidationReport.json").read_text())
    assert set(schema["required"]) <= set(report)
    assert set(schema["$defs"]["inputError"]["required"]) == set(report["errors"][0])


def test_what_cannot_be_opened_is_bad_usage(manifests: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there is the caller's mistake: exit 2, and no report that looks like an answer."""
    (manifests / "empty").mkdir()
    code, out, err = run(capsys, "-f", "no.yaml", "-f", "empty")
    assert (code, out) == (2, [])
    assert err == [
        "error: empty: this folder has no file that ends in .yaml, .yml, .json",
        "error: no.yaml: cannot be read: no such file or directory",
        "hint: give a file, a folder, or - for standard input",
    ]


def test_text_that_cannot_be_read_is_refused(manifests: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is there and is no YAML is something the server would not take: exit 1."""
    (manifests / "a.yaml").write_bytes(b"\x89PNG\r\n")
    code, out, _ = run(capsys, "-f", "a.yaml")
    assert code == 1
    assert out[-1] == "0 objects, none refused, 1 text that cannot be read"


def test_without_input(capsys: pytest.CaptureFixture[str]) -> None:
    """A newcomer who names no file is told what to name."""
    code, out, err = run(capsys)
    assert (code, out) == (2, [])
    assert err[1].startswith("hint: give manifests with -f FILE")


def test_namespace_of_objects_that_name_none(manifests: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With -n the object is named where kubectl -n would put it."""
    (manifests / "a.yaml").write_text(BAD.replace(", namespace: shop", ""))
    assert "NetworkPolicy default/bad" in run(capsys, "-f", "a.yaml")[1][0]
    assert "NetworkPolicy web/bad" in run(capsys, "-f", "a.yaml", "-n", "web", "--strict")[1][0]


CLUSTER = """\
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: world}
spec:
  tier: Admin
  priority: 1
  subject: {namespaces: {}}
  egress:
  - action: Allow
    to:
    - networks: [10.0.0.0]
"""


def test_policies_of_the_cluster(manifests: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the server's words, with the version in them; a word of the other generation is pointed out beside them."""
    (manifests / "a.yaml").write_text(CLUSTER)
    code, out, err = run(capsys, "-f", "a.yaml", "-v")
    unsupported = 'spec.egress[0].action: Unsupported value: "Allow": supported values: "Accept", "Deny", "Pass"'
    unchecked = (
        "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; "
        "correct the existing errors to complete validation"
    )
    assert code == 1
    assert out == [
        f"a.yaml:9: ClusterNetworkPolicy world: {unsupported}",
        f"a.yaml:1: ClusterNetworkPolicy world: {unchecked}",
        (
            '    the API server: ClusterNetworkPolicy.policy.networking.k8s.io "world" is invalid: '
            f"[{unsupported}, {unchecked}]"
        ),
        "1 object, 1 refused",
    ]
    assert [line.partition(": ")[2] for line in err] == [
        'a.yaml:9: spec.egress[0].action: "Allow" is a word of another version of this API: here it is "Accept"'
    ]
    (manifests / "a.yaml").write_text(CLUSTER.replace("Allow", "Deny\n    too: 1"))
    _, out, _ = run(capsys, "-f", "a.yaml", "-v")
    assert out[1] == (
        '    the API server: ClusterNetworkPolicy in version "v1alpha2" cannot be handled as a ClusterNetworkPolicy: '
        'strict decoding error: unknown field "spec.egress[0].too"'
    )


def test_what_is_called_alike(manifests: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another product's kind of the same name is not looked at, and that is said by name."""
    other = CLUSTER.replace("policy.networking.k8s.io/v1alpha2", "networking.k8s.aws/v1alpha1")
    (manifests / "a.yaml").write_text(other)
    code, out, err = run(capsys, "-f", "a.yaml")
    assert (code, out) == (0, ["1 object, none refused, 1 of other kinds not looked at"])
    assert err == [
        (
            "note: 1 ClusterNetworkPolicy of networking.k8s.aws/v1alpha1 is not read and not part of the answer; this "
            "is not the ClusterNetworkPolicy of policy.networking.k8s.io/v1alpha2"
        )
    ]
    assert run(capsys, "-q", "-f", "a.yaml")[2] == []


def test_policies_of_cilium(manifests: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The server's answer has nothing in it that the agent says; and what only the agent refuses is stored."""
    rules = {
        "good": "{toEntities: [world]}",
        "bad": "{toEntities: [internet]}",
        "stored": "{toPorts: [{ports: [{port: '09'}]}]}",
    }
    head = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy"
    texts = (
        f"{head}\nmetadata: {{name: {name}}}\nspec: {{endpointSelector: {{}}, egress: [{rule}]}}\n"
        for name, rule in rules.items()
    )
    (manifests / "c.yaml").write_text("---\n".join(texts), encoding="utf-8")
    code, out, _ = run(capsys, "-v", "-f", "c.yaml")
    assert code == 1
    who, path = "CiliumNetworkPolicy default/bad", "spec.egress[0].toEntities[0]"
    assert out[0].startswith(f'c.yaml:9: {who}: {path}: Unsupported value: "internet": supported values: "all"')
    assert out[1] == f"c.yaml:9: {who}: {path}: Invalid CiliumNetworkPolicy spec: unsupported entity: internet"
    whole = f'    the API server: CiliumNetworkPolicy.cilium.io "bad" is invalid: {path}: Unsupported value'
    assert out[2].startswith(whole)
    assert "Invalid Cilium" not in out[2]
    assert "unable to parse port" in out[3]
    assert out[4:] == ["    the API server: stored, and not enforced by Cilium", "3 objects, 2 refused"]
