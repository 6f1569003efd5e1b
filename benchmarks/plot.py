"""A drawing of measurements as SVG: points on two logarithmic axes, with how far the rounds lay apart.

    svg = draw(Chart("Title", "what was held constant", Axis("pods", count), Axis("CPU seconds", seconds), series))

Both axes are logarithmic, always: sizes grow by factors here, and in such a drawing whatever grows in proportion is a
straight line of one slope, wherever it begins. A dashed guide shows that slope. Each series carries its name at its
last point, in its colour, so there is no key to look up. The drawing brings its own background: it reads the same on a
light page and on a dark one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Axis", "Chart", "Datum", "Guide", "Series", "count", "draw", "seconds"]

_WIDTH, _HEIGHT = 780, 470
_LEFT, _RIGHT, _TOP, _BOTTOM = 88, 160, 106, 64
_PAPER, _INK, _SOFT, _GRID, _FINE = "#ffffff", "#1f2430", "#5b6472", "#d8dde5", "#eef1f5"
_COLOURS = ("#0b5cad", "#b4500b", "#2b7a3d", "#7a3d9a")
_FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"
_LINE = 17
"""Pixels from one line of text to the next."""


@dataclass(frozen=True, slots=True)
class Datum:
    """A size and what was measured there: the median, and the lowest and highest of the rounds."""

    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Series:
    """Measurements of one thing. `name` may have several lines."""

    name: str
    data: tuple[Datum, ...]


@dataclass(frozen=True, slots=True)
class Guide:
    """What would be if y grew with the `power` of x, from a point on."""

    name: str
    x: float
    y: float
    power: float = 1


@dataclass(frozen=True, slots=True)
class Axis:
    """What is along an axis, and how its values are written."""

    title: str
    write: Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Chart:
    """All that a drawing says."""

    title: str
    subtitle: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    guides: tuple[Guide, ...] = ()


def count(value: float) -> str:
    """A number of things, thousands apart."""
    return f"{value:,.0f}".replace(",", "\N{NO-BREAK SPACE}")


def seconds(value: float) -> str:
    """A time in the unit in which it is a small number."""
    for factor, unit in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if value * factor >= 0.999:
            return f"{value * factor:.4g}\N{NO-BREAK SPACE}{unit}"
    return f"{value * 1e9:.4g}\N{NO-BREAK SPACE}ns"


def draw(chart: Chart) -> str:
    """The drawing as one SVG document. Raises ValueError for a value that has no place on a logarithmic axis."""
    data = [datum for series in chart.series for datum in series.data]
    if not data or min(min(one.x, one.low) for one in data) <= 0:
        raise ValueError("a drawing needs data, and every value of it above zero")
    return "\n".join([*_head(chart), *_Plane(chart, data).lines(), "</svg>", ""])


def _head(chart: Chart) -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}"'
        f' role="img" aria-labelledby="title what" font-family="{escape(_FONT)}" font-size="13" fill="{_INK}">'
    )
    yield f'<title id="title">{escape(chart.title)}</title>'
    yield f'<desc id="what">{escape(chart.subtitle)}</desc>'
    yield f'<rect x="0.5" y="0.5" width="{_WIDTH - 1}" height="{_HEIGHT - 1}" rx="8" fill="{_PAPER}" stroke="{_GRID}"/>'
    yield _text(24, 34, chart.title, 'font-size="17" font-weight="600"')
    yield _text(24, 56, chart.subtitle, f'fill="{_SOFT}"')


class _Plane:
    """The two axes, and everything that has a place between them."""

    def __init__(self, chart: Chart, data: Sequence[Datum]) -> None:
        self.chart = chart
        self.xs = sorted({one.x for one in data})
        # Room beside the first and the last point, and whole steps of 1, 2, 5 above and below.
        self.left, self.right = self.xs[0] / 1.25, self.xs[-1] * 1.25
        self.low = _step_below(min(one.low for one in data))
        self.high = _step_above(max(one.high for one in data))

    def x(self, value: float) -> float:
        """Pixels from the left."""
        return _LEFT + _share(value, self.left, self.right) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        """Pixels from the top."""
        return _HEIGHT - _BOTTOM - _share(value, self.low, self.high) * (_HEIGHT - _TOP - _BOTTOM)

    def lines(self) -> Iterator[str]:
        """The elements, from the back to the front."""
        yield from self._grid()
        for guide in self.chart.guides:
            yield from self._guide(guide)
        for number, series in enumerate(self.chart.series):
            yield from self._series(series, _COLOURS[number % len(_COLOURS)])
        yield from self._names()

    def _grid(self) -> Iterator[str]:
        bottom, end = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
        for value in _steps(self.low, self.high):
            y = self.y(value)
            whole = math.isclose(math.log10(value) % 1, 0, abs_tol=1e-9) or math.isclose(math.log10(value) % 1, 1)
            yield f'<path d="M{_LEFT} {y:.1f}H{end}" stroke="{_GRID if whole else _FINE}"/>'
            yield _text(
                _LEFT - 9, y + 4.5, self.chart.y.write(value), f'text-anchor="end" fill="{_INK if whole else _SOFT}"'
            )
        for value in self.xs:
            x = self.x(value)
            yield f'<path d="M{x:.1f} {_TOP}V{bottom}" stroke="{_FINE}"/>'
            yield f'<path d="M{x:.1f} {bottom}v5" stroke="{_SOFT}"/>'
            yield _text(x, bottom + 21, self.chart.x.write(value), 'text-anchor="middle"')
        yield f'<path d="M{_LEFT} {_TOP}V{bottom}H{end}" fill="none" stroke="{_SOFT}"/>'
        yield _text((_LEFT + end) / 2, _HEIGHT - 16, self.chart.x.title, f'text-anchor="middle" fill="{_SOFT}"')
        yield _text(24, _TOP - 19, self.chart.y.title, f'fill="{_SOFT}"')

    def _guide(self, guide: Guide) -> Iterator[str]:
        x, y = self._end_of(guide)
        start_x, start_y = self.x(guide.x), self.y(guide.y)
        start = f"M{start_x:.1f} {start_y:.1f}"
        yield f'<path class="guide" d="{start}L{x:.1f} {y:.1f}" stroke="{_SOFT}" stroke-dasharray="3 5"/>'
        if x < self.x(self.xs[-1]) - 1:
            # It leaves at the top; to its left, above all measurements, is room for its name.
            for number, line in enumerate(guide.name.split("\n")):
                below = 17 + number * _LINE
                beside = x - below * (x - start_x) / (start_y - y) - 9
                yield _text(beside, y + below, line, f'text-anchor="end" fill="{_SOFT}"')

    def _end_of(self, guide: Guide) -> tuple[float, float]:
        """Where a guide ends: below the last point, or at the top if it is there first."""
        last = self.xs[-1]
        value = guide.y * (last / guide.x) ** guide.power
        if value > self.high:
            last, value = guide.x * (self.high / guide.y) ** (1 / guide.power), self.high
        return self.x(last), self.y(value)

    def _series(self, series: Series, colour: str) -> Iterator[str]:
        places = " ".join(f"{self.x(one.x):.1f},{self.y(one.y):.1f}" for one in series.data)
        yield f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="2" stroke-linejoin="round"/>'
        for one in series.data:
            x = self.x(one.x)
            if one.high > one.low:
                ends = f"M{x:.1f} {self.y(one.low):.1f}V{self.y(one.high):.1f}"
                yield f'<path class="range" d="{ends}" stroke="{colour}" stroke-width="5" stroke-opacity="0.28"/>'
            words = f"{self.chart.x.write(one.x)}: {self.chart.y.write(one.y)}"
            yield (
                f'<circle cx="{x:.1f}" cy="{self.y(one.y):.1f}" r="4" fill="{colour}" stroke="{_PAPER}"'
                f' stroke-width="1.5"><title>{escape(words)}</title></circle>'
            )

    def _names(self) -> Iterator[str]:
        """Each name beside the end of its line, pushed down where it would lie on another."""
        wanted = [
            (self.y(series.data[-1].y), series.name.split("\n"), _COLOURS[number % len(_COLOURS)], "600")
            for number, series in enumerate(self.chart.series)
        ]
        ends = ((guide, *self._end_of(guide)) for guide in self.chart.guides)
        right = self.x(self.xs[-1]) - 1
        wanted += [(y, guide.name.split("\n"), _SOFT, "400") for guide, x, y in ends if x >= right]
        free = float(_TOP)
        for middle, words, colour, weight in sorted(wanted):
            top = max(free, middle - len(words) * _LINE / 2)
            for number, line in enumerate(words):
                place = f'fill="{colour}" font-weight="{weight}"'
                yield _text(_WIDTH - _RIGHT + 10, top + number * _LINE + 13, line, place)
            free = top + len(words) * _LINE + 4


def _text(x: float, y: float, words: str, more: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{escape(words)}</text>'


def _share(value: float, low: float, high: float) -> float:
    return math.log(value / low) / math.log(high / low)


def _steps(low: float, high: float) -> Iterator[float]:
    """1, 2, 5, 10, 20, ... between two of them; powers of ten alone where all would be too many lines."""
    decades = math.log10(high / low)
    for power in range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1):
        for first in (1, 2, 5) if decades <= 4 else (1,):
            value = first * 10.0**power
            if low * 0.999 <= value <= high * 1.001:
                yield value


def _step_below(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return max(first * power for first in (0.5, 1, 2, 5) if first * power < value)


def _step_above(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return min(first * power for first in (1, 2, 5, 10, 20) if first * power > value)
