"""Compare files: what `rack-sim compare` leaves behind."""

import json
import platform
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rack_sim.metrics.compare_columns import CHANGES, COMPARE, DENSITIES
from rack_sim.metrics.summary import Value
from rack_sim.pipeline import VERSION
from rack_sim.report.csv import cell_of, write_table
from rack_sim.study.compare import Comparison, densities_of
from rack_sim.study.difference import Change
from rack_sim.study.record import manifest_text

# What a comparison takes for granted.
COMPARE_ASSUMED = (
    "every run is taken as it is: its own model, precision, traffic, window and prices; one set of "
    "objectives judges all",
    "throughput per chip counts the chips that hold a part of a model; watts and dollars count "
    "every rack in use, spares included",
)


def write_comparison(
    result: Comparison,
    changes: Sequence[Change],
    folder: Path,
    *,
    wall_s: float,
    figures: bool = True,
    html: bool = True,
    workbook: bool = True,
    on_step: Callable[[str], None] = lambda _text: None,
) -> None:
    """Writes the files of a comparison into `folder`, which exists and is empty."""
    on_step("writing tables")
    rows = compare_rows(result)
    write_table(folder / "compare.csv", COMPARE, (map(cell_of, row.values()) for row in rows))
    if len(result.rows) == 2:
        write_table(folder / "changes.csv", CHANGES, map(_change_cells, changes))
    (folder / "manifest.json").write_text(_manifest(result, folder, wall_s), encoding="utf-8")
    if workbook:
        from rack_sim.report.workbook import write_workbook  # imports slowly

        on_step("writing the workbook")
        write_workbook(folder, folder / "report.xlsx")
    if html:
        from rack_sim.report.html import write_html  # reads the tables again: not all who run ask

        on_step("writing report.html")
        write_html(folder, folder / "report.html")
    if figures:
        from rack_sim.report.compare_figures import draw_compared, draw_pareto
        from rack_sim.report.figures.canvas import drawing_style, write_figure

        on_step("drawing figures")
        with drawing_style():
            write_figure(draw_pareto(result), folder / "pareto")
            write_figure(draw_compared(result), folder / "compared")


def compare_rows(result: Comparison) -> list[dict[str, Value]]:
    """The rows of compare.csv, by column."""
    frontiers = densities_of(result)
    rows = []
    for row in result.rows:
        contender = row.contender
        model, system = contender.resolved["model"], contender.resolved["system"]
        given: dict[str, Value] = {
            "name": row.name,
            "source": "simulated" if contender.scenario else "finished",
            "status": "ran" if row.summary is not None else "infeasible",
            "reason": row.reason or None,
            "model": model.get("name"),
            "system": system.get("name"),
            **row.values,
            "scenario_hash": contender.scenario_hash,
            "version": VERSION,
        }
        for name in DENSITIES:
            known = row.number(name) is not None
            there = any(row is other for other in frontiers[name])
            given[f"{name}_frontier"] = ("yes" if there else "no") if known else None
        rows.append({column.name: given.get(column.name) for column in COMPARE})
    return rows


def _change_cells(change: Change) -> Iterator[str]:
    yield change.kind
    yield cell_of(change.key)
    for value in (change.before, change.after):
        plain = value is None or isinstance(value, str | int | float)
        yield cell_of(value if plain else json.dumps(value))  # type: ignore[arg-type]
    yield "" if change.share is None else cell_of(round(change.share, 9))


def _manifest(result: Comparison, folder: Path, wall_s: float) -> str:
    content = {
        "comparison": [
            {
                "name": row.name,
                "reference": row.contender.reference,
                "scenario_hash": row.contender.scenario_hash,
            }
            for row in result.rows
        ],
        "version": VERSION,
        "assumed_by_the_comparison": list(COMPARE_ASSUMED),
        "judged_by": result.judged_by,
        "not_alike": result.unlike,
        "python": platform.python_version(),
        "wall_s": round(wall_s, 3),
    }
    return manifest_text(content, folder)
