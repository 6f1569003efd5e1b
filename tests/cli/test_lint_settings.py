"""Settings: the command line over the file, and nothing misspelt in silence."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from outgate.checks import NAMES, Severity
from outgate.cli.lint_settings import CONFIG, Settings, settings
from outgate.errors import InvalidInput, UsageError
from outgate.packets import Address


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command runs."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(
    config: str | None = None,
    baseline: str | None = None,
    *,
    select: tuple[str, ...] = (),
    ignore: tuple[str, ...] = (),
    fail_on: str | None = None,
    profile: str | None = None,
    names: dict[str, tuple[Address, ...]] | None = None,
) -> Settings:
    """The settings of a command line."""
    return settings(
        config=config,
        baseline=baseline,
        select=select,
        ignore=ignore,
        fail_on=fail_on,
        profile=profile,
        names=names or {},
    )


def test_without_anything() -> None:
    """Every check, warnings fail, our own profile."""
    found = made()
    assert (found.selection.rules, found.fail_on, found.profile) == (NAMES, "warning", "outgate")


def test_the_file_of_the_folder(folder: Path) -> None:
    """Read where the command runs, and under what is typed."""
    text = "lint:\n  fail-on: error\n  ignore: [empty-block]\n  severity: {no-default-deny: error}\n  profile: calico\n"
    (folder / CONFIG).write_text(text, encoding="utf-8")
    found = made()
    assert (found.fail_on, found.profile) == ("error", "calico")
    assert set(NAMES) - set(found.selection.rules) == {"empty-block"}
    assert found.selection.severities == {"no-default-deny": Severity.ERROR}
    typed = made(fail_on="info", profile="cilium", ignore=("rule-redundant",))
    assert (typed.fail_on, typed.profile) == ("info", "cilium")
    assert set(NAMES) - set(typed.selection.rules) == {"empty-block", "rule-redundant"}
    assert made(select=("empty-block",)).selection.rules == ("empty-block",), "who asks for a check gets it"


def test_names_of_both(folder: Path) -> None:
    """What is typed of a name replaces what the file says of it."""
    (folder / CONFIG).write_text(
        "lint: {names: {A.x.: 203.0.113.1, b.x: [203.0.113.2, '2001:db8::2']}}\n", encoding="utf-8"
    )
    one, two, six = map(ipaddress.ip_address, ("203.0.113.1", "203.0.113.2", "2001:db8::2"))
    assert made().names == {"a.x": (one,), "b.x": (two, six)}
    assert made(names={"a.x": (six,)}).names == {"a.x": (six,), "b.x": (two, six)}


def test_another_file_and_an_empty_one(folder: Path) -> None:
    """By name, wherever it is."""
    (folder / "other.yaml").write_text("lint: {select: [empty-block]}\n", encoding="utf-8")
    (folder / "empty.yaml").write_text("# nothing\n", encoding="utf-8")
    assert made("other.yaml").selection.rules == ("empty-block",)
    assert made("empty.yaml").selection.rules == NAMES


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lint: {fail-on: fatal}\n", r"c.yaml:1: lint.fail-on: must be one of"),
        ("lint: [\n", "c.yaml:1"),
        ("a: 1\n---\nb: 2\n", "has 2 documents"),
    ],
)
def test_a_file_that_is_wrong(folder: Path, text: str, words: str) -> None:
    """With its line."""
    (folder / "c.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInput, match=words):
        made("c.yaml")


def test_baselines(folder: Path) -> None:
    """Of the command line or of the file; one that is none puts nothing away in silence."""
    good = '{"apiVersion": "outgate.dev/v1", "kind": "LintBaseline", "findings": [{"fingerprint": "x"}]}'
    (folder / "b.json").write_text(good, encoding="utf-8")
    assert made(baseline="b.json").selection.known == {"x"}
    (folder / CONFIG).write_text("lint: {baseline: b.json}\n", encoding="utf-8")
    assert made().selection.known == {"x"}
    for text, words in (("", "it is empty"), ("{}", "this is no baseline")):
        (folder / "bad.json").write_text(text, encoding="utf-8")
        with pytest.raises(InvalidInput, match=words):
            made(baseline="bad.json")


def test_names_of_checks() -> None:
    """All that are wrong, and the nearest to the first."""
    with pytest.raises(UsageError, match=r"there is no check emptyblock, zz; did you mean empty-block\?"):
        made(select=("emptyblock",), ignore=("zz",))
