"""The page in a real browser, from the keyboard: everything is reached, found, moved and left with keys.

See test_page_browser.py for what is seen and clicked.
"""

from __future__ import annotations

import pytest

from tests.report.browser import View
from tests.report.pages import small

pytestmark = pytest.mark.browser


def test_everything_is_reached_with_the_tab_key_and_shows_it(view: View) -> None:
    """The tools, the views, one stop in the picture; each with a focus that can be seen."""
    view.open("comparison")
    seen: list[str] = []
    for _ in range(30):
        view.press("Tab")
        name = view.focused()
        if name in {*seen, "body"}:
            break
        visible = view.run(
            """const one = document.activeElement;
            const card = one.querySelector('.card, .area') || one.nextElementSibling || one;
            const drawn = [one, card].map(each => getComputedStyle(each));
            return drawn.some(style => style.outlineStyle !== 'none' && style.outlineWidth !== '0px')
                || drawn[1].strokeWidth === '3px'"""
        )
        assert visible, name
        seen.append(name)
    tabs = [f"tab-{name}" for name in ("graph", "matrix", "connections", "workloads", "policies")]
    assert seen[0] == "a"  # to skip the rest
    assert seen[1:7] == [*tabs, "search"]
    assert {"filter", "theme", "help", "n0", "fold", "closer", "farther", "fit"} <= set(seen)


def test_arrow_keys_walk_the_picture(view: View) -> None:
    """From box to box where it stands; Enter opens the details, Escape leads back."""
    view.open("small")
    view.press("g")
    start = view.focused()
    assert start == "n0"
    view.press("Right")
    first = view.focused()
    assert first != start
    view.press("Down", "Up", "Left")
    assert view.run("return document.querySelectorAll('#picture [tabindex=\"0\"]').length") == 1
    view.run("document.querySelector('#n2').focus()")
    here = view.focused()
    view.press("Enter")
    assert view.focused() == "panel-title"
    assert view.shown("#panel") == 1
    view.press("Tab")
    assert view.run("return document.querySelector('#panel').contains(document.activeElement)")
    view.press("Escape")
    assert (view.focused(), view.shown("#panel")) == (here, 0)


def test_every_box_is_reached_with_arrow_keys(view: View) -> None:
    """Whatever stands in the picture, from wherever one starts."""
    view.open("comparison")
    unreached = view.run(
        """const boxes = [...document.querySelectorAll('#picture .node, #picture .group')];
        const seen = new Set([boxes[boxes.length - 1]]);
        const queue = [...seen];
        while (queue.length) {
            const one = queue.pop();
            for (const key of ['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown']) {
                one.focus();
                one.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true, cancelable: true}));
                const next = document.activeElement;
                if (!seen.has(next)) { seen.add(next); queue.push(next); }
            }
        }
        return boxes.filter(one => !seen.has(one)).map(one => one.id)"""
    )
    assert unreached == []


def test_search_finds_and_leads_there(view: View) -> None:
    """Slash, some letters, an arrow, Enter."""
    view.open("small")
    view.press("/")
    assert view.focused() == "search"
    view.press(*"cache")
    assert view.shown("#results [role=option]") == 2
    assert view.run("return document.querySelector('#search').getAttribute('aria-activedescendant')") == "result-0"
    view.press("Down")
    assert view.run("return document.querySelector('#result-1').getAttribute('aria-selected')") == "true"
    view.keep("search")
    view.press("Enter")
    assert view.text("#panel-title") == "data/cache (role=replica)"
    assert view.shown("#results") == 0
    # Letters that are typed are no shortcuts.
    view.press("Escape", "/", *"gm")
    assert view.run("return document.documentElement.dataset.view") == "graph"


def test_search_thins_every_view(view: View) -> None:
    """Ports count as well: the table and the matrix show what was found, and Escape brings all back."""
    view.open("small")
    rows = view.run("return document.querySelectorAll('#connections td.to b').length")
    view.press("/", *"5432", "Tab", "c")
    assert view.shown("#connections td.to b") == 2
    assert view.text("#connections caption") == "2 connections, by source"
    view.press("m")
    assert view.shown("#grid tbody th") == 2
    view.press("w")
    assert view.shown("#workloads tbody tr") == 3
    view.press("Escape", "c")
    assert view.shown("#connections td.to b") == rows


def test_the_table_is_walked_with_arrow_keys(view: View) -> None:
    """One Tab stop, whatever its length."""
    view.open("crowd", "#connections")
    assert view.focused() == "c0"
    view.press("Down", "Down")
    assert view.focused() == "c2"
    view.press("Enter")
    assert view.focused() == "panel-title"
    view.press("Escape")
    assert view.focused() == "c2"
    assert view.run("return document.querySelectorAll('#connections [tabindex=\"0\"]').length") == 1


def test_light_and_dark(view: View) -> None:
    """As the system prefers, unless the reader has chosen."""
    ground = "return getComputedStyle(document.documentElement).backgroundColor"
    view.open("small")
    light = view.run(ground)
    view.browser.media("dark")
    dark = view.run(ground)
    assert light != dark
    view.keep("dark")
    view.press("t")
    assert view.run(ground) == light
    view.press("t")
    assert view.run(ground) == dark
    view.browser.media("light")
    assert view.run(ground) == dark
    view.click("#theme")
    assert view.run(ground) == light
    assert view.text("#theme") == "◐ system"


def test_namespaces_can_be_left_out(view: View) -> None:
    """In every view; the button says how many are left."""
    view.open("small")
    view.click("#filter")
    labels = view.run("return [...document.querySelectorAll('#namespaces label span')].map(one => one.textContent)")
    assert {"shop", "data", "outside"} <= set(labels)
    view.run(
        "[...document.querySelectorAll('#namespaces label')].find(one => one.textContent.startsWith('shop')).click()"
    )
    assert view.text("#filter") == f"Namespaces: {len(labels) - 1} of {len(labels)}"
    view.press("Escape")
    assert view.shown("#namespaces") == 0
    assert view.focused() == "filter"
    data = small()
    left = [
        one
        for one in data.edges
        if "shop" not in {data.nodes[one.source].namespace, data.nodes[one.destination].namespace}
    ]
    assert view.shown("#edges .edge") == len(left)
    view.press("c")
    assert view.shown("#connections td.to b") == len(left)


def test_zoom_and_pan(view: View) -> None:
    """By buttons and by keys, and back."""
    view.open("small")
    camera = (
        "const box = document.querySelector('#picture').viewBox.baseVal; return [box.x, box.y, box.width, box.height]"
    )
    whole = view.run(camera)
    view.press("+", "+")
    assert view.run(camera)[2] == pytest.approx(whole[2] * 0.64)
    view.press("-")
    view.click("#fit")
    assert view.run(camera) == whole
    view.browser.drag(700, 200, 800, 260)
    moved = view.run(camera)
    assert moved[0] < whole[0]
    assert moved[1] < whole[1]
    assert moved[2:] == whole[2:]
    assert view.shown("#panel") == 0
    view.press("0")
    assert view.run(camera) == whole


def test_the_list_of_shortcuts(view: View) -> None:
    """A question mark opens it, Escape closes it, and no key does anything behind it."""
    view.open("small")
    view.press("?")
    assert view.run("return document.querySelector('#shortcuts').open")
    view.keep("shortcuts")
    view.press("m")
    assert view.run("return document.documentElement.dataset.view") == "graph"
    view.press("Escape")
    assert not view.run("return document.querySelector('#shortcuts').open")


def test_addresses_lead_to_things(view: View) -> None:
    """A link to a connection, a workload or a line can be sent to a colleague."""
    view.open("small", "#edge-3")
    assert view.text("#panel .ends") == "shop/web → 203.0.113.0/24"
    view.open("small", "#node-2")
    assert view.text("#panel-title") == "shop/cart"
    view.open("small", "#p1l40")
    assert view.focused() == "p1l40"
    view.open("small", "#edge-99999")
    assert view.shown("#panel") == 0
