"""Sizing sheets: the answers side by side, and every candidate with its verdict and a chart."""

from typing import TYPE_CHECKING

from rack_sim.report.sheets.sheet import (
    HEADER,
    LABEL,
    UNIT,
    WRAPPED,
    Book,
    Sheet,
    number_style,
)
from rack_sim.report.sheets.table import unit_words, write_table_sheet
from rack_sim.report.sizing_tables import SizingTables
from rack_sim.report.sizing_words import (
    GOAL_WORDS,
    answer_words,
    binds_words,
    bound_words,
    commands,
    cost_words,
    failures,
    goals_words,
    margin_words,
    objective_name,
    objective_words,
    spaced,
    value_words,
)

if TYPE_CHECKING:
    import pandas as pd


def sizing_question(sizing: SizingTables) -> str:
    """What was asked, in a sentence."""
    asked = " and ".join(objective_words(objective) for objective in sizing.objectives)
    return spaced(
        f"Which is the smallest system that serves {sizing.rate_rps:g} requests/s with {asked}?"
    )


def sizing_answers(sizing: SizingTables) -> list[tuple[str, str]]:
    """The answers, what binds, what is next to them, how to replay them, and what to mind."""
    lines: list[tuple[str, str]] = []
    for winner in sizing.winners:
        words = goals_words(winner.goals)
        lines.append((f"{words[0].upper()}{words[1:]}", answer_words(sizing, winner)))
        lines.append(("What it costs", cost_words(winner.row)))
        for asked in sizing.objectives:
            value = value_words(asked, winner.row[asked.column])
            left = margin_words(asked, winner.row)
            text = f"{objective_name(asked)} {value}, {bound_words(asked)}: {left} left"
            lines.append(("Margin", text))
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
        "The best system for each goal: every number of sizing.csv.",
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
    """A line for each number and a column for each goal; the last row is given back."""
    sheet.link(2, 0, "Summary", "to the summary")
    goals = [GOAL_WORDS[str(row["goal"])] for row in sizing.record.rows("sizing.csv")]
    sheet.widths(38, *[22] * len(goals), 20, 90)
    sheet.put_row(3, 0, ("number", *goals, "unit", "what it is"), HEADER)
    row = 3
    for column in sizing.record.tables["sizing.csv"].columns[1:]:
        row += 1
        style = number_style(column.unit, align="right")
        sheet.put(row, 0, column.name, LABEL)
        for place, answer in enumerate(sizing.record.rows("sizing.csv"), start=1):
            sheet.put(row, place, answer[column.name], style)
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
