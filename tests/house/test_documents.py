"""Documents: links lead somewhere, decisions are numbered, and nothing names the machine it was written on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.house.sources import ROOT, repository_files

DECISIONS = ROOT / "docs" / "decisions"
LINK = re.compile(r"(?<!!)\[[^\]\n]+\]\(([^)\s]+)\)|!\[[^\]\n]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)

# Spelled in pieces, so that this file does not find itself.
FORBIDDEN = {
    "a folder of somebody's machine": re.compile(r"(?<![\w.$}~-])/(?:" + "work|root|home|Users" + r")/\w"),
    "the address of a package registry": re.compile("(?:pypi" + r"\.org/simple|pythonhosted" + r"\.org|file:" + "//)"),
    "an option that picks a registry": re.compile("--(?:extra-)?index" + "-url|--find" + r"-links\s*[=/]"),
}


def documents() -> list[Path]:
    """The prose of the repository."""
    return [path for path in repository_files() if path.suffix == ".md"]


def text_files() -> list[Path]:
    """Every file that people read."""
    return [path for path in repository_files() if b"\0" not in path.read_bytes()[:8192]]


def name(path: Path) -> str:
    """A file as the reader of a failure knows it."""
    return str(path.relative_to(ROOT))


def anchors(path: Path) -> set[str]:
    """The headings of a document, as links name them: lower case, no punctuation, dashes for spaces."""
    headings = re.findall(r"^#{1,6}\s+(.*?)\s*#*$", FENCE.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", documents(), ids=name)
def test_links_are_live(path: Path) -> None:
    """A link to a file or a heading that is not there sends the reader away with nothing."""
    dead = []
    for match in LINK.finditer(FENCE.sub("", path.read_text(encoding="utf-8"))):
        link = match[1] or match[2]
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize("path", text_files(), ids=name)
def test_nothing_names_a_machine(path: Path) -> None:
    """A path or a registry of one machine is wrong on every other machine, and is nobody's business."""
    text = path.read_text(encoding="utf-8")
    found = {what: match[0] for what, pattern in FORBIDDEN.items() if (match := pattern.search(text))}
    assert found == {}


def test_forbidden_patterns_find_something() -> None:
    """If a pattern matched nothing at all, the test above would pass on anything."""
    samples = ["see /" + "home/ann/outgate", "https://pypi" + ".org/simple", "pip install --index" + "-url x"]
    assert [bool(pattern.search(text)) for pattern, text in zip(FORBIDDEN.values(), samples, strict=True)] == [True] * 3


def test_decisions_are_numbered() -> None:
    """Decisions are cited by number: two with one number, or a gap, make a citation ambiguous."""
    numbers = [int(path.name[:4]) for path in sorted(DECISIONS.glob("[0-9][0-9][0-9][0-9]-*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))
    assert numbers != []


@pytest.mark.parametrize("path", sorted(DECISIONS.glob("*.md")), ids=name)
def test_decision_has_number_and_title(path: Path) -> None:
    """A decision whose heading lacks its number cannot be found from a comment that cites it."""
    file = re.fullmatch(r"(\d{4})-[a-z0-9-]+\.md", path.name)
    assert file, "name it NNNN-words-with-dashes.md"
    heading = path.read_text(encoding="utf-8").splitlines()[0]
    assert re.fullmatch(rf"# {file[1]}[.:] \S.*", heading), f"the first line should be '# {file[1]}: Title'"


def test_package_lock_is_hashed() -> None:
    """A requirement without a hash would be whatever the index says today."""
    for lock in sorted((ROOT / "requirements").glob("*.txt")):
        entries = re.split(r"\n(?=[a-zA-Z])", lock.read_text(encoding="utf-8"))[1:]
        assert len(entries) >= 3
        assert [entry.split()[0] for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []
