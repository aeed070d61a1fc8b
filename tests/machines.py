"""Machines: a small chip and its link with round numbers, for times worked out by hand."""

from rack_sim.hardware.chip import Chip, MatrixUnit, MemoryTier
from rack_sim.hardware.link import LinkType

# A vector of 328 bytes at 10 GB/s takes 32,800 ps, and the hop 100,000.
SMALL_LINK = LinkType("c2c", 10**10, 100_000, 320, 328)
SMALL_CHIP = Chip(
    name="small",
    execution="static",
    memory=(MemoryTier("sram", 10**9, 10**12),),
    matrix=MatrixUnit({"fp16": 10**12}, 10**11, 30_000),
    vector_flop_per_s=10**11,
    operator_fixed_latency_ps=50_000,
    program_text_bytes=1000,
    port_count=99,
    idle_watts=1.0,
    peak_watts=2.0,
    price_usd=1.0,
)
