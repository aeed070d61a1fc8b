"""Sensitivity files: what `rack-sim sensitivity` leaves behind."""

import platform
from collections.abc import Callable, Iterator
from pathlib import Path

from rack_sim.metrics.compare_columns import SENSITIVITY
from rack_sim.metrics.summary import Value
from rack_sim.pipeline import VERSION
from rack_sim.report.csv import cell_of, write_table
from rack_sim.report.json_text import json_text
from rack_sim.scenario import resolved_yaml
from rack_sim.study.sensitivity import SPEED, USD, Sensitivity

# What a sensitivity takes for granted.
SENSITIVITY_ASSUMED = (
    "one input is changed at a time; those that are changed together in the world are not",
    "the plan stays: a machine that is planned anew might lose less or gain more",
    "requests arrive as they do, however fast the machine is: a faster one is idle for longer, "
    "which saves little; `rack-sim sweep load` says how much more it could serve",
    "memory bandwidth is that of every tier and of the feed of weights; peak FLOP that of every "
    "format and of the vector unit; watts those of chips, hosts and switches",
)


def write_sensitivity(
    result: Sensitivity,
    folder: Path,
    *,
    wall_s: float,
    figures: bool = True,
    on_step: Callable[[str], None] = lambda _text: None,
) -> None:
    """Writes the files of a sensitivity into `folder`, which exists and is empty."""
    on_step("writing tables")
    rows = (map(cell_of, row.values()) for row in sensitivity_rows(result))
    write_table(folder / "sensitivity.csv", SENSITIVITY, rows)
    (folder / "resolved.yaml").write_text(resolved_yaml(result.scenario), encoding="utf-8")
    (folder / "manifest.json").write_text(_manifest(result, wall_s), encoding="utf-8")
    if figures:
        from rack_sim.report.figures.canvas import drawing_style, write_figure
        from rack_sim.report.sensitivity_figure import draw_tornado

        on_step("drawing figures")
        with drawing_style():
            write_figure(draw_tornado(result), folder / "sensitivity")


def sensitivity_rows(result: Sensitivity) -> Iterator[dict[str, Value]]:
    """The rows of sensitivity.csv, by column: two for each input, largest effect on cost first."""
    for effect in result.ranked:
        sides = (effect.less,) if effect.value is None else (effect.less, effect.more)
        for side in sides:
            usd, speed = result.share(USD, side.usd), result.share(SPEED, side.speed)
            yield {
                "input": effect.input.name,
                "how": "replayed" if effect.input.is_replayed else "recomputed",
                "change_share": round(side.change, 9),
                "before": effect.value,
                "after": None if side.value is None else round(side.value, 9),
                "unit": effect.input.unit,
                USD: side.usd,
                "usd_change_share": None if usd is None else round(usd, 9),
                SPEED: side.speed,
                "speed_change_share": None if speed is None else round(speed, 9),
                "output_throughput_tok_s": side.rate,
                "note": side.note or None,
            }


def requests_words(result: Sensitivity) -> str:
    """How many requests were replayed: ``1,000 of 5,000 requests``."""
    whole = result.all_request_count
    if whole is None or whole <= result.request_count:
        return f"{result.request_count:,} requests"
    return f"the first {result.request_count:,} of {whole:,} requests"


def _manifest(result: Sensitivity, wall_s: float) -> str:
    scenario = result.scenario
    content = {
        "sensitivity": scenario.name,
        "scenario_hash": scenario.scenario_hash,
        "version": VERSION,
        "seed": scenario.seed,
        "change": result.change,
        "replayed": requests_words(result),
        "assumed_by_the_sensitivity": list(SENSITIVITY_ASSUMED),
        "assumed": [
            {"name": item.name, "value": item.value, "why": item.assumed}
            for item in scenario.provenance
            if item.is_assumed
        ],
        "python": platform.python_version(),
        "wall_s": round(wall_s, 3),
    }
    return json_text(content) + "\n"
