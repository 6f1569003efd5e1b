"""Helm's engine, as a process of its own: a line of JSON in (values, a release), a line of JSON out.

The engine is Helm's Go library, and a Go runtime brings threads. In the process of the tests they would forbid what the
tests of namespaces do there: a process with threads may not enter a user namespace, and should not fork. So this module
is run, not imported, and nothing else of the tests is loaded beside it.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import helm_python


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """What Helm makes of a chart: `{"files": {template: text}}`, or `{"error": its words}`."""
    if question.get("lint"):
        return {"report": helm_python.lint(question["chart"], question["values"], strict=True)}
    try:
        with helm_python.Chart.load(question["chart"]) as chart:
            rendered = chart.render(question["values"], name=question["name"], namespace=question["namespace"])
    except helm_python.HelmError as error:
        return {"error": str(error)}
    return {"files": rendered}


def main() -> None:
    """Answer until nobody asks any more."""
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
