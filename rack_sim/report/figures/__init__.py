"""Figures: what of a run no chart can be, as pictures, each written as PNG and SVG.

- `memory_map`: what fills the memory of every chip
- `rack`: the machine drawn, chips and links coloured by how busy they were: `rack_load`, in the
  colours of `rack_scale`

`canvas` holds what all share: the sheet, the palette, the writing of files; `rack_layout` says
where a rack's parts are drawn; `inert_figure` draws texts as they are written. matplotlib is
imported when a figure is drawn, never pyplot, and its settings are put back afterwards: drawing
leaves no trace in the process.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rack_sim.pipeline import Result
from rack_sim.report.figures.memory_map import draw_memory_map
from rack_sim.report.figures.rack import draw_rack

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["figures_of"]


def figures_of(result: Result) -> "Iterator[tuple[str, Figure]]":
    """Every figure by the name of its files, in the order in which a reader wants them."""
    is_in_sram = result.explanation.plan.system.chip.capacity_name == "sram"
    yield "sram_map" if is_in_sram else "memory_map", draw_memory_map(result)
    yield "rack", draw_rack(result)
