"""JUnit XML: that it can be read whatever the names are, and says what failed."""

from __future__ import annotations

import dataclasses
from xml.etree.ElementTree import Element, fromstring

import pytest

from outgate.report.junit import junit
from tests.report.outcomes import HOSTILE, covered, some


def read(text: str) -> Element:
    """The document, as a build server reads it: from bytes in UTF-8."""
    return fromstring(text.encode("utf-8"))


def test_one_case_an_assertion() -> None:
    """With its file and line, the reason as a property, and the witness as the message."""
    root = read(junit(some()))
    assert (root.tag, root.get("tests"), root.get("failures")) == ("testsuites", "5", "4")
    (suite,) = root
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("tests.yaml", "5", "4")
    good, bad = suite[0], suite[1]
    assert list(good) == []
    assert (bad.get("name"), bad.get("file"), bad.get("line")) == ("no database", "tests.yaml", "5")
    assert bad.find("properties/property") is not None
    failure = bad.find("failure")
    assert failure is not None
    assert failure.get("message") == (
        "shop/web-1 (10.1.0.11) → data/db (10.1.1.20) TCP 5432 is allowed, and must not be"
    )
    assert failure.text is not None
    assert "allowed by shop/to-db egress[0]" in failure.text


@pytest.mark.parametrize(("least", "failures"), [(None, "0"), (40.0, "0"), (40.1, "1")])
def test_too_little_coverage_is_a_failed_case(least: float | None, failures: str) -> None:
    """A build server shows cases, not exit codes."""
    root = read(junit(some(0), covered(), least))
    assert (root.get("tests"), root.get("failures")) == ("2", failures)
    suite = root[1]
    assert (suite.get("name"), suite.get("failures")) == ("coverage", failures)
    assert "shop/to-db egress[1]" in "".join(suite.itertext())


@pytest.mark.parametrize(
    "name", [HOSTILE, *(chr(one) for one in range(32)), "\x7f", "\ufffe", "\uffff", "\udfff", '"><', "&#0;"]
)
def test_any_name_can_be_written(name: str) -> None:
    """XML 1.0 cannot hold most control characters at all: one of them and the whole report is lost."""
    (outcome,) = some(1)
    assertion = dataclasses.replace(outcome.assertion, name=f"x{name}", because=f"y{name}")
    root = read(junit([dataclasses.replace(outcome, assertion=assertion)]))
    case = root[0][0]
    assert (case.get("name") or "").startswith("x")
    property_ = case.find("properties/property")
    assert property_ is not None
    assert (property_.get("value") or "").startswith("y")


def test_a_case_that_holds_on_a_condition_says_so() -> None:
    """Its name says that a port passes; that it is for one request alone stands in no other place of the document."""
    good = dataclasses.replace(
        some()[0], notes=("shop/web → data/db TCP 80 is allowed only for requests of HTTP GET *",)
    )
    (case,) = read(junit([good]))[0]
    assert case.find("failure") is None
    assert case.findtext("system-out") == "note: shop/web → data/db TCP 80 is allowed only for requests of HTTP GET *"
