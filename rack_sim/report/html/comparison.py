"""Comparison page: what is compared, what changed, in words, figures and tables."""

from collections.abc import Iterator, Sequence

from rack_sim.metrics.compare_columns import COMPARE, COMPARED, DENSITIES, LIMITS
from rack_sim.record.record import Record
from rack_sim.record.table import Row
from rack_sim.report.charts.compare import compare_charts
from rack_sim.report.comparison import changes_of
from rack_sim.report.draw.plotly import draw_all
from rack_sim.report.html.page import HtmlTable, Page, PlotlyChart, Section
from rack_sim.report.numbers import NONE, cell, counted
from rack_sim.report.text import as_sentence
from rack_sim.study.difference import RunChange, reasons


def comparison_page(record: Record) -> Page:
    """The page of a comparison; of two, it says what changed between them."""
    rows = record.rows("compare.csv")
    names = [str(row["name"]) for row in rows]
    two = len(rows) == 2
    return Page(
        title=" and ".join(names) if two else f"{len(rows)} runs compared",
        subtitle=f"What changed from {names[0]} to {names[1]}" if two else "",
        facts=tuple(
            f"{row['name']}: {row['model']} on {row['system']}, scenario {row['scenario_hash']}"
            for row in rows
        ),
        sections=tuple(_sections(record, rows)),
        origin=f"Written by rack-sim {record.facts['version']} from the summaries of "
        "the runs. compare.csv and changes.csv have every number.",
    )


def _sections(record: Record, rows: Sequence[Row]) -> Iterator[Section]:
    facts, changes, two = record.facts, changes_of(record), len(rows) == 2
    ran = [row for row in rows if row["status"] == "ran"]
    judged = f"All are judged by {facts['judged_by']}."
    unlike = f"Not alike in all of them: {', '.join(facts['not_alike'])}."
    mind = (f"{unlike} Hold numbers against each other with care.",) if facts["not_alike"] else ()
    yield Section(
        "answer",
        "What changed" if two else "Side by side",
        sentences=(*mind, judged),
        points=tuple(map(as_sentence, reasons(changes))),
        tables=(_side_by_side(ran),) if ran else (),
    )
    lost = tuple((str(row["name"]), cell(row["reason"])) for row in rows if row["status"] != "ran")
    if lost:
        why = HtmlTable("Reasons", ("Run", "Why"), lost, is_open=True)
        yield Section("failed", "What cannot run", tables=(why,))
    if len(ran) > 1:
        yield Section("figures", "Figures", charts=_charts(record, two=two))
    if two:
        yield from _changed(changes, [str(row["name"]) for row in rows])
    assumed = tuple(facts["assumed_by_the_comparison"])
    yield Section("assumptions", "Assumptions", points=assumed)


def _charts(record: Record, *, two: bool) -> tuple[PlotlyChart, ...]:
    """Speed against density; of two runs what changed. The table has every number already."""
    wanted = ("changed", "pareto") if two else ("pareto", "compared")
    by_name = {panels.name: panels for panels in compare_charts(record)}
    return draw_all(by_name[name] for name in wanted if name in by_name)


def _changed(changes: Sequence[RunChange], names: Sequence[str]) -> Iterator[Section]:
    inputs = [change for change in changes if change.kind == "input"]
    outputs = [change for change in changes if change.kind == "output"]
    verb = "differs" if len(inputs) == 1 else "differ"
    differ = f"{counted(len(inputs), 'input')} {verb} between {names[0]} and {names[1]}."
    yield Section(
        "inputs",
        "Inputs that changed",
        sentences=(differ if inputs else "No input differs.",),
        tables=(_changes("Inputs", inputs, names),) if inputs else (),
    )
    if outputs:
        table = _changes("Outputs", outputs, names)
        yield Section("outputs", "Outputs that changed", tables=(table,))


def _side_by_side(ran: Sequence[Row]) -> HtmlTable:
    skipped = {"name", "source", "status", "reason", "version", "scenario_hash"}
    columns = [c for c in COMPARE if c.name not in skipped and not c.name.endswith("_frontier")]
    words = {**COMPARED, **LIMITS, **DENSITIES, "mean_kilowatts": "kilowatts"}
    rows = tuple(
        (
            words.get(column.name, column.name.replace("_", " ")),
            *(_shown(row, column.name) for row in ran),
        )
        for column in columns
    )
    heads = ("", *(f"#{row['name']}" for row in ran))
    return HtmlTable("Side by side", heads, rows, is_open=True)


def _shown(row: Row, key: str) -> str:
    text = cell(row[key], 5) or NONE
    return text.replace("_", " ") if key in LIMITS else text


def _changes(caption: str, changes: Sequence[RunChange], names: Sequence[str]) -> HtmlTable:
    return HtmlTable(
        caption,
        ("Key", names[0], names[1], "#change"),
        tuple(
            (
                change.key,
                cell(change.before) or NONE,
                cell(change.after) or NONE,
                "" if change.share is None else f"{change.share:+.1%}",
            )
            for change in changes
        ),
        is_open=len(changes) <= 30,
    )
