"""Operator timing: the roofline of one operator on one chip of a tensor-parallel group.

    t = fixed latency + max( FLOP / peak,
                             (stationary bytes - what waits in the unit) / feed,
                             sum of (weights, activations, cache) / bandwidth of their tier )

States of sequences lie where the cache does and count as cache; they are read and written.
Stationary bytes are what the matrix unit holds still while rows pass: the weights of a projection,
the cached keys or values of attention, the state that a chunk of a prompt meets. They cross the
on-chip streams, so the feed rate bounds them; the memory bandwidth bounds everything that is read
or written. As much of them as the unit's buffer holds is loaded while the chip is still busy with
the operators before. Peak and memory bandwidth are what the chip reaches of the published ones.
"""

from dataclasses import dataclass, replace

from rack_sim.foundation.units import work_to_ps
from rack_sim.hardware.chip import Chip
from rack_sim.model.choice import GRAINS, Choice
from rack_sim.model.operators import Operator
from rack_sim.timing.precision import Precision
from rack_sim.timing.terms import Terms

ROOFS = ("compute", "weight_feed", "memory")


@dataclass(frozen=True, slots=True)
class OperatorTiming:
    """One operator on the most loaded chip of its group: duration, and what bound it.

    `preload_ps` is what the memory unit streams ahead of it, `stream_ps` what it streams while the
    operator runs. `live_bytes` of activations are read and written. `memory_work` is
    `memory_bytes` as work of the chip's memory.
    """

    name: str
    terms: Terms
    flop: int
    memory_bytes: int
    binding: str
    preload_ps: int
    stream_ps: int
    live_bytes: int
    memory_work: int

    @property
    def duration_ps(self) -> int:
        """From its inputs being there to its outputs being there."""
        return self.terms.total_ps


def time_operator(
    operator: Operator,
    *,
    chip: Chip,
    precision: Precision,
    rows: int,
    context_tokens: int,
    group_size: int,
    sequence_count: int | None = None,
) -> OperatorTiming:
    """Time of `operator` for `rows` rows at `context_tokens`, split over `group_size` chips.

    The rows are of `sequence_count` sequences (left out: one each), each of which has a cache to be
    read. The largest shard counts; where rows choose among experts, `choice` says how many rows and
    experts that are, and where they choose entries of the cache, `reach` how many. Raises KeyError
    where the chip has no peak for the compute precision; the scenario is checked for that before
    anything is timed.
    """
    sequences = rows if sequence_count is None else sequence_count
    operator = operator.over(group_size)
    if operator.replicated:
        group_size = 1
    met, read = _entries(operator, context_tokens, rows, sequences, chip.execution, group_size)
    if operator.choice is not None:
        operator, rows = _chosen(operator, operator.choice, rows, group_size, chip.execution)
        group_size = 1
    together = -(-rows // sequences) if sequences else 0
    flop = _share(
        rows * (operator.flop_of(together) + operator.flop_per_row_token * met), group_size
    )
    weight_bytes = precision.part_bytes(operator, _share(operator.parameters, group_size))
    if operator.lookup_per_row:
        looked_up = _share(rows * operator.lookup_per_row, group_size)
        weight_bytes = precision.part_bytes(operator, looked_up)
    activation_bytes = precision.activation_bytes(
        _share(
            rows * (operator.activations_per_row + operator.activations_per_row_token * met),
            group_size,
        )
    )
    kv_read_bytes = precision.kv_bytes(
        _share(sequences * operator.kv_read_per_row_token * read, group_size)
    )
    kv_write_bytes = precision.kv_bytes(_share(rows * operator.kv_write_per_row, group_size))
    state_bytes = precision.state_bytes(
        _share(_updates(operator, rows, sequences) * operator.state_elements, group_size),
        _share(_updates(operator, rows, sequences) * operator.convolution_elements, group_size),
    )
    kv_bytes = kv_read_bytes + kv_write_bytes + 2 * state_bytes
    memory = chip.memory_work
    memory_work = memory.of(weights=weight_bytes, activations=activation_bytes, kv=kv_bytes)

    if operator.unit == "matrix":
        peak = chip.reached_flop_per_s(precision.compute)
        stationary_bytes = weight_bytes + kv_read_bytes + state_bytes
    else:
        peak = chip.vector_flop_per_s
        stationary_bytes = 0
    feed = chip.matrix.feed_bytes_per_s
    preloaded_bytes = min(stationary_bytes, chip.matrix.buffer_bytes) if feed else 0
    feed_ps = work_to_ps(stationary_bytes - preloaded_bytes, feed) if feed else 0
    roofs = {
        "compute": work_to_ps(flop, peak),
        "weight_feed": feed_ps,
        "memory": work_to_ps(memory_work, memory.per_s),
    }
    roof = max(ROOFS, key=lambda name: roofs[name])
    fixed = chip.operator_fixed_latency_ps
    terms = Terms(fixed_latency_ps=fixed, **{f"{roof}_ps": roofs[roof]})
    binding = "fixed_latency" if fixed >= roofs[roof] else roof
    return OperatorTiming(
        operator.name,
        terms,
        flop,
        weight_bytes + activation_bytes + kv_bytes,
        binding,
        preload_ps=work_to_ps(preloaded_bytes, feed) if feed else 0,
        stream_ps=feed_ps,
        live_bytes=activation_bytes,
        memory_work=memory_work,
    )


def _updates(operator: Operator, rows: int, sequences: int) -> int:
    """How often states are read and written: once a next token, once a chunk of each prompt."""
    if operator.rows_of != "prompts" or not sequences:
        return rows
    return sequences * -(-rows // (sequences * operator.chunk_tokens))


def _entries(
    operator: Operator,
    context_tokens: int,
    rows: int,
    sequences: int,
    execution: str,
    group_size: int,
) -> tuple[int, int]:
    """Entries of the cache that a row meets, and those that are read for the rows of a sequence.

    A program that is made beforehand must fit any choice: all that rows choose may lie on one of
    the chips that share a cache. Elsewhere choices are taken to be even.
    """
    if operator.reach is None:
        met = operator.met(context_tokens)
        return met, met
    parts = max(group_size // operator.reach.head_count, 1) if execution == "static" else 1
    rows_of_each = -(-rows // max(sequences, 1))
    return (
        operator.met(context_tokens, parts=parts),
        operator.met(context_tokens, rows_of_each, parts),
    )


def _chosen(
    operator: Operator, choice: Choice, rows: int, group_size: int, execution: str
) -> tuple[Operator, int]:
    """What the fullest chip does of an operator on experts, as one row of a chip alone.

    On average, or the most that can come where a program must fit any choice.
    """
    load = (choice.most if execution == "static" else choice.average)(rows, group_size)
    parts = GRAINS * choice.chosen_count
    slices = 1 if choice.apart else group_size
    own = replace(
        operator,
        parameters=_share(
            operator.parameters * load.expert_grains, GRAINS * choice.expert_count * slices
        ),
        flop_per_row=_share(operator.flop_per_row * load.row_grains, parts),
        activations_per_row=_share(operator.activations_per_row * load.row_grains, parts),
        choice=None,
    )
    return own, 1


def _share(amount: int, parts: int) -> int:
    return -(-amount // parts)
