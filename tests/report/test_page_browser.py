"""The page in a real browser: what a reader sees and clicks.

Chromium opens the page as a file, without a network (tests/report/conftest.py). What it showed is kept under
`build/screenshots/`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from outgate.report.page_words import node_title
from tests.report.browser import Browser, View
from tests.report.pages import SAMPLES, comparison, hostile, small

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("sample", SAMPLES)
def test_it_opens_without_a_word_and_asks_for_nothing(view: View, sample: str) -> None:
    """No error, no warning, no request: not even for an icon. Every view of it."""
    view.open(sample)
    for key, name in (("m", "matrix"), ("c", "connections"), ("w", "workloads"), ("p", "policies"), ("g", "graph")):
        view.press(key)
        assert view.run("return document.documentElement.dataset.view") == name
        assert view.shown(".view") == 1
        assert view.shown(f"#{name}") == 1
    view.keep(sample)


def test_a_click_on_a_line_shows_the_rule_that_allows_it(view: View) -> None:
    """The ports, the reasons, and the policy's own lines with those of the rule marked."""
    view.open("small")
    view.browser.click_at(*view.middle("#e3"))
    assert view.text("#panel-title") == "Connection"
    assert view.text("#panel .ends") == "shop/web → 203.0.113.0/24"
    assert view.text("#panel .flow") == "TCP 443"
    marked = view.run(
        "return [...document.querySelectorAll('#panel .marked')].map(one => [one.value, one.textContent])"
    )
    assert [line for _, line in marked] == [
        "    - to:",
        "        - ipBlock:",
        "            cidr: 203.0.113.0/24",
        "      ports:",
        "        - port: 443",
    ]
    assert view.run(
        """const list = document.querySelector('#panel .yaml').getBoundingClientRect();
        const line = document.querySelector('#panel .marked').getBoundingClientRect();
        return list.top <= line.top && line.bottom <= list.bottom"""
    )
    view.keep("edge")
    view.click("#panel figcaption a")
    assert view.run("return document.documentElement.dataset.view") == "policies"
    assert view.focused() == "p0l20"


def test_a_click_beside_a_line_finds_it(view: View) -> None:
    """Lines are thin, and hands are not."""
    view.open("small")
    x, y = view.middle("#e0")
    view.browser.click_at(x, y + 4)
    assert view.text("#panel .ends") == "ingress-nginx/ingress-nginx → shop/web"


def test_a_click_on_nothing_gives_the_selection_up(view: View) -> None:
    """And closes the details."""
    view.open("small", "#node-1")
    assert view.shown("#panel") == 1
    x, y = view.run(
        "const box = document.querySelector('#picture').getBoundingClientRect(); return [box.x + 9, box.y + 9]"
    )
    view.browser.click_at(x, y)
    assert view.shown("#panel") == 0


def test_a_workload_lights_its_connections(view: View) -> None:
    """What it may reach and who may reach it; the rest steps back."""
    view.open("small")
    view.browser.click_at(*view.middle("#n2 .card"))
    assert view.text("#panel-title") == "shop/cart"
    data = small()
    own = [index for index, one in enumerate(data.edges) if 2 in {one.source, one.destination}]
    assert (
        view.run(
            """return [...document.querySelectorAll('#overlay .edge')]
                .map(one => Number(one.dataset.edge)).sort((a, b) => a - b)"""
        )
        == own
    )
    assert view.shown("#panel .row") == len(own)
    faded, lit = view.run(
        """return Promise.all(document.getAnimations().map(one => one.finished))
            .then(() => ["#n9", "#n6"].map(one => Number(getComputedStyle(document.querySelector(one)).opacity)))"""
    )
    assert faded < 0.6 < lit
    view.keep("node")


def test_the_matrix_of_a_crowd(view: View) -> None:
    """Only cells in sight exist, heads stay in sight, and the keyboard reaches the last cell."""
    view.open("crowd", "#matrix")
    assert view.run("const one = document.querySelector('.matrix'); return [one.ariaRowCount, one.ariaColCount]") == [
        "301",
        "304",
    ]
    assert view.run("return document.querySelectorAll('#grid td').length") < 6000
    view.keep("matrix")
    view.press("Right", "Down", "Down")
    at = "return [Number(document.activeElement.dataset.row), Number(document.activeElement.dataset.column)]"
    assert view.run(at) == [2, 1]
    view.press("End")
    assert view.run(at) == [2, 302]
    view.run(
        """const grid = document.querySelector('#grid');
        grid.scrollTop = grid.scrollHeight;
        grid.scrollLeft = grid.scrollWidth;"""
    )
    view.settle()
    assert view.run("return document.querySelectorAll('#grid td').length") < 6000
    in_sight = view.run(
        """const grid = document.querySelector('#grid').getBoundingClientRect();
        const heads = [...document.querySelectorAll('.matrix th')]
            .map(one => [one.scope, one.getBoundingClientRect()]);
        return heads.every(([scope, box]) =>
            Math.abs(scope === 'col' ? box.top - grid.top : box.left - grid.left) < 2)"""
    )
    assert in_sight
    assert view.run('return document.querySelector(\'#grid td[data-row="299"][data-column="302"]\') !== null')
    assert view.run("return [...document.querySelectorAll('.matrix th')].every(one => one.hasAttribute('scope'))")


def test_every_connection_is_in_the_matrix(view: View) -> None:
    """A cell for each, in its row and column, and none for what is not allowed."""
    view.open("small", "#matrix")
    cells = view.run(
        """return [...document.querySelectorAll('#grid td.all, #grid td.some')]
            .map(one => one.getAttribute('aria-label'))"""
    )
    data = small()
    assert sorted(cells) == sorted(
        f"{node_title(data.nodes[one.source])} → {node_title(data.nodes[one.destination])}: {one.words}"
        for one in data.edges
    )
    view.browser.click("#grid td.some")
    assert view.text("#panel-title") == "Connection"


def test_before_after_and_changes(view: View) -> None:
    """Three positions; what was opened is not there before, what was closed not after."""
    view.open("comparison")
    data = comparison()
    changes = [one.change for one in data.edges]
    expected = {
        "b": len(changes) - changes.count("opened"),
        "a": len(changes) - changes.count("closed"),
        "d": len(changes),
    }
    for key, count in expected.items():
        view.press(key)
        assert view.shown("#edges .edge") == count
        assert view.shown("#edges .sign") == (0 if key != "d" else sum(change != "" for change in changes))
        view.keep({"b": "before", "a": "after", "d": "changes"}[key])
    assert (view.shown("#n15"), view.shown("#n16")) == (1, 1)
    view.press("b")
    assert (view.shown("#n15"), view.shown("#n16")) == (0, 1)
    assert view.run("return document.querySelector('#side input:checked').value") == "before"
    view.click("#side label:last-of-type input")
    view.press("c")
    assert view.text("#connections caption") == "8 connections that changed, by source"
    view.keep("connections")
    view.press("m")
    signs = view.run(
        "return [...document.querySelectorAll('#grid td')].map(one => one.textContent).filter(Boolean).sort()"
    )
    assert signs == sorted("++×××▲▼≠")


def test_changes_differ_by_more_than_colour(view: View) -> None:
    """The kind of line, its width, or both: for each of the five and for none."""
    view.open("comparison")
    looks = view.run(
        """return ['same', 'opened', 'closed', 'widened', 'narrowed', 'changed'].map(name => {
            const style = getComputedStyle(document.querySelector(`#edges .edge.${name}`));
            return style.strokeDasharray + ' ' + style.strokeWidth;
        })"""
    )
    assert len(set(looks)) == 6


def test_without_scripts_everything_is_there(view: View) -> None:
    """The picture, the tables and the policies; no button that does nothing."""
    view.browser.scripts(False)
    view.browser.window(1280, 2600)
    view.browser.open(view.files["comparison"])
    for selector in ("#picture", "#connections table", "#workloads table", "#policies details"):
        assert view.shown(selector) >= 1, selector
    assert view.shown("button, input, #panel, dialog") == 0
    assert view.shown("#connections td.to b") == len(comparison().edges)
    assert view.shown("#edges .edge") == len(comparison().edges)
    view.keep("no-script")
    view.click("#policies details summary")
    assert view.shown("#p0 li") > 20
    view.click('#connections a[href="#p0l20"]')
    assert view.run("return document.querySelector(':target').id") == "p0l20"
    assert view.shown("#p0l20") == 1


def test_closed_namespaces_open_on_a_click(view: View) -> None:
    """And with Enter; nothing else moves."""
    view.open("beyond")
    assert view.shown("#picture .node") == 3  # the addresses outside
    group = view.run("return document.querySelector('.group.closed').id")
    place = view.run("return document.querySelector(arguments[0]).getBBox().x", f"#{group} .area")
    members = view.run("return document.querySelectorAll(arguments[0]).length", f"#m{group[1:]} .node")
    view.browser.click_at(*view.middle(f"#{group} .area"))
    assert view.shown("#picture .node") == 3 + members
    assert view.run("return document.querySelector(arguments[0]).getBBox().x", f"#{group} .area") == place
    assert view.run("return document.querySelector(arguments[0]).getAttribute('aria-expanded')", f"#{group}") == "true"
    view.run("document.querySelector(arguments[0]).focus()", f"#{group}")
    view.press("Enter")
    assert view.shown("#picture .node") == 3
    assert view.text("#toggle-group") == "Open this namespace"
    view.press("o")
    assert view.shown("#picture .node") == 323
    assert view.text("#toggle-group") == "Close this namespace"
    assert view.shown("#said, #tooltip") == 0
    view.keep("beyond-opened")


def test_lines_of_a_dense_picture_wait_for_a_selection(view: View) -> None:
    """The page says so; a workload shows its own, each from its box to another."""
    view.open("everything")
    assert "lines appear for what you select" in view.text("#said")
    assert view.shown("#edges .edge, .bundle path") == 0
    view.browser.click_at(*view.middle("#n7 .card"))
    assert view.shown("#overlay .edge") == 2 * 119 + 3
    attached = view.run(
        """const onSide = (at, box) => [box.x, box.x + box.width].some(x => Math.abs(x - at.x) < 1)
            && box.y < at.y && at.y < box.y + box.height;
        const boxes = JSON.parse(document.querySelector('#data').textContent).nodes
            .map(one => ({x: one[8], y: one[9], width: one[10], height: one[11]}));
        return [...document.querySelectorAll('#overlay .edge')].every(path =>
            [0, path.getTotalLength()].every(at => boxes.some(box => onSide(path.getPointAtLength(at), box))))"""
    )
    assert attached
    view.keep("dense-node")


def test_hostile_names_do_nothing(view: View) -> None:
    """They are in every view, and in none are they anything but text. An alert would end the session."""
    view.open("hostile")
    for index in range(len(hostile().edges)):
        view.run("location.hash = arguments[0]", f"#edge-{index}")
        view.settle()
        assert view.shown("#panel") == 1
    view.press("m", "c", "w", "p", "/", *"script")
    assert (
        view.run(
            """return document.querySelectorAll(
                'img, iframe, object, embed, textarea, [onfocus], [onerror], [onload]').length"""
        )
        == 0
    )
    assert view.run("return document.scripts.length") == 3


def test_the_policy_of_the_page_is_in_force(chromium: Browser, files: dict[str, Path]) -> None:
    """If a name ever became markup, it could still not run, load, or make more."""
    chromium.scripts(True)
    chromium.open(files["small"])
    outcome: Any = chromium.run(
        """const outcome = {};
        const script = document.createElement('script');
        try {
            script.textContent = 'window.injected = true';
            document.body.append(script);
        } catch (error) { outcome.text = error.name; }
        try { document.body.innerHTML += '<p>'; } catch (error) { outcome.html = error.name; }
        const button = document.createElement('button');
        try {
            button.setAttribute('onclick', 'window.injected = true');
            document.body.append(button);
            button.click();
        } catch (error) { outcome.handler = error.name; }
        const image = document.createElement('img');
        image.src = 'http://127.0.0.1:9/pixel';
        document.body.append(image);
        outcome.injected = window.injected === true;
        return fetch('http://127.0.0.1:9/').then(() => 'fetched', error => error.name)
            .then(name => ({...outcome, fetch: name}))"""
    )
    assert outcome["html"] == "TypeError"
    assert outcome["injected"] is False
    assert outcome["fetch"] == "TypeError"
    assert "Content Security Policy" in "\n".join(chromium.log())
    assert [one for one in chromium.requests() if not one.startswith("file:")] == []


def test_printed_it_is_a_document(view: View) -> None:
    """All views below each other, no tools."""
    view.open("comparison")
    view.press("p")
    view.browser.media("light", "print")
    assert view.shown("#graph, #connections, #workloads, #policies") == 4
    assert view.shown(".tools, .tabs, #matrix, .stage-tools") == 0
    view.browser.window(900, 2400)
    view.keep("print")


def test_a_narrow_window(view: View) -> None:
    """Nothing lies outside of a small one."""
    view.browser.window(700, 900)
    view.open("comparison", "#edge-6")
    assert view.run("return document.documentElement.scrollWidth <= innerWidth")
    view.keep("narrow")


def test_conditions_have_words_that_are_not_cut_in_the_middle(view: View) -> None:
    """On a line stand the ports, and that something is asked of them; what it is stands in the details and tables."""
    for edge, on_the_line in (0, "TCP 8080 on other conditions"), (1, "TCP 443 on conditions ⟶ TCP 443"):
        view.open("conditions", f"#edge-{edge}")
        assert view.text("#labels text.words") == on_the_line
    assert view.text("#panel .flow").startswith("Before\nTCP 443 (only for TLS to a server named api.example.com)\n")
    view.open("conditions", "#edge-0")
    view.press("b")
    assert view.text("#labels text.words") == "TCP 8080 on conditions"
    view.press("d")
    view.press("c")
    heads = view.run(
        "return [...document.querySelectorAll('#connections tbody:not([hidden]) th')].map(one => one.textContent)"
    )
    assert heads == ["shop/web → 2 connections"]
    assert "2 connections that changed" in view.text("#connections caption")
    view.press("a")
    heads = view.run(
        "return [...document.querySelectorAll('#connections tbody:not([hidden]) th')].map(one => one.textContent)"
    )
    assert heads == ["shop/web → 2 connections", "shop/items → 2 connections"]
    view.keep("conditions")
