"""Study page: the question of a study, its answer, its figures and its tables."""

from collections.abc import Sequence

from rack_sim.metrics.column import Column
from rack_sim.metrics.summary import Value
from rack_sim.record.kinds import AXIS
from rack_sim.record.record import Record
from rack_sim.record.table import Row
from rack_sim.report.draw.plotly import draw_all
from rack_sim.report.html.inputs import input_warnings, inputs_sections
from rack_sim.report.html.page import HtmlTable, Page, Section
from rack_sim.report.html.warnings import warnings_section
from rack_sim.report.kinds import story_of
from rack_sim.report.numbers import cell, counted, number_of
from rack_sim.report.text import as_sentence

_ROWS_SHOWN, _ROWS_OPEN = 500, 12
_GOOD_STATUS = "ok"
# Units that names of columns have, and that are no things: chips, rows.
_UNITS_OF_NAMES = ("ms", "s", "ns", "bytes", "share", "ratio")


def study_page(study: Record) -> Page:
    """The page of a study of any kind that leaves tables."""
    story, manifest = story_of(study.kind), study.facts
    charts = draw_all(story.charts(study))
    warnings = (*map(as_sentence, story.warnings(study)), *input_warnings(manifest))
    count = len(manifest["machines"])
    answers = tuple(map(as_sentence, story.answers(study)))
    sections = (
        Section("answer", "The answer", points=answers),
        Section("figures", "Figures", charts=charts) if charts else None,
        Section("tables", "Tables", tables=tuple(_table(study, name) for name in study.tables)),
        _failed(study),
        *inputs_sections(manifest, {}),
        warnings_section(warnings),
    )
    return Page(
        title=f"Study: {study.name}",
        subtitle=manifest["description"] or story.question,
        facts=(
            f"Kind: {study.kind}" + (f", {counted(count, 'machine')}" if count else ""),
            f"Study {manifest['study_hash']}",
        ),
        sections=tuple(section for section in sections if section is not None),
        origin=f"Written by rack-sim {manifest['version']} from the files of the study "
        f"{manifest['study_hash']}. resolved.yaml runs it again.",
    )


def _table(study: Record, name: str) -> HtmlTable:
    columns, rows = study.tables[name].columns, study.rows(name)
    filled = [c for c in columns if any(row[c.name] is not None for row in rows)]
    empty = len(columns) - len(filled)
    notes = []
    if len(rows) > _ROWS_SHOWN:
        notes.append(f"The first {_ROWS_SHOWN} of {len(rows):,} rows.")
    if empty:
        notes.append(f"{counted(empty, 'column')} without any value are left out.")
    return HtmlTable(
        name,
        tuple(_heading(column, rows) for column in filled),
        tuple(tuple(_cell(row[c.name]) for c in filled) for row in rows[:_ROWS_SHOWN]),
        is_open=len(rows) <= _ROWS_OPEN,
        note=" ".join(notes),
    )


def _heading(column: Column, rows: Sequence[Row]) -> str:
    """Its words with its unit, said once; a key that a study varies is as the study has it."""
    values = (row[column.name] for row in rows)
    sign = "#" if all(value is None or number_of(value) is not None for value in values) else ""
    if column.name.startswith(AXIS):
        return f"{sign}{column.name.removeprefix(AXIS)}"
    said = column.unit if column.unit in _UNITS_OF_NAMES else ""
    words = [word for word in column.name.split("_") if word != said]
    return f"{sign}{' '.join(words)}{f' ({column.unit})' if column.unit else ''}"


def _cell(value: Value) -> str:
    return ("no", "yes")[value] if isinstance(value, bool) else cell(value)


def _failed(study: Record) -> Section | None:
    rows = tuple(
        (str(row.get("point_name", "")), str(row["status"]), cell(row.get("reason")))
        for file in study.tables
        for row in study.rows(file)
        if row.get("status", _GOOD_STATUS) != _GOOD_STATUS
    )
    if not rows:
        return None
    return Section(
        "failed",
        "Points without numbers",
        sentences=(f"{counted(len(rows), 'point')} gave no numbers; the others are unharmed.",),
        tables=(
            HtmlTable("Points and reasons", ("Point", "Status", "Reason"), rows, is_open=True),
        ),
    )
