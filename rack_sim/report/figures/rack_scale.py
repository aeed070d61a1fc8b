"""Rack scale: the colours that say how busy chips and links were, and their bars with units."""

from dataclasses import dataclass
from math import floor, log10
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.colors import Colormap, Normalize
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Scale:
    """Colours from idle to the busiest; `highest` is a round share."""

    colours: "Colormap"
    norm: "Normalize"
    highest: float


def scale_of(name: str, palest: float, highest: float) -> Scale:
    """Colours of a map from `palest` on (white would vanish), up to a round share."""
    import matplotlib
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    samples = matplotlib.colormaps[name](np.linspace(palest, 1, 64))
    top = _round_up(highest) if highest else 0.01
    return Scale(LinearSegmentedColormap.from_list(name, samples), Normalize(0, top), top)


def _round_up(share: float) -> float:
    """The next share with one significant digit of 1, 2, 3, 4, 5, 6 or 8."""
    size: float = 10.0 ** floor(log10(share))
    digits = (1, 2, 3, 4, 5, 6, 8, 10)
    return next((d * size for d in digits if share <= d * size * (1 + 1e-9)), 10 * size)


def draw_colour_bars(figure: "Figure", chips: Scale, links: Scale) -> None:
    """Draws the two colour bars side by side at the foot of the sheet."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    sheet_inches = figure.get_figheight()
    for left, scale, words in (
        (0.07, chips, "chip: busy share of\nthe simulated time (%)"),
        (0.55, links, "link, busier direction: busy share of\nthe simulated time (%)"),
    ):
        bar = figure.add_axes((left, 0.76 / sheet_inches, 0.38, 0.14 / sheet_inches))
        figure.colorbar(
            ScalarMappable(Normalize(0, scale.highest * 100), scale.colours),
            cax=bar,
            orientation="horizontal",
        )
        bar.set_xlabel(words)
        bar.xaxis.set_major_formatter(lambda value, _: f"{value:.6g}")
