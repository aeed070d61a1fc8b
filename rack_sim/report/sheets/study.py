"""Study sheets: the workbook of a study of any kind."""

from rack_sim.record.record import Record
from rack_sim.report.draw.excel import write_charts
from rack_sim.report.kinds import story_of
from rack_sim.report.sheets.capacity import write_capacity, write_no_capacity
from rack_sim.report.sheets.capacity_facts import study_facts
from rack_sim.report.sheets.definitions import write_definitions
from rack_sim.report.sheets.inputs import chosen_of, write_inputs
from rack_sim.report.sheets.overview import (
    start_overview,
    write_answer,
    write_contents,
    write_knees,
)
from rack_sim.report.sheets.sheet import Book
from rack_sim.report.sheets.spread import write_spreads
from rack_sim.report.sheets.sweep import collected_of, study_answers, write_sweep


def study_title(study: Record) -> str:
    """What a study is called where it stands alone."""
    return study.name


def write_study(book: Book, study: Record, row_limit: int) -> None:
    """The sheets of a study: its tables with charts, what a machine carries, its inputs."""
    facts, resolved = study.facts, study.resolved
    purpose = str(resolved.get("description") or "")
    knees = study.rows("knee.csv") if study.kind == "load" else ()
    overview = start_overview(book, f"Study {study.name}", purpose, values=len(knees) or 2)
    write_charts(book, story_of(study.kind).charts(study))
    tables = {file: study.frame(file) for file in study.tables}
    written = write_sweep(book, study.kind, tables, row_limit)
    if study.kind == "load":
        _write_capacities(book, study)
    write_inputs(book, facts, chosen_of(resolved))
    write_definitions(book, written)
    lines = [
        *study_answers(study),
        ("Kind", study.kind),
        ("Tables", ", ".join(tables)),
        ("Version", str(facts["version"])),
    ]
    if knees:
        row = write_knees(overview, knees)
    else:
        row = write_spreads(overview, 3, study.kind, tables, collected_of(study))
    write_contents(overview, write_answer(overview, row, lines))


def _write_capacities(book: Book, study: Record) -> None:
    found = study_facts(study.facts, study.resolved, study.rows("knee.csv"), study.rows("load.csv"))
    for number, one in enumerate(found, start=1):
        write_capacity(book, one, number=number)
    if not found:
        write_no_capacity(book, "No machine of this study served anything.")
