"""Patterns mean what their dialects say: the table of the dialects, an obvious evaluator, and names made to mislead."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from outgate.proxy import names
from outgate.proxy.names import Dialect, Matcher, Pattern, WrittenAs, canonical, refused

CILIUM = [
    # pattern, matches, does not
    ("cilium.io", ["cilium.io", "CILIUM.io."], ["www.cilium.io", "cilium.io.evil", "xcilium.io", "ciliumxio"]),
    ("*.cilium.io", ["www.cilium.io", "WWW.Cilium.IO."], ["cilium.io", "a.b.cilium.io", "www!.cilium.io"]),
    ("*cilium.io", ["cilium.io", "subcilium.io"], ["www.cilium.io", ".cilium.io"]),
    ("sub*.cilium.io", ["sub.cilium.io", "subdomain.cilium.io"], ["www.cilium.io", "sub.x.cilium.io"]),
    ("**.cilium.io", ["app.cilium.io", "test.app.cilium.io"], ["cilium.io", "a!.cilium.io", "..cilium.io"]),
    ("****.cilium.io", ["app.cilium.io", "test.app.cilium.io"], ["cilium.io"]),
    ("**cilium.io", ["cilium.io", "subcilium.io"], ["a.cilium.io"]),
    ("a**b.io", ["ab.io", "axyb.io"], ["a.b.io"]),
    ("*.*.io", ["a.b.io"], ["a.io", "a.b.c.io"]),
    ("**.*.io", ["a.b.io", "a.b.c.io"], ["a.io"]),
    ("*", ["cilium.io", "a.b.c.d", "."], ["a!b.io"]),
    ("**", ["cilium.io", "."], []),
    ("*.", ["cilium.io", "a.b.c.d", "."], []),
]
NETWORK_POLICY = [
    ("kubernetes.io", ["kubernetes.io", "Kubernetes.IO."], ["www.kubernetes.io", "kubernetesxio"]),
    ("*.kubernetes.io", ["www.kubernetes.io", "a.b.kubernetes.io."], ["kubernetes.io", "xkubernetes.io"]),
    ("*.Kubernetes.io.", ["www.kubernetes.io"], ["kubernetes.io"]),
]
TABLE = [(Dialect.CILIUM, *row) for row in CILIUM] + [(Dialect.NETWORK_POLICY, *row) for row in NETWORK_POLICY]


@pytest.mark.parametrize(("dialect", "text", "meant", "others"), TABLE, ids=lambda one: str(one)[:24])
def test_the_table_of_the_dialects(dialect: Dialect, text: str, meant: list[str], others: list[str]) -> None:
    """Each row of what the two APIs say, both columns."""
    pattern = Pattern(text, dialect)
    assert [name for name in meant if not pattern.matches(name)] == []
    assert [name for name in others if pattern.matches(name)] == []


def test_the_reference_cases(shared: Path) -> None:
    """The recorded cases of the pattern grammar."""
    cases = yaml.safe_load((shared / "conformance" / "truth_cases.yaml").read_text())["cases"]
    rows = [row for case in cases for row in case.get("fqdn_match", ())]
    assert len(rows) > 5
    for row in rows:
        pattern = Pattern(row["pattern"], Dialect.CILIUM)
        assert [name for name in row["matches"] if not pattern.matches(name)] == []
        assert [name for name in row["not"] if pattern.matches(name)] == []


# ---- an evaluator that looks at the text alone -----------------------------------------------------------------------

PLAIN = set("-_abcdefghijklmnopqrstuvwxyz0123456789")


def obviously(pattern: Pattern, name: str) -> bool:
    """Whether a name is meant, character by character."""
    wanted, got = pattern.text.lower(), name.lower()
    wanted, got = (text.removesuffix(".") for text in (wanted, got))
    if pattern.dialect is Dialect.NETWORK_POLICY:
        if not wanted.startswith("*."):
            return wanted == got
        labels, tail = got.split("."), wanted.split(".")[1:]
        return len(labels) > len(tail) and labels[-len(tail) :] == tail and all(labels[: -len(tail)])
    if wanted and not wanted.strip("*"):
        return all(label and set(label) <= PLAIN for label in got.split(".")) or not got
    stars = len(wanted) - len(wanted.lstrip("*"))
    if stars > 1 and wanted[stars : stars + 1] == ".":
        rest = wanted[stars:]
        return any(
            got[at] == "."
            and all(label and set(label) <= PLAIN for label in got[:at].split("."))
            and glob(rest, got[at:])
            for at in range(len(got))
        )
    return glob(wanted, got)


def glob(wanted: str, got: str) -> bool:
    """Stars by trying every length."""
    if not wanted:
        return not got
    if wanted[0] != "*":
        return got[:1] == wanted[0] and glob(wanted[1:], got[1:])
    for taken in range(len(got) + 1):
        if not set(got[:taken]) <= PLAIN:
            return False
        if glob(wanted[1:], got[taken:]):
            return True
    return False


LABELS = st.text(st.sampled_from("abAB-_1!"), min_size=1, max_size=3)
NAMES = st.lists(LABELS, max_size=4).map(".".join) | st.lists(LABELS, min_size=1, max_size=3).map(
    lambda labels: ".".join(labels) + "."
)
CILIUM_TEXTS = st.lists(st.text(st.sampled_from("aAbB-1*"), min_size=1, max_size=4), min_size=1, max_size=4).map(
    ".".join
)
DOMAINS = st.builds(
    lambda star, labels: star + ".".join(labels),
    st.sampled_from(["", "*."]),
    st.lists(st.text(st.sampled_from("abAB1"), min_size=1, max_size=3), min_size=2, max_size=3),
)
PATTERNS = st.builds(Pattern, CILIUM_TEXTS, st.just(Dialect.CILIUM)) | st.builds(
    Pattern, DOMAINS, st.just(Dialect.NETWORK_POLICY)
)


@st.composite
def made_to_fit(draw: st.DrawFn, texts: Sequence[str]) -> str:
    """A name that one of the texts might mean: its stars filled in with something."""
    text = draw(st.sampled_from(texts))
    return re.sub(r"\*", lambda _: draw(st.sampled_from(["", "a", "b.a", "B", "1-"])), text)


@given(st.lists(PATTERNS, min_size=1, max_size=6), st.data())
def test_one_matcher_says_what_each_pattern_says(patterns: list[Pattern], data: st.DataObject) -> None:
    """Patterns that are held together must not change each other, and each must be its dialect to the letter."""
    name = data.draw(NAMES | made_to_fit([one.text for one in patterns]))
    matcher = Matcher({index: (one,) for index, one in enumerate(patterns)})
    expected = {index for index, one in enumerate(patterns) if obviously(one, name)}
    assert matcher.sets_of(canonical(name)) == expected
    assert matcher.sets_of(canonical(name)) == expected, "the second answer is the kept one"


def test_endless_names_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod that asks for random names costs others a second look, and nobody memory."""
    monkeypatch.setattr(names, "_KEPT", 8)
    matcher = Matcher({"x": (Pattern("**.x.io", Dialect.CILIUM),)})
    assert all(matcher.sets_of(f"{number}.x.io") == {"x"} for number in range(100))
    assert len(matcher._found) == 8


# ---- what the API server refuses -------------------------------------------------------------------------------------

UPSTREAM = {
    WrittenAs.MATCH_NAME: r"([-a-zA-Z0-9_]+[.]?)+",
    WrittenAs.MATCH_PATTERN: r"([-a-zA-Z0-9_*]+[.]?)+",
    WrittenAs.DOMAIN_NAMES: names._DOMAIN_WORDS.removeprefix("^").removesuffix("$"),
}


@given(st.sampled_from(list(WrittenAs)), st.text(st.sampled_from("aZ0-_*.[\n!"), max_size=8))
def test_what_is_refused_is_what_the_api_refuses(written: WrittenAs, text: str) -> None:
    """Short texts can be given to the API's own expression; long ones would never come back from it."""
    assert (not refused(text, written, "x")) == bool(re.fullmatch(UPSTREAM[written], text))


def test_refusals_are_in_the_words_of_the_api() -> None:
    """Who has seen the API server's answer finds the same here, and all of them at once."""
    path = "spec.egress[0].to[0].domainNames[0]"
    (said,) = refused("a.*.io", WrittenAs.DOMAIN_NAMES, path)
    assert said.words == (
        f'{path}: Invalid value: "a.*.io": {path} in body should match '
        r"'^(\*\.)?([a-zA-z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.)+[a-zA-z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.?$'"
    )
    both = refused("!" * 256, WrittenAs.MATCH_NAME, "p")
    assert [one.words.split(": ")[1] for one in both] == ["Too long", "Invalid value"]
    assert refused("a" * 255, WrittenAs.MATCH_PATTERN, "p") == ()


@pytest.mark.parametrize("written", list(WrittenAs))
def test_a_text_made_to_be_slow_is_refused_at_once(written: WrittenAs) -> None:
    """The API's own expressions take Python exponential time over this; the test would never end."""
    assert refused("a" * 5000 + "!", written, "p")
    assert Pattern("*a" * 100, Dialect.CILIUM).text


def test_a_pattern_of_many_stars_ends() -> None:
    """Stars are tried in every way that they can share a label; a label has 63 characters, and there it must end."""
    assert not Pattern("*a" * 12 + "b.io", Dialect.CILIUM).matches("a" * 63 + ".io")
