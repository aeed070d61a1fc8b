"""Critical path: what the way of one token is made of, stage by stage and task by task."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rack_sim.compiler.program import Part, Program
from rack_sim.foundation.units import PS_PER_MS, PS_PER_US, format_time
from rack_sim.metrics.critical_path import PathStretch, shares, stretches
from rack_sim.metrics.words import TERMS
from rack_sim.pipeline import Result
from rack_sim.report.colours import FAINT_INK, INK, TERM_LOOKS
from rack_sim.report.figures.canvas import new_sheet
from rack_sim.report.numbers import count_text, number_text, percent_text
from rack_sim.timing.terms import Terms, total

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TERMS = tuple(TERMS)[:-2]  # a program has neither slack nor a draft
# Rows and columns of the grid: stages, legend, tasks.
_PLACES = ((0, 0), (0, 1), (1, slice(None)))
_ROW_COUNT_MAX = 34
_ROW_INCHES = 0.235
# A task shorter than this share of what is drawn is a line.
_HAIRLINE_SHARE = 0.002
# Up to here stages are bars with gaps; beyond, one filled outline per term.
_BAR_COUNT_MAX = 96


@dataclass(frozen=True)
class StagePath:
    """One stage of a token's way, the transfer to the next included."""

    stage: int
    terms: Terms
    tasks: tuple[PathStretch, ...]


def draw_critical_path(result: Result) -> "Figure":
    """The time of every stage by cause above; the tasks of a stage in the middle below."""
    program = result.explanation.step.program
    path = stage_paths(program)
    middle = path[len(path) // 2]
    shown = zoomed(middle)
    upper_inches, lower_inches = 2.1, 0.9 + _ROW_INCHES * len(shown)
    figure = new_sheet(
        _title(program),
        _subtitle(result),
        width_inches=10,
        height_inches=upper_inches + lower_inches,
    )
    grid = figure.add_gridspec(
        2, 2, height_ratios=(upper_inches, lower_inches), width_ratios=(5, 1)
    )
    upper, beside, lower = (figure.add_subplot(grid[place]) for place in _PLACES)
    _draw_stages(upper, path, middle.stage, program)
    _explain_terms(beside, path)
    _draw_tasks(lower, middle, shown)
    return figure


def stage_paths(program: Program) -> list[StagePath]:
    """The critical path by stage, in pipeline order; their times add up to the latency."""
    tasks: dict[int, list[PathStretch]] = {stage.number: [] for stage in program.plan.stages}
    for stretch in stretches(program):
        tasks[stretch.first.part.stage].append(stretch)
    return [
        StagePath(stage, total(stretch.terms for stretch in found), tuple(found))
        for stage, found in tasks.items()
    ]


def zoomed(path: StagePath) -> tuple[PathStretch, ...]:
    """The first tasks of a stage, whole blocks, as many as can be shown with their names."""
    shown: list[PathStretch] = []
    for part in _parts(path.tasks):
        block = [stretch for stretch in path.tasks if stretch.first.part is part]
        if shown and len(shown) + len(block) > _ROW_COUNT_MAX:
            break
        shown += block
    return tuple(shown)


def _parts(tasks: Sequence[PathStretch]) -> list[Part]:
    """The blocks and transfers that tasks belong to, in order."""
    return list({id(stretch.first.part): stretch.first.part for stretch in tasks}.values())


def _draw_stages(axes: "Axes", path: Sequence[StagePath], middle: int, program: Program) -> None:
    count = len(path)
    edges = np.arange(count + 1) - 0.5
    bottom = np.zeros(count)
    for name in _TERMS:
        height = np.array([step.terms.by_name()[name] / PS_PER_US for step in path])
        if count <= _BAR_COUNT_MAX:
            axes.bar(range(count), height, 0.8, bottom, color=TERM_LOOKS[name].colour)
        else:
            colour = TERM_LOOKS[name].colour
            axes.stairs(bottom + height, edges, baseline=bottom, fill=True, color=colour)
        bottom = bottom + height
    margin = max(0.0, (8 - count) / 2)  # few stages keep the width they have among eight
    axes.set_xlim(-0.5 - margin, count - 0.5 + margin)
    axes.set_ylim(0, float(bottom.max()) * 1.2)
    axes.annotate(
        "below" if count > 1 else "",
        (middle, float(bottom[middle])),
        xytext=(0, 12),
        textcoords="offset points",
        ha="center",
        fontsize=9,
        color=INK,
        arrowprops={"arrowstyle": "-|>", "color": INK, "shrinkA": 0, "shrinkB": 1}
        if count > 1
        else None,
    )
    axes.set_title(f"One token, stage by stage: {format_time(program.latency_ps)} in all")
    axes.set_ylabel("time (µs)")
    axes.set_xlabel("stage, each with the way to the next; the last with the token's way back")
    if count <= 24:
        axes.set_xticks(range(count))
    axes.grid(visible=False, axis="x")


def _draw_tasks(axes: "Axes", path: StagePath, shown: Sequence[PathStretch]) -> None:
    """A staircase, top to bottom: each task begins where the one above lets it."""
    origin_ps = shown[0].start_ps
    end_ps = shown[-1].start_ps + shown[-1].terms.total_ps
    span = (end_ps - origin_ps) / PS_PER_US
    for row, stretch in enumerate(shown):
        left = (stretch.start_ps - origin_ps) / PS_PER_US
        if stretch.terms.total_ps / PS_PER_US < span * _HAIRLINE_SHARE:
            colour = TERM_LOOKS[stretch.terms.largest].colour
            axes.plot([left, left], [row - 0.36, row + 0.36], color=colour, linewidth=1)
        for name in _TERMS:
            width = stretch.terms.by_name()[name] / PS_PER_US
            if width:
                axes.barh(row, width, 0.72, left, color=TERM_LOOKS[name].colour)
                left += width
        axes.annotate(
            format_time(stretch.terms.total_ps),
            (left, row),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            color=INK,
        )
    axes.set_xlim(0, span * 1.12)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_yticks(range(len(shown)), [_task_words(stretch) for stretch in shown], fontsize=8.5)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    _name_blocks(axes, shown)
    axes.grid(visible=False, axis="y")
    rest = len(path.tasks) - len(shown)
    more = f" (its first {len(shown)} steps of {len(path.tasks)})" if rest else ""
    axes.set_title(f"Stage {path.stage}, task by task: each lets the next begin{more}")
    axes.set_xlabel("time since the stage began (µs)")


def _name_blocks(axes: "Axes", shown: Sequence[PathStretch]) -> None:
    """Lines between blocks, and the name of each on the side where the staircase is not."""
    before: Part | None = None
    for row, stretch in enumerate(shown):
        part = stretch.first.part
        if part is before:
            continue
        if before is not None:
            axes.axhline(row - 0.5, color=FAINT_INK, linewidth=0.7, linestyle=(0, (4, 3)))
        before = part
        at_right = row < len(shown) / 2
        axes.text(
            0.992 if at_right else 0.008,
            row - 0.36,
            part.name,
            transform=axes.get_yaxis_transform(),
            ha="right" if at_right else "left",
            va="top",
            fontsize=9,
            color=FAINT_INK,
            fontstyle="italic",
        )


def _task_words(stretch: PathStretch) -> str:
    """``norm · chip 3, vector``; the block's own name is left to its heading."""
    first, second = stretch.first.resource
    name = stretch.name.split(".", 1)[-1].replace("_", " ")
    if stretch.task_count > 1:
        name += f" ({stretch.task_count} pieces)"
    place = f"link {first}→{second}" if isinstance(first, int) else f"chip {second}, {first}"
    return f"{name} · {place}"


def _explain_terms(axes: "Axes", path: Sequence[StagePath]) -> None:
    """The legend, with what each term is of the whole."""
    from matplotlib.patches import Patch

    whole = total(step.terms for step in path)
    entries = [
        Patch(
            facecolor=TERM_LOOKS[name].colour,
            label=f"{TERMS[name].name}\n{_amount_words(whole.by_name()[name], whole.total_ps)}",
        )
        for name in reversed(_TERMS)
    ]
    axes.set_axis_off()
    axes.legend(handles=entries, loc="center left", labelspacing=0.6, fontsize=8.5, borderpad=0)


def _amount_words(spent_ps: int, whole_ps: int) -> str:
    return f"{format_time(spent_ps)}, {percent_text(spent_ps / whole_ps)}" if spent_ps else "0"


def _title(program: Program) -> str:
    largest = shares(program)[0]
    latency_ms = number_text(program.latency_ps / PS_PER_MS, 4)
    terms = total(stretch.terms for stretch in stretches(program))
    share = percent_text(terms.by_name()[terms.largest] / program.latency_ps)
    return (
        f"One token takes {latency_ms} ms, {share} of it {TERMS[terms.largest].name}; "
        f"{largest.name} takes most, {percent_text(largest.spent_ps / program.latency_ps)}"
    )


def _subtitle(result: Result) -> str:
    program = result.explanation.step.program
    count = sum(share.task_count for share in shares(program))
    return (
        f"{result.explanation.scenario.name}, {program.title}: {count_text(count, 'task')} of "
        f"{len(program):,} let one another begin, and their times add up to the whole"
    )
