"""SRAM map: what fills every chip, in pipeline order, under the line of its capacity."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rack_sim.foundation.units import format_bytes
from rack_sim.metrics.cost import footprint_of
from rack_sim.partition.plan import Plan
from rack_sim.pipeline import Result
from rack_sim.report.figures.canvas import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PALE,
    PURPLE,
    count_text,
    new_sheet,
    percent_text,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# kind of bytes -> words, colour
_KINDS = {
    "weight": ("weights", BLUE),
    "kv": ("KV room", ORANGE),
    "activation": ("activations", PURPLE),
    "program": ("program text", GREEN),
    "free": ("free", PALE),
}
_COLUMN_COUNT_MAX = 700
_MB = 10**6
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


def draw_sram_map(result: Result) -> "Figure":
    """Bytes per chip over the chips in pipeline order, stacked by kind."""
    plan = result.explanation.plan
    columns = memory_columns(plan)
    figure = new_sheet(_title(plan), _subtitle(result), width_inches=10, height_inches=4.2)
    axes = figure.subplots()
    _draw_stack(axes, columns)
    capacity_mb = plan.system.chip.fast_memory.capacity_bytes / _MB
    axes.axhline(
        capacity_mb,
        color=INK,
        linewidth=1.6,
        zorder=3,
        label=f"capacity of a chip,\n{capacity_mb:.1f} MB",
    )
    axes.set_ylim(0, capacity_mb * 1.04)
    axes.set_ylabel("bytes on the chip (MB)")
    axes.grid(visible=False, axis="x")
    _mark_stages(axes, plan, columns)
    _explain_kinds(axes, plan)
    return figure


def memory_columns(plan: Plan, *, column_count_max: int = _COLUMN_COUNT_MAX) -> MemoryColumns:
    """What each chip holds, in pipeline order; the fullest chip of each stage beyond the limit."""
    whole = plan.chip_count <= column_count_max
    capacity_bytes = plan.system.chip.fast_memory.capacity_bytes
    chips = [
        memory
        for stage in plan.stages
        for memory in (
            stage.memory if whole else [max(stage.memory, key=lambda chip: chip.used_bytes)]
        )
    ]
    rows = [
        (
            m.weight_bytes,
            m.kv_bytes,
            m.activation_bytes,
            m.program_bytes,
            capacity_bytes - m.used_bytes,
        )
        for m in chips
    ]
    table = np.array(rows, dtype=np.int64).T
    return MemoryColumns(
        columns_per_stage=plan.tensor_parallel if whole else 1,
        bytes_by_kind=dict(zip(_KINDS, table, strict=True)),
    )


def _draw_stack(axes: "Axes", columns: MemoryColumns) -> None:
    count = columns.column_count
    edges = np.arange(count + 1, dtype=np.float64)
    bottom_mb = np.zeros(count)
    for kind, (_, colour) in _KINDS.items():
        height_mb = columns.bytes_by_kind[kind] / _MB
        if count <= _BAR_COUNT_MAX:
            axes.bar(edges[:-1] + 0.5, height_mb, 0.86, bottom_mb, color=colour)
        else:
            axes.stairs(
                bottom_mb + height_mb,
                edges,
                baseline=bottom_mb,
                fill=True,
                color=colour,
                linewidth=0,
            )
        bottom_mb = bottom_mb + height_mb
    margin = max(0.0, (_SHEET_COLUMN_COUNT_MIN - count) / 2)
    axes.set_xlim(-margin, count + margin)


def _mark_stages(axes: "Axes", plan: Plan, columns: MemoryColumns) -> None:
    """Numbers the stages along the axis and, while there is room, draws where each begins."""
    width = columns.columns_per_stage
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


def _explain_kinds(axes: "Axes", plan: Plan) -> None:
    """The legend, in the order of the stack, with what each kind takes of all chips together."""
    from matplotlib.patches import Patch

    chips = [memory for stage in plan.stages for memory in stage.memory]
    capacity_bytes = plan.system.chip.fast_memory.capacity_bytes * len(chips)
    total_bytes = {
        "weight": sum(memory.weight_bytes for memory in chips),
        "kv": sum(memory.kv_bytes for memory in chips),
        "activation": sum(memory.activation_bytes for memory in chips),
        "program": sum(memory.program_bytes for memory in chips),
    }
    total_bytes["free"] = capacity_bytes - sum(total_bytes.values())
    entries = [
        Patch(
            facecolor=colour,
            edgecolor="none" if kind != "free" else "#999999",
            label=f"{words}\n{format_bytes(total_bytes[kind])}, "
            f"{percent_text(total_bytes[kind] / capacity_bytes)}",
        )
        for kind, (words, colour) in reversed(_KINDS.items())
    ]
    line = axes.get_lines()[0]
    axes.legend(
        handles=[line, *entries],
        title=f"all {count_text(len(chips), 'chip')} together",
        alignment="left",
        loc="center left",
        bbox_to_anchor=(1.01, 0.5),
        labelspacing=0.9,
        fontsize=9.5,
    )


def _title(plan: Plan) -> str:
    capacity_bytes = plan.system.chip.fast_memory.capacity_bytes
    share = percent_text(plan.used_bytes_max / capacity_bytes)
    return (
        f"{format_bytes(plan.weight_bytes)} of weights on {count_text(plan.chip_count, 'chip')}; "
        f"the fullest chip uses {plan.used_bytes_max / _MB:.1f} of {capacity_bytes / _MB:.1f} MB "
        f"({share})"
    )


def _subtitle(result: Result) -> str:
    plan = result.explanation.plan
    spare = footprint_of(result.explanation.plan).spare_chip_count
    stages = count_text(plan.stage_count, "stage")
    text = f"{result.explanation.scenario.name}: {plan.model.name} in {stages}"
    return f"{text}; {count_text(spare, 'spare chip')} not shown" if spare else text
