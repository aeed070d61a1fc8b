"""Deliveries: the bytes that every chip must get in a step, and whether a program brings them.

Which exchanges a block needs follows from the block, the rows and the group; what each member gets
in one follows from the algorithm's pattern, whose data the tests carry piece by piece.
"""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from rack_sim.compiler.program import Part, Program
from rack_sim.model.operators import Block
from rack_sim.timing.algorithms import ALGORITHMS, Operation, misfit, pattern
from rack_sim.timing.exchanges import (
    CANDIDATE_BYTES,
    SUM_BYTES,
    choice_bytes,
    dispatched_elements,
    logit_bytes,
    mix_bytes,
)
from rack_sim.timing.pipeline import TOKEN_BYTES


class NeededExchange(NamedTuple):
    """An exchange that a block needs: every chip of `group` has, or ends with, `shard_bytes`.

    Of an all-to-all they are what each chip has for each other.
    """

    traffic: str
    operation: Operation
    group: tuple[int, ...]
    shard_bytes: int


def exchanges_of(program: Program, block: Block, group: tuple[int, ...]) -> list[NeededExchange]:
    """What the chips of a group must exchange for a block, in order."""
    shape, size = program.shape, len(group)
    if size == 1:
        return []
    rows = shape.rows_of(block)
    residual = program.plan.demand.residual_elements
    shard_bytes = shape.precision.activation_bytes(-(-rows * residual // size))
    wanted = []
    if block.gathers:
        wanted.append(NeededExchange("gather", "all_gather", group, shard_bytes + rows * SUM_BYTES))
    for operator in block.operators:
        if operator.followed_by == "reduce_scatter":
            wanted.append(NeededExchange("reduce", "reduce_scatter", group, shard_bytes))
        elif operator.followed_by == "logits" and block.choice:
            wanted.append(
                NeededExchange("logits", "all_gather", group, logit_bytes(block.choice, rows))
            )
        elif operator.followed_by in ("dispatch", "collect") and block.choice:
            elements = dispatched_elements(
                block.choice,
                rows,
                group_size=size,
                residual_elements=residual,
                execution=program.plan.system.chip.execution,
            )
            piece_bytes = shape.precision.activation_bytes(elements)
            wanted.append(NeededExchange(operator.followed_by, "all_to_all", group, piece_bytes))
        elif operator.followed_by == "candidates":
            wanted.append(NeededExchange("candidates", "all_gather", group, rows * CANDIDATE_BYTES))
        elif operator.followed_by == "mixes":
            mixes_bytes = mix_bytes(block.mixed_per_row, rows)
            wanted.append(NeededExchange("mixes", "all_gather", group, mixes_bytes))
        elif operator.followed_by in ("queries", "choices") and block.selection:
            wanted += _chosen_together(program, block, operator.followed_by, group)
        elif operator.followed_by == "combine" and size > block.kv_head_count > 0:
            sharing = size // block.kv_head_count
            part_bytes = shape.precision.activation_bytes(-(-rows * block.combined_per_row // size))
            for first in range(0, size, sharing):
                part = group[first : first + sharing]
                wanted.append(NeededExchange("combine", "reduce_scatter", part, part_bytes))
    return wanted


def _chosen_together(
    program: Program, block: Block, traffic: str, group: tuple[int, ...]
) -> list[NeededExchange]:
    """What chips that share a cache tell each other to choose from it."""
    shape, size, selection = program.shape, len(group), block.selection
    if selection is None:
        return []
    rows = shape.rows_of(block)
    part_bytes = choice_bytes(selection, rows, shape.context_tokens, size)
    if traffic == "queries":
        part_bytes = shape.precision.activation_bytes(-(-rows * selection.query_elements // size))
    return [NeededExchange(traffic, "all_gather", group, part_bytes)] if part_bytes else []


def deliveries(program: Program) -> Iterator[str]:
    """Chips that get less, or more, of a collective, a transfer or a token than they must."""
    got = _delivered(program)
    known: dict[tuple[Operation, str, tuple[int, ...], int], tuple[int, ...]] = {}
    for number, part in enumerate(program.parts):
        stage = program.plan.stages[part.stage]
        if part.block < 0:
            yield from _transferred(program, number, part, got)
            continue
        wanted = exchanges_of(program, stage.blocks[part.block], stage.chips)
        written = [
            NeededExchange(item.traffic, item.operation, item.group, item.shard_bytes)
            for item in part.collectives
        ]
        if written != wanted:
            yield f"{part.name} exchanges {_named(written)}, but needs {_named(wanted)}"
            continue
        for item in part.collectives:
            node_of = program.plan.routing.node_of_chip
            places: dict[int, int] = {}  # which members share a node, not which node it is
            nodes = tuple(places.setdefault(node_of[chip], len(places)) for chip in item.group)
            key = (item.operation, item.algorithm, nodes, item.shard_bytes)
            if key not in known:
                known[key] = received(*key)
            for chip, size_bytes in zip(item.group, known[key], strict=True):
                found = got[number, item.traffic, chip]
                if found != size_bytes:
                    yield (
                        f"chip {chip} gets {found} bytes in the {item.traffic} of {part.name}, "
                        f"not {size_bytes}"
                    )


def _delivered(program: Program) -> Counter[tuple[int, str, int]]:
    """Bytes that arrive, by part, traffic and chip."""
    last = np.flatnonzero(
        (program.message >= 0) & (np.append(program.message[1:], -1) != program.message)
    )
    size, kinds = int(program.target.max(initial=0)) + 1, len(program.traffics)
    keys, place = np.unique(
        (program.part[last] * kinds + program.traffic[last]) * size + program.target[last],
        return_inverse=True,
    )
    arrived = np.zeros(len(keys), dtype=np.int64)
    np.add.at(arrived, place, program.payload_bytes[last])
    got: Counter[tuple[int, str, int]] = Counter()
    for key, size_bytes in zip(keys.tolist(), arrived.tolist(), strict=True):
        of_kind, chip = divmod(key, size)
        part, kind = divmod(of_kind, kinds)
        got[part, program.traffics[kind], chip] = size_bytes
    return got


def received(
    operation: Operation, algorithm: str, nodes: tuple[int, ...], shard_bytes: int
) -> tuple[int, ...]:
    """Bytes that each member of a group gets by an algorithm; none where it does not fit."""
    received = [0] * len(nodes)
    name = next((known for known in ALGORITHMS if known == algorithm), None)
    if name is None or misfit(operation, name, nodes):
        return tuple(received)
    found = pattern(operation, name, nodes)
    piece_bytes = -(-shard_bytes * len(nodes) // found.pieces_per_buffer)
    for transfer in found.transfers:
        received[transfer.target] += len(transfer.pieces) * piece_bytes
    return tuple(received)


def _transferred(
    program: Program, number: int, part: Part, got: Counter[tuple[int, str, int]]
) -> Iterator[str]:
    """What is wrong with the way from a stage to the next, or of the token back to the first."""
    plan, shape = program.plan, program.shape
    stage = plan.stages[part.stage]
    is_last = part.stage + 1 == plan.stage_count
    after = plan.stages[0 if is_last else part.stage + 1]
    traffic = "token" if is_last else "transfer"
    wanted = (
        shape.sampled_count * TOKEN_BYTES
        if is_last
        else shape.shard_bytes(plan.demand.residual_elements, len(stage.chips))
    )
    what = "of the new token" if is_last else f"from {part.name}"
    for source, chip in zip(stage.chips, after.chips, strict=True):
        found = got[number, traffic, chip]
        if source != chip and found != wanted:
            yield f"chip {chip} gets {found} bytes {what}, not {wanted}"


def _named(wanted: list[NeededExchange]) -> str:
    return ", ".join(f"{item.traffic} of {item.shard_bytes} bytes" for item in wanted) or "nothing"
