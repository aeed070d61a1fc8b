"""Overview: the first sheet: the answer, the other sheets, and every number of the run."""

from collections.abc import Mapping, Sequence

from rack_sim.metrics.column import Column
from rack_sim.metrics.columns import SUMMARY
from rack_sim.metrics.summary import Value
from rack_sim.record.record import Record
from rack_sim.report.sheets.sheet import (
    HEADER,
    LABEL,
    SECTION,
    STRONG,
    UNIT,
    WRAPPED,
    Book,
    Sheet,
    number_format,
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


def grouped_columns() -> list[tuple[str, list[Column]]]:
    """The columns of summary.csv in their order, in groups; each is in exactly one."""
    groups: list[tuple[str, list[Column]]] = []
    for column in SUMMARY:
        if column.name in _GROUPS:
            groups.append((_GROUPS[column.name], []))
        groups[-1][1].append(column)
    return groups


def start_overview(book: Book, title: str, purpose: str) -> Sheet:
    """The first sheet, still empty below its title."""
    sheet = book.sheet("Summary", title, purpose)
    sheet.widths(40, 24, 19, 100)
    return sheet


def write_contents(sheet: Sheet, row: int) -> int:
    """A list of the other sheets with links to them; the next free row is given back."""
    sheet.put(row, 0, "Sheets", SECTION)
    sheet.put_row(row, 1, ("", "", ""), SECTION)
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
    """The answer first, then the contents, then every number of summary.csv with its meaning."""
    row = write_answer(sheet, 3, [*answers(run.summary), *_cautions(run)])
    row = write_contents(sheet, row)
    sheet.put_row(row, 0, ("number", "value", "unit", "what it is"), HEADER)
    sheet.page.repeat_rows(row)
    for group, columns in grouped_columns():
        row += 1
        sheet.put_row(row, 0, (group, "", "", ""), SECTION)
        for column in columns:
            row += 1
            sheet.put(row, 0, column.name, LABEL)
            style = {"num_format": number_format(column.unit), "align": "right", "valign": "top"}
            sheet.put(row, 1, run.summary[column.name], style)
            sheet.put(row, 2, unit_words(column.unit), UNIT)
            sheet.put(row, 3, column.definition, WRAPPED)
    sheet.page.freeze_panes(1, 1)


def answers(row: Mapping[str, Value]) -> list[tuple[str, str]]:
    """Does it fit, how fast, how much: one line each."""
    used, capacity = _number(row["sram_used_bytes_max"]), _number(row["sram_capacity_bytes"])
    fits = (
        f"Yes: {row['chip_count']:,} chips in {row['rack_count']:,} racks (and "
        f"{row['spare_chip_count']:,} spare, {row['idle_chip_count']:,} unused there); the fullest "
        f"chip holds {used / 1e6:,.1f} of {capacity / 1e6:,.1f} MB ({used / capacity:.0%})."
    )
    fast = (
        f"First token after {_said(row['ttft_ms_p50'], 1)} ms (median; p99 "
        f"{_said(row['ttft_ms_p99'], 1)}), then one every {_said(row['tpot_ms_p50'], 3)} ms: "
        f"{_said(row['output_tok_s_per_user_p50'], 1)} tokens/s for a user."
    )
    much = (
        f"{_said(row['request_throughput_rps'], 2)} requests/s and "
        f"{_said(row['output_throughput_tok_s'], 0)} output tokens/s in all; "
        f"{_said(row['usd_per_million_output_tokens'], 2)} USD per million output tokens, "
        f"{_said(row['capital_usd'], 0)} USD of capital, "
        f"{_said(_number(row['mean_watts']) / 1000, 1)} kW."
    )
    if row["slo_asked"]:
        met = f"{'Yes' if row['slo_met'] == 'yes' else 'No'}: asked for is {row['slo_asked']}."
    elif row["slo_attainment"] is None:
        met = "No objectives were given."
    else:
        met = f"{_number(row['slo_attainment']):.2%} of all requests met every objective."
    return [
        ("Does it fit?", fits),
        ("How fast?", fast),
        ("How much?", much),
        ("Are objectives met?", met),
    ]


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


def _said(value: Value, digits: int) -> str:
    return f"{value:,.{digits}f}" if isinstance(value, int | float) else "–"
