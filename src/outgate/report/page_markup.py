"""HTML, SVG and JSON in which no text can become anything but text.

Names and policies come from manifests, and a manifest may have been written to harm whoever looks at it. So there is
one way into markup: `escape`, and one way into a script: `script_json`. Both first make visible what a reader could
not see: control characters, halves of surrogate pairs (which no file can hold), and the characters that reorder text,
with which ``deny`` can be shown where ``allow`` is written (Unicode Technical Report 36, "Bidirectional Text
Spoofing").
"""

from __future__ import annotations

import json
import re

__all__ = ["Attribute", "element", "escape", "script_json", "start", "visible"]

Attribute = str | int | bool | None

# C0 without tab and newline, DEL, C1; what is invisible or reorders text; surrogates, noncharacters, tags.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e007f]"
)
_MARKUP = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})
_VOID = frozenset({"br", "input", "link", "meta"})
_BARE = re.compile(r"[A-Za-z0-9_.:#%/+-]+")


def visible(text: str) -> str:
    r"""The text with every character that would not be seen spelled as a YAML escape: ``\u202e``."""
    return _UNSEEN.sub(_spelled, text)


def _spelled(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def escape(text: str) -> str:
    """Text for an element or a quoted attribute."""
    return visible(text).translate(_MARKUP)


def element(name: str, content: str = "", /, **attributes: Attribute) -> str:
    """An element around content that is markup already. ``class_`` is ``class``, ``aria_label`` is ``aria-label``."""
    if name in _VOID:
        return start(name, **attributes)
    return f"{start(name, **attributes)}{content}</{name}>"


def start(name: str, /, **attributes: Attribute) -> str:
    """The opening tag. An attribute that is None or False is left out, one that is True has no value."""
    words = [name]
    for key, value in attributes.items():
        attribute = key.rstrip("_").replace("_", "-") if key != "viewBox" else key
        if value is True:
            words.append(attribute)
        elif value is not None and value is not False:
            written = escape(str(value))
            # Thousands of edges: quotes that say nothing are left away.
            bare = _BARE.fullmatch(written) and not written.endswith("/")
            words.append(f"{attribute}={written}" if bare else f'{attribute}="{written}"')
    return f"<{' '.join(words)}>"


def script_json(value: object) -> str:
    """JSON that may stand in a `<script>` element.

    Such an element ends at ``</script`` and, after ``<!--``, at other places still (HTML, "Restrictions for contents
    of script elements"): there is no ``<`` in what this returns, and nothing but ASCII.
    """
    text = json.dumps(_seen(value), ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _seen(value: object) -> object:
    match value:
        case str():
            return visible(value)
        case list() | tuple():
            return [_seen(one) for one in value]
        case dict():
            return {key: _seen(one) for key, one in value.items()}
        case _:
            return value
