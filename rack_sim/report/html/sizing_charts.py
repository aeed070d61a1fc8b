"""Sizing charts: every candidate, what it costs against how near it comes to an objective."""

from collections.abc import Sequence
from math import ceil, floor, log10
from typing import NamedTuple

from markupsafe import Markup

from rack_sim.report.html.page import Chart, Table
from rack_sim.report.html.plot import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    VERMILION,
    Layout,
    Trace,
    layout,
    line,
    lines_of,
)
from rack_sim.report.html.quantity import cell, counted, figure
from rack_sim.report.sizing_tables import Asked, Row, SizingTables, name_of
from rack_sim.report.sizing_words import (
    bound_words,
    goals_words,
    name_words,
    objective_name,
    objective_words,
    value_words,
    verdict_words,
)

_ROWS_SHOWN = 500
# From here on a linear axis would squeeze what lies low.
_LOG_RATIO = 5
_RINGS = (ORANGE, GREEN, PURPLE)
_X = {"bought_chip_count": "chips to buy", "usd_per_year": "USD a year"}


class _Look(NamedTuple):
    """How the candidates of a verdict are drawn."""

    name: str
    symbol: str
    colour: str
    size_px: int


def sizing_charts(sizing: SizingTables) -> tuple[Chart, ...]:
    """Chips and dollars against the tightest objective, chips against each other one."""
    tight = sizing.tightest
    others = [asked for asked in sizing.objectives if asked is not tight and asked != tight]
    drawn = [
        _chart(sizing, tight, "bought_chip_count"),
        _chart(sizing, tight, "usd_per_year"),
        *(_chart(sizing, asked, "bought_chip_count") for asked in others),
    ]
    return tuple(chart for chart in drawn if chart is not None)


def _chart(sizing: SizingTables, asked: Asked, x: str) -> Chart | None:
    rows = [row for row in sizing.candidates if row[asked.column] is not None]
    if not rows:
        return None
    # Of what was ruled out the value is the best that it can be: the sign points to the worse.
    worse = "down" if asked.is_share else "up"
    limit = "no more" if asked.is_share else "no less"
    looks = (
        (
            "pruned",
            _Look(f"ruled out: {limit} than this", f"triangle-{worse}-open", GREY, 9),
        ),
        ("fails", _Look("fails", "x-thin-open", VERMILION, 9)),
        ("meets", _Look("meets every objective", "circle", BLUE, 8)),
    )
    traces = [
        _points(sizing, [row for row in rows if row["verdict"] == verdict], asked, x, look)
        for verdict, look in looks
        if any(row["verdict"] == verdict for row in rows)
    ]
    across = [float(row[x]) for row in rows]
    traces.append(
        line(
            f"asked: {bound_words(asked)}",
            [0, 1.04 * max(across)],
            [asked.bound, asked.bound],
            INK,
            dash="dash",
            hoverinfo="skip",
        )
    )
    del traces[-1]["hovertemplate"]
    for number, winner in enumerate(sizing.winners):
        found = next((row for row in rows if name_of(row) == name_of(winner.row)), None)
        if found is not None:
            colour = _RINGS[number % len(_RINGS)]
            words = f"{name_of(found)}: {goals_words(winner.goals)}"
            traces.append(_ring(found, asked, x, words, colour, 17 + 6 * number))
    values = [float(row[asked.column]) for row in rows]
    log = not asked.is_share and min(values) > 0 and max(values) / min(values) > _LOG_RATIO
    unit = "" if asked.is_share else ", ms"
    title = f"{objective_name(asked)} against {_X[x]}"
    met = [row for row in rows if row["verdict"] == "meets"]
    return Chart(
        f"sizing-{asked.name}-{x}".replace("_", "-"),
        title[0].upper() + title[1:],
        _says(sizing, asked, x, rows, met),
        tuple(traces),
        layout(
            _X[x],
            f"{objective_name(asked)}{unit}",
            xaxis={"range": [0, 1.04 * max(across)]},
            yaxis=_log_axis(values) if log else {"tickformat": ".3~%"} if asked.is_share else {},
            hovermode="closest",
        ),
        _table(sizing, asked, x, rows, title),
        height_px=460,
        note=_note(sizing, asked, rows, log=log),
    )


def _log_axis(values: Sequence[float]) -> Layout:
    """A logarithmic axis with its figures written out: 1, 2 and 5 of every power of ten."""
    powers = range(floor(log10(min(values))) - 1, ceil(log10(max(values))) + 1)
    ticks = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
    return {"type": "log", "tickvals": ticks, "ticktext": [cell(tick) for tick in ticks]}


def _points(
    sizing: SizingTables,
    rows: Sequence[Row],
    asked: Asked,
    x: str,
    look: _Look,
) -> Trace:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": look.name,
        "x": [row[x] for row in rows],
        "y": [row[asked.column] for row in rows],
        "text": [
            lines_of(name_words(row), ": ".join(filter(None, verdict_words(sizing, row))))
            for row in rows
        ],
        "hovertemplate": Markup("%{{text}}<br>%{{x:,}} {}<br>%{{y:.5~g}}{}<extra></extra>").format(
            _X[x], "" if asked.is_share else " ms"
        ),
        "marker": {
            "symbol": look.symbol,
            "color": look.colour,
            "size": look.size_px,
            "line": {"color": look.colour, "width": 2 if look.symbol != "circle" else 0},
        },
    }


def _ring(row: Row, asked: Asked, x: str, name: str, colour: str, size: int) -> Trace:
    """A ring round an answer, wider from one to the next, so that none hides another."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [row[x]],
        "y": [row[asked.column]],
        "hoverinfo": "skip",
        "marker": {
            "symbol": "circle-open",
            "color": colour,
            "size": size,
            "line": {"color": colour, "width": 3},
        },
    }


def _says(
    sizing: SizingTables, asked: Asked, x: str, rows: Sequence[Row], met: Sequence[Row]
) -> str:
    winner = sizing.winners[0]
    meet = f" {figure(len(met))} meet every objective." if met else ""
    return (
        f"{counted(len(rows), 'candidate')} with {objective_words(asked)} asked.{meet} "
        f"{name_of(winner.row)} ({goals_words(winner.goals)}) has "
        f"{value_words(asked, winner.row[asked.column])} with {figure(winner.row[x])} {_X[x]}."
    )


def _note(sizing: SizingTables, asked: Asked, rows: Sequence[Row], *, log: bool) -> str:
    least = "most" if asked.is_share else "least"
    side = "above" if asked.is_share else "below"
    parts = []
    if any(row["verdict"] == "pruned" for row in rows):
        parts.append(
            f"Of what was ruled out without a replay the {least} that it can have is drawn: what "
            f"is {side} the line was ruled out for another reason."
        )
    missing = len(sizing.candidates) - len(rows)
    if missing:
        parts.append(f"{counted(missing, 'candidate')} without a value are in the table of all.")
    if log:
        parts.append("The scale is logarithmic.")
    return " ".join(parts)


def _table(sizing: SizingTables, asked: Asked, x: str, rows: Sequence[Row], title: str) -> Table:
    ordered = sorted(rows, key=lambda row: (row[x], row[asked.column]))
    limit = "≤" if asked.is_share else "≥"
    cells = tuple(
        (
            name_words(row),
            cell(round(row[x])),
            f"{f'{limit} ' if row['verdict'] == 'pruned' else ''}"
            f"{value_words(asked, row[asked.column])}",
            verdict_words(sizing, row)[0],
        )
        for row in ordered[:_ROWS_SHOWN]
    )
    left_out = len(ordered) - len(cells)
    return Table(
        title[0].upper() + title[1:],
        ("Tensor × stages × replicas", f"#{_X[x]}", f"#{objective_name(asked)}", "Verdict"),
        cells,
        note=f"{figure(left_out)} more rows are in candidates.csv." if left_out else "",
    )
