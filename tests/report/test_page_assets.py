"""Style and script: complete, our own, and allowed by the policy, which allows nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from outgate.report.page_assets import SCRIPTS, STYLES, boot, content_policy, script, style

ASSETS = Path(__file__).resolve().parents[2] / "src" / "outgate" / "report" / "assets"


def test_every_file_is_used() -> None:
    """A file that is in no list is never in a page."""
    assert {path.name for path in ASSETS.iterdir()} == {*STYLES, *SCRIPTS, "boot.js"}
    for name in (*STYLES, *SCRIPTS):
        assert (ASSETS / name).read_text(encoding="utf-8") in style() + script()


def test_the_policy_allows_exactly_these() -> None:
    """By digest: whatever else a page might hold does not run."""
    rules = dict(rule.split(" ", 1) for rule in content_policy().split("; "))

    def digest(text: str) -> str:
        return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"

    assert rules == {
        "default-src": "'none'",
        "script-src": f"{digest(boot())} {digest(script())}",
        "style-src": digest(style()),
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
    }


def test_nothing_in_them_ends_their_elements() -> None:
    """`</script` in a comment of the script would end it."""
    for text in (style(), boot(), script()):
        assert not re.search(r"</(script|style)|<!--", text, re.IGNORECASE)
        assert "\r" not in text


def test_the_script_makes_no_markup_of_text() -> None:
    """Names become text nodes. Nothing is evaluated, and nothing is fetched."""
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
        "fetch(",
        "XMLHttp",
    ):
        assert word not in script() + boot()
    for word in ("import(", "WebSocket", "sendBeacon", "localStorage", "setTimeout("):
        assert word not in script() + boot()
    addresses = re.findall(r"https?:[^\"'`\s]*", script() + boot() + style())
    assert set(addresses) == {"http://www.w3.org/2000/svg"}


def test_the_style_loads_nothing() -> None:
    """The only `url()` are arrow heads of the page itself."""
    assert "@import" not in style()
    assert all(one.startswith("#tip-") for one in re.findall(r"url\(([^)]*)\)", style()))


def _luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """As WCAG 2.2 defines it."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_colours_can_be_told_apart() -> None:
    """AA: text 4.5 to 1 against every ground it stands on, lines and signs 3 to 1, in light and in dark."""
    colours = {name: pair for name, *pair in re.findall(r"--([a-z-]+): light-dark\((#\w{6}), (#\w{6})\)", style())}
    texts = ("ink", "soft", "accent", "opened", "closed", "widened", "narrowed", "changed")
    grounds = ("ground", "card", "raised", "well")
    for theme in (0, 1):
        for ground in grounds:
            for text in texts:
                assert contrast(colours[text][theme], colours[ground][theme]) >= 4.5, (text, ground, theme)
            for line in ("edge", "guard", "strong"):
                assert contrast(colours[line][theme], colours[ground][theme]) >= 3, (line, ground, theme)
        assert contrast(colours["ink"][theme], colours["mark"][theme]) >= 4.5
        assert contrast(colours["ink"][theme], colours["accent-ground"][theme]) >= 4.5
