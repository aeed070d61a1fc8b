"""Parts charts: what a number is made of, a bar each, beside the wholes it is held against."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rack_sim.report.chart import Axis, Chart, Series, in_order, things_axis
from rack_sim.report.colours import Look
from rack_sim.report.numbers import percent_text

_LABEL_ROOM = 1.5  # the axis over the longest bar: its words stand at its end


class PartBar(NamedTuple):
    """One bar; a whole is no share of itself, and what comes after it is none of it."""

    words: str
    amount: float
    look: Look
    is_share: bool = True


def parts_chart(
    chart: Chart, parts: Sequence[PartBar], total: float, text_of: Callable[[float], str]
) -> Chart:
    """The parts, then the wholes that they are held against.

    `chart` is it without bars: its name, its words, and on its axis what the amounts are.
    """

    def label(part: PartBar) -> str:
        said = text_of(part.amount)
        is_told = part.is_share and total
        return f"{said} ({percent_text(part.amount / total)})" if is_told else said

    series = tuple(
        Series(
            "",
            in_order(parts),
            tuple(part.amount if part.is_share == is_share else None for part in parts),
            parts[0].look,
            "bars",
            labels=tuple(label(part) if part.is_share == is_share else "" for part in parts),
            looks=tuple(part.look for part in parts),
        )
        for is_share in (True, False)
    )
    high = _LABEL_ROOM * max(part.amount for part in parts)
    return Chart(
        chart.name,
        chart.title,
        things_axis("", [part.words for part in parts]),
        Axis(chart.y.name, chart.y.unit, high=high or 1.0),
        series,
        chart.says,
        is_stacked=True,
        is_sideways=True,
    )
