"""Study page: the question of a study, its answer, its figures and its tables."""

from rack_sim.metrics.column import Column
from rack_sim.record.kinds import AXIS
from rack_sim.record.record import Record
from rack_sim.report.draw.plotly import draw_all
from rack_sim.report.html.inputs import input_warnings, inputs_sections
from rack_sim.report.html.page import Page, Section, Table
from rack_sim.report.html.warnings import warnings_section
from rack_sim.report.kinds import story_of
from rack_sim.report.numbers import cell, counted
from rack_sim.report.text import as_sentence

_ROWS_SHOWN = 500
_GOOD_STATUS = "ok"


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
        Section(
            "tables",
            "Tables",
            tables=tuple(_table(study, name) for name in study.tables),
        ),
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


def _columns_by_name(study: Record, file: str) -> dict[str, Column]:
    return {column.name: column for column in study.tables[file].columns}


def plain(value: object) -> str:
    """A cell of a table for people: without the apostrophe that keeps it from being a formula."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return cell(value).removeprefix("'")


def _table(study: Record, name: str) -> Table:
    frame, known = study.frame(name), _columns_by_name(study, name)
    filled = [str(column) for column in frame.columns if frame[column].notna().any()]
    headings = []
    for column in filled:
        unit = known[column].unit if column in known else ""
        words = column.removeprefix(AXIS).replace("_", " ")
        number = known[column].is_numeric if column in known else frame[column].dtype.kind in "if"
        headings.append(f"{'#' if number else ''}{words}{f' ({unit})' if unit else ''}")
    rows = tuple(
        tuple(plain(value) for value in row)
        for row in frame[filled].head(_ROWS_SHOWN).astype(object).to_numpy().tolist()
    )
    note = f"The first {_ROWS_SHOWN} of {len(frame):,} rows. " if len(frame) > _ROWS_SHOWN else ""
    empty = len(frame.columns) - len(filled)
    if empty:
        note += f"{counted(empty, 'column')} without any value are left out."
    return Table(name, tuple(headings), rows, is_open=len(frame) <= 12, note=note)


def _failed(study: Record) -> Section | None:
    rows = []
    for frame in map(study.frame, study.tables):
        if "status" not in frame.columns:
            continue
        for row in frame[frame["status"] != _GOOD_STATUS].to_dict("records"):
            name = row.get("point_name", row.get("point"))
            rows.append((plain(name), plain(row["status"]), plain(row.get("reason"))))
    if not rows:
        return None
    return Section(
        "failed",
        "Points without numbers",
        sentences=(f"{counted(len(rows), 'point')} gave no numbers; the others are unharmed.",),
        tables=(Table("Points and reasons", ("Point", "Status", "Reason"), tuple(rows), True),),
    )
