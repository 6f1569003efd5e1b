"""What is wrong: one check a file, each a question to the same Decisions that the analysis answers from.

A check proves what it says where it can: with a packet and the union of policies that lets it through or stops it. Its
docstring is its documentation (`outgate.checks.check`). What is mended, is mended by edits of values
(`outgate.checks.edit`); the text of the manifests is somebody else's work.
"""

from outgate.checks.check import Check
from outgate.checks.finding import Finding, Severity
from outgate.checks.registry import NAMES, load, run
from outgate.checks.survey import Survey

__all__ = ["NAMES", "Check", "Finding", "Severity", "Survey", "load", "run"]
