"""Overview: the first sheet: the answer, the other sheets, and every number of the run."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rack_sim.metrics.column import Column
from rack_sim.metrics.columns import SUMMARY
from rack_sim.metrics.summary import Value
from rack_sim.record.record import Record
from rack_sim.report.numbers import counted
from rack_sim.report.sheets.charts import Series, new_chart
from rack_sim.report.sheets.sheet import (
    HEADER,
    LABEL,
    NUMBER_HEADER,
    SECTION,
    STRONG,
    UNIT,
    WRAPPED,
    Book,
    Cell,
    Sheet,
    Style,
    number_format,
    number_style,
)
from rack_sim.report.sheets.table import unit_words

# first column of each group in summary.csv -> what the group is called here
_GROUPS = {
    "scenario": "What was run",
    "chip_count": "Machine",
    "request_count": "Traffic",
    "ttft_ms_mean": "Latency",
    "ttft_admission_ms_mean": "Where the time of a request goes",
    "request_throughput_rps": "Throughput in the window",
    "run_request_throughput_rps": "Throughput over the whole run",
    "compiled_limit_tok_s": "Limits",
    "slo_attainment": "Objectives",
    "slot_row_utilisation": "How busy it was",
    "tok_latency_limit_ms": "Physical limit and bottleneck",
    "mean_watts": "Energy",
    "capital_usd": "Cost",
    "scenario_hash": "Which run this is",
}
# unit -> how an answer shows its numbers, where tables have more digits
_ANSWER_FORMATS = {
    "ms": "[>=10]#,##0.0;0.000",
    "USD": '[>=10000]"$"#,##0;"$"#,##0.00',
    "kW": "#,##0.0",
    "1/s": "#,##0.00",
    "token/s": "#,##0",
    "tokens": "#,##0",
    "share": "0.0%",
}
_VALUE: Style = {"align": "right", "valign": "top", "bold": True, "text_wrap": True}
_VALUE_HEAD: Style = {**SECTION, "align": "right", "text_wrap": True}
_ANSWER_UNITS = {"share": "", "1/s": "requests/s", "token/s": "tokens/s"}
_HEADS = [HEADER, NUMBER_HEADER, HEADER, HEADER]
_UNITS = {column.name: column.unit for column in SUMMARY}
_SPEEDS = (
    ("First token, median", "ttft_ms_p50"),
    ("First token, 99 of 100 requests within", "ttft_ms_p99"),
    ("Between two tokens, median", "tpot_ms_p50"),
    ("Output tokens for a user, median", "output_tok_s_per_user_p50"),
)
_AMOUNTS = (
    ("Requests served", "request_throughput_rps"),
    ("Output tokens in all", "output_throughput_tok_s"),
    ("A million output tokens", "usd_per_million_output_tokens"),
    ("Capital", "capital_usd"),
)
_BESIDE_REMARKS_PX = 320
_BESIDE_CHANGES_PX = 100
_BARS_PX = 600
_BARS_ROWS = 15
_KNEES = (
    ("Meets its objectives up to", "slo_met_rps", "1/s"),
    ("Keeps up with", "kept_up_rps", "1/s"),
    ("Every row in use at", "capacity_limit_rps", "1/s"),
    ("Output tokens at most", "output_throughput_tok_s_max", "token/s"),
    ("Chips", "chip_count", "chips"),
)
# title of a bar, and how the definitions of its parts begin
_SPLITS = (
    ("Where the mean time to the first token goes", "of ttft: "),
    ("Where the mean time between two tokens goes", "of the mean gap between tokens: "),
)


def grouped_columns() -> list[tuple[str, list[Column]]]:
    """The columns of summary.csv in their order, in groups; each is in exactly one."""
    groups: list[tuple[str, list[Column]]] = []
    for column in SUMMARY:
        if column.name in _GROUPS:
            groups.append((_GROUPS[column.name], []))
        groups[-1][1].append(column)
    return groups


class AnswerLine(NamedTuple):
    """A line of an answer: what it is, its value or several side by side, its unit, a remark."""

    label: str
    values: tuple[Cell, ...]
    unit: str
    remark: str = ""


def start_overview(book: Book, title: str, purpose: str, *, values: int = 1) -> Sheet:
    """The first sheet, still empty below its title; so many values stand side by side on it."""
    sheet = book.sheet("Summary", title, purpose)
    sheet.widths(40, *[24] * values, 19, 100)
    return sheet


def write_answer_lines(
    sheet: Sheet, row: int, heads: Sequence[str], lines: Sequence[AnswerLine]
) -> int:
    """Lines below a heading and what its values are of; the next free row."""
    sheet.put_row(row, 0, heads, [SECTION, *[_VALUE_HEAD] * (len(heads) - 1)])
    for line in lines:
        row += 1
        sheet.put(row, 0, line.label, LABEL)
        style = {**_VALUE, "num_format": _shown(line.unit)}
        sheet.put_row(row, 1, line.values, style)
        behind = 1 + len(line.values)
        unit = _ANSWER_UNITS.get(line.unit, line.unit)
        sheet.put_row(row, behind, (unit, line.remark), UNIT)
    return row + 2


def _shown(unit: str) -> str:
    """As few digits as an answer needs; the tables have all of them."""
    return _ANSWER_FORMATS.get(unit) or number_format(unit)


def write_contents(sheet: Sheet, row: int) -> int:
    """A list of the other sheets with links to them; the next free row is given back."""
    sheet.put_row(row, 0, ("Sheets", "", "", ""), SECTION)
    for other in sheet.book.sheets:
        if other is not sheet:
            row += 1
            sheet.link(row, 0, other.name, other.name)
            sheet.put(row, 1, other.purpose, LABEL)
    return row + 2


def write_answer(sheet: Sheet, row: int, lines: Sequence[tuple[str, str]]) -> int:
    """Questions with their answers; the next free row is given back."""
    for question, answer in lines:
        sheet.put(row, 0, question, STRONG)
        sheet.put(row, 1, answer, LABEL)
        row += 1
    return row + 1


def write_overview(sheet: Sheet, run: Record) -> None:
    """The answer in figures, the contents, then every number of summary.csv with its meaning."""
    row = 3
    for question, lines in answers(run.summary):
        row = write_answer_lines(sheet, row, (question, "", ""), lines) - 1
    row = write_answer(sheet, row + 1, _cautions(run))
    row = write_contents(sheet, row)
    sheet.put_row(row, 0, ("number", "value", "unit", "what it is"), _HEADS)
    sheet.page.repeat_rows(row)
    places: dict[str, int] = {}
    for group, columns in grouped_columns():
        row += 1
        sheet.put_row(row, 0, (group, "", "", ""), SECTION)
        for column in columns:
            row += 1
            places[column.name] = row
            sheet.put(row, 0, column.name, LABEL)
            sheet.put(row, 1, run.summary[column.name], number_style(column.unit, align="right"))
            sheet.put(row, 2, unit_words(column.unit), UNIT)
            sheet.put(row, 3, column.definition, WRAPPED)
    sheet.page.freeze_panes(1, 1)
    _draw(sheet, run.summary, places)


def answers(row: Mapping[str, Value]) -> list[tuple[str, list[AnswerLine]]]:
    """Does it fit, how fast, how much: a few figures each."""
    used, capacity = _number(row["sram_used_bytes_max"]), _number(row["sram_capacity_bytes"])
    beside = (
        f"in {counted(row['rack_count'], 'rack')}; {row['spare_chip_count']:,} spare, "
        f"{row['idle_chip_count']:,} unused"
    )
    return [
        (
            "Does it fit?",
            [
                AnswerLine("Chips that hold the model", (row["chip_count"],), "chips", beside),
                AnswerLine(
                    "Fullest chip",
                    (used / capacity if capacity else None,),
                    "share",
                    f"{used / 1e6:,.1f} of {capacity / 1e6:,.1f} MB",
                ),
            ],
        ),
        ("How fast?", [_line_of(row, *one) for one in _SPEEDS]),
        (
            "How much?",
            [
                *(_line_of(row, *one) for one in _AMOUNTS),
                AnswerLine("Mean power", (_number(row["mean_watts"]) / 1000,), "kW"),
            ],
        ),
        ("Are objectives met?", [_objectives(row)]),
    ]


def _line_of(row: Mapping[str, Value], label: str, column: str) -> AnswerLine:
    return AnswerLine(label, (row[column],), _UNITS[column])


def _objectives(row: Mapping[str, Value]) -> AnswerLine:
    if row["slo_asked"]:
        met = "yes" if row["slo_met"] == "yes" else "no"
        return AnswerLine("Objectives of the run", (met,), "", f"asked for: {row['slo_asked']}")
    if row["slo_attainment"] is None:
        return AnswerLine("Objectives", ("none given",), "")
    line = _line_of(row, "Requests that met every objective", "slo_attainment")
    fit = row["fit_slo_attainment"]
    if fit in (None, row["slo_attainment"]):
        return line
    return line._replace(remark=f"of all; {_number(fit):.1%} of those that fit")


def _draw(sheet: Sheet, row: Mapping[str, Value], places: Mapping[str, int]) -> None:
    """Beside the answer, two bars of what the mean latencies are made of."""
    at = 3
    for title, prefix in _SPLITS:
        parts = [
            Series(_part(column.definition), ("Summary", place, 1, place, 1))
            for column, place in ((c, places[c.name]) for c in SUMMARY)
            if column.definition.startswith(prefix) and row[column.name]
        ]
        if not parts:
            continue
        chart = new_chart(
            sheet.book,
            "bar",
            parts,
            subtype="stacked",
            title=title,
            x="",
            y="ms",
            size=(480, 190),
        )
        names = ", ".join(one.name for one in parts)
        text = f"One bar of {len(parts)} parts: {names}. The numbers stand in the table below."
        sheet.place(at, 3, chart, text, right_px=_BESIDE_REMARKS_PX)
        at += 10


class Bars(NamedTuple):
    """Bars of values that stand side by side on the first sheet."""

    title: str
    unit: str
    series: tuple[Series, ...]


def place_bars(sheet: Sheet, column: int, charts: Sequence[Bars]) -> None:
    """Charts of these, side by side beside the figures."""
    width = _BARS_PX // len(charts)
    for number, bars in enumerate(charts):
        chart = new_chart(
            sheet.book,
            "column",
            bars.series,
            title=bars.title,
            x="",
            y=bars.unit,
            size=(width - 10, 20 * (_BARS_ROWS - 1)),
        )
        names = ", ".join(one.name for one in bars.series)
        text = f"Bars: {names}. The same numbers stand in the table beside it."
        sheet.place(3, column, chart, text, right_px=_BESIDE_CHANGES_PX + number * width)


def knee_lines(knees: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, ...], list[AnswerLine]]:
    """What each machine of a load study bears, side by side."""
    heads = ("Offered load", *(str(row["machine"]) for row in knees))
    return heads, [
        AnswerLine(label, tuple(row[column] for row in knees), unit)
        for label, column, unit in _KNEES
    ]


def write_knees(sheet: Sheet, knees: Sequence[Mapping[str, Any]]) -> int:
    """These figures, and bars of the rates; the next free row is given back."""
    row, count = 3, len(knees)
    series = tuple(
        Series(label, ("Summary", at, 1, at, count), ("Summary", row, 1, row, count))
        for at, (label, _, unit) in enumerate(_KNEES, start=row + 1)
        if unit == "1/s"
    )
    place_bars(sheet, 2 + count, [Bars("Offered load that each bears", "requests/s", series)])
    return max(row + _BARS_ROWS, write_answer_lines(sheet, row, *knee_lines(knees)))


def _part(definition: str) -> str:
    return definition.partition(": ")[2].removesuffix(", mean")


def _cautions(run: Record) -> list[tuple[str, str]]:
    """What a reader should know before trusting the numbers."""
    row = run.summary
    found = []
    for name, words in (("rejected_count", "turned away"), ("timed_out_count", "given up")):
        if row[name]:
            found.append(f"{row[name]:,} of {row['request_count']:,} requests were {words}")
    if not row["finished_count"]:
        found.append("no request finished: latencies and costs per token are empty")
    if row["window_kind"] == "whole_run":
        found.append("the run was too short for a steady window: filling and draining count")
    assumed = len(run.facts.get("assumed") or ())
    if assumed:
        found.append(f"{assumed} input numbers have no source and are assumed (sheet Inputs)")
    return [("Mind" if not number else "", text) for number, text in enumerate(found)]


def _number(value: Value) -> float:
    return value if isinstance(value, int | float) else 0.0
