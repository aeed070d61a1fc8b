"""Comparison page: what is compared, what changed, in words, figures and tables."""

from collections.abc import Mapping, Sequence

from rack_sim.metrics.compare_columns import COMPARE, COMPARED, DENSITIES
from rack_sim.metrics.summary import Value
from rack_sim.record.record import Record
from rack_sim.report.charts.compare import compare_charts
from rack_sim.report.comparison import changes_of
from rack_sim.report.draw.plotly import draw_all
from rack_sim.report.html.page import Chart, Page, Section, Table
from rack_sim.report.numbers import cell, counted, number_of
from rack_sim.study.difference import RunChange, headlines


def comparison_page(record: Record) -> Page:
    """The page of a comparison; of two, it says what changed between them."""
    rows, changes = record.rows("compare.csv"), changes_of(record)
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
                *_unlike(record.facts["not_alike"]),
                f"All are judged by {record.facts['judged_by']}.",
            ),
            points=tuple(headlines(changes)),
            tables=(_side_by_side(ran, is_open=not two),) if ran else (),
        ),
        _failed(rows),
        Section("figures", "Figures", charts=_charts(record)) if len(ran) > 1 else None,
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
        Section("assumptions", "Assumptions", points=record.facts["assumed_by_the_comparison"]),
    ]
    return Page(
        title=" and ".join(names) if two else f"{len(rows)} runs compared",
        subtitle=f"What changed from {names[0]} to {names[1]}" if two else "",
        facts=tuple(
            f"{row['name']}: {row['model']} on {row['system']}, scenario {row['scenario_hash']}"
            for row in rows
        ),
        sections=tuple(section for section in sections if section is not None),
        origin=f"Written by rack-sim {record.facts['version']} from the summaries of "
        "the runs. compare.csv and changes.csv have every number.",
    )


def _unlike(unlike: Sequence[str]) -> list[str]:
    if not unlike:
        return []
    return [
        f"Not alike in all of them: {', '.join(unlike)}. Hold numbers against each other with care."
    ]


def _side_by_side(ran: Sequence[Mapping[str, Value]], *, is_open: bool) -> Table:
    skipped = {"name", "source", "status", "reason", "version", "scenario_hash"}
    columns = [c for c in COMPARE if c.name not in skipped and not c.name.endswith("_frontier")]
    words = {**COMPARED, **DENSITIES, "mean_kilowatts": "kilowatts"}
    rows = tuple(
        (
            words.get(column.name, column.name.replace("_", " ")),
            *(cell(_rounded(row[column.name])) or "–" for row in ran),
        )
        for column in columns
    )
    heads = ("", *(f"#{row['name']}" for row in ran))
    return Table("Side by side", heads, rows, is_open=is_open)


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


def _charts(record: Record) -> tuple[Chart, ...]:
    """Speed against density; of two runs what changed. The table has every number already."""
    wanted = (
        ("changed", "pareto") if len(record.rows("compare.csv")) == 2 else ("pareto", "compared")
    )
    by_name = {panels.name: panels for panels in compare_charts(record)}
    return draw_all(by_name[name] for name in wanted if name in by_name)


def _changes(caption: str, changes: Sequence[RunChange], names: Sequence[str]) -> Table:
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
