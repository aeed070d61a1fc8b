"""Sizing sheets: the answers side by side, and every candidate with its verdict and a chart."""

from typing import TYPE_CHECKING

from rack_sim.record.footprint import rack_noun_of
from rack_sim.report.sheets.overview import AnswerLine
from rack_sim.report.sheets.sheet import (
    HEADER,
    LABEL,
    NUMBER_HEADER,
    UNIT,
    WRAPPED,
    Book,
    Sheet,
    number_style,
)
from rack_sim.report.sheets.table import unit_words, write_table_sheet
from rack_sim.report.sizing_tables import SizingTables
from rack_sim.report.sizing_words import (
    answer_words,
    binds_words,
    bound_words,
    commands,
    failures,
    goals_words,
    objective_name,
    objective_words,
    spaced,
)

if TYPE_CHECKING:
    import pandas as pd

# what is said of each answer first: words, column of sizing.csv, unit
_LINES = (
    ("Replicas", "replica_count", "replicas"),
    ("Stages of a replica", "stage_count", "stages"),
    ("Chips of a stage", "tensor_parallel", "chips"),
    ("Chips to buy", "bought_chip_count", "chips"),
    ("Capital", "capital_usd", "USD"),
    ("Capital and electricity of a year", "usd_per_year", "USD/year"),
    ("A million output tokens", "usd_per_million_output_tokens", "USD"),
)


def sizing_question(sizing: SizingTables) -> str:
    """What was asked, in a sentence."""
    asked = " and ".join(objective_words(objective) for objective in sizing.objectives)
    return spaced(
        f"Which is the smallest system that serves {sizing.rate_rps:g} requests/s with {asked}?"
    )


def sizing_lines(sizing: SizingTables) -> tuple[tuple[str, ...], list[AnswerLine]]:
    """The systems that answer side by side: what each is best for, and what it is."""
    rows = [winner.row for winner in sizing.winners]

    def line_of(label: str, column: str, unit: str, remark: str = "") -> AnswerLine:
        return AnswerLine(label, tuple(row[column] for row in rows), unit, remark)

    place = rack_noun_of(sizing.winners[0].entry.get("footprint"))
    lines = [line_of(*one) for one in _LINES]
    lines.insert(4, line_of(f"{place.capitalize()}s that they stand in", "rack_count", f"{place}s"))
    watts = tuple(row["mean_watts"] / 1000 for row in rows)
    lines.append(AnswerLine("Mean power", watts, "kW"))
    for asked in sizing.objectives:
        name = objective_name(asked)
        lines.append(line_of(name, asked.column, asked.unit, bound_words(asked)))
        lines.append(line_of(f"{name}: left of it", f"{asked.column}_margin_share", "share"))
    return ("Best for", *(goals_words(winner.goals) for winner in sizing.winners)), lines


def sizing_answers(sizing: SizingTables) -> list[tuple[str, str]]:
    """What binds the answers, what is next to them, how to replay them, and what to mind."""
    lines: list[tuple[str, str]] = []
    for winner in sizing.winners:
        lines.append(("System", answer_words(sizing, winner)))
        lines.append(("What binds", binds_words(sizing, winner)))
        lines += [(head, f"{text}.") for head, text in failures(sizing, winner)]
        lines.append(("Replay it, in this directory", commands(winner)))
    manifest = sizing.record.facts
    lines.append(("Searched", manifest["searched"]))
    mind = [f"{text}." for text in manifest["warnings"]]
    assumed = len(manifest.get("assumed") or ())
    if assumed:
        mind.append(f"{assumed} input numbers have no source and are assumed (sheet Inputs).")
    lines += [("Mind" if not number else "", text) for number, text in enumerate(mind)]
    lines.append(("Version", str(manifest.get("version", ""))))
    return [(head, spaced(text)) for head, text in lines]


def write_sizing(book: Book, sizing: SizingTables, row_limit: int) -> None:
    """The sheets of the answers, and of the candidates."""
    answers = book.sheet(
        "Sizing",
        "Sizing",
        "The best system for each goal, once: every number of sizing.csv.",
    )
    frame = _ordered(sizing.record.frame("candidates.csv"))
    write_table_sheet(
        book,
        "Candidates",
        "Candidates",
        "Every system that was looked at, with its verdict: those that meet first. Of pruned ones "
        "dollars, watts and latencies are the best that they can be.",
        sizing.record.tables["candidates.csv"].columns,
        frame,
        file="candidates.csv",
        row_limit=row_limit,
    )
    _write_numbers(answers, sizing)


def _write_numbers(sheet: Sheet, sizing: SizingTables) -> int:
    """A line for each number and a column for each system; the last row is given back."""
    sheet.link(2, 0, "Summary", "to the summary")
    goals = [goals_words(winner.goals) for winner in sizing.winners]
    sheet.widths(38, *[30] * len(goals), 20, 90)
    styles = [HEADER, *[NUMBER_HEADER] * len(goals), HEADER, HEADER]
    sheet.put_row(3, 0, ("number", *goals, "unit", "what it is"), styles)
    row = 3
    for column in sizing.record.tables["sizing.csv"].columns[1:]:
        row += 1
        style = number_style(column.unit, align="right")
        values = [winner.row[column.name] for winner in sizing.winners]
        sheet.put(row, 0, column.name, LABEL)
        sheet.put_row(row, 1, values, style)
        sheet.put(row, 1 + len(goals), unit_words(column.unit), UNIT)
        sheet.put(row, 2 + len(goals), column.definition, WRAPPED)
    sheet.page.freeze_panes(4, 1)
    sheet.page.repeat_rows(3)
    return row


def _ordered(frame: "pd.DataFrame") -> "pd.DataFrame":
    places = {verdict: place for place, verdict in enumerate(("meets", "fails", "pruned"))}
    rank = frame["verdict"].map(places)
    return (
        frame.assign(rank=rank)
        .sort_values(["rank", "bought_chip_count"], kind="stable")
        .drop(columns="rank")
        .reset_index(drop=True)
    )
