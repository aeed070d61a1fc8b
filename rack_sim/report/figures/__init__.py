"""Figures: a run as pictures, each written as PNG and SVG.

- `latency`: how TTFT and TPOT are distributed, beside their objectives
- `critical_path`: what the way of one token is made of, stage by stage and task by task (static
  chips: others have no schedule)
- `sram_map` (or, of chips with another memory, `memory_map`): what fills the memory of every chip
- `rack`: the machine drawn, chips and links coloured by how busy they were

`canvas` holds what all share: the sheet, the palette, the writing of files; `rack_layout` says
where a rack's parts are drawn. matplotlib is imported when a figure is drawn, never pyplot, and
its settings are put back afterwards: drawing leaves no trace in the process.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rack_sim.pipeline import Result
from rack_sim.report.figures.critical_path import draw_critical_path
from rack_sim.report.figures.latency import draw_latency
from rack_sim.report.figures.memory_map import draw_memory_map
from rack_sim.report.figures.rack import draw_rack

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Drawing:
    """One kind of figure: the question it answers, the function that draws it, for which runs."""

    question: str
    draw: Callable[[Result], "Figure"]
    is_for: Callable[[Result], bool] = lambda _result: True


def _has_schedule(result: Result) -> bool:
    return result.explanation.machine.slots is not None


def _is_in_sram(result: Result) -> bool:
    return result.explanation.plan.system.chip.capacity_name == "sram"


def _is_not_in_sram(result: Result) -> bool:
    return not _is_in_sram(result)


# file name without its ending -> figure, in the order in which a reader wants them
FIGURES: Mapping[str, Drawing] = {
    "latency": Drawing(
        "How long do requests wait, for the first token and the next?", draw_latency
    ),
    "critical_path": Drawing(
        "What is the way of one token made of?", draw_critical_path, _has_schedule
    ),
    "sram_map": Drawing("What sits in each chip's SRAM?", draw_memory_map, _is_in_sram),
    "memory_map": Drawing("What sits in each chip's memory?", draw_memory_map, _is_not_in_sram),
    "rack": Drawing("Which chips and links are busy?", draw_rack),
}

__all__ = ["FIGURES", "Drawing"]
