"""SARIF 2.1.0: what the standard and code hosts ask of a log, clause by clause."""

from __future__ import annotations

import re
from typing import Any

from outgate.checks import NAMES
from outgate.checks.lint import Selection
from outgate.report.sarif import sarif
from tests.report.findings import CLUSTER, ERRORS, HELM, empty, report

URI = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=@/-]|%[0-9A-F]{2})+")


def run(text: str = CLUSTER, file: str = "k8s/np.yaml", base: str = "", **more: Any) -> Any:
    """The one run of the log."""
    (found,) = sarif(report(text, file, **more), ERRORS, base)["runs"]
    return found


def test_the_log_and_its_tool() -> None:
    """Clauses 3.13 and 3.19: version, runs, a driver with a name; each rule once, with its documentation."""
    log = sarif(empty())
    assert (log["version"], len(log["runs"])) == ("2.1.0", 1)
    driver = log["runs"][0]["tool"]["driver"]
    assert driver["name"] == "outgate"
    assert [rule["id"] for rule in driver["rules"]] == list(NAMES)
    for rule in driver["rules"]:
        assert rule["shortDescription"]["text"]
        assert rule["help"]["text"]
        assert "```yaml" in rule["help"]["markdown"]
        assert rule["defaultConfiguration"]["level"] in ("error", "warning", "note")


def test_results_refer_to_rules_and_lines() -> None:
    """Clause 3.27: the index is the rule's; clause 3.30: lines count from 1."""
    found = run()
    rules = found["tool"]["driver"]["rules"]
    assert found["results"]
    for result in found["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["message"]["text"].endswith(".")
        for location in (*result["locations"], *result.get("relatedLocations", ())):
            physical = location["physicalLocation"]
            assert physical["region"]["startLine"] >= 1
            assert URI.fullmatch(physical["artifactLocation"]["uri"])
            assert physical["artifactLocation"]["uriBaseId"] == "SRCROOT"
        assert re.fullmatch("[0-9a-f]{32}", result["partialFingerprints"]["outgate/v1"])


def test_paths_are_relative_to_where_the_command_runs() -> None:
    """Code hosts show nothing else; what lies elsewhere has its whole path."""

    def uris(file: str, base: str) -> set[str]:
        results = run(file=file, base=base)["results"]
        return {one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in results}

    assert uris("/srv/repo/k8s/a b.yaml", "/srv/repo/") == {"k8s/a%20b.yaml"}
    assert uris("./k8s/np.yaml", "/srv/repo/") == {"k8s/np.yaml"}
    assert uris("/elsewhere/np.yaml", "/srv/repo/") == {"file" + "://" + "/elsewhere/np.yaml"}
    assert uris("-", "") == {"stdin"}
    assert uris("git:main:k8s/np.yaml", "") == {"git%3Amain%3Ak8s/np.yaml"}


def test_templates_of_helm() -> None:
    """The file to mend; a line that is not known is the first."""
    for result in run(HELM, "-")["results"]:
        physical = result["locations"][0]["physicalLocation"]
        assert physical["artifactLocation"]["uri"] == "chart/templates/np.yaml"
        assert physical["region"]["startLine"] == 1


def test_what_is_put_away_is_suppressed() -> None:
    """Clause 3.35: in the source with its justification, or outside of it."""
    found = report()
    known = {found.findings[0].fingerprint}
    results = run(selection=Selection(known=known))["results"]
    suppressions = [one["suppressions"] for one in results if "suppressions" in one]
    assert suppressions == [
        [{"kind": "inSource", "justification": "made by | an <operator>"}],
        [{"kind": "external"}],
    ]


def test_input_that_could_not_be_used_is_told() -> None:
    """Clause 3.20: the run did not see all of it."""
    (invocation,) = run()["invocations"]
    assert invocation["executionSuccessful"] is False
    assert [one["level"] for one in invocation["toolExecutionNotifications"]] == ["error", "error"]
    assert sarif(empty())["runs"][0]["invocations"][0]["executionSuccessful"] is True


def test_fingerprints_outlive_lines() -> None:
    """A comment above moves every line, and nothing is new."""

    def prints(text: str) -> list[str]:
        return [one["partialFingerprints"]["outgate/v1"] for one in run(text)["results"]]

    assert prints("# one\n# two\n" + CLUSTER) == prints(CLUSTER)


def test_a_command_in_the_help_stays_as_it_is_typed() -> None:
    """`Outgate new` is no command; any other help begins as a sentence does."""
    spec = "spec: {containers: [{name: c, image: x}]}"
    text = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: web, namespace: shop}}\n{spec}\n"
    (found,) = [one for one in run(text)["results"] if one["ruleId"] == "no-default-deny"]
    assert found["message"]["text"].endswith(". outgate new default-deny-egress writes the policy.")
