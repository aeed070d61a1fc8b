"""Kernel roofs: which roof of a kernel binds for so many rows, and how long it takes.

The roofs are those of `operators`; a fused kernel does the work of its operators under one fixed
latency. Where the shards of an operator's rows come out whole, its work is a constant and so much a
row: then only these integers are kept, and no operator is timed again. All others are asked of
`time_operator` every time; both give the same picosecond.
"""

from dataclasses import dataclass

from rack_sim.foundation.units import PS_PER_S, work_to_ps
from rack_sim.hardware.chip import PRECISION_BITS, Chip, MemoryWork
from rack_sim.model.operators import Operator
from rack_sim.timing.kernels import Kernel
from rack_sim.timing.operators import OperatorTiming, time_operator
from rack_sim.timing.precision import Precision

Roof = tuple[str, int]
"""The name of a roof (compute, weight_feed, memory) and picoseconds."""


@dataclass(frozen=True, slots=True)
class _Line:
    """Work of one operator on its largest shard: FLOP and memory work, affine in rows.

    `constant_bytes` of weights are `constant_work` of the memory.
    """

    flop_per_row: int
    work_per_row: int
    constant_bytes: int
    constant_work: int

    @staticmethod
    def of(
        operator: Operator, parts: int, precision: Precision, memory: MemoryWork
    ) -> "_Line | None":
        """The line of an operator; None where shards are rounded, or by fields not known here."""
        plain = Operator(
            operator.name,
            operator.unit,
            parameters=operator.parameters,
            flop_per_row=operator.flop_per_row,
            activations_per_row=operator.activations_per_row,
            lookup_per_row=operator.lookup_per_row,
            kv_write_per_row=operator.kv_write_per_row,
            followed_by=operator.followed_by,
            rows_of=operator.rows_of,
            state_elements=operator.state_elements,
            convolution_elements=operator.convolution_elements,
            tensors=operator.tensors,
            weight_kind=operator.weight_kind,
            stored=operator.stored,
            shared_with=operator.shared_with,
            replicated=operator.replicated and parts == 1,
        )
        per_row = (
            (operator.lookup_per_row, precision.weight_bits(operator), memory.weights),
            (
                operator.activations_per_row,
                PRECISION_BITS[precision.activations],
                memory.activations,
            ),
            (operator.kv_write_per_row, precision.kv_bits, memory.kv),
            # Read and written.
            (operator.state_elements, PRECISION_BITS[precision.states], 2 * memory.kv),
            (operator.convolution_elements, PRECISION_BITS[precision.activations], 2 * memory.kv),
        )
        rounded = operator.flop_per_row % parts or any(
            elements % parts or elements // parts * bits % 8 for elements, bits, _ in per_row
        )
        if operator != plain or rounded:
            return None
        constant = 0 if operator.lookup_per_row else -(-operator.parameters // parts)
        constant_bytes = precision.part_bytes(operator, constant)
        return _Line(
            operator.flop_per_row // parts,
            sum(elements // parts * bits // 8 * work for elements, bits, work in per_row),
            constant_bytes,
            memory.of(weights=constant_bytes),
        )


class KernelRoofs:
    """The roofs of one kernel, its operators split over `parts` chips.

    `is_line` says that its work is kept as integers, so that no operator is timed again.
    Raises KeyError where the chip has no peak for the compute precision.
    """

    def __init__(self, kernel: Kernel, parts: int, chip: Chip, precision: Precision) -> None:
        self._parts = parts
        self._chip = chip
        self._precision = precision
        self._kernel = kernel = kernel.over(parts)
        operators = kernel.operators + kernel.sampled_operators
        on_matrix = operators[0].unit == "matrix"
        self._peak = (
            chip.reached_flop_per_s(precision.compute) if on_matrix else chip.vector_flop_per_s
        )
        memory = chip.memory_work
        self._memory_per_s = memory.per_s
        self._feed = chip.matrix.feed_bytes_per_s if on_matrix else None
        of_rows = [_Line.of(operator, parts, precision, memory) for operator in kernel.operators]
        of_sampled = [
            _Line.of(operator, parts, precision, memory) for operator in kernel.sampled_operators
        ]
        known = [line for line in of_rows + of_sampled if line]
        # A looked-up table is no line for the feed.
        fed_lookup = self._feed and any(operator.lookup_per_row for operator in operators)
        self.is_line = len(known) == len(operators) and not fed_lookup
        if self.is_line:
            self._of_rows = _sum([line for line in of_rows if line])
            self._of_sampled = _sum([line for line in of_sampled if line])

    def binding(self, rows: int, sampled: int) -> Roof:
        """The largest roof; of equal ones the first of compute, weight feed, memory."""
        if not self.is_line:
            return self._timed(rows, sampled)
        line, constant_bytes = self._of_rows, self._of_rows.constant_bytes
        flop = line.flop_per_row * rows
        memory_work = line.constant_work + line.work_per_row * rows
        if sampled:
            line = self._of_sampled
            flop += line.flop_per_row * sampled
            memory_work += line.constant_work + line.work_per_row * sampled
            constant_bytes += line.constant_bytes
        compute_ps = -(-flop * PS_PER_S // self._peak)
        memory_ps = -(-memory_work * PS_PER_S // self._memory_per_s)
        if self._feed:
            feed_ps = work_to_ps(constant_bytes, self._feed)
            if feed_ps > compute_ps and feed_ps >= memory_ps:
                return "weight_feed", feed_ps
        return ("compute", compute_ps) if compute_ps >= memory_ps else ("memory", memory_ps)

    def _timed(self, rows: int, sampled: int) -> Roof:
        """The same by `time_operator`."""
        timings = [self._operator(operator, rows) for operator in self._kernel.operators]
        if sampled:
            timings += [self._operator(o, sampled) for o in self._kernel.sampled_operators]
        if len(timings) == 1:
            terms = timings[0].terms
            if terms.compute_ps:
                return "compute", terms.compute_ps
            if terms.weight_feed_ps:
                return "weight_feed", terms.weight_feed_ps
            return "memory", terms.memory_ps
        # Only operators of the vector unit are fused: they know no feed.
        compute_ps = work_to_ps(sum(timing.flop for timing in timings), self._peak)
        memory_ps = work_to_ps(sum(timing.memory_work for timing in timings), self._memory_per_s)
        return ("compute", compute_ps) if compute_ps >= memory_ps else ("memory", memory_ps)

    def _operator(self, operator: Operator, rows: int) -> OperatorTiming:
        return time_operator(
            operator,
            chip=self._chip,
            precision=self._precision,
            rows=rows,
            context_tokens=0,
            group_size=self._parts,
        )


def _sum(lines: list[_Line]) -> _Line:
    """All of them together."""
    return _Line(
        sum(line.flop_per_row for line in lines),
        sum(line.work_per_row for line in lines),
        sum(line.constant_bytes for line in lines),
        sum(line.constant_work for line in lines),
    )
