"""Frozen dataclasses that are made at once.

A command of a tenth of a second loads a hundred classes, and `dataclasses.dataclass` compiles six small functions for
each frozen one: before Python 3.13 half a millisecond a class, and a third of the command. Here the standard library
collects the fields and makes the slots, and of the methods only `__init__` is compiled; the others are the same
functions over the names of the fields. `__init__` sets the slots themselves, so values are also made in half the time.

The decorator takes the arguments of the standard one that it knows, and to whoever reads types it *is* the standard
one. `replace`, `fields`, `asdict` and patterns work as they do with any dataclass; a class that another is to inherit
from, or that needs anything else, is made by the standard one.
"""

from __future__ import annotations

import dataclasses
import operator
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

_ORDER = {"__lt__": operator.lt, "__le__": operator.le, "__gt__": operator.gt, "__ge__": operator.ge}


if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(*, frozen: bool, slots: bool, eq: bool = True, order: bool = False):
        """As `dataclasses.dataclass`, for classes that are frozen and have slots."""
        if not (frozen and slots):
            raise TypeError("only what is frozen and has slots is made here")

        def make(cls: type) -> type:
            made = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True)(cls)
            fields = dataclasses.fields(made)
            methods = {
                "__init__": _init(made, fields),
                "__repr__": _repr([one.name for one in fields if one.repr]),
                "__reduce__": _reduce([one.name for one in fields if one.init]),
                "__setattr__": _refuse_to_assign,
                "__delattr__": _refuse_to_delete,
            }
            if eq:
                methods |= _comparisons([one.name for one in fields if one.compare], order)
            for name, method in methods.items():
                # What the class says itself stands. Python writes None for the hash of a class with an `__eq__`.
                if made.__dict__.get(name) is None:
                    setattr(made, name, method)
            return made

        return make


def _init(cls: type, fields: tuple[dataclasses.Field[Any], ...]) -> Any:
    """The one method that is compiled: names and defaults of parameters cannot be given in another way."""
    names: dict[str, Any] = {"_none": dataclasses.MISSING}
    parameters, lines = ["self"], ["pass"]
    for one in fields:
        name, parameter, value = one.name, one.name, one.name
        names[f"_set_{name}"] = getattr(cls, name).__set__
        if one.default is not dataclasses.MISSING:
            names[f"_default_{name}"] = one.default
            parameter = f"{name}=_default_{name}"
            value = name if one.init else f"_default_{name}"
        elif one.default_factory is not dataclasses.MISSING:
            names[f"_make_{name}"] = one.default_factory
            parameter = f"{name}=_none"
            value = f"_make_{name}() if {name} is _none else {name}" if one.init else f"_make_{name}()"
        if one.init:
            parameters.append(parameter)
        lines.append(f"_set_{name}(self, {value})")
    # The names are those of attributes, which Python has read as such.
    exec(f"def __init__({', '.join(parameters)}):\n  " + "\n  ".join(lines), names)  # noqa: S102 - see above
    return names["__init__"]


def _repr(names: list[str]) -> Any:
    def __repr__(self: Any) -> str:  # noqa: N807 - it becomes this method
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    return __repr__


def _reduce(names: list[str]) -> Any:
    """What is copied and sent is made anew from its fields: nobody may assign them."""

    def __reduce__(self: Any) -> Any:  # noqa: N807 - it becomes this method
        return type(self), tuple(getattr(self, name) for name in names)

    return __reduce__


def _comparisons(names: list[str], order: bool) -> dict[str, Any]:
    """Equality and hash, and order where it is wanted, by the values of these fields."""
    values: Any = operator.attrgetter(*names) if names else lambda _: ()

    def __eq__(self: Any, other: object) -> Any:  # noqa: N807 - it becomes this method
        return values(self) == values(other) if type(other) is type(self) else NotImplemented

    def __hash__(self: Any) -> int:  # noqa: N807 - it becomes this method
        return hash(values(self))

    def ordered(compare: Any) -> Any:
        return lambda self, other: compare(values(self), values(other)) if type(other) is type(self) else NotImplemented

    found: dict[str, Any] = {"__eq__": __eq__, "__hash__": __hash__}
    return found | {name: ordered(compare) for name, compare in _ORDER.items() if order}


def _refuse_to_assign(_self: object, name: str, _value: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(_self: object, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
