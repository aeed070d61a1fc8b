"""Study sheets: the workbook of a study of any kind."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from rack_sim.record.csv import plain_text
from rack_sim.record.record import Record
from rack_sim.report.draw.excel import place_first, write_charts
from rack_sim.report.kinds import story_of
from rack_sim.report.sheets.definitions import write_definitions
from rack_sim.report.sheets.inputs import write_inputs
from rack_sim.report.sheets.overview import start_overview, write_answer, write_contents
from rack_sim.report.sheets.sheet import Book, Sheet
from rack_sim.report.sheets.spread import write_spreads
from rack_sim.report.sheets.table import whole, write_table


class OwnSheets(NamedTuple):
    """What a kind of study has of its own in a workbook.

    `first` begins the first sheet, which has `value_count` columns of numbers, and tells its next
    free row; `more` are further sheets.
    """

    value_count: Callable[[Record], int]
    first: Callable[[Sheet, Record], int]
    more: Callable[[Book, Record], None]


def study_title(study: Record) -> str:
    """What a study is called where it stands alone."""
    return study.name


def write_study(book: Book, study: Record, own: OwnSheets | None = None) -> None:
    """The sheets of a study: its charts and tables, its inputs, and what its kind has of its own.

    The first begins with what numbers lie between and a chart, where the kind has nothing else.
    """
    purpose = str(study.resolved.get("description") or "")
    values = own.value_count(study) if own else 2
    overview = start_overview(book, f"Study {study.name}", purpose, values=values)
    charts = tuple(story_of(study.kind).charts(study))
    by_name = write_charts(book, charts)
    for number, file in enumerate(study.tables):
        name = Path(file).stem[:31].title() if number else "Sweep"
        write_table(book, name, f"Every row of {file}.", whole(study, file))
    if own:
        own.more(book, study)
    write_inputs(book, study)
    write_definitions(book, study)
    if own:
        row = own.first(overview, study)
    else:
        row = place_first(overview, write_spreads(overview, study), charts, by_name)
    write_contents(overview, write_answer(overview, row, list(_answers(study))))


def _answers(study: Record) -> Iterator[tuple[str, str]]:
    """How the points of each table ended, and what the study is."""
    for file in study.tables:
        frame = study.frame(file)
        if "status" in frame.columns:
            counts = frame["status"].value_counts().sort_index()
            said = (f"{count:,} {plain_text(str(name))}" for name, count in counts.items())
            yield f"Points of {file}", ", ".join(said)
    yield "Kind", study.kind
    yield "Tables", ", ".join(study.tables)
    yield "Version", str(study.facts["version"])
