"""Sizing figure: every candidate, its chips against the objective that is tightest."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rack_sim.metrics.slo import ATTAINMENT, Objective
from rack_sim.metrics.words import GOALS
from rack_sim.report.colours import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, VERMILION
from rack_sim.report.figures.canvas import new_sheet, say_instead
from rack_sim.study.sizing import Sizing
from rack_sim.study.sizing.candidate import Candidate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# From here on a linear axis would squeeze what lies low; below, it has more ticks.
_LOG_RATIO = 5


def draw_candidates(sizing: Sizing) -> "Figure":
    """Chips bought against the value of the objective that is tightest for the fewest chips.

    Of pruned candidates the value is the least it can be.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    objective = _objective(sizing)
    rate = f"{sizing.question.rate_rps:g} requests/s"
    figure = new_sheet(
        f"{sizing.scenario.name}: systems for {rate}",
        f"{len(sizing.candidates):,} candidates looked at (tensor parallel x stages x replicas); "
        "chips are all that must be bought. What is ruled out, yet drawn on the good side of the "
        "line, was ruled out for another reason.",
        width_inches=9,
        height_inches=5,
    )
    axes = figure.subplots()
    if objective is None:
        say_instead(axes, "nothing was measured")
        return figure
    share = objective.name == ATTAINMENT
    # Of what was ruled out the best that it can be is known: the sign points to the worse.
    groups = (
        (f"ruled out without a replay: here or {'below' if share else 'above'}", "pruned"),
        ("replayed, fails", "fails"),
        ("replayed, meets every objective", "meets"),
    )
    looks = (("v" if share else "^", GREY, 22), ("x", VERMILION, 34), ("o", BLUE, 30))
    for (label, verdict), (marker, colour, size) in zip(groups, looks, strict=True):
        found = [c for c in sizing.candidates if c.verdict == verdict]
        _scatter(axes, found, objective, label, marker, colour, size)
    bound = f"{objective.bound:g}" if share else f"{objective.bound:,g} ms"
    asked = f"{objective.name}: {'at least' if share else 'at most'} {bound}"
    axes.axhline(objective.bound, color=INK, linewidth=1, linestyle="--", label=asked)
    for number, (candidate, goals) in enumerate(sizing.winners.values()):
        words = ", ".join(GOALS[goal].name for goal in goals)
        _mark(axes, candidate, objective, f"{candidate.name}: {words}", number)
    if not share:
        values = [v for c in sizing.candidates if (v := _value(c, objective))]
        if max(values) > _LOG_RATIO * min(values):
            axes.set_yscale("log")
            # Ticks where people count: a range of less than a decade has too few of its own.
            axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 3.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xlabel("chips bought")
    axes.set_ylabel(f"{objective.name}{', share' if share else ', ms'}")
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, fontsize=9, labelspacing=0.8
    )
    return figure


def _objective(sizing: Sizing) -> Objective | None:
    answer = next(iter(sizing.answers.values()))
    tightest = answer.candidate.tightest
    return tightest.objective if tightest else None


def _value(candidate: Candidate, objective: Objective) -> float | None:
    for reading in candidate.readings:
        if reading.objective == objective:
            return reading.value
    return None


def _scatter(
    axes: "Axes",
    candidates: Sequence[Candidate],
    objective: Objective,
    label: str,
    marker: str,
    colour: str,
    size: float,
) -> None:
    points = [
        (candidate.footprint.bought_chip_count, value)
        for candidate in candidates
        if (value := _value(candidate, objective)) is not None
    ]
    if points:
        chips, values = zip(*points, strict=True)
        axes.scatter(
            chips, values, marker=marker, color=colour, s=size, label=label, linewidths=1.2
        )


def _mark(
    axes: "Axes", candidate: Candidate, objective: Objective, label: str, number: int
) -> None:
    """A ring round an answer, wider from one to the next, so that none hides another."""
    value = _value(candidate, objective)
    if value is None:
        return
    axes.scatter(
        [candidate.footprint.bought_chip_count],
        [value],
        s=120 + 70 * number,
        facecolors="none",
        edgecolors=(ORANGE, GREEN, PURPLE)[number],
        linewidths=2.2,
        zorder=4,
        label=label,
    )
