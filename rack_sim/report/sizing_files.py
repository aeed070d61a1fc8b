"""Sizing files: what `rack-sim size` leaves behind."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from rack_sim.metrics.column import Column
from rack_sim.metrics.sizing_columns import (
    CANDIDATES,
    SIZING,
    fixed_columns,
    objective_columns,
)
from rack_sim.metrics.summary import Value
from rack_sim.report.csv import cell_of, write_table
from rack_sim.report.sizing_manifest import sizing_manifest
from rack_sim.scenario import resolved_yaml
from rack_sim.study.sizing import Sizing
from rack_sim.study.sizing_rows import candidate_rows, sizing_rows


def write_sizing(
    sizing: Sizing,
    folder: Path,
    *,
    wall_s: float,
    figures: bool = True,
    workbook: bool = True,
    html: bool = True,
    on_step: Callable[[str], None] = lambda _text: None,
) -> None:
    """Writes the files of an answer into `folder`, which exists and is empty.

    The `workbook` and the page (`html`) are made of the others. `on_step` is told what is written.
    """
    on_step("writing tables")
    asked = objective_columns(objective.column for objective in sizing.objectives)
    for name, columns, rows in (
        ("sizing.csv", SIZING, sizing_rows(sizing)),
        ("candidates.csv", CANDIDATES, candidate_rows(sizing)),
    ):
        written = (*fixed_columns(columns), *asked)
        write_table(folder / name, written, _cells(written, rows))
    (folder / "resolved.yaml").write_text(resolved_yaml(sizing.asked), encoding="utf-8")
    (folder / "manifest.json").write_text(sizing_manifest(sizing, folder, wall_s), encoding="utf-8")
    if workbook:
        from rack_sim.report.workbook import write_workbook  # imports slowly

        on_step("writing the workbook")
        write_workbook(folder, folder / "report.xlsx")
    if html:
        from rack_sim.report.html import write_html  # reads the tables again: not all who ask

        on_step("writing report.html")
        write_html(folder, folder / "report.html")
    if figures:
        from rack_sim.report.figures.canvas import drawing_style, write_figure
        from rack_sim.report.sizing_figure import draw_candidates

        on_step("drawing figures")
        with drawing_style():
            write_figure(draw_candidates(sizing), folder / "candidates")


def _cells(columns: Iterable[Column], rows: Iterable[dict[str, Value]]) -> Iterator[list[str]]:
    names = [column.name for column in columns]
    for row in rows:
        yield [_cell(row[name]) for name in names]


def _cell(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return cell_of(value)
