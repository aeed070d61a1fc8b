"""Study charts: the results of a study as figures, one line for each machine or series."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rack_sim.metrics.column import Column
from rack_sim.record.kinds import AXIS
from rack_sim.record.record import Record
from rack_sim.report.html.page import Chart, Table
from rack_sim.report.html.plot import (
    COLOURS,
    DASHES,
    Layout,
    Trace,
    bars,
    broken,
    layout,
    limit_line,
    line,
)
from rack_sim.report.html.quantity import cell, figure

if TYPE_CHECKING:
    import pandas as pd

RESULTS = "results.csv"  # the table of a grid
# More lines than there are colours could not be told apart.
_LINES_MAX = len(COLOURS)
_BARS_MAX = 40
# Far beyond saturation a latency says how long the run was, and nothing of the machine.
_BEYOND_SATURATION = 1.3
# From here on a linear axis would squeeze what lies low.
_LOG_RATIO = 20


def named_by(facts: Mapping[str, Any], key: str) -> dict[str, str]:
    """A mapping of names to words in a manifest; empty where it has none such."""
    found = facts.get(key)
    pairs = found.items() if isinstance(found, dict) else ()
    return {str(name): str(words) for name, words in pairs}


def columns_by_name(study: Record, file: str) -> dict[str, Column]:
    """The columns of a table of the study."""
    return {column.name: column for column in study.tables[file].columns}


def load_charts(study: Record) -> tuple[Chart, ...]:
    """Latency against load, and what is served of what is offered."""
    frame = study.frame("load.csv")
    near = frame[frame["offered_to_capacity_ratio"].fillna(0) <= _BEYOND_SATURATION]
    knee = _knee(study)
    charts = [
        _lines(
            f"load-{metric}",
            f"{words} against load",
            near,
            "offered_rps",
            {f"p{p}": f"{metric}_ms_p{p}" for p in (50, 99)},
            "machine",
            ("requests/s offered", "ms"),
            knee,
        )
        for metric, words in (("ttft", "TTFT"), ("tpot", "TPOT"), ("e2el", "End-to-end latency"))
    ]
    charts.append(
        _lines(
            "load-served",
            "Requests served, against load",
            frame,
            "offered_rps",
            {"finished": "request_throughput_rps", "within the SLO": "request_goodput_rps"},
            "machine",
            ("requests/s offered", "requests/s"),
            knee,
        )
    )
    return tuple(chart for chart in charts if chart is not None)


def _knee(study: Record) -> Layout:
    """Of one machine, the highest rate that meets the SLO, as a line across the chart."""
    table = study.frame("knee.csv")
    if len(table) != 1 or table["slo_met_rps"].isna().any():
        return {}
    rate = float(table["slo_met_rps"].iloc[0])
    middle = float(study.frame("load.csv")["offered_rps"].max()) / 2
    return limit_line(rate, f"SLO met up to {figure(rate)}/s", middle=middle)


def jitter_charts(study: Record) -> tuple[Chart, ...]:
    """Speed and tail against the extra time of operators, and the slip along the line."""
    frame, slip = study.frame("jitter.csv"), study.frame("slip.csv")
    last = slip[slip["operator_jitter_ns"] == slip["operator_jitter_ns"].max()]
    x = ("mean extra time of an operator, ns", "")
    charts = (
        _lines(
            "jitter-speed",
            "Speed that is kept",
            frame.assign(kept_percent=100 * frame["kept_share"]),
            "operator_jitter_ns",
            {"": "kept_percent"},
            "machine",
            (x[0], "% of the compiled speed"),
        ),
        _lines(
            "jitter-gap",
            "Time between two tokens, p99",
            frame,
            "operator_jitter_ns",
            {"": "token_gap_ms_p99"},
            "machine",
            (x[0], "ms"),
        ),
        _lines(
            "jitter-slip",
            "How much later each stage begins, at the largest extra time",
            last,
            "stage",
            {"": "slip_ms_mean"},
            "machine",
            ("stage", "ms, mean"),
        ),
    )
    return tuple(chart for chart in charts if chart is not None)


def grid_charts(study: Record) -> tuple[Chart, ...]:
    """What is collected against the first key that is a number, or as bars where none is."""
    frame = study.frame(RESULTS)
    if "status" in frame.columns:
        frame = frame[frame["status"] == "ok"]
    axes = [str(c) for c in frame.columns if str(c).startswith(AXIS)]
    varied = [axis for axis in axes if _values(frame, axis) > 1]
    numeric = [axis for axis in varied if frame[axis].dtype.kind in "if"]
    # Along the numeric key with the most values; the others tell the lines apart.
    x = max(numeric, key=lambda axis: (_values(frame, axis), -axes.index(axis)), default=None)
    others = [axis for axis in varied if axis != x]
    if "machine" in frame.columns and _values(frame, "machine") > 1:
        others.append("machine")
    titles = named_by(study.facts, "titles")
    words = {axis: titles.get(axis.removeprefix(AXIS), axis.removeprefix(AXIS)) for axis in axes}
    wanted = named_by(study.facts, "collect")
    collected = [name for name in wanted if name in frame and frame[name].dtype.kind in "if"]
    frame = frame[[*axes, *others, "point", "point_name", *collected]].loc[
        :, lambda given: ~given.columns.duplicated()
    ]
    series = frame.assign(series=[_series(row, others, words) for _, row in frame.iterrows()])
    charts = []
    for metric in collected:
        name, title = f"grid-{metric.replace('_', '-')}", wanted[metric]
        unit = columns_by_name(study, RESULTS)[metric].unit
        if x is not None:
            ys = {"": metric}
            charts.append(_lines(name, title, series, x, ys, "series", (words[x], unit)))
        else:
            charts.append(_bars(name, title, frame, metric, unit))
    return tuple(chart for chart in charts if chart is not None)


def _values(frame: "pd.DataFrame", column: str) -> int:
    """How many different values a column has."""
    return len(frame[column].dropna().unique())


def _series(row: Any, axes: Sequence[str], words: Mapping[str, str]) -> str:  # noqa: ANN401 - a row
    """Which line a point belongs to: its values, with what they are of where there are several."""
    parts = []
    for axis in axes:
        shown = cell(row[axis]).removeprefix("'")
        lone = len(axes) == 1 and row[axis] == str(row[axis])
        parts.append(shown if axis == "machine" or lone else f"{words[axis]} {shown}")
    return "; ".join(parts)


def _lines(
    name: str,
    title: str,
    frame: "pd.DataFrame",
    x: str,
    ys: dict[str, str],
    series: str,
    titles: tuple[str, str],
    more: Layout | None = None,
) -> Chart | None:
    """A line for each series and column; nothing where there is nothing to draw."""
    frame = frame.sort_values(x, kind="stable")
    groups = [(str(key).removeprefix("'"), rows) for key, rows in frame.groupby(series, sort=False)]
    room = max(1, _LINES_MAX // len(ys)) if len(groups) * len(ys) > _LINES_MAX else len(groups)
    traces: list[Trace] = []
    rows: list[tuple[str, ...]] = []
    values: list[float] = []
    for number, (key, given) in enumerate(groups):
        for place, (words, column) in enumerate(ys.items()):
            known = given[given[column].notna()]
            pairs = list(zip(known[x].tolist(), known[column].tolist(), strict=True))
            label = " ".join(part for part in (key if len(groups) > 1 else "", words) if part)
            rows += [(label or title, cell(at), figure(value, 5)) for at, value in pairs]
            if number >= room or not pairs:
                continue
            values += [value for _, value in pairs]
            colour = COLOURS[(number if len(groups) > 1 else place) % len(COLOURS)]
            traces.append(
                line(
                    label or title,
                    [at for at, _ in pairs],
                    [value for _, value in pairs],
                    colour,
                    unit=titles[1],
                    dash=DASHES[(place if len(groups) > 1 else 0) % len(DASHES)],
                    mode="lines+markers",
                    marker={"size": 7, "color": colour, "symbol": number % 8},
                )
            )
    if not traces:
        return None
    positive = [value for value in values if value > 0]
    logarithmic = (
        bool(positive)
        and len(positive) == len(values)
        and (max(positive) / min(positive) > _LOG_RATIO)
    )
    y_axis: dict[str, Any] = {"rangemode": "tozero"}
    if logarithmic:
        y_axis = {"type": "log", "dtick": "D2"}
    elif more and max(values) > 0:  # room for the words of the line across
        y_axis["range"] = [0, 1.2 * max(values)]
    says = f"From {figure(min(values))} to {figure(max(values))} {titles[1]}." + (
        " The scale is logarithmic." if logarithmic else ""
    )
    left_out = len(groups) - min(room, len(groups))
    return Chart(
        name,
        title,
        says,
        tuple(traces),
        layout(
            titles[0],
            titles[1],
            yaxis=y_axis,
            xaxis={"rangemode": "tozero"},
            showlegend=len(traces) > 1,
            **(more or {}),
        ),
        Table(title, ("Series", f"#{titles[0]}", f"#{titles[1]}"), tuple(rows)),
        height_px=380,
        note=f"{left_out} more lines are in the table alone." if left_out else "",
    )


def _bars(name: str, title: str, frame: "pd.DataFrame", metric: str, unit: str) -> Chart | None:
    """A bar for each point; nothing where none has a number."""
    given = frame[frame[metric].notna()]
    if given.empty:
        return None
    labels = [
        str(label).removeprefix("'")
        for label in (given["point_name"] if "point_name" in given.columns else given.index)
    ]
    values = given[metric].tolist()
    shown = list(zip(labels, values, strict=True))[:_BARS_MAX][::-1]
    return Chart(
        name,
        title,
        f"From {figure(min(values))} to {figure(max(values))} {unit}.",
        (
            bars(
                "",
                [broken(label) for label, _ in shown],
                [value for _, value in shown],
                COLOURS[0],
                unit=unit,
                sideways=True,
            ),
        ),
        layout(
            unit, "", xaxis={"rangemode": "tozero"}, yaxis={"automargin": True}, showlegend=False
        ),
        Table(
            title,
            ("Point", f"#{unit}"),
            tuple((label, figure(value, 5)) for label, value in zip(labels, values, strict=True)),
        ),
        height_px=100 + 34 * len(shown),
        note=f"The first {_BARS_MAX} are drawn." if len(labels) > _BARS_MAX else "",
    )
