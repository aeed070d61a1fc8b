"""Grid charts: the collected columns of a grid study, as maps, lines or bars."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from rack_sim.metrics.column import Column
from rack_sim.metrics.summary import Value
from rack_sim.metrics.words import PHASES, STATUSES, TERMS, wants
from rack_sim.record.kinds import AXIS
from rack_sim.record.record import Record
from rack_sim.record.table import Row
from rack_sim.report.chart import Axis, Cells, Chart, Panels, Series, axis_of, things_axis
from rack_sim.report.colours import GREY, Look, look_of
from rack_sim.report.numbers import amount_text, count_text, number_of
from rack_sim.study.grid_titles import column_title

_OK = "ok"
_MACHINE = "machine"
# More lines than this cannot be told apart, nor more panels be read.
_LINES_MAX = 14
_PANELS_MAX = 6
_MARKS_MAX = 9
_REASON_CHARACTERS = 200
# Bars with longer names, or more of them, lie on their side.
_UPRIGHT_CHARACTERS = 60
_AXIS_CHARACTERS = 40  # a longer title stands above the chart alone
# What is shown of a study that does not say what it collects.
_SHOWN = ("output_tok_s_per_user_p50", "tpot_ms_p50", "ttft_ms_p99")
_NOTHING = Look(GREY, marker="cross")


@dataclass(frozen=True)
class _Grid:
    """The points of a grid: along which key they are drawn, and which others tell them apart."""

    rows: tuple[Row, ...]
    columns: Mapping[str, Column]
    titles: Mapping[str, str]
    collected: Mapping[str, str]

    @property
    def _keys(self) -> list[str]:
        return [name for name in self.columns if name.startswith(AXIS) or name == _MACHINE]

    @cached_property
    def varied(self) -> list[str]:
        """The keys that have more than one value, and the machine where there are several."""
        return [name for name in self._keys if len(self.values(name)) > 1]

    @cached_property
    def x(self) -> str:
        """What it is drawn along: the key of numbers with the most values, else the first."""
        keys = [name for name in self.varied if name != _MACHINE]
        numeric = [name for name in keys if self.is_numeric(name)]
        if numeric:
            return max(numeric, key=lambda name: len(self.values(name)))
        return next(iter([*keys, *self.varied, *self._keys[::-1]]), "status")

    @property
    def others(self) -> list[str]:
        """What tells points at one place of `x` apart."""
        return [name for name in self.varied if name != self.x]

    def values(self, name: str) -> list[Value]:
        """Every value of a key, in the order of the points; numbers from low to high."""
        found = list(dict.fromkeys(row[name] for row in self.rows))
        return sorted(found) if self.is_numeric(name) else found  # type: ignore[type-var]

    def is_numeric(self, name: str) -> bool:
        """Whether all values of a key are numbers."""
        return len(self.numbers(name)) == len(self.rows)

    def numbers(self, name: str) -> list[float]:
        """What of a column is a number."""
        return [value for row in self.rows if (value := number_of(row[name])) is not None]

    def words(self, name: str) -> str:
        """What a key is called, with its unit."""
        if name == _MACHINE:
            return _MACHINE
        return self.titles.get(name.removeprefix(AXIS), name.removeprefix(AXIS))


def grid_charts(record: Record) -> Iterator[Panels]:
    """A chart for each collected column of numbers."""
    grid = _grid(record)
    names = list(filter(grid.numbers, grid.collected))
    drawn = [_chart(grid, name) for name in names[:_PANELS_MAX]]
    title = str(record.facts.get("description") or record.name)
    yield Panels("grid", title, _says(record, grid), tuple(drawn), columns=2)


def _grid(record: Record) -> _Grid:
    table = record.tables["results.csv"]
    columns = {column.name: column for column in table.columns}
    titles, collected = (
        found if isinstance(found := record.facts.get(key), dict) else {}
        for key in ("titles", "collect")
    )
    known = {str(name): str(words) for name, words in collected.items() if name in columns}
    if not known:
        known = {name: column_title(name) for name in _SHOWN if name in columns}
    return _Grid(table.records, columns, titles, known)


def _chart(grid: _Grid, name: str) -> Chart:
    if len(grid.others) == 1 and _MACHINE not in grid.varied:
        return _heat_map(grid, name)
    return _lines(grid, name) if grid.is_numeric(grid.x) else _bars(grid, name)


def _heat_map(grid: _Grid, name: str) -> Chart:
    """Of two keys: every point a cell, the best one marked, with what limits each."""
    (y,) = grid.others
    across, down = grid.values(grid.x), grid.values(y)
    by_place = {(row[y], row[grid.x]): row for row in grid.rows}
    rows = [[by_place.get((first, second)) for second in across] for first in down]
    values = tuple(
        tuple(None if row is None else number_of(row[name]) for row in line) for line in rows
    )
    best = _best(grid, name)
    places = [(n, line.index(best)) for n, line in enumerate(rows) if best and best in line]
    hover = tuple(tuple(_hover(grid, row, name) for row in line) for line in rows)
    return Chart(
        _chart_name(name),
        _title(grid, name, best),
        _things(grid, grid.x),
        _things(grid, y),
        cells=Cells(values, hover, places[0] if places else None),
        says=_range_words(grid, name) + " × has no numbers." * any(None in v for v in values),
    )


def _lines(grid: _Grid, name: str) -> Chart:
    """Along a key of numbers; broken where a point has none, which is a cross at the foot."""
    given = [float(value) for value in grid.values(grid.x) if isinstance(value, int | float)]
    x = axis_of(grid.words(grid.x), "", given)
    if len(given) <= _MARKS_MAX:
        x = Axis(x.name, x.unit, x.scale, x.low, x.high, marks=tuple(given))
    series = [
        Series(
            label,
            tuple(float(row[grid.x] or 0) for row in rows),
            tuple(number_of(row[name]) for row in rows),
            look_of(number),
            hover=tuple(_limit_words(row, name) for row in rows),
            # Where lines lie on each other, the larger mark shows around the smaller.
            mark_size=max(1.4 - 0.1 * number, 0.7),
        )
        for number, (label, rows) in enumerate(_groups(grid).items())
    ]
    y = axis_of(*_y_words(grid, name), [value for one in series for value in one.values])
    lost = [row for row in grid.rows if row["status"] != _OK]
    if lost:
        foot = y.low if y.scale == "log" else y.low + 0.02 * (y.high - y.low)
        places = tuple(float(row[grid.x] or 0) for row in lost)
        reasons = tuple(_reason(row) for row in lost)
        series.append(
            Series("no numbers", places, (foot,) * len(lost), _NOTHING, "points", hover=reasons)
        )
    best = _best(grid, name)
    title = _title(grid, name, best)
    return Chart(_chart_name(name), title, x, y, tuple(series), _range_words(grid, name))


def _bars(grid: _Grid, name: str) -> Chart:
    """Of words, or machines: a bar for each, beside each other where other keys vary."""
    labels = [_value_words(value) for value in grid.values(grid.x)]
    places = {value: float(place) for place, value in enumerate(grid.values(grid.x))}
    series = tuple(
        Series(
            label,
            tuple(places[row[grid.x]] for row in rows),
            tuple(number_of(row[name]) for row in rows),
            look_of(number),
            "bars",
            hover=tuple(_limit_words(row, name) for row in rows),
            labels=tuple(
                "×" if (value := number_of(row[name])) is None else amount_text(value)
                for row in rows
            ),
        )
        for number, (label, rows) in enumerate(_groups(grid).items())
    )
    values = [value for one in series for value in one.values]
    y = axis_of(*_y_words(grid, name), [*values, 1.1 * max(values)], scale="linear")
    return Chart(
        _chart_name(name),
        _title(grid, name, _best(grid, name)),
        things_axis(grid.words(grid.x), labels),
        y,
        series,
        _range_words(grid, name),
        is_sideways=sum(map(len, labels)) > _UPRIGHT_CHARACTERS,
    )


def _groups(grid: _Grid) -> dict[str, list[Row]]:
    """The rows of each line by its label, in order along the axis; the first of many lines."""
    found: dict[str, list[Row]] = {}
    for row in grid.rows:
        found.setdefault(_label(grid, row), []).append(row)
    order = {value: place for place, value in enumerate(grid.values(grid.x))}
    return {
        label: sorted(rows, key=lambda row: order[row[grid.x]])
        for label, rows in list(found.items())[:_LINES_MAX]
    }


def _label(grid: _Grid, row: Row) -> str:
    """Which line a point belongs to: its values, with what they are of where that is not plain."""
    parts = []
    for name in grid.others:
        shown = _value_words(row[name])
        lone = len(grid.others) == 1 and not grid.is_numeric(name)
        parts.append(shown if name == _MACHINE or lone else f"{grid.words(name)} {shown}")
    return ", ".join(parts)


def _things(grid: _Grid, name: str) -> Axis:
    return things_axis(grid.words(name), map(_value_words, grid.values(name)))


def _value_words(value: Value) -> str:
    number = number_of(value)
    if number is not None:
        return amount_text(number, 6)
    return "none" if value is None else str(value)


def _y_words(grid: _Grid, name: str) -> tuple[str, str]:
    title, unit = grid.collected[name], grid.columns[name].unit
    return (title, unit) if len(title) <= _AXIS_CHARACTERS else ("", unit or name)


def _chart_name(name: str) -> str:
    return f"grid-{name.replace('_', '-')}"


def _best(grid: _Grid, name: str) -> Row | None:
    """The best point by a column: None where points are alike, or where none is better."""
    if len(set(grid.numbers(name))) < 2 or not wants(name):
        return None
    known = [row for row in grid.rows if number_of(row[name]) is not None]
    return (min if wants(name) == "less" else max)(
        known, key=lambda row: number_of(row[name]) or 0.0
    )


def _title(grid: _Grid, name: str, best: Row | None) -> str:
    title, unit = grid.collected[name], grid.columns[name].unit
    values = grid.numbers(name)
    if best is not None:
        value = number_of(best[name]) or 0.0
        at = ", ".join(_at(grid, key, best[key]) for key in grid.varied)
        more = values.count(value) - 1
        at += f" (and at {count_text(more, 'other point')})" if more else ""
        least = "least" if wants(name) == "less" else "most"
        return f"{title}: {least}, {amount_text(value)} {unit}".rstrip() + f", with {at}"
    if min(values) == max(values):
        return f"{title}: always {amount_text(values[0])} {unit}".rstrip()
    return f"{title}: {amount_text(min(values))} to {amount_text(max(values))} {unit}".rstrip()


def _at(grid: _Grid, name: str, value: Value) -> str:
    """A key and its value: ``rate of a link 100 GB/s``."""
    if name == _MACHINE:
        return str(value)
    words = grid.words(name).split(", ")
    return f"{words[0]} {_value_words(value)} {words[-1] if len(words) > 1 else ''}".rstrip()


def _range_words(grid: _Grid, name: str) -> str:
    values, unit = grid.numbers(name), grid.columns[name].unit
    low, high = (f"{amount_text(end)} {unit}".rstrip() for end in (min(values), max(values)))
    return f"{low} at every point." if low == high else f"From {low} to {high}."


def _hover(grid: _Grid, row: Row | None, name: str) -> str:
    if row is None:
        return "no such point"
    lines = [f"{grid.words(key)}: {_value_words(row[key])}" for key in grid.varied]
    value = number_of(row[name])
    if value is not None:
        lines.insert(0, f"{amount_text(value)} {grid.columns[name].unit}".rstrip())
    return "\n".join([*lines, _limit_words(row, name)]).rstrip()


def _limit_words(row: Row, name: str) -> str:
    """What limits a point: of a latency its largest part, else the machine's bottleneck."""
    if row["status"] != _OK:
        return _reason(row)
    for stem, column, words in (
        ("ttft", "ttft_bound_by", PHASES),
        ("tpot", "tpot_bound_by", TERMS),
        ("itl", "tpot_bound_by", TERMS),
    ):
        found = row.get(column)
        if name.startswith(stem) and isinstance(found, str) and found in words:
            return f"limited by: {words[found].name}"
    bottleneck = row.get("bottleneck")
    return f"limited by: {bottleneck}" if bottleneck else ""


def _reason(row: Row) -> str:
    status = str(row["status"])
    words = STATUSES[status].name if status in STATUSES else status
    reason = str(row.get("reason") or "")
    if len(reason) > _REASON_CHARACTERS:
        reason = f"{reason[:_REASON_CHARACTERS]}…"
    return f"{words}: {reason}" if reason else words


def _says(record: Record, grid: _Grid) -> str:
    parts = [f"{record.name}: {count_text(len(grid.rows), 'point')}"]
    lines = len({_label(grid, row) for row in grid.rows})
    if lines > _LINES_MAX and not (len(grid.others) == 1 and _MACHINE not in grid.varied):
        parts.append(f"the first {_LINES_MAX} of {lines} lines are drawn")
    without = [row for row in grid.rows if row["status"] != _OK]
    if without:
        statuses = [str(row["status"]) for row in without]
        counts = ", ".join(
            f"{statuses.count(status)} {STATUSES[status].name if status in STATUSES else status}"
            for status in dict.fromkeys(statuses)
        )
        first = f"{without[0].get('point_name', '')}: {_reason(without[0])}"
        parts.append(f"× without numbers: {counts}. {first}")
    return "; ".join(parts)
