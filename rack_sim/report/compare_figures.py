"""Compare figures: speed for one user against what a chip, a kilowatt or a dollar yields; bars."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rack_sim.metrics.compare_columns import DENSITIES
from rack_sim.report.colours import (
    BLUE,
    FAINT_INK,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
)
from rack_sim.report.figures.canvas import new_sheet, say_instead
from rack_sim.report.figures.labels import legend_words, name_points
from rack_sim.report.numbers import count_text, number_text, percent_text
from rack_sim.study.compare import SPEED, Compared, Comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, INK, GREY)
# Panels of bars: title, then (column, words within the panel) for each group.
_PANELS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("Tokens/s of the median user", ((SPEED, ""),)),
    ("Time to first token, ms", (("ttft_ms_p50", "p50"), ("ttft_ms_p99", "p99"))),
    ("Output tokens/s in all", (("output_throughput_tok_s", ""),)),
    ("Chips that hold a model", (("chip_count", ""),)),
    ("Kilowatts", (("mean_kilowatts", ""),)),
    ("Joules per output token", (("joules_per_output_token", ""),)),
    ("USD per million output tokens", (("usd_per_million_output_tokens", ""),)),
    ("Requests within their SLO", (("slo_attainment", ""),)),
)


def draw_pareto(result: Comparison) -> "Figure":
    """Three panels on log axes: throughput per chip, kilowatt and dollar against speed."""
    words = f"{_subtitle(result)}; dashed: the frontier, what lies below it is beaten in both"
    figure = new_sheet(_title(result), words, width_inches=13, height_inches=4.6)
    panels: Sequence[Axes] = figure.subplots(1, 3)
    for axes, (name, words) in zip(panels, DENSITIES.items(), strict=True):
        _draw_frontier(axes, result, name, words)
    # Names are placed on the finished arrangement.
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes, name in zip(panels, DENSITIES, strict=True):
        points = [(x, y, row.name) for x, y, row in _points(result, name)]
        if points:
            name_points(figure, axes, points, line=_steps(axes, _corners(result, name)))
    return figure


def draw_compared(result: Comparison) -> "Figure":
    """Small bars, a panel for every number that is compared, a colour for every run."""
    ran = result.ran
    bars_high = max(1.15, 0.3 * len(ran) + 0.55)
    heights = [bars_high * (1.7 if len(groups) > 1 else 1) for _, groups in _PANELS]
    rows = [max(heights[:4]), max(heights[4:])]
    figure = new_sheet(
        _bars_title(result), _subtitle(result), width_inches=13, height_inches=sum(rows) + 0.7
    )
    panels = figure.subplots(2, 4, height_ratios=rows).flat
    for axes, (title, groups) in zip(panels, _PANELS, strict=True):
        _draw_bars(axes, title, groups, ran)
    handles = [_patch(number) for number in range(len(ran))]
    names = [legend_words(row.name) for row in ran]
    figure.legend(
        handles,
        names,
        loc="outside lower left",
        ncols=max(1, min(len(ran), 150 // (max(map(len, names)) + 8))),
    )
    return figure


def _patch(number: int) -> Any:  # noqa: ANN401 - matplotlib is imported where it is needed
    from matplotlib.patches import Patch

    return Patch(facecolor=COLOURS[number % len(COLOURS)], hatch=_hatch(number), edgecolor="white")


def _hatch(number: int) -> str:
    """Stripes where colours begin anew."""
    return "" if number < len(COLOURS) else "////"


def _points(result: Comparison, name: str) -> list[tuple[float, float, Compared]]:
    return [
        (speed, dense, row)
        for row in result.ran
        if (speed := row.number(SPEED)) and (dense := row.number(name))
    ]


def _draw_frontier(axes: "Axes", result: Comparison, name: str, words: str) -> None:
    points = _points(result, name)
    axes.set_title(words[0].upper() + words[1:])
    if not points:
        say_instead(axes, "No user got a second token.")
        return
    axes.set_xscale("log")
    axes.set_yscale("log")
    _wide(axes, [x for x, _, _ in points], [y for _, y, _ in points])
    steps = _steps(axes, _corners(result, name))
    xs, ys = [x for x, _ in steps], [y for _, y in steps]
    axes.plot(xs, ys, color=FAINT_INK, linestyle=(0, (4, 2)), linewidth=1.2, zorder=2)
    axes.fill_between(xs, [ys[-1]] * len(xs), ys, color=GREY, alpha=0.16, linewidth=0, zorder=1)
    for number, row in enumerate(result.ran):
        speed, dense = row.number(SPEED), row.number(name)
        if speed and dense:
            axes.plot(
                [speed],
                [dense],
                marker="o",
                markersize=9,
                color=COLOURS[number % len(COLOURS)],
                markeredgecolor="white",
                alpha=0.85,
                zorder=5,
            )
    axes.set_xlabel("tokens/s of the median user (log)")
    axes.set_ylabel(f"{words} (log)")


def _corners(result: Comparison, name: str) -> list[tuple[float, float]]:
    return [(row.number(SPEED) or 0.0, row.number(name) or 0.0) for row in result.frontier(name)]


def _steps(axes: "Axes", corners: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The frontier: whatever lies below and left of the line is beaten in both."""
    left, bottom = axes.get_xlim()[0], axes.get_ylim()[0]
    steps = [(left, corners[0][1])]
    for number, (x, y) in enumerate(corners):
        below = corners[number + 1][1] if number + 1 < len(corners) else bottom
        steps += [(x, y), (x, below)]
    return steps


def _wide(axes: "Axes", xs: Sequence[float], ys: Sequence[float]) -> None:
    """Limits with room for names, and numbers as people write them."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    for axis, values, set_limits in (
        (axes.xaxis, xs, axes.set_xlim),
        (axes.yaxis, ys, axes.set_ylim),
    ):
        ratio = max(max(values) / min(values), 1.5)
        low, high = min(values) / ratio**0.3 / 1.2, max(values) * ratio**0.3 * 1.2
        set_limits(low, high)
        few = high / low > 300
        axis.set_major_locator(LogLocator(subs=(1,) if few else (1, 2, 5)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
        axis.set_minor_formatter(NullFormatter())


def _draw_bars(
    axes: "Axes", title: str, groups: Sequence[tuple[str, str]], ran: Sequence[Compared]
) -> None:
    axes.set_title(title)
    place, ticks, longest = 0.0, [], 0.0
    for column, words in groups:
        first = place
        for number, row in enumerate(ran):
            value = row.number(column)
            shown = value * 100 if value is not None and column == "slo_attainment" else value
            longest = max(longest, shown or 0.0)
            axes.barh(
                place,
                shown or 0.0,
                0.8,
                facecolor=COLOURS[number % len(COLOURS)],
                hatch=_hatch(number),
                edgecolor="white",
                linewidth=0,
            )
            axes.annotate(
                _value_text(column, shown),
                (shown or 0.0, place),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=9,
            )
            place += 1
        ticks.append(((first + place - 1) / 2, words))
        place += 0.7
    axes.set_ylim(place - 1.1, -0.6)
    axes.set_yticks([at for at, _ in ticks], [words for _, words in ticks])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set_xlim(0, longest * 1.45 or 1)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.grid(visible=False)


def _value_text(column: str, value: float | None) -> str:
    if value is None:
        return "no SLO" if column == "slo_attainment" else "none"
    if column == "slo_attainment":
        return percent_text(value / 100)
    return f"{value:,.0f}" if column == "chip_count" else number_text(value)


def _title(result: Comparison) -> str:
    fastest = _best(result, SPEED)
    thriftiest = _best(result, "output_tokens_per_usd")
    if fastest is None or thriftiest is None:
        return "No user got a second token: there is no speed to compare"
    speed = number_text(fastest.number(SPEED) or 0.0)
    rate = number_text((thriftiest.number("output_tokens_per_usd") or 0.0) / 1000)
    if fastest is thriftiest:
        return f"{fastest.name} is fastest for a user ({speed} tokens/s) and yields most per dollar"
    return (
        f"{fastest.name} is fastest for a user ({speed} tokens/s), {thriftiest.name} yields most "
        f"per dollar ({rate} thousand output tokens)"
    )


def _bars_title(result: Comparison) -> str:
    cheap = min(
        (row for row in result.ran if row.number("usd_per_million_output_tokens") is not None),
        key=lambda row: row.number("usd_per_million_output_tokens") or 0.0,
        default=None,
    )
    if cheap is None:
        return "Nothing was served"
    usd = number_text(cheap.number("usd_per_million_output_tokens") or 0.0)
    return f"{cheap.name} is cheapest: {usd} USD per million output tokens"


def _subtitle(result: Comparison) -> str:
    text = count_text(len(result.ran), "run")
    left_out = [row.name for row in result.rows if row.summary is None]
    if result.unlike:
        text += f"; not alike in all: {', '.join(result.unlike)}"
    if left_out:
        text += f"; cannot run: {', '.join(left_out)}"
    return text


def _best(result: Comparison, column: str) -> Compared | None:
    found = [row for row in result.ran if row.number(column) is not None]
    return max(found, key=lambda row: row.number(column) or 0.0, default=None)
