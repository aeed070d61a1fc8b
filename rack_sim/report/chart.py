"""Chart: what a drawing says, as data; `report.draw` has a pen for each kind of paper.

A chart is told by its finding, its axes and its series; how a thing looks comes from
`report.colours`, so it looks alike in a figure, on a page and on a sheet.
"""

from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from functools import cached_property
from math import ceil, floor, log10
from typing import Literal

from rack_sim.report.colours import OBJECTIVE, Look
from rack_sim.report.numbers import amount_text

Scale = Literal["linear", "log"]
Kind = Literal["line", "points", "bars", "area", "gap"]

LOG_RATIO = 20
"""Where values span more than this, a linear axis would squeeze what lies low."""

# Ticks are counted in the first of these that they reach.
_SIZES = (("bn", 1e9), ("M", 1e6), ("", 0.0))
_ROOM = 1.08  # above the highest value
_LOG_ROOM = 1.35
# An objective this far above every value would flatten the curves; it is named at the edge.
_REACH_RATIO = 4


@dataclass(frozen=True)
class Axis:
    """One axis: what is on it, in which unit, from where to where.

    An axis of things instead of numbers has their `labels`, at 0, 1, 2, …; `marks` are the places
    of its ticks, where they are not for the axis to choose.
    """

    name: str
    unit: str = ""
    scale: Scale = "linear"
    low: float = 0.0
    high: float = 1.0
    labels: tuple[str, ...] = ()
    marks: tuple[float, ...] = ()

    @property
    def words(self) -> str:
        """Its title: ``offered load (requests/s)``."""
        return f"{self.name} ({self.unit})" if self.unit and self.name else self.name or self.unit

    def ticks(self, most: int = 7) -> tuple[tuple[float, str], ...]:
        """Where it has ticks, and what they say; not many more than `most`.

        >>> [text for _, text in Axis("", scale="log", low=3, high=700).ticks()]
        ['5', '10', '20', '50', '100', '200', '500']
        >>> [text for _, text in Axis("", high=1_400_000).ticks(4)]
        ['0', '0.5 M', '1 M']
        """
        if self.labels:
            return tuple(enumerate(self.labels))
        places = self.marks or tuple(_places(self.low, self.high, self.scale, most))
        # Side by side, ticks are counted in one unit; by powers, each in its own.
        largest = max(map(abs, places), default=0)
        sizes = [abs(place) if self.scale == "log" else largest for place in places]
        return tuple(zip(places, map(_tick_text, places, sizes), strict=True))

    def text(self, value: float) -> str:
        """A value of it, with its unit; of an axis of things, the thing."""
        if self.labels:
            return self.labels[round(value)]
        return f"{amount_text(value)} {self.unit}".rstrip()


@dataclass(frozen=True)
class Series:
    """Points that belong together: a line, marks, bars or an area.

    A gap is what stacked bars stand on without being drawn.
    `x` are numbers of the axis, or of its labels. `hover` says what each point is beside its value,
    `labels` is written beside each; `looks` are those of bars that differ. Marks that are
    hollow have an outline alone. A series without a `name` is not in the legend.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float | None, ...]
    look: Look
    kind: Kind = "line"
    hover: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    looks: tuple[Look, ...] = ()
    mark_size: float = 1.0
    is_hollow: bool = False

    @property
    def values(self) -> list[float]:
        """What of it has a value."""
        return [value for value in self.y if value is not None]

    def look_at(self, place: int) -> Look:
        """How its point with this number looks."""
        return self.looks[place] if self.looks else self.look


@dataclass(frozen=True)
class Limit:
    """A line across the chart, or a span up to `end`: an objective, a knee, a region."""

    value: float
    words: str
    look: Look = OBJECTIVE
    axis: Literal["x", "y"] = "y"
    end: float | None = None


@dataclass(frozen=True)
class Cells:
    """Values over two axes of things: a row for each label of y, a cell in it for each of x.

    `hover` says what each cell is, `best` is the place (row, cell) of the best one.
    """

    values: tuple[tuple[float | None, ...], ...]
    hover: tuple[tuple[str, ...], ...]
    best: tuple[int, int] | None = None

    @property
    def span(self) -> tuple[float, float]:
        """The least and the largest value."""
        known = [value for row in self.values for value in row if value is not None]
        return min(known), max(known)

    @property
    def by_powers(self) -> bool:
        """Whether values lie so far apart that their shades go by powers."""
        low, high = self.span
        return low > 0 and high > LOG_RATIO * low


@dataclass(frozen=True)
class Chart:
    """One drawing: `title` is what it shows, `says` what else a reader should know.

    Bars that lie `sideways` have their labels on the left: `x` is then drawn upright. `notes` stand
    below it.
    """

    name: str
    title: str
    x: Axis
    y: Axis
    series: tuple[Series, ...] = ()
    says: str = ""
    limits: tuple[Limit, ...] = ()
    notes: tuple[str, ...] = ()
    cells: Cells | None = None
    is_stacked: bool = False
    is_sideways: bool = False

    @cached_property
    def always(self) -> str:
        """What is said of lines that never change; nothing where one does."""
        lines = [one for one in self.series if one.kind == "line" and len(one.values) > 1]
        values = {value for one in lines for value in one.values}
        alone = len(lines) == len([one for one in self.series if one.name])
        return f"always {self.y.text(values.pop())}" if len(values) == 1 and alone else ""

    @property
    def near(self) -> tuple[Limit, ...]:
        """The limits that are drawn where they are."""
        return tuple(limit for limit in self.limits if not self._is_far(limit))

    @property
    def far(self) -> tuple[Limit, ...]:
        """The limits beyond the axis, which are named at its edge."""
        return tuple(limit for limit in self.limits if self._is_far(limit))

    def far_words(self, limit: Limit) -> str:
        """What is said of a limit beyond the axis: on which side it lies."""
        axis = self.x if limit.axis == "x" else self.y
        arrows = ("→", "←") if limit.axis == "x" else ("↑", "↓")
        return f"{arrows[limit.value < axis.low]} {limit.words}"

    def _is_far(self, limit: Limit) -> bool:
        axis = self.x if limit.axis == "x" else self.y
        return limit.value > axis.high or max(limit.value, limit.end or limit.value) < axis.low

    @property
    def values_of(self) -> list[float]:
        """Every value of every series."""
        return [value for one in self.series for value in one.values]

    def rows(self) -> Iterator[tuple[str, str, str, str]]:
        """What is drawn as text: the series, where it is, what it is there, what is said of it."""
        if self.cells is not None:
            for label, values in zip(self.y.labels, self.cells.values, strict=True):
                for name, value in zip(self.x.labels, values, strict=True):
                    yield label, name, "" if value is None else amount_text(value, 5), ""
        for one in self.series:
            if one.look.marker == "ring" or one.kind == "gap":
                continue  # it marks a point of another series, or nothing at all
            said = one.hover or ("",) * len(one.x)
            for at, value, words in zip(one.x, one.y, said, strict=True):
                if value is not None:
                    place = self.x.labels[round(at)] if self.x.labels else amount_text(at, 6)
                    yield one.name, place, amount_text(value, 5), words


@dataclass(frozen=True)
class Panels:
    """Charts that belong together: one picture, under one heading that says the finding.

    In it, `columns` stand side by side, each `height_inches` high where nothing asks for more.
    """

    name: str
    title: str
    says: str
    charts: tuple[Chart, ...]
    columns: int = 2
    height_inches: float = 3.9


def empty_chart(name: str, title: str, says: str) -> Chart:
    """A chart of which there is nothing to draw, only something to say."""
    return Chart(name, title, Axis(""), Axis(""), says=says)


WHOLE_PERCENT = 100.0


def axis_of(
    name: str,
    unit: str,
    values: Iterable[float | None],
    *,
    bounds: Sequence[float] = (),
    scale: Scale | None = None,
    from_zero: bool = True,
) -> Axis:
    """An axis on which all values are seen: from zero, or by powers of ten where they are far off.

    `bounds` are objectives, on it where they do not flatten the values. `scale` is chosen where
    none is given. Of points close together an axis that is not `from_zero` shows them apart.

    >>> axis_of("wait", "ms", [3, 5]), axis_of("wait", "ms", [3, 500]).scale
    (Axis(name='wait', unit='ms', scale='linear', low=0.0, high=5.4, labels=(), marks=()), 'log')
    """
    known = [float(value) for value in values if value is not None]
    low, high = min(known, default=0.0), max(known, default=1.0)
    if not from_zero and high / 2 < low < high:
        reach = 0.1 * (high - low)
        return Axis(name, unit, "linear", low - reach, high + reach)
    near = [bound for bound in bounds if bound <= _REACH_RATIO * high or high <= 0]
    top = max([high, *near])
    if scale is None:
        scale = "log" if low > 0 and high > LOG_RATIO * low else "linear"
    if scale == "log" and low > 0:
        least = min([low, *(bound for bound in near if bound > 0)])
        return Axis(name, unit, "log", least / _LOG_ROOM, top * _LOG_ROOM)
    if low < 0:
        reach = 0.08 * (max(top, 0.0) - low)
        return Axis(name, unit, "linear", low - reach, max(top, 0.0) + reach)
    high = top * _ROOM or 1.0
    if unit == "%" and top <= WHOLE_PERCENT < high:
        high = WHOLE_PERCENT  # a share has no more
    return Axis(name, unit, "linear", 0.0, high)


def things_axis(name: str, labels: Iterable[str]) -> Axis:
    """An axis of things, one beside the other."""
    found = tuple(labels)
    return Axis(name, labels=found, low=-0.5, high=len(found) - 0.5)


def in_order(things: Sized) -> tuple[float, ...]:
    """Where so many things stand on their axis, one beside the other."""
    return tuple(map(float, range(len(things))))


def _places(low: float, high: float, scale: Scale, most: int) -> list[float]:
    if scale == "log":
        exponents = range(floor(log10(low)), ceil(log10(high)) + 1)
        within = high < 10 * low
        for digits in ((1, 2, 3, 5, 7) if within else (1, 2, 5), (1, 2, 5), (1, 3), (1,)):
            found = [float(f"{d}e{e}") for e in exponents for d in digits]
            found = [place for place in found if low <= place <= high]
            if 3 <= len(found) <= most:
                return found
        if len(exponents) > most:
            every = -(-len(exponents) // most)
            return [p for e in exponents[::every] if low <= (p := float(f"1e{e}")) <= high]
    step = _step(high - low, most)
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def _step(span: float, most: int) -> float:
    """1, 2 or 5 times a power of ten, so that a span has no more than so many."""
    least = span / max(most, 1)
    power = 10.0 ** floor(log10(least))
    return next(size * power for size in (1, 2, 5, 10) if size * power >= least * (1 - 1e-9))


def _tick_text(value: float, largest: float) -> str:
    if not value:
        return "0"
    unit, size = next(pair for pair in _SIZES if largest >= pair[1])
    shown = value / size if size else value
    text = f"{shown:,.12g}" if abs(shown) >= 0.001 else f"{shown:.12f}".rstrip("0").rstrip(".")
    return f"{text} {unit}".rstrip()
