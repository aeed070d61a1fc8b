"""Sizing files: what `rack-sim size` leaves behind."""

import json
import platform
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from rack_sim.metrics.column import Column
from rack_sim.metrics.sizing_columns import (
    CANDIDATES,
    SIZING,
    fixed_columns,
    objective_columns,
)
from rack_sim.metrics.summary import Value
from rack_sim.pipeline import VERSION
from rack_sim.report.csv import cell_of, write_table
from rack_sim.scenario import resolved_yaml
from rack_sim.study.sizing import Sizing
from rack_sim.study.sizing_rows import candidate_rows, sizing_rows

# What the search takes for granted.
SIZING_ASSUMED = (
    "every candidate replays the same requests in the same order",
    "replicas are alike and fill a system before another of the kind is bought; racks are bought "
    "whole, with their spares",
    "a candidate meets the objectives only if it keeps up (its backlog grows, while the second "
    "half arrives, by no more than chance) and serves every request that fits",
    "requests longer than the compiled context are turned away by every candidate: they do not "
    "count",
    "what is searched is exact; anything outside of the space was not looked at",
)


def write_sizing(
    sizing: Sizing,
    folder: Path,
    *,
    wall_s: float,
    figures: bool = True,
    on_step: Callable[[str], None] = lambda _text: None,
) -> None:
    """Writes the files of an answer into `folder`, which exists and is empty."""
    on_step("writing tables")
    asked = objective_columns(objective.column for objective in sizing.objectives)
    for name, columns, rows in (
        ("sizing.csv", SIZING, sizing_rows(sizing)),
        ("candidates.csv", CANDIDATES, candidate_rows(sizing)),
    ):
        written = (*fixed_columns(columns), *asked)
        write_table(folder / name, written, _cells(written, rows))
    (folder / "resolved.yaml").write_text(resolved_yaml(sizing.scenario), encoding="utf-8")
    (folder / "manifest.json").write_text(_manifest(sizing, wall_s), encoding="utf-8")
    if figures:
        from rack_sim.report.figures.canvas import drawing_style, write_figure
        from rack_sim.report.sizing_figure import draw_candidates

        on_step("drawing figures")
        with drawing_style():
            write_figure(draw_candidates(sizing), folder / "candidates")


def question_of(sizing: Sizing) -> dict[str, Any]:
    """What was asked, as JSON has it."""
    space = sizing.space
    return {
        "rate_rps": sizing.question.rate_rps,
        "objectives": [
            {"name": o.name, "bound": o.bound, "unit": o.unit} for o in sizing.objectives
        ],
        "tensor_parallel": list(space.degrees),
        "stages": {str(d): list(counts) for d, counts in space.stages_by_degree.items()},
        "tensor_parallel_that_cannot_hold_the_model": list(space.unfit),
        "replicas_max": space.replicas_max,
        "request_count": sizing.traffic.request_count,
        "fit_request_count": sizing.traffic.fit_count,
    }


def _cells(columns: Iterable[Column], rows: Iterable[dict[str, Value]]) -> Iterator[list[str]]:
    names = [column.name for column in columns]
    for row in rows:
        yield [_cell(row[name]) for name in names]


def _cell(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return cell_of(value)


def _manifest(sizing: Sizing, wall_s: float) -> str:
    scenario = sizing.scenario
    content = {
        "sizing": scenario.name,
        "sizing_hash": sizing.sizing_hash,
        "scenario_hash": scenario.scenario_hash,
        "version": VERSION,
        "seed": scenario.seed,
        "question": question_of(sizing),
        "run_settings": {
            goal: list(sizing.settings_of(answer.candidate))
            for goal, answer in sizing.answers.items()
        },
        "candidate_count": len(sizing.candidates),
        "replay_count": sizing.replay_count,
        "assumed_by_the_search": list(SIZING_ASSUMED),
        "assumed": [
            {"name": item.name, "value": item.value, "why": item.assumed}
            for item in scenario.provenance
            if item.is_assumed
        ],
        "sourced": [
            {"name": item.name, "value": item.value, "source": item.source, "grade": item.grade}
            for item in scenario.provenance
            if not item.is_assumed
        ],
        "python": platform.python_version(),
        "wall_s": round(wall_s, 3),
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
