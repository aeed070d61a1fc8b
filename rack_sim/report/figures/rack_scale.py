"""Rack scale: the colours that say how busy chips and links were, and their bars with units.

They are the same in every figure: what is hardly busy never looks busy.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.colors import Colormap, Normalize
    from matplotlib.figure import Figure

LINK_BOUNDS = (0.01, 0.05, 0.2, 0.5)
"""Busy shares of a link at which its colour changes."""


@dataclass(frozen=True)
class ColourScale:
    """Colours of shares from 0 to 1, and the shares that its bar names."""

    colours: "Colormap"
    norm: "Normalize"
    marks: tuple[float, ...]


def chip_scale() -> ColourScale:
    """Colours of chips, evenly from idle to always busy."""
    from matplotlib.colors import Normalize

    return ColourScale(_colours("Blues", 0.18), Normalize(0, 1), (0, 0.2, 0.4, 0.6, 0.8, 1))


def link_scale() -> ColourScale:
    """Colours of links, in steps: most are busy for a small part of the time."""
    from matplotlib.colors import BoundaryNorm

    marks = (0.0, *LINK_BOUNDS, 1.0)
    return ColourScale(_colours("YlOrRd", 0.25), BoundaryNorm(marks, 256), marks)


def _colours(name: str, palest: float) -> "Colormap":
    """A map from `palest` on: white would vanish."""
    import matplotlib
    from matplotlib.colors import LinearSegmentedColormap

    samples = matplotlib.colormaps[name](np.linspace(palest, 1, 64))
    return LinearSegmentedColormap.from_list(name, samples)


def draw_colour_bars(figure: "Figure", chips: ColourScale, links: ColourScale) -> None:
    """Draws the two colour bars side by side at the foot of the sheet."""
    from matplotlib.cm import ScalarMappable

    sheet_inches = figure.get_figheight()
    for left, scale, words in (
        (0.07, chips, "chip: busy share of\nthe simulated time (%)"),
        (0.55, links, "link, busier direction: busy share of\nthe simulated time (%)"),
    ):
        bar = figure.add_axes((left, 0.76 / sheet_inches, 0.38, 0.14 / sheet_inches))
        figure.colorbar(
            ScalarMappable(scale.norm, scale.colours),
            cax=bar,
            orientation="horizontal",
            ticks=list(scale.marks),
            spacing="uniform",
        )
        bar.set_xlabel(words)
        bar.xaxis.set_major_formatter(lambda value, _: f"{value * 100:.6g}")
