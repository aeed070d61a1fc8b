"""Fits: which constants of each shipped chip were fitted on our table, and why those.

Which constants the rows can tell apart decides: at most three where there are many rows of several
kinds, one where there are few. The others stand in the chip's file as assumed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rack_sim.study.fitting import Fit, OnTrial, fit_chip
from rack_sim.study.measurements import Measurement, shipped_table


@dataclass(frozen=True, slots=True)
class FitPlan:
    """The constants of a chip that are fitted, and why those."""

    constants: tuple[str, ...]
    why: str


PLANS: dict[str, FitPlan] = {
    "nvidia-h100": FitPlan(
        ("memory_efficiency", "matrix_efficiency", "collective_latency_us"),
        "rows of one to eight chips, one to a thousand sequences: memory, compute and collectives "
        "each bind somewhere; the host's time is that of the H200",
    ),
    "nvidia-h200": FitPlan(
        ("memory_efficiency", "matrix_efficiency", "sequence_host_us"),
        "all rows are of one chip, so collectives are not seen (taken from the H100); the 8B model "
        "at a thousand sequences shows the host",
    ),
    "nvidia-a100-80": FitPlan(
        ("memory_efficiency",),
        "small batches only: reading weights binds; all else as the H100",
    ),
    "nvidia-b200": FitPlan(
        ("matrix_efficiency",),
        "two rows, both bound by compute (fp4); all else as the H200",
    ),
    "amd-mi300x": FitPlan(
        ("matrix_efficiency", "operator_fixed_latency_us"),
        "one row is bound by compute, the others by launches: kernels and collectives alike",
    ),
    "sambanova-sn40l": FitPlan(
        ("memory_efficiency",), "three rows of one request: reading weights binds"
    ),
    "cerebras-wse-3": FitPlan(
        ("operator_fixed_latency_us",),
        "two figures of one machine: what wafer SRAM leaves is the latency of operators",
    ),
    "tenstorrent-wormhole": FitPlan(
        ("operator_fixed_latency_us",), "one row: the constant goes through it, no more"
    ),
    "tenstorrent-blackhole-p150": FitPlan(
        ("memory_efficiency",), "one row: the constant goes through it, no more"
    ),
}


def fit_shipped(
    chip: str, measurements: Sequence[Measurement], on_progress: OnTrial | None = None
) -> Fit:
    """The fit of a shipped chip on our table."""
    names = PLANS[chip].constants
    return fit_chip(
        measurements, chip, shipped_table(), names=names, exact=True, on_progress=on_progress
    )
