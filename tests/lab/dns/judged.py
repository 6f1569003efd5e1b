"""Doors for a town: two lists of names, whose classes let questions go to the first resolver, and a class that denies.

*.example.com ─► WEB   ─► may ask RESOLVERS[0]
*.example.org ─► MAIL  ─► may ask RESOLVERS[0]
all other     ─► OTHER ─► denied
"""

from __future__ import annotations

from typing import Any

from outgate.proxy.orders import Asking, NameList, Orders, PodOrder
from tests.lab.dns.proxied import orders
from tests.lab.dns.town import POD, RESOLVERS, Town

__all__ = ["DENIALS", "MAIL", "OTHER", "WEB", "asked_through", "judge", "listed"]

WEB, MAIL, OTHER = 0xD012_3450, 0xD012_3460, 0xD012_3470
_NAMES = {WEB: "web", MAIL: "mail", OTHER: "other"}
_LISTS = {WEB: NameList(("*.example.com",)), MAIL: NameList(("*.example.org",)), OTHER: None}
DENIALS = {"drop": "drop", "reject": "meta l4proto tcp reject with tcp reset\nreject with icmpx admin-prohibited"}
"""How a class denies, by the name of it (`outgate.nft.denial`)."""


def judge(town: Town, denial: str = "drop", servers: tuple[str, ...] = (RESOLVERS[4][0], RESOLVERS[6][0])) -> None:
    """Makes the doors, behind which the classes let pass what goes to these servers, and counts what does."""
    allowed = "\n".join(f"ip{'6' if ':' in one else ''} daddr {one} counter return" for one in servers)
    classes = "\n".join(f"chain {name} {{\n{allowed}\n{DENIALS[denial]}\n}}" for name in ("web", "mail"))
    doors = ", ".join(f"{one >> 16:x}:{one & 0xFFFF:x} : goto {name}" for one, name in _NAMES.items())
    town.nft(f"""
        table inet outgate {{
            {classes}
            chain other {{
                {DENIALS[denial]}
            }}
            map doors {{
                type classid : verdict
                elements = {{ {doors} }}
            }}
            chain asked {{
                type filter hook output priority -10; policy accept
                meta priority vmap @doors
            }}
        }}
    """)


def listed(*doors: int, **more: Any) -> Orders:
    """Orders for the pod with these doors, in this order."""
    asks = tuple(Asking(names=_LISTS[one], doors=(one, one)) for one in doors or (WEB, MAIL, OTHER))
    return orders(pods=(PodOrder("shop/web/1", tuple(POD.values()), ("test",), asks),), **more)


def asked_through(town: Town, door: int) -> bool:
    """Whether any packet went through a door."""
    text = town.nft(f"list chain inet outgate {_NAMES[door]}")
    return any("counter packets" in line and "packets 0 " not in line for line in text.splitlines())
