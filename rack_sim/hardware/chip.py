"""Chip: what one accelerator is made of, in base units."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

PRECISION_BITS: dict[str, int] = {
    "fp32": 32,
    "fp16": 16,
    "bf16": 16,
    "fp8": 8,
    "int8": 8,
    "fp4": 4,
    "int4": 4,
}

# What a busy chip can be busy with: the matrix or vector unit at its roof, memory at its roof, a
# link that carries bytes, or nothing but the fixed latency of an operator or of a link.
WORK_CLASSES = ("compute", "memory", "link", "waiting")


@dataclass(frozen=True, slots=True)
class MemoryTier:
    """One level of a chip's memory. `bandwidth_bytes_per_s` is what operators can read from it."""

    name: str
    capacity_bytes: int
    bandwidth_bytes_per_s: int


@dataclass(frozen=True, slots=True)
class MatrixUnit:
    """The matrix unit: dense peak per precision, and the feed of stationary operands.

    `feed_bytes_per_s` is the ceiling of the on-chip streams that carry weights (and keys and
    values) from memory into the unit; None where memory bandwidth is the only ceiling.
    `buffer_bytes` of the next operator's stationary operands can wait in the unit while it is busy
    with other things.
    """

    peak_flop_per_s: Mapping[str, int]
    feed_bytes_per_s: int | None
    buffer_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Chip:
    """One accelerator chip.

    A `static` chip runs a program whose every start time is compiled; a `reactive` one schedules
    at run time. `operator_fixed_latency_ps` is what one dependent operator costs before any byte
    or FLOP is counted. `memory` is ordered fastest first. `operator_jitter_ps` is the mean extra
    time of an operator of a reactive chip; it is 0 for a static one. `power_by_class` says how much
    of the power between idle and peak the chip draws while it is busy with a class of work (a key
    of `WORK_CLASSES`); what is left out draws all of it.
    """

    name: str
    execution: Literal["static", "reactive"]
    memory: tuple[MemoryTier, ...]
    matrix: MatrixUnit
    vector_flop_per_s: int
    operator_fixed_latency_ps: int
    program_text_bytes: int
    port_count: int
    idle_watts: float
    peak_watts: float
    price_usd: float
    operator_jitter_ps: int = 0
    power_by_class: Mapping[str, float] = field(default_factory=dict)

    @property
    def fast_memory(self) -> MemoryTier:
        """The fastest tier: on an LPU the only one."""
        return self.memory[0]
