"""Study page: the question of a study, its answer, its figures and its tables."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rack_sim.metrics.column import Column
from rack_sim.record.kinds import AXIS
from rack_sim.record.record import Record
from rack_sim.report.draw.plotly import draw_all
from rack_sim.report.html.inputs import assumptions_section, inputs_section, weak
from rack_sim.report.html.page import Page, Section, Table
from rack_sim.report.html.quantity import cell, counted
from rack_sim.report.kinds import story_of
from rack_sim.report.text import as_sentence

if TYPE_CHECKING:
    pass

_ROWS_SHOWN = 500
_GOOD_STATUS = "ok"


def study_page(study: Record) -> Page:
    """The page of a study of any kind that leaves tables."""
    story, manifest = story_of(study.kind), study.facts
    charts = draw_all(story.charts(study))
    warnings = (*map(as_sentence, story.warnings(study)), *_input_warnings(manifest))
    machines = manifest.get("machines")
    count = len(machines) if isinstance(machines, list) else 0
    also = manifest.get("assumed_by_the_study")
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
        inputs_section(manifest, {}),
        assumptions_section(manifest, also if isinstance(also, list) else ()),
        Section(
            "warnings",
            "Warnings",
            sentences=() if warnings else ("None.",),
            points=warnings,
        ),
    )
    return Page(
        title=f"Study: {study.name}",
        subtitle=str(manifest.get("description") or story.question),
        facts=(
            f"Kind: {study.kind}" + (f", {counted(count, 'machine')}" if count else ""),
            f"Study {manifest.get('study_hash')}",
        ),
        sections=tuple(section for section in sections if section is not None),
        origin=f"Written by rack-sim {manifest.get('version')} from the files of the study "
        f"{manifest.get('study_hash')}. resolved.yaml runs it again.",
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


def _input_warnings(manifest: Mapping[str, Any]) -> Iterator[str]:
    assumed = manifest.get("assumed")
    if isinstance(assumed, list) and assumed:
        yield f"{counted(len(assumed), 'input')} without a source, assumed: see Assumptions."
    low = weak(manifest)
    if low:
        yield (
            f"{counted(len(low), 'input')} from a weak source or from memory (grades D and M): "
            f"{', '.join(dict.fromkeys(low))}."
        )
