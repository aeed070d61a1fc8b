"""Study files: everything a study of any kind leaves behind."""

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rack_sim.foundation.units import split_unit
from rack_sim.metrics.column import Column
from rack_sim.metrics.columns import STUDY_FILES
from rack_sim.pipeline import VERSION, explain
from rack_sim.report.csv import write_table
from rack_sim.report.footprint import footprint_entry
from rack_sim.report.grid_tables import GRID_ASSUMED, grid_facts, grid_table
from rack_sim.report.jitter_tables import JITTER_ASSUMED, jitter_table, slip_table
from rack_sim.report.load_tables import LOAD_ASSUMED, knee_table, load_table
from rack_sim.scenario import GridStudy, JitterStudy, LoadStudy, Study, StudyPoint, resolved_yaml
from rack_sim.study.grid import result_columns
from rack_sim.study.kinds import StudyResult
from rack_sim.study.record import manifest_text, origins

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Table = Callable[[Any], Iterable[tuple[str, ...]]]


@dataclass(frozen=True)
class StudyReport:
    """What a study of one kind leaves behind besides what all leave.

    `tables` are rows by file name; `assumed` is what the study
    takes for granted; `figures` gives functions that draw, by file name without its ending, when
    it is called, because they import slowly. `columns` are those of a table, by its name and the
    result; `facts` go into the manifest.
    """

    tables: Mapping[str, Table]
    assumed: tuple[str, ...]
    figures: Callable[[], "Mapping[str, Callable[[Any], Figure]]"]
    columns: Callable[[str, Any], Sequence[Column]]
    facts: Callable[[Any], dict[str, Any]] = lambda _result: {}


def _jitter_figures() -> "Mapping[str, Callable[[Any], Figure]]":
    from rack_sim.report.jitter_figure import draw_jitter

    return {"jitter": draw_jitter}


def _load_figures() -> "Mapping[str, Callable[[Any], Figure]]":
    from rack_sim.report.load_figures import draw_load_goodput, draw_load_latency

    return {"load_latency": draw_load_latency, "load_goodput": draw_load_goodput}


def _grid_figures() -> "Mapping[str, Callable[[Any], Figure]]":
    from rack_sim.report.grid_figure import draw_grid

    return {"grid": draw_grid}


def _fixed(kind: str) -> Callable[[str, Any], Sequence[Column]]:
    """The columns that a study of this kind always has."""
    return lambda name, _result: STUDY_FILES[kind][name]


# kind of study -> its report
REPORTS: dict[str, StudyReport] = {
    "jitter": StudyReport(
        {"jitter.csv": jitter_table, "slip.csv": slip_table},
        JITTER_ASSUMED,
        _jitter_figures,
        _fixed("jitter"),
    ),
    "load": StudyReport(
        {"load.csv": load_table, "knee.csv": knee_table},
        LOAD_ASSUMED,
        _load_figures,
        _fixed("load"),
    ),
    "grid": StudyReport(
        {"results.csv": grid_table},
        GRID_ASSUMED,
        _grid_figures,
        lambda _name, result: result_columns(result.study),
        grid_facts,
    ),
}


def write_study(
    result: StudyResult,
    folder: Path,
    *,
    wall_s: float,
    figures: bool = True,
    workbook: bool = True,
    html: bool = True,
    parquet: bool = False,
    on_step: Callable[[str], None] = lambda _text: None,
) -> None:
    """Writes the files of a study into `folder`, which exists and is empty.

    Tables come as Parquet, too, where asked. `on_step` is told what is being written.
    """
    study = result.study
    report = REPORTS[study.kind]
    on_step("writing tables")
    for name, rows in report.tables.items():
        write_table(folder / name, report.columns(name, result), rows(result))
    (folder / "resolved.yaml").write_text(resolved_yaml(study), encoding="utf-8")
    if parquet:
        from rack_sim.report.parquet import write_parquet  # imports slowly, and few ask

        for name in report.tables:
            columns = report.columns(name, result)
            write_parquet(folder / name, columns)
    manifest = _manifest(result, folder, wall_s)
    (folder / "manifest.json").write_text(manifest, encoding="utf-8")
    if workbook:
        from rack_sim.report.workbook import write_workbook  # imports slowly

        on_step("writing the workbook")
        write_workbook(folder, folder / "report.xlsx")
    if html:
        from rack_sim.report.html import write_html  # reads the tables again: not all who run ask

        on_step("writing report.html")
        write_html(folder, folder / "report.html")
    if figures:
        from rack_sim.report.figures.canvas import drawing_style, write_figure

        on_step("drawing figures")
        with drawing_style():
            for name, draw in report.figures().items():
                write_figure(draw(result), folder / name)


def _footprint(study: Study, point: StudyPoint) -> dict[str, Any]:
    """What a machine of a load study takes of racks: its knee is a capacity to plan with."""
    if not isinstance(study, LoadStudy):
        return {}
    explanation = explain(point.scenario)
    plan, replica_count = explanation.machine.plan, explanation.fleet.replica_count
    return {"footprint": footprint_entry(plan, replica_count)}


def _is_swept(name: str, study: Study) -> bool:
    """Whether a grid varies the number of this name: then it has neither a source nor a why."""
    if not isinstance(study, GridStudy):
        return False
    stem = _stem(name)
    return any(f"{stem}.".startswith(f"{_stem(key)}.") for axis in study.axes for key in axis.keys)


def _stem(key: str) -> str:
    """A dotted key without units: ``latency_ns`` sets ``latency_ps``."""
    parts = key.removesuffix(".value").split(".")
    return ".".join(found[0] if (found := split_unit(part)) else part for part in parts)


def _manifest(result: StudyResult, folder: Path, wall_s: float) -> str:
    """What the study was: enough to tell two apart and to see what was assumed."""
    study = result.study
    report = REPORTS[study.kind]
    numbers = dict.fromkeys(
        item
        for point in study.points
        for item in point.scenario.provenance
        if not _is_swept(item.name, study)
    )
    content = {
        "study": study.name,
        "description": study.description,
        "kind": study.kind,
        "study_hash": study.study_hash,
        "version": VERSION,
        **({"seed": study.seed} if isinstance(study, JitterStudy) else {}),
        "machines": [
            {
                "name": point.name,
                "scenario_hash": point.scenario.scenario_hash,
                "scenario_seed": point.scenario.seed,
                **_footprint(study, point),
            }
            for point in study.points
        ],
        **report.facts(result),
        "assumed_by_the_study": list(report.assumed),
        **origins(numbers),
        "python": platform.python_version(),
        "wall_s": round(wall_s, 3),
    }
    return manifest_text(content, folder)
