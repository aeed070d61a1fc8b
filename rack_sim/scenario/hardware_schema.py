"""Hardware schema: chips and systems as files give them. Every number carries its source."""

from typing import Annotated, Literal

from pydantic import Field

from rack_sim.hardware.chip import PRECISION_BITS
from rack_sim.scenario.fields import (
    Model,
    Name,
    SourcedAmount,
    SourcedCount,
    SourcedNumber,
    SourcedShare,
)
from rack_sim.scenario.power_schema import PowerSchema
from rack_sim.scenario.topology_schema import TopologySchema


class MemoryTierSchema(Model):
    """One level of memory."""

    name: Name
    """What the tier is called: sram, hbm, ddr."""
    capacity_bytes: SourcedAmount
    """Bytes it holds."""
    bandwidth_bytes_per_s: SourcedAmount
    """Published bandwidth; see ``memory_efficiency`` for what operators reach of it."""
    holds: Annotated[list[Literal["weights", "activations", "kv"]], Field(min_length=1)] | None = (
        None
    )
    """Kinds of bytes that may lie here; left out, all. Each kind lies, whole, in the fastest tier
    where it fits; reactive chips only, a static one uses its first tier."""


class MatrixSchema(Model):
    """The matrix unit."""

    peak_flop_per_s: Annotated[
        dict[str, SourcedAmount],
        Field(json_schema_extra={"propertyNames": {"enum": list(PRECISION_BITS)}}),
    ]
    """Dense peak by precision (fp16, bf16, bfp8, fp8, int8, fp4, int4)."""
    feed_bytes_per_s: SourcedAmount | None = None
    """Rate at which stationary operands reach the unit; left out where memory is the ceiling."""
    buffer_bytes: SourcedAmount | None = None
    """Stationary operands that wait in the unit while it is busy with others; left out, none."""


class ChipSchema(Model):
    """One accelerator chip."""

    name: Name
    """What the chip is called."""
    description: str = ""
    """What the chip is."""
    execution: Literal["static", "reactive"]
    """static: every start time is compiled; reactive: scheduled at run time."""
    memory: Annotated[list[MemoryTierSchema], Field(min_length=1)]
    """Memory tiers, fastest first."""
    matrix: MatrixSchema
    """The matrix unit."""
    vector_flop_per_s: SourcedAmount
    """Peak of the vector unit."""
    operator_fixed_latency_ps: SourcedAmount
    """What one dependent operator costs before any byte or FLOP."""
    operator_jitter_ps: SourcedAmount | None = None
    """Mean extra time of an operator that is scheduled at run time; a static chip has none. What
    `rack-sim timeline` shows of a reactive chip; the jitter study brings its own."""
    memory_efficiency: SourcedShare | None = None
    """Share of the bandwidth of every memory tier that operators reach; left out, all of it."""
    matrix_efficiency: SourcedShare | None = None
    """Share of the dense peak that matmuls and attention reach; left out, all of it."""
    iteration_host_ps: SourcedAmount | None = None
    """Host time between two iterations (scheduling, sampling, detokenising); reactive only."""
    sequence_host_ps: SourcedAmount | None = None
    """Host time between two iterations for every sampled row, beside that; reactive only."""
    collective_latency_ps: SourcedAmount | None = None
    """Launch and synchronisation of a collective, in place of the fixed latency of an operator;
    reactive only. Left out, that latency."""
    program_text_bytes: SourcedAmount
    """Instructions of the compiled programs on each chip."""
    port_count: SourcedCount
    """Chip-to-chip links the chip can have."""
    idle_watts: SourcedNumber
    """Power when nothing runs."""
    peak_watts: SourcedNumber
    """Power when every step is busy."""
    power: PowerSchema | None = None
    """Power by class of work; left out, a busy chip draws its peak whatever it does."""
    price_usd: SourcedNumber
    """Price of one chip on its card."""


class LinkSchema(Model):
    """A kind of link, one direction."""

    rate_bytes_per_s: SourcedAmount
    """Wire rate per direction."""
    latency_ps: SourcedAmount
    """One hop, memory to memory, without serialisation."""
    payload_bytes: SourcedCount
    """Payload of one vector (flit)."""
    wire_bytes: SourcedCount
    """What one vector occupies on the wire."""


class SystemSchema(Model):
    """A system: chips of one kind, how they are joined, and what surrounds them."""

    name: Name
    """What the system is called."""
    description: str = ""
    """What the system is."""
    chip: ChipSchema
    """A chip preset by name, a file, or written out; see ``preset`` to change a part of one."""
    topology: TopologySchema
    """How chips are joined."""
    links: dict[Literal["local", "global"], LinkSchema]
    """What links can do: local (inside a node) and global (between nodes; left out, as local)."""
    host_watts_per_node: SourcedNumber
    """Power of a node besides its chips."""
    network_watts_per_node: SourcedNumber | None = None
    """Power of switches and optics, per node; left out, none beside what hosts and chips draw."""
    system_price_usd: SourcedNumber | None = None
    """Price of the whole system, spares, hosts and network included; left out, that of its chips
    times cost.system_price_factor. Racks that are used pay their share by chips."""
