"""Sizing sheets: the answers side by side, and every candidate with its verdict and a chart."""

from rack_sim.record.footprint import rack_noun_of
from rack_sim.report.numbers import spaced
from rack_sim.report.sheets.overview import AnswerLine, below, write_answer, write_answer_lines
from rack_sim.report.sheets.sheet import Book, Sheet
from rack_sim.report.sheets.table import (
    FIRST_ROW,
    FileTable,
    head_numbers,
    whole,
    write_numbers,
    write_table,
)
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
)

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


def write_sizing_answer(sheet: Sheet, sizing: SizingTables) -> int:
    """The systems that answer, what binds them and what to mind; the next free row."""
    heads = ("Best for", *(goals_words(winner.goals) for winner in sizing.winners))
    row = write_answer_lines(sheet, 3, heads, _lines(sizing))
    return write_answer(sheet, row, _answers(sizing))


def _lines(sizing: SizingTables) -> list[AnswerLine]:
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
    return lines


def _answers(sizing: SizingTables) -> list[tuple[str, str]]:
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
    lines += below("Mind", mind)
    lines.append(("Version", str(manifest.get("version", ""))))
    return [(head, spaced(text)) for head, text in lines]


def write_sizing(book: Book, sizing: SizingTables) -> None:
    """The sheets of the answers, and of the candidates."""
    purpose = "The best system for each goal, once: every number of sizing.csv."
    sheet, winners = book.sheet("Sizing", purpose), sizing.winners
    sheet.widths(38, *[30] * len(winners), 20, 90)
    head_numbers(sheet, FIRST_ROW - 1, [goals_words(winner.goals) for winner in winners])
    columns = sizing.record.tables["sizing.csv"].columns[1:]
    write_numbers(sheet, FIRST_ROW, columns, [winner.row for winner in winners])
    sheet.page.freeze_panes(FIRST_ROW, 1)
    write_table(
        book,
        "Candidates",
        "Every system that was looked at, with its verdict: those that meet first. Of pruned ones "
        "dollars, watts and latencies are the best that they can be.",
        _ordered(whole(sizing.record, "candidates.csv")),
    )


def _ordered(table: FileTable) -> FileTable:
    places = {verdict: place for place, verdict in enumerate(("meets", "fails", "pruned"))}
    rank = table.frame["verdict"].map(places)
    by = ["rank", "bought_chip_count"]
    frame = table.frame.assign(rank=rank).sort_values(by, kind="stable").drop(columns="rank")
    return FileTable(table.file, table.columns, frame.reset_index(drop=True))
