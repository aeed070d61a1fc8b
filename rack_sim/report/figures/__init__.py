"""Figures: what of a run no chart can be, as pictures, each written as PNG and SVG.

- `energy_and_cost`: who draws the joules of a token, and what its dollars pay for
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
from rack_sim.report.figures.energy_and_cost import draw_energy_and_cost
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


def _is_in_sram(result: Result) -> bool:
    return result.explanation.plan.system.chip.capacity_name == "sram"


def _is_not_in_sram(result: Result) -> bool:
    return not _is_in_sram(result)


# file name without its ending -> figure, in the order in which a reader wants them
FIGURES: Mapping[str, Drawing] = {
    "energy_and_cost": Drawing(
        "Who draws the power, and what does a token cost?", draw_energy_and_cost
    ),
    "sram_map": Drawing("What sits in each chip's SRAM?", draw_memory_map, _is_in_sram),
    "memory_map": Drawing("What sits in each chip's memory?", draw_memory_map, _is_not_in_sram),
    "rack": Drawing("Which chips and links are busy?", draw_rack),
}

__all__ = ["FIGURES", "Drawing"]
