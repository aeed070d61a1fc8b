"""Study files: everything a study leaves behind."""

import json
import platform
from collections.abc import Callable, Iterator
from pathlib import Path

from rack_sim.engine.recurrence import stage_starts_ps
from rack_sim.foundation.units import PS_PER_NS, format_ms
from rack_sim.metrics.columns import JITTER, SLIP
from rack_sim.pipeline import VERSION
from rack_sim.report.csv import safe_text, write_table
from rack_sim.scenario import resolved_yaml
from rack_sim.study.jitter import JitterPoint, JitterResult, JitterRow, Spread

# What the replay takes for granted, for whoever reads the numbers without the documentation.
_ASSUMED = (
    "extra times are exponential and independent, one for each task of a matrix, vector or switch "
    "unit; the same mean at every chip",
    "links and memory take the time that was compiled",
    "units and links keep the compiled order, so no step overtakes another",
    "what arrives before it is needed waits without limit; flow control costs nothing",
    "every row of every slot carries a token",
)


def write_jitter_study(
    result: JitterResult,
    folder: Path,
    *,
    wall_s: float,
    figures: bool = True,
    on_step: Callable[[str], None] = lambda _text: None,
) -> None:
    """Writes the files of a jitter study into `folder`, which exists and is empty.

    `on_step` is told what is being written.
    """
    on_step("writing tables")
    write_table(folder / "jitter.csv", JITTER, jitter_table(result))
    write_table(folder / "slip.csv", SLIP, slip_table(result))
    (folder / "resolved.yaml").write_text(resolved_yaml(result.study), encoding="utf-8")
    (folder / "manifest.json").write_text(_manifest(result, wall_s), encoding="utf-8")
    if figures:
        from rack_sim.report.figures.canvas import drawing_style, write_figure
        from rack_sim.report.jitter_figure import draw_jitter  # imports slowly

        on_step("drawing figures")
        with drawing_style():
            write_figure(draw_jitter(result), folder / "jitter")


def jitter_table(result: JitterResult) -> Iterator[tuple[str, ...]]:
    """One row for each machine and mean extra time."""
    for point in result.points:
        step = point.step
        for row in point.rows:
            yield (
                *_machine(point, row),
                str(step.plan.stage_count),
                str(step.slot_count),
                str(point.path_operator_count),
                format_ms(step.revolution_ps),
                format_ms(step.latency_ps),
                f"{point.user_tokens_per_s(row):.6f}",
                f"{row.tokens_per_s:.6f}",
                f"{point.kept_share(row):.6f}",
                *_spread(row.gap),
                *_spread(row.step_latency),
            )


def slip_table(result: JitterResult) -> Iterator[tuple[str, ...]]:
    """One row for each machine, mean extra time and stage."""
    for point in result.points:
        starts = stage_starts_ps(point.step.program).tolist()
        for row in point.rows:
            for stage, (start_ps, slip_ps) in enumerate(
                zip(starts, row.slip_ps.tolist(), strict=True)
            ):
                head = _machine(point, row)
                yield (*head, str(stage), format_ms(start_ps), format_ms(round(slip_ps)))


def _machine(point: JitterPoint, row: JitterRow) -> tuple[str, str, str]:
    jitter_ns = f"{row.operator_jitter_ps / PS_PER_NS:.10g}"
    return safe_text(point.name), str(point.chip_count), jitter_ns


def _spread(times: Spread) -> tuple[str, str, str]:
    return (
        format_ms(round(times.mean_ps)),
        format_ms(round(times.p50_ps)),
        format_ms(round(times.p99_ps)),
    )


def _manifest(result: JitterResult, wall_s: float) -> str:
    """What the study was: enough to tell two apart and to see what was assumed."""
    study = result.study
    numbers = dict.fromkeys(item for point in study.points for item in point.scenario.provenance)
    content = {
        "study": study.name,
        "kind": "jitter",
        "study_hash": study.study_hash,
        "version": VERSION,
        "seed": study.seed,
        "machines": [
            {"name": point.name, "scenario_hash": point.scenario.scenario_hash}
            for point in study.points
        ],
        "assumed_by_the_study": list(_ASSUMED),
        "assumed": [
            {"name": item.name, "value": item.value, "why": item.assumed}
            for item in numbers
            if item.is_assumed
        ],
        "sourced": [
            {"name": item.name, "value": item.value, "source": item.source, "grade": item.grade}
            for item in numbers
            if not item.is_assumed
        ],
        "python": platform.python_version(),
        "wall_s": round(wall_s, 3),
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
