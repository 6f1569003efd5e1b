"""The configuration of a folder: what it may say, and that nothing misspelt is passed over."""

from __future__ import annotations

import ipaddress

import pytest

from outgate.checks import Severity
from outgate.checks.config import FAIL_ON, FIELDS, Config, read_config
from outgate.cli.options import PROFILE_NAMES
from outgate.model import Document
from tests.report.schema import schema

PROFILES = ("outgate", "calico")


def read(value: object) -> tuple[Config, list[str]]:
    """The configuration and the complaints, with their paths."""
    found, errors = read_config(Document("c.yaml", value), PROFILES)
    return found, [f"{error.path}: {error.message}" for error in errors]


def test_everything() -> None:
    """Each setting once."""
    found, errors = read(
        {
            "lint": {
                "fail-on": "error",
                "select": ["dns-egress-missing"],
                "ignore": ["empty-block"],
                "severity": {"no-default-deny": "error"},
                "baseline": "b.json",
                "profile": "calico",
                "names": {"A.example.com.": "203.0.113.1"},
            }
        }
    )
    assert errors == []
    assert found == Config(
        "error",
        ("dns-egress-missing",),
        ("empty-block",),
        {"no-default-deny": Severity.ERROR},
        "b.json",
        "calico",
        {"a.example.com": (ipaddress.ip_address("203.0.113.1"),)},
    )


@pytest.mark.parametrize("value", [None, {}, {"lint": None}, {"lint": {}}])
def test_nothing(value: object) -> None:
    """An empty file says nothing."""
    assert read(value) == (Config(), [])


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ([], ": must be a mapping"),
        ({"lnt": {}}, "lnt: there is no such setting; did you mean lint?"),
        ({"lint": []}, "lint: must be a mapping"),
        ({"lint": {"failon": "error"}}, "lint.failon: there is no such setting; did you mean fail-on?"),
        ({"lint": {"fail-on": "fatal"}}, "lint.fail-on: must be one of error, warning, info, never"),
        ({"lint": {"names": ["a.x"]}}, "lint.names: must be a mapping of names to addresses"),
        (
            {"lint": {"names": {"a.x": ["203.0.113.1", "here"]}}},
            "lint.names.a.x[1]: must be an address, as in 203.0.113.10",
        ),
        ({"lint": {"select": "dns"}}, "lint.select: must be a list of checks"),
        (
            {"lint": {"ignore": ["emty-block"]}},
            "lint.ignore[0]: there is no check emty-block; did you mean empty-block?",
        ),
        ({"lint": {"severity": []}}, "lint.severity: must be a mapping of checks to severities"),
        ({"lint": {"severity": {"empty-block": 1}}}, "lint.severity.empty-block: must be one of error, warning, info"),
        ({"lint": {"severity": {7: "info"}}}, "lint.severity.7: there is no check 7"),
        ({"lint": {"baseline": 7}}, "lint.baseline: must be the name of a file"),
        ({"lint": {"profile": "weave"}}, "lint.profile: must be one of outgate, calico"),
    ],
)  # fmt: skip
def test_what_is_wrong(value: object, complaint: str) -> None:
    """With the path, and the nearest name."""
    found, errors = read(value)
    assert errors == [complaint]
    assert found == Config()


def test_the_schema_knows_the_same_settings() -> None:
    """An editor completes what the command takes. The file has no kind: it is of one tool, and of no version."""
    known = schema("LintConfig")["properties"]["lint"]["properties"]
    assert sorted(known) == sorted(FIELDS)
    assert tuple(known["fail-on"]["enum"]) == FAIL_ON
    assert tuple(known["profile"]["enum"]) == PROFILE_NAMES


def test_all_at_once() -> None:
    """A file is mended in one go."""
    assert len(read({"lint": {"fail-on": 1, "select": ["x", "y"], "z": 1}})[1]) == 4
