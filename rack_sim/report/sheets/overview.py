"""Overview: the first sheet: the answer, the other sheets, and every number of the run."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from rack_sim.metrics.column import Column
from rack_sim.metrics.columns import SUMMARY
from rack_sim.metrics.frames import Cell
from rack_sim.metrics.summary import Value, number_of
from rack_sim.record.record import Record
from rack_sim.report.draw.excel import Numbered, Spot, place_charts
from rack_sim.report.numbers import counted
from rack_sim.report.sheets.sheet import (
    LABEL,
    SECTION,
    STRONG,
    UNIT,
    Book,
    Sheet,
    Style,
    number_format,
)
from rack_sim.report.sheets.table import head_numbers, write_numbers

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
    sheet = book.sheet("Summary", purpose, title)
    sheet.widths(40, *[24] * values, 19, 100)
    return sheet


def write_answer_lines(
    sheet: Sheet, row: int, heads: Sequence[str], lines: Sequence[AnswerLine]
) -> int:
    """Lines below a heading and what its values are of; the next free row."""
    sheet.put_row(row, 0, heads, [SECTION, *[_VALUE_HEAD] * (len(heads) - 1)])
    for line in lines:
        row += 1
        # As few digits as an answer needs; the tables have all of them.
        shown = _ANSWER_FORMATS.get(line.unit) or number_format(line.unit)
        values = [{**_VALUE, "num_format": shown}] * len(line.values)
        cells = (line.label, *line.values, _ANSWER_UNITS.get(line.unit, line.unit), line.remark)
        sheet.put_row(row, 0, cells, [LABEL, *values, UNIT, UNIT])
    return row + 2


def write_contents(sheet: Sheet, row: int) -> int:
    """A list of the other sheets with links to them; the next free row is given back."""
    others = [other for other in sheet.book.sheets if other is not sheet]
    end = sheet.put_block(row, "Sheets", lines=[("", one.purpose) for one in others])
    for at, other in enumerate(others, start=row + 1):
        sheet.link(at, 0, other.name, other.name)
    return end + 1


def write_answer(sheet: Sheet, row: int, lines: Sequence[tuple[str, str]]) -> int:
    """Questions with their answers; the next free row is given back."""
    for number, line in enumerate(lines):
        sheet.put_row(row + number, 0, line, [STRONG, LABEL])
    return row + len(lines) + 1


def below(head: str, texts: Iterable[str]) -> list[tuple[str, str]]:
    """Texts as answers below each other, the first of them beside the question."""
    return [("" if number else head, text) for number, text in enumerate(texts)]


def write_overview(sheet: Sheet, run: Record, charts: Mapping[str, Numbered]) -> None:
    """The answer in figures, the contents, then every number of summary.csv with its meaning."""
    # Beside the answer, what the mean latencies are made of.
    spot = Spot(3, 3, right_px=_BESIDE_REMARKS_PX)
    end = place_charts(sheet, spot, map(charts.get, ("split-ttft", "split-tpot")))
    row = 3
    for question, lines in answers(run.summary):
        row = write_answer_lines(sheet, row, (question, "", ""), lines) - 1
    row = write_answer(sheet, row + 1, _cautions(run))
    row = write_contents(sheet, max(row, end))
    head_numbers(sheet, row, ["value"])
    for group, columns in grouped_columns():
        row = sheet.put_block(row + 1, group)
        row = write_numbers(sheet, row, columns, [run.summary]) - 1
    sheet.page.freeze_panes(1, 1)


def answers(row: Mapping[str, Value]) -> list[tuple[str, list[AnswerLine]]]:
    """Does it fit, how fast, how much: a few figures each."""
    used = number_of(row, "sram_used_bytes_max") or 0.0
    capacity = number_of(row, "sram_capacity_bytes") or 0.0
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
                AnswerLine("Mean power", ((number_of(row, "mean_watts") or 0.0) / 1000,), "kW"),
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
    fit = number_of(row, "fit_slo_attainment")
    if fit in (None, row["slo_attainment"]):
        return line
    return line._replace(remark=f"of all; {fit:.1%} of those that fit")


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
    return below("Mind", found)
