"""Memory map: what fills every chip, in pipeline order, under the line of its capacity."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rack_sim.compiler.machine import Machine
from rack_sim.foundation.units import format_bytes
from rack_sim.metrics.cost import footprint_of
from rack_sim.partition.memory import ChipMemory
from rack_sim.partition.plan import Plan, Stage
from rack_sim.pipeline import Result
from rack_sim.report.colours import BLUE, GREEN, GREY, INK, ORANGE, PALE, PURPLE
from rack_sim.report.figures.canvas import new_sheet
from rack_sim.report.numbers import count_text, percent_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# kind of bytes -> words, colour
_KINDS = {
    "weight": ("weights", BLUE),
    "kv": ("KV room", ORANGE),
    "activation": ("activations", PURPLE),
    "program": ("program text", GREEN),
    "left_free": ("left free on purpose", GREY),
    "free": ("free", PALE),
}
_COLUMN_COUNT_MAX = 700
_MB, _GB = 10**6, 10**9
# Up to here columns are bars with gaps; beyond, one filled outline per kind.
_BAR_COUNT_MAX = 64
_STAGE_TICK_COUNT_MAX = 24
# Fewer bars than this keep the width they would have among so many.
_SHEET_COLUMN_COUNT_MIN = 8


@dataclass(frozen=True)
class MemoryColumns:
    """Bytes by kind, one column per chip or (where there are too many) per stage's fullest chip."""

    columns_per_stage: int
    bytes_by_kind: dict[str, NDArray[np.int64]]

    @property
    def column_count(self) -> int:
        """Columns to draw."""
        return len(self.bytes_by_kind["weight"])


def draw_memory_map(result: Result) -> "Figure":
    """Bytes per chip over the chips in pipeline order, stacked by kind."""
    machine = result.explanation.machine
    plan = machine.plan
    columns = memory_columns(machine)
    figure = new_sheet(_title(machine), _subtitle(result), width_inches=10, height_inches=4.2)
    axes = figure.subplots()
    unit, unit_bytes = _unit_of(plan)
    _draw_stack(axes, columns, unit_bytes)
    capacity = plan.system.chip.capacity_bytes / unit_bytes
    axes.axhline(
        capacity,
        color=INK,
        linewidth=1.6,
        zorder=3,
        label=f"capacity of a chip,\n{capacity:.1f} {unit}",
    )
    axes.set_ylim(0, capacity * 1.04)
    axes.set_ylabel(f"{plan.system.chip.capacity_name.upper()} of the chip ({unit})")
    axes.grid(visible=False, axis="x")
    _mark_stages(axes, plan, columns)
    _explain_kinds(axes, machine)
    return figure


def memory_columns(machine: Machine, *, column_count_max: int = _COLUMN_COUNT_MAX) -> MemoryColumns:
    """What each chip holds, in pipeline order; the fullest chip of each stage beyond the limit."""
    plan = machine.plan
    whole = plan.chip_count <= column_count_max
    rows = [
        _bytes_of(machine, stage, memory)
        for stage in plan.stages
        for memory in (
            stage.memory if whole else [max(stage.memory, key=lambda chip: chip.used_bytes)]
        )
    ]
    table = np.array(rows, dtype=np.int64).T
    return MemoryColumns(
        columns_per_stage=plan.tensor_parallel if whole else 1,
        bytes_by_kind=dict(zip(_KINDS, table, strict=True)),
    )


def _bytes_of(machine: Machine, stage: Stage, memory: ChipMemory) -> tuple[int, ...]:
    """Bytes on one chip, in the order of the kinds."""
    taken = machine.memory_use(stage, memory)
    return (*taken, machine.plan.system.chip.capacity_bytes - sum(taken))


def _unit_of(plan: Plan) -> tuple[str, int]:
    large = plan.system.chip.capacity_bytes >= 4 * _GB
    return ("GB", _GB) if large else ("MB", _MB)


def _draw_stack(axes: "Axes", columns: MemoryColumns, unit_bytes: int) -> None:
    count = columns.column_count
    edges = np.arange(count + 1, dtype=np.float64)
    bottom = np.zeros(count)
    for kind, (_, colour) in _KINDS.items():
        height = columns.bytes_by_kind[kind] / unit_bytes
        if count <= _BAR_COUNT_MAX:
            axes.bar(edges[:-1] + 0.5, height, 0.86, bottom, color=colour)
        else:
            axes.stairs(
                bottom + height,
                edges,
                baseline=bottom,
                fill=True,
                color=colour,
                linewidth=0,
            )
        bottom = bottom + height
    margin = max(0.0, (_SHEET_COLUMN_COUNT_MIN - count) / 2)
    axes.set_xlim(-margin, count + margin)


def _mark_stages(axes: "Axes", plan: Plan, columns: MemoryColumns) -> None:
    """Numbers the stages along the axis and, while there is room, draws where each begins.

    Of one stage the chips are numbered.
    """
    width = columns.columns_per_stage
    if plan.stage_count == 1 and width == plan.tensor_parallel <= _STAGE_TICK_COUNT_MAX:
        axes.set_xticks([place + 0.5 for place in range(width)], map(str, plan.stages[0].chips))
        axes.tick_params(axis="x", length=0)
        axes.set_xlabel("chip")
        return
    every = -(-plan.stage_count // _STAGE_TICK_COUNT_MAX)
    shown = range(0, plan.stage_count, every)
    axes.set_xticks([(number + 0.5) * width for number in shown], [str(n) for n in shown])
    axes.tick_params(axis="x", length=0 if every == 1 else 3)
    if 1 < plan.stage_count <= _STAGE_TICK_COUNT_MAX:
        for number in range(1, plan.stage_count):
            axes.axvline(number * width, color="white", linewidth=2)
    group = f"{plan.tensor_parallel} chips" if plan.tensor_parallel > 1 else "one chip"
    if width == plan.tensor_parallel:
        axes.set_xlabel(f"stage, in pipeline order ({group} each, one column per chip)")
    else:
        axes.set_xlabel(f"stage, in pipeline order ({group} each; the column is its fullest chip)")


def _explain_kinds(axes: "Axes", machine: Machine) -> None:
    """The legend, in the order of the stack, with what each kind takes of all chips together."""
    from matplotlib.patches import Patch

    plan = machine.plan
    chip_count = plan.chip_count
    capacity_bytes = plan.system.chip.capacity_bytes * chip_count
    columns = memory_columns(machine, column_count_max=chip_count)
    total_bytes = {kind: int(values.sum()) for kind, values in columns.bytes_by_kind.items()}
    entries = [
        Patch(
            facecolor=colour,
            edgecolor="none" if kind != "free" else "#999999",
            label=f"{words}\n{format_bytes(total_bytes[kind])}, "
            f"{percent_text(total_bytes[kind] / capacity_bytes)}",
        )
        for kind, (words, colour) in reversed(_KINDS.items())
        if total_bytes[kind] or kind != "left_free"
    ]
    line = axes.get_lines()[0]
    axes.legend(
        handles=[line, *entries],
        title=f"all {count_text(chip_count, 'chip')} together" if chip_count > 1 else None,
        alignment="left",
        loc="center left",
        bbox_to_anchor=(1.01, 0.5),
        labelspacing=0.9,
        fontsize=9.5,
    )


def _title(machine: Machine) -> str:
    plan = machine.plan
    unit, unit_bytes = _unit_of(plan)
    capacity_bytes = plan.system.chip.capacity_bytes
    weights = (
        f"{format_bytes(plan.weight_bytes)} of weights on {count_text(plan.chip_count, 'chip')}"
    )
    if machine.slots is None:
        return (
            f"{weights}; cache for {machine.kv_tokens:,} tokens, "
            f"{count_text(machine.sequences_max, 'sequence')} of "
            f"{plan.demand.shape.context_tokens:,}"
        )
    return (
        f"{weights}; the fullest chip uses {plan.used_bytes_max / unit_bytes:.1f} of "
        f"{capacity_bytes / unit_bytes:.1f} {unit} "
        f"({percent_text(plan.used_bytes_max / capacity_bytes)})"
    )


def _subtitle(result: Result) -> str:
    plan = result.explanation.plan
    replicas = result.explanation.fleet.replica_count
    spare = footprint_of(plan, replicas).spare_chip_count
    stages = count_text(plan.stage_count, "stage")
    text = f"{result.explanation.scenario.name}: {plan.model.name} in {stages}"
    if replicas > 1:
        text += f"; one of {replicas:,} replicas, all alike"
    return f"{text}; {count_text(spare, 'spare chip')} not shown" if spare else text
