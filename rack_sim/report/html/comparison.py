"""Comparison page: what is compared, what changed, in words, figures and tables."""

from collections.abc import Mapping, Sequence
from math import log10

from markupsafe import Markup

from rack_sim.metrics.compare_columns import COMPARE, COMPARED
from rack_sim.metrics.summary import Value
from rack_sim.report.comparison_tables import ComparisonTables
from rack_sim.report.html.page import Chart, Page, Section, Table
from rack_sim.report.html.plot import (
    BLUE,
    COLOURS,
    PATTERNS,
    VERMILION,
    bars,
    broken,
    layout,
)
from rack_sim.report.html.quantity import cell, counted, figure, number_of
from rack_sim.study.difference import Change, headlines

_PARETO = {
    "output_tok_s_per_chip": "output tokens/s per chip",
    "output_tok_s_per_kilowatt": "output tokens/s per kilowatt",
    "output_tokens_per_usd": "output tokens per US dollar",
}
_INPUTS_TOLD = 6
_NAMES_BESIDE_POINTS_MAX = 12


def comparison_page(compared: ComparisonTables) -> Page:
    """The page of a comparison; of two, it says what changed between them."""
    rows, changes = compared.rows, compared.changes
    ran = [row for row in rows if row["status"] == "ran"]
    names = [str(row["name"]) for row in rows]
    two = len(rows) == 2
    inputs = [change for change in changes if change.kind == "input"]
    outputs = [change for change in changes if change.kind == "output"]
    sections = [
        Section(
            "answer",
            "What changed" if two else "Side by side",
            sentences=(
                *_unlike(compared.said("not_alike")),
                f"All are judged by {compared.record.facts['judged_by']}.",
            ),
            points=(*_input_words(inputs), *headlines(changes)),
            tables=(_side_by_side(ran),) if ran else (),
        ),
        _failed(rows),
        Section("figures", "Figures", charts=_charts(ran, outputs, names))
        if len(ran) > 1
        else None,
        Section(
            "inputs",
            "Inputs that changed",
            sentences=(
                f"{counted(len(inputs), 'input')} differ between {names[0]} and {names[1]}."
                if inputs
                else "No input differs.",
            ),
            tables=(_changes("Inputs", inputs, names),) if inputs else (),
        )
        if two
        else None,
        Section("outputs", "Outputs that changed", tables=(_changes("Outputs", outputs, names),))
        if two and outputs
        else None,
        Section("assumptions", "Assumptions", points=compared.said("assumed_by_the_comparison")),
    ]
    return Page(
        title=" and ".join(names) if two else f"{len(rows)} runs compared",
        subtitle=f"What changed from {names[0]} to {names[1]}" if two else "",
        facts=tuple(
            f"{row['name']}: {row['model']} on {row['system']}, scenario {row['scenario_hash']}"
            for row in rows
        ),
        sections=tuple(section for section in sections if section is not None),
        origin=f"Written by rack-sim {compared.record.facts['version']} from the summaries of "
        "the runs. compare.csv and changes.csv have every number.",
    )


def _input_words(inputs: Sequence[Change]) -> list[str]:
    """The inputs that changed in words; many are told by their number."""
    if len(inputs) > _INPUTS_TOLD:
        return [f"{counted(len(inputs), 'input')} differ; the table below has them"]
    return [
        f"input {change.key}: from {cell(change.before) or 'nothing'} to "
        f"{cell(change.after) or 'nothing'}"
        for change in inputs
    ]


def _unlike(unlike: Sequence[str]) -> list[str]:
    if not unlike:
        return []
    return [
        f"Not alike in all of them: {', '.join(unlike)}. Hold numbers against each other with care."
    ]


def _side_by_side(ran: Sequence[Mapping[str, Value]]) -> Table:
    skipped = {"name", "source", "status", "reason", "version", "scenario_hash"}
    columns = [c for c in COMPARE if c.name not in skipped and not c.name.endswith("_frontier")]
    words = {**COMPARED, **_PARETO, "mean_kilowatts": "kilowatts"}
    rows = tuple(
        (
            words.get(column.name, column.name.replace("_", " ")),
            *(cell(_rounded(row[column.name])) or "–" for row in ran),
        )
        for column in columns
    )
    return Table("Side by side", ("", *(f"#{row['name']}" for row in ran)), rows, is_open=True)


def _rounded(value: Value) -> Value:
    number = number_of(value)
    return value if number is None or isinstance(value, int) else float(f"{number:.5g}")


def _failed(rows: Sequence[Mapping[str, Value]]) -> Section | None:
    lost = tuple(
        (str(row["name"]), str(row["reason"] or "")) for row in rows if row["status"] != "ran"
    )
    if not lost:
        return None
    return Section(
        "failed", "What cannot run", tables=(Table("Reasons", ("Run", "Why"), lost, is_open=True),)
    )


def _charts(
    ran: Sequence[Mapping[str, Value]], outputs: Sequence[Change], names: Sequence[str]
) -> tuple[Chart, ...]:
    charts = [_growth(outputs, names)] if outputs else []
    charts += [_pareto(ran, density, words) for density, words in _PARETO.items()]
    return tuple(chart for chart in charts if chart is not None)


def _growth(outputs: Sequence[Change], names: Sequence[str]) -> Chart | None:
    """By how much each compared number grew, in percent."""
    by_key = {change.key: change for change in outputs}
    grown = [
        (words, 100 * share)
        for key, words in COMPARED.items()
        if key in by_key and (share := by_key[key].share) is not None
    ]
    if not grown:
        return None
    drawn = grown[::-1]
    trace = bars(
        "",
        [broken(words, f"{value:+.1f} %") for words, value in drawn],
        [value for _, value in drawn],
        BLUE,
        unit="%",
        sideways=True,
    )
    trace["marker"]["color"] = [BLUE if value > 0 else VERMILION for _, value in drawn]
    return Chart(
        "growth",
        f"Change from {names[0]} to {names[1]}",
        "; ".join(f"{words} {value:+.1f} %" for words, value in grown) + ".",
        (trace,),
        layout("change, %", "", yaxis={"automargin": True}, showlegend=False),
        Table(
            "Change of outputs",
            ("Output", "#change"),
            tuple((words, f"{value:+.1f} %") for words, value in grown),
        ),
        height_px=90 + 46 * len(drawn),
    )


def _pareto(ran: Sequence[Mapping[str, Value]], density: str, words: str) -> Chart | None:
    """Speed for a user against what the machine gives for its size, power or money."""
    speed = "output_tok_s_per_user_p50"
    given = [row for row in ran if number_of(row[speed]) and number_of(row[density])]
    if len(given) < 2:
        return None
    beside = len(given) <= _NAMES_BESIDE_POINTS_MAX
    traces = []
    for number, row in enumerate(given):
        colour = COLOURS[number % len(COLOURS)]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers+text" if beside else "markers",
                "name": str(row["name"]),
                "x": [row[speed]],
                "y": [row[density]],
                "text": [str(row["name"])],
                "textposition": "top center",
                "cliponaxis": False,
                "marker": {"size": 13, "color": colour, "symbol": number % len(PATTERNS)},
                "hovertemplate": Markup(
                    "%{{text}}: %{{x:,.4~g}} tokens/s per user, %{{y:,.4~g}} {}<extra></extra>"
                ).format(words),
            }
        )
    frontier = [str(row["name"]) for row in given if row.get(f"{density}_frontier") == "yes"]
    return Chart(
        f"pareto-{density.replace('_', '-')}",
        f"Speed for a user against {words}",
        f"No other is better in both than: {', '.join(frontier)}. Both scales are logarithmic.",
        tuple(traces),
        layout(
            "tokens/s per user",
            words,
            xaxis=_log_axis([number_of(row[speed]) or 1.0 for row in given]),
            yaxis=_log_axis([number_of(row[density]) or 1.0 for row in given]),
            showlegend=not beside,
        ),
        Table(
            f"Speed and {words}",
            ("Run", "#tokens/s per user", f"#{words}", "best in one"),
            tuple(
                (
                    str(row["name"]),
                    figure(row[speed], 4),
                    figure(row[density], 4),
                    str(row.get(f"{density}_frontier") or ""),
                )
                for row in given
            ),
        ),
        height_px=400,
    )


def _log_axis(values: Sequence[float]) -> dict[str, object]:
    """A logarithmic axis around the values, with room for the names beside the points."""
    low, high = log10(min(values)), log10(max(values))
    room = max(0.25 * (high - low), 0.15)
    return {"type": "log", "dtick": "D2", "range": [low - room, high + room]}


def _changes(caption: str, changes: Sequence[Change], names: Sequence[str]) -> Table:
    def said(value: object) -> str:
        return "–" if value is None else cell(value)

    return Table(
        caption,
        ("Key", names[0], names[1], "#change"),
        tuple(
            (
                change.key,
                said(change.before),
                said(change.after),
                "" if change.share is None else f"{change.share:+.1%}",
            )
            for change in changes
        ),
        is_open=len(changes) <= 30,
    )
