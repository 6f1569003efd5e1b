"""`outgate test` as a user runs it: exit codes, formats, mistakes, coverage, files beside the manifests."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest
import yaml

from outgate.analysis.assertions import read
from outgate.cli.main import main
from outgate.model import Document
from tests.report.schema import complaints

HEAD = "apiVersion: outgate.dev/v1\nkind: ReachabilityTest\nassertions:\n"
GOOD = "- {from: production/web-api, allow: {to: production/postgres, port: 5432}}\n"
BAD = "- {from: production/web-api, deny: production/postgres}\n"


@pytest.fixture
def recipes(repository: Path) -> str:
    """The folder of manifests that the assertions here are about."""
    return str(repository / "examples" / "recipes")


def written(folder: Path, *lines: str, name: str = "tests.yaml") -> str:
    """A file of assertions."""
    path = folder / name
    path.write_text(HEAD + "".join(lines))
    return str(path)


def test_all_hold(tmp_path: Path, recipes: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, and 0."""
    assert main(["test", written(tmp_path, GOOD, GOOD), "-f", recipes]) == 0
    assert capsys.readouterr().out == "2 assertions hold\n"


def test_one_fails(tmp_path: Path, recipes: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What fails comes first, and 1; with -v what holds is shown as well."""
    path = written(tmp_path, GOOD, BAD)
    assert main(["test", path, "-f", recipes]) == 1
    out = capsys.readouterr().out
    assert out.startswith(f"FAIL   from production/web-api: deny to production/postgres   {path}:5\n")
    assert out.endswith("1 of 2 assertions fails\n")
    assert "OK" not in out
    assert main(["test", path, "-f", recipes, "-v"]) == 1
    assert (
        f"\nOK     from production/web-api: allow to production/postgres 5432   {path}:4\n" in capsys.readouterr().out
    )


def test_json_is_read_as_yaml_is(tmp_path: Path, recipes: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With the lines of its own text."""
    path = tmp_path / "tests.json"
    document = yaml.safe_load(HEAD + GOOD + BAD)
    path.write_text(json.dumps(document, indent=1))
    assert main(["test", str(path), "-f", recipes]) == 1
    assert capsys.readouterr().out.startswith(
        f"FAIL   from production/web-api: deny to production/postgres   {path}:12\n"
    )


def test_colours_are_where_they_are_wanted(tmp_path: Path, recipes: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Green and red, and none in a pipe."""
    assert main(["test", written(tmp_path, GOOD), "-f", recipes, "--color", "always"]) == 0
    assert capsys.readouterr().out == "\x1b[32m1 assertion holds\x1b[0m\n"
    assert main(["test", written(tmp_path, BAD), "-f", recipes, "--color", "always"]) == 1
    assert capsys.readouterr().out.startswith("\x1b[31m\x1b[1mFAIL\x1b[0m   ")


def test_mistakes_are_said_at_once(tmp_path: Path, recipes: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With file, line, path and the nearest name; nothing is judged, and 2."""
    path = written(
        tmp_path,
        "- {from: production/web-apy, deny: production/postgres}\n",
        BAD,
        "- {from: nope/*, deny: [a.example.com]}\n",
    )
    assert main(["test", path, "-f", recipes]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert [line.split(" ")[1:3] for line in lines] == [
        [f"{path}:4:", "assertions[0].from:"],
        [f"{path}:6:", "assertions[2].from:"],
        [f"{path}:6:", "assertions[2].deny[0]:"],
    ]
    assert "did you mean production/web-api" in lines[0]
    assert "add it to the names of this file" in lines[2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [\n", "error: "),
        ("kind: Pod\napiVersion: v1\n", "no ReachabilityTest and no FlowList"),
        ("", "there are no assertions in"),
        (HEAD.replace("assertions:\n", "assertions: []\n"), "an empty list asserts nothing"),
        (HEAD + "- {from: a/b}\n", "give one of allow, deny, only, exactly"),
        (
            "apiVersion: outgate.dev/v1\nkind: FlowList\nflows: [{from: a/b, to: c/d, port: 1}]\n",
            "there are no assertions in",
        ),
    ],
)
def test_files_that_assert_nothing(
    tmp_path: Path, recipes: str, text: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A green run of nothing is the worst that a test tool can do."""
    path = tmp_path / "tests.yaml"
    path.write_text(text)
    assert main(["test", str(path), "-f", recipes]) == 2
    assert words in capsys.readouterr().err


def test_usage(tmp_path: Path, recipes: str, capsys: pytest.CaptureFixture[str]) -> None:
    """No file, a file that is not there, no manifests, a percentage that is none."""
    path = written(tmp_path, GOOD)
    for arguments in (
        ["-f", recipes],
        ["nowhere.yaml", "-f", recipes],
        [path],
        [path, "-f", recipes, "--min-coverage", "101"],
    ):
        assert main(["test", *arguments]) == 2
        assert capsys.readouterr().err != ""


def test_json_keeps_to_its_schema(tmp_path: Path, recipes: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With the witness, and the coverage where it was asked for."""
    assert main(["test", written(tmp_path, GOOD, BAD), "-f", recipes, "-o", "json", "--coverage"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert complaints(document) == []
    assert (document["passed"], document["failed"], document["coverage"]["total"]) == (1, 1, 7)


def test_junit_can_be_read(tmp_path: Path, recipes: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each file is a suite; too little coverage is a case of its own."""
    files = [written(tmp_path, GOOD, name="a.yaml"), written(tmp_path, BAD, name="b.yaml")]
    assert main(["test", *files, "-f", recipes, "-o", "junit", "--min-coverage", "100"]) == 1
    root = fromstring(capsys.readouterr().out.encode())
    assert [(one.get("name"), one.get("failures")) for one in root] == [
        (files[0], "0"),
        (files[1], "1"),
        ("coverage", "1"),
    ]


def test_too_little_coverage_fails(tmp_path: Path, recipes: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where every assertion holds."""
    path = written(tmp_path, GOOD)
    assert main(["test", path, "-f", recipes, "--min-coverage", "14.2"]) == 0
    assert main(["test", path, "-f", recipes, "--min-coverage", "14.3"]) == 1
    out = capsys.readouterr().out
    assert "coverage: 1 of 7 exercised (14.2 %)\n" in out
    assert "  not      production/app-egress egress[2]   " in out
    assert out.endswith("coverage is below 14.3 %\n")


def test_a_folder_is_searched_for_assertions(tmp_path: Path, recipes: str, capsys: pytest.CaptureFixture[str]) -> None:
    """They may lie beside manifests, which are passed over; the manifests pass over them."""
    (tmp_path / "more").mkdir()
    written(tmp_path / "more", GOOD, name="x.yml")
    written(tmp_path, GOOD)
    (tmp_path / "pod.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n")
    assert main(["test", str(tmp_path), "-f", str(tmp_path), "-f", recipes]) == 0
    assert capsys.readouterr().out == "2 assertions hold\n"


@pytest.mark.parametrize(("right", "wrong"), [("ReachabilityTest", "ReachabiltyTest"), ("dev/v1", "dev/v2")])
def test_a_misspelt_file_in_a_folder_is_not_passed_over(
    tmp_path: Path, recipes: str, right: str, wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its assertions would never run again, and nobody would know."""
    good = Path(written(tmp_path, GOOD))
    (tmp_path / "other.yaml").write_text(good.read_text().replace(right, wrong))
    assert main(["test", str(tmp_path), "-f", recipes]) == 2
    assert (
        "other.yaml:1: this is no ReachabilityTest and no FlowList of outgate.dev/v1: it says"
        in capsys.readouterr().err
    )


def test_names_and_namespaces_of_the_command_line(
    tmp_path: Path, recipes: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in can-reach: --dns-name for what the file does not know, -n for names without a namespace."""
    path = written(tmp_path, "- {from: web-api, allow: {to: pay.example.com, port: 443}}\n")
    arguments = ["test", path, "-f", recipes, "-n", "production"]
    assert main([*arguments, "--dns-name", "pay.example.com=203.0.113.9"]) == 0
    assert main([*arguments, "--dns-name", "pay.example.com=198.51.100.7"]) == 1
    assert main(arguments) == 2
    assert "give --dns-name pay.example.com=ADDRESS" in capsys.readouterr().err


def test_notes_are_said_unless_they_are_not_wanted(
    tmp_path: Path, recipes: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What another plugin may do otherwise; flows that expect nothing."""
    flows = tmp_path / "flows.yaml"
    flows.write_text(
        "apiVersion: outgate.dev/v1\nkind: FlowList\nflows:\n"
        "- {from: production/web-api, to: production/postgres, port: 5432}\n"
        "- {from: production/batch, to: 203.0.113.1, protocol: ICMP, expect: deny}\n"
    )
    assert main(["test", str(flows), "-f", recipes]) == 0
    err = capsys.readouterr().err
    assert "note: 1 assertion may come out otherwise with another network plugin: NetworkPolicy defines TCP" in err
    assert "note: 1 flow without expect asserts nothing; outgate lab --flows probes it" in err
    assert main(["test", str(flows), "-f", recipes, "-q"]) == 0
    assert capsys.readouterr().err == ""


def test_the_table_of_the_document_can_be_written(repository: Path) -> None:
    """What a reader copies must be read."""
    rows = re.findall(
        r"^\| .* \| `(\{.*\})` \|$", (repository / "docs" / "test.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    entries = [one for one in map(yaml.safe_load, rows) if {"from", "to"} & one.keys()]
    document = {"apiVersion": "outgate.dev/v1", "kind": "ReachabilityTest", "assertions": entries}
    assert complaints(document) == []
    (suite,) = read([Document("docs/test.md", document)])
    assert len(suite.assertions) >= 9


def test_what_a_request_should_have_been_is_said(
    tmp_path: Path, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """That it is not what a rule allows sends the reader to look for the rule: what that allows is said with it."""
    line = "- {from: shop/web, allow: {to: shop/items, port: 8080, http: DELETE /v1/items}}\n"
    assert main(["test", written(tmp_path, line), "-f", str(repository / "examples" / "zero-trust"), "-q"]) == 1
    said = capsys.readouterr().out
    assert "denied: it is not what shop/web-reads-items egress[0] allows" in said
    assert "\n  allows   requests of HTTP GET /v1/items(/.*)?   " in said
