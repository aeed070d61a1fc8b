"""Sizing sheets: the answers side by side, and every candidate with its verdict and a chart."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rack_sim.record.footprint import rack_noun_of
from rack_sim.report.colours import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, VERMILION
from rack_sim.report.sheets.charts import Cells, Series, new_chart
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
from rack_sim.report.sheets.table import FIRST_ROW, unit_words, write_table_sheet
from rack_sim.report.sizing_tables import SizingTables, name_of
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

# In this order on the sheet, so that each is one block for the chart.
_LOOKS = {
    "meets": ("meets every objective", BLUE, "circle"),
    "fails": ("fails", VERMILION, "x"),
    "pruned": ("ruled out by a bound: the best it can be", GREY, "triangle"),
}
_RINGS = ((ORANGE, "ring circle"), (GREEN, "ring square"), (PURPLE, "ring diamond"))
_LOG_RATIO = 5
_BESIDE_REMARKS_PX = 170
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
    """The sheets of the answers and of the candidates; a chart of these on the first sheet."""
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
    row = _write_numbers(answers, sizing)
    _draw(answers, sizing, frame.head(max(0, row_limit - FIRST_ROW)), row + 2)


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
    places = {verdict: place for place, verdict in enumerate(_LOOKS)}
    rank = frame["verdict"].map(places)
    return (
        frame.assign(rank=rank)
        .sort_values(["rank", "bought_chip_count"], kind="stable")
        .drop(columns="rank")
        .reset_index(drop=True)
    )


def _cells(first: int, last: int, column: int) -> Cells:
    return "Candidates", FIRST_ROW + first, column, FIRST_ROW + last, column


def _blocks(frame: "pd.DataFrame", at: tuple[int, int]) -> Iterator[Series]:
    for verdict, (words, colour, marker) in _LOOKS.items():
        rows = frame.index[frame["verdict"] == verdict]
        if len(rows):
            x, y = (_cells(int(rows[0]), int(rows[-1]), column) for column in at)
            yield Series(words, y, x, colour, marker)


def _rings(sizing: SizingTables, frame: "pd.DataFrame", at: tuple[int, int]) -> Iterator[Series]:
    names = [
        " x ".join(map(str, key))
        for key in zip(
            *(frame[k].tolist() for k in ("tensor_parallel", "stage_count", "replica_count")),
            strict=True,
        )
    ]
    for winner, (colour, marker) in zip(sizing.winners, _RINGS, strict=False):
        name = name_of(winner.row)
        if name in names:
            x, y = (_cells(names.index(name), names.index(name), column) for column in at)
            yield Series(f"{name}: {goals_words(winner.goals)}", y, x, colour, marker)


def _draw(sheet: Sheet, sizing: SizingTables, frame: "pd.DataFrame", row: int) -> None:
    """Chips against the tightest objective, of every candidate on the sheet of candidates."""
    asked = sizing.tightest
    known = frame[frame[asked.column].notna()]
    if known.empty:
        return
    names = [column.name for column in sizing.record.tables["candidates.csv"].columns]
    at = (names.index("bought_chip_count"), names.index(asked.column))
    chips = known["bought_chip_count"]
    sheet.put_row(row, 0, ("The line in the chart", "chips to buy", objective_name(asked)), HEADER)
    for place, (words, value) in enumerate((("from", chips.min()), ("to", chips.max())), start=1):
        sheet.put(row + place, 0, words, LABEL)
        sheet.put(row + place, 1, int(value), number_style("chips"))
        sheet.put(row + place, 2, asked.bound, number_style(asked.unit))
    x, y = (("Sizing", row + 1, column, row + 2, column) for column in (1, 2))
    line = Series(f"asked: {spaced(bound_words(asked))}", y, x, INK)
    values = known[asked.column]
    log = not asked.is_share and values.min() > 0 and values.max() / values.min() > _LOG_RATIO
    chart = new_chart(
        sheet.book,
        "scatter",
        [*_blocks(frame, at), *_rings(sizing, frame, at), line],
        subtype="straight",
        title=f"{objective_name(asked)} against chips to buy",
        x="chips to buy",
        y=f"{objective_name(asked)}, {'share' if asked.is_share else 'ms'}",
        size=(760, 290),
        log=bool(log),
    )
    chart.set_legend({"position": "right"})
    sheet.book.sheets[0].place(
        3,
        2 + len(sizing.winners),
        chart,
        f"Points: {objective_name(asked)} of every candidate over its chips to buy, told apart by "
        "verdict; the line is what was asked, rings are the answers. The same numbers stand on the "
        "sheet Candidates.",
        right_px=_BESIDE_REMARKS_PX,
    )
