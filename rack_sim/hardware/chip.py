"""Chip: what one accelerator is made of, in base units."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import lcm
from typing import Literal

# Bits of one number, scales included. Block floating point (bfp8): 8 bits, and an exponent of 8 for
# every 16 numbers. In the microscaling formats of the Open Compute Project (OCP MX 1.0) 32 numbers
# share an exponent of 8 bits, in NVFP4 16 share a scale in fp8 (a whole matrix's is not counted).
PRECISION_BITS: dict[str, int | Fraction] = {
    "fp32": 32,
    "fp16": 16,
    "bf16": 16,
    "bfp8": Fraction(17, 2),
    "fp8": 8,
    "int8": 8,
    "fp4": 4,
    "int4": 4,
    "mxfp8": Fraction(33, 4),
    "mxfp4": Fraction(17, 4),
    "nvfp4": Fraction(9, 2),
}

_ELEMENTS = {"mxfp8": "fp8", "mxfp4": "fp4", "nvfp4": "fp4"}


def element_of(precision: str) -> str:
    """The format of one number, where a precision says how many share a scale, too."""
    return _ELEMENTS.get(precision, precision)


# What a busy chip can be busy with: the matrix or vector unit at its roof, memory at its roof, a
# link that carries bytes, or nothing but the fixed latency of an operator or of a link.
WORK_CLASSES = ("compute", "memory", "link", "waiting")


Kind = Literal["weights", "activations", "kv"]
Execution = Literal["static", "reactive"]
"""How a chip is scheduled: by a compiler, or by itself at run time."""
KINDS: tuple[Kind, ...] = ("weights", "activations", "kv")


@dataclass(frozen=True, slots=True)
class MemoryTier:
    """One level of a chip's memory, and the kinds of bytes that it may hold.

    `bandwidth_bytes_per_s` is the published bandwidth.
    """

    name: str
    capacity_bytes: int
    bandwidth_bytes_per_s: int
    holds: tuple[Kind, ...] = KINDS


@dataclass(frozen=True, slots=True)
class Tiers:
    """In which tier each kind of bytes lies, whole; the fastest is 0.

    Program text lies in the slowest of them.
    """

    weights: int = 0
    activations: int = 0
    kv: int = 0

    def of(self, kind: Kind) -> int:
        """The tier of a kind of bytes."""
        return {"weights": self.weights, "activations": self.activations, "kv": self.kv}[kind]

    @property
    def in_use(self) -> tuple[int, ...]:
        """The tiers that hold something, fastest first."""
        return tuple(sorted({self.weights, self.activations, self.kv}))

    @property
    def program(self) -> int:
        """The tier of program text."""
        return self.in_use[-1]

    @property
    def by_kind(self) -> dict[str, int]:
        """The tier of every kind of bytes, program text among them."""
        return {
            "weights": self.weights,
            "kv_cache": self.kv,
            "activations": self.activations,
            "program_text": self.program,
        }


@dataclass(frozen=True, slots=True)
class MemoryWork:
    """Bytes of all kinds as work at one rate: so much for a byte of each kind, `per_s` in a second.

    Where all kinds lie in one tier, work is bytes and `per_s` its bandwidth.
    """

    per_s: int
    weights: int
    activations: int
    kv: int

    def of(self, *, weights: int = 0, activations: int = 0, kv: int = 0) -> int:
        """The work of so many bytes of each kind."""
        return weights * self.weights + activations * self.activations + kv * self.kv


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
    time of an operator of a reactive chip; it is 0 for a static one.

    The rates of `memory` and `matrix` are the published ones, which limits are made of. Operators
    are timed with what they reach of them: `memory_efficiency` of the bandwidth of every tier,
    `matrix_efficiency` of the dense peak, in matmuls as in attention.

    Between two iterations the host of a reactive chip takes `iteration_host_ps`, and
    `sequence_host_ps` for every sampled row. Launching a collective (or a transfer between stages)
    and meeting its peers takes `collective_latency_ps`, in place of the fixed latency that every
    other kernel has; None where the two are alike.

    `tiers` say where each kind of bytes lies: the partitioner decides that.

    `power_by_class` says how much of the power between idle and peak the chip draws while it is
    busy with a class of work (a key of `WORK_CLASSES`); what is left out draws all of it.
    """

    name: str
    execution: Execution
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
    memory_efficiency: Fraction = Fraction(1)
    matrix_efficiency: Fraction = Fraction(1)
    iteration_host_ps: int = 0
    sequence_host_ps: int = 0
    collective_latency_ps: int | None = None
    tiers: Tiers = Tiers()
    power_by_class: Mapping[str, float] = field(default_factory=dict)

    def placed(self, tiers: Tiers) -> "Chip":
        """This chip with its kinds of bytes in these tiers."""
        return self if tiers == self.tiers else replace(self, tiers=tiers)

    def tier_of(self, kind: Kind) -> MemoryTier:
        """The tier in which a kind of bytes lies."""
        return self.memory[self.tiers.of(kind)]

    @property
    def memory_work(self) -> MemoryWork:
        """What a byte of each kind costs at the bandwidths that operators reach."""
        rates = [self.reached_bytes_per_s(self.tier_of(kind)) for kind in KINDS]
        per_s = lcm(*rates)
        return MemoryWork(per_s, *(per_s // rate for rate in rates))

    @property
    def capacity_bytes(self) -> int:
        """What the tiers in use hold together."""
        return sum(self.memory[number].capacity_bytes for number in self.tiers.in_use)

    @property
    def capacity_name(self) -> str:
        """The names of the tiers in use: ``sram + hbm``."""
        return " + ".join(self.memory[number].name for number in self.tiers.in_use)

    def reached_bytes_per_s(self, tier: MemoryTier) -> int:
        """The bandwidth that operators reach of a tier, rounded up to whole bytes a second."""
        return _share_of(tier.bandwidth_bytes_per_s, self.memory_efficiency)

    def reached_flop_per_s(self, precision: str) -> int:
        """What matmuls and attention reach of the dense peak, rounded up.

        Raises KeyError where there is no peak for `precision`.
        """
        return _share_of(self.matrix.peak_flop_per_s[precision], self.matrix_efficiency)

    @property
    def collective_fixed_ps(self) -> int:
        """What a collective costs before any message is on its way."""
        if self.collective_latency_ps is None:
            return self.operator_fixed_latency_ps
        return self.collective_latency_ps

    @property
    def fast_memory(self) -> MemoryTier:
        """The fastest tier: on an LPU the only one."""
        return self.memory[0]


def _share_of(rate: int, share: Fraction) -> int:
    return -(-rate * share.numerator // share.denominator)
