"""Reading the input of a verb: what is set apart is said, and how much of it."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from outgate.cli.inputs import MOST_LINES, dns_names, read_input
from outgate.errors import InvalidInput, UsageError

GOOD = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n"
BAD = """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: broken, namespace: a}
spec: {podSelector: {}, egress: [{to: [{ipBlock: {cidr: nonsense}}]}]}
"""


@pytest.fixture
def manifests(tmp_path: Path) -> str:
    """One good object and one that the API server would refuse."""
    file = tmp_path / "a.yaml"
    file.write_text(f"{GOOD}---\n{BAD}")
    return str(file)


def test_a_refused_object_is_set_apart_and_said(manifests: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An answer that silently leaves out a policy is another answer."""
    loaded = read_input([manifests], namespace=None, strict=False)
    words = capsys.readouterr()
    assert words.out == ""
    assert f"set apart: {manifests}:8: spec.egress[0].to[0].ipBlock.cidr" in words.err
    assert "1 object was refused and is not part of the answer" in words.err
    assert list(loaded.snapshot.namespaces) == ["a"]
    assert loaded.snapshot.policies == ()


def test_quiet_still_says_that_something_is_missing(manifests: str, capsys: pytest.CaptureFixture[str]) -> None:
    """-q is about noise; that a policy is not part of the answer is none."""
    read_input([manifests], namespace=None, strict=False, quiet=True)
    assert capsys.readouterr().err == "note: 1 object was refused and is not part of the answer; see outgate validate\n"


def test_strict_fails(manifests: str) -> None:
    """With --strict a broken policy stops the work."""
    with pytest.raises(InvalidInput) as caught:
        read_input([manifests], namespace=None, strict=True)
    assert [error.line for error in caught.value.errors] == [8]


def test_many_errors_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A thousand lines of errors hide the answer; the number of them does not."""
    file = tmp_path / "many.yaml"
    file.write_text("---\n".join(BAD.replace("broken", f"broken-{n}") for n in range(MOST_LINES + 5)))
    read_input([str(file)], namespace=None, strict=False)
    lines = capsys.readouterr().err.splitlines()
    assert sum(line.startswith("set apart:") for line in lines) == MOST_LINES
    assert f"{MOST_LINES + 5} objects were refused" in lines[-1]
    assert "and 5 more errors" in lines[-1]


def test_no_input_is_a_usage_error() -> None:
    """Without -f there is no cluster to answer for; an empty one would allow everything."""
    with pytest.raises(UsageError, match="no input"):
        read_input([], namespace=None, strict=False)


def test_dns_names() -> None:
    """A name may have several addresses, of both families."""
    found = dns_names(["a.example=10.0.0.1", "A.Example.=2001:db8::1", "b=10.0.0.2"])
    assert found == {
        "a.example": (ipaddress.ip_address("10.0.0.1"), ipaddress.ip_address("2001:db8::1")),
        "b": (ipaddress.ip_address("10.0.0.2"),),
    }


@pytest.mark.parametrize("text", ["", "=", "a", "a=", "=10.0.0.1", "a=b", "a=10.0.0.0/8", "a=10.0.0.256"])
def test_what_is_no_name_and_address_is_refused(text: str) -> None:
    """A name that is silently dropped would be asked for again in an error that blames the input."""
    with pytest.raises(UsageError, match="NAME=ADDRESS"):
        dns_names([text])


def test_an_empty_input_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pipe whose left side failed gives nothing, and every name would seem to be misspelt."""
    file = tmp_path / "empty.yaml"
    file.write_text("---\n# Source: chart/templates/off.yaml\n")
    read_input([str(file)], namespace=None, strict=False)
    assert capsys.readouterr().err == "note: the input has no objects\n"
