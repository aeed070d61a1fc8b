"""Figures: a run as pictures, each written as PNG and SVG.

- `latency`: how TTFT and TPOT are distributed, beside their objectives
- `throughput_over_time`: tokens per second and occupancy over simulated time
- `critical_path`: what the way of one token is made of, stage by stage and task by task
- `sram_map`: what fills the SRAM of every chip
- `latency_split`: where the time of a token, and of a first token, goes
- `rack`: the machine drawn, chips and links coloured by how busy they were

`canvas` holds what all share: the sheet, the palette, the writing of files; `rack_layout` says
where a rack's parts are drawn. matplotlib is imported when a figure is drawn, never pyplot, and
its settings are put back afterwards: drawing leaves no trace in the process.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rack_sim.pipeline import Result
from rack_sim.report.figures.canvas import drawing_style, write_figure
from rack_sim.report.figures.critical_path import draw_critical_path
from rack_sim.report.figures.latency import draw_latency
from rack_sim.report.figures.latency_split import draw_latency_split
from rack_sim.report.figures.rack import draw_rack
from rack_sim.report.figures.sram_map import draw_sram_map
from rack_sim.report.figures.throughput import draw_throughput

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Drawing:
    """One kind of figure: the question it answers and the function that draws it."""

    question: str
    draw: Callable[[Result], "Figure"]


# file name without its ending -> figure, in the order in which a reader wants them
FIGURES: Mapping[str, Drawing] = {
    "latency": Drawing(
        "How long do requests wait, for the first token and the next?", draw_latency
    ),
    "throughput_over_time": Drawing("How much is served, and when?", draw_throughput),
    "latency_split": Drawing("Where does the time go?", draw_latency_split),
    "critical_path": Drawing("What is the way of one token made of?", draw_critical_path),
    "sram_map": Drawing("What sits in each chip's SRAM?", draw_sram_map),
    "rack": Drawing("Which chips and links are busy?", draw_rack),
}

__all__ = ["FIGURES", "Drawing", "draw_figures"]


def draw_figures(result: Result, folder: Path) -> list[Path]:
    """Writes every figure of a run into `folder`, as PNG and as SVG; returns the files.

    Two runs of one scenario give byte-identical SVGs.
    """
    paths: list[Path] = []
    with drawing_style():
        for name, drawing in FIGURES.items():
            paths += write_figure(drawing.draw(result), folder / name)
    return paths
