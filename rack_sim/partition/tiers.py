"""Tiers: in which memory tier of a chip each kind of bytes lies, whole.

Weights take the fastest tier in which they fit, then activations, then the cache: placements are
tried in that order, and the first that fits is taken. A static chip has its first tier only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product

from rack_sim.hardware.chip import KINDS, Chip, Tiers
from rack_sim.partition.memory import ChipMemory, MemoryDemand
from rack_sim.partition.plan import Stage
from rack_sim.partition.stages import StageCutter


def placements(chip: Chip) -> tuple[Tiers, ...]:
    """What the tiers of a chip may hold, the placement to be preferred first."""
    if chip.execution == "static":
        return (chip.tiers,)
    allowed = (
        [number for number, tier in enumerate(chip.memory) if kind in tier.holds] for kind in KINDS
    )
    return tuple(Tiers(*numbers) for numbers in product(*allowed))


def used_by_tier(tiers: Tiers, memory: ChipMemory) -> dict[int, int]:
    """Bytes in every tier in use, fastest first."""
    used = dict.fromkeys(tiers.in_use, 0)
    sizes = memory.by_kind
    for kind, number in tiers.by_kind.items():
        used[number] += sizes[kind]
    return used


def room_for_sequences(chip: Chip, stages: Sequence[Stage], demand: MemoryDemand) -> int:
    """Sequences at full context that this very cut has room for."""
    precision = demand.shape.precision
    one = replace(demand, kv_tokens=demand.shape.context_tokens, sequence_count=1)
    room = []
    for stage in stages:
        elements = sum(map(one.cached_elements, stage.blocks))
        each = precision.kv_bytes(-(-elements // len(stage.chips)))
        each += one.state_bytes(stage.blocks, len(stage.chips))
        if not each:
            continue
        free = chip.tier_of("kv").capacity_bytes - max(
            used_by_tier(chip.tiers, memory)[chip.tiers.kv] - memory.cache_bytes
            for memory in stage.memory
        )
        room.append(free // each)
    return min(room)


def packed(
    chip: Chip, sizes: Sequence[tuple[int, int, int]], tiers: Tiers, shared_bytes: int = 0
) -> StageCutter:
    """The line of blocks as the slowest tier in use sees it; the others stand beside.

    `sizes` are the weights, live activations and cache of each block on its fullest chip;
    `shared_bytes` of weights there are the first and the last block's alike.
    """
    seen = [
        StageCutter(
            durations_ps=[0] * len(sizes),
            resident_bytes=[
                weight * (tiers.weights == number) + kv * (tiers.kv == number)
                for weight, _, kv in sizes
            ],
            live_bytes=[live * (tiers.activations == number) for _, live, _ in sizes],
            overhead_bytes=chip.program_text_bytes * (tiers.program == number),
            capacity_bytes=chip.memory[number].capacity_bytes,
            shared_bytes=shared_bytes * (tiers.weights == number),
        )
        for number in tiers.in_use
    ]
    return replace(seen[-1], beside=tuple(seen[:-1]))


def least_overfull(
    lines: Mapping[Tiers, StageCutter], stage_count: int
) -> tuple[StageCutter, Tiers, int]:
    """Of lines that do not fit, the one that lacks least: as its fullest tier sees it, and which.

    Each tier is cut for itself, so what it lacks is the least that it can.
    """
    fullest: list[tuple[int, StageCutter, Tiers, int]] = []
    for tiers, line in lines.items():
        in_tier = zip(tiers.in_use, (*line.beside, line), strict=True)
        gaps = [
            (seen.emptiest_cut_bytes(stage_count) - seen.capacity_bytes, seen, tiers, number)
            for number, seen in in_tier
        ]
        fullest.append(max(gaps, key=lambda gap: gap[0]))
    return min(fullest, key=lambda gap: gap[0])[1:]
