"""Iteration timing: how long one iteration of a reactive chip group takes, whatever is in it.

An iteration carries `rows` rows, each one token of some sequence; `sampled` of them go through the
head. Kernels (`kernels`) run one after the other and nothing overlaps: each takes its fixed latency
and the largest of its roofs, each collective the latency of one (its launch, and meeting its peers)
and its messages. Before the first the host takes its time, for the iteration and for every sampled
row: it counts as fixed latency. Two parts:

- base: everything that depends on the rows alone, the fixed latency of attention included
- attention: affine in what it reads, ``max over roofs of pair x Q + token x K + row x R``, with Q
  pairs of a row and a token it attends to, K cached tokens that are read, R rows; where layers look
  back no further than a window, Q and K of that window at rates of their own; the rows have in them
  what prompts do with the states of sequences, a chunk at a time

Several stages: one batch passes them one after the other; an iteration takes the sum of all stages
and of the transfers between them, the sampled tokens' way back included. Nothing else is in the
pipeline meanwhile.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import pairwise

from rack_sim.hardware.chip import PRECISION_BITS, Chip
from rack_sim.hardware.routing import Flow, Hop, Routing
from rack_sim.model.operators import Block
from rack_sim.timing.attention_roofs import (
    AffineWork,
    Attended,
    AttentionRoof,
    entries_read,
    kv_bytes_per_token,
    pairs_met,
    without_dominated,
)
from rack_sim.timing.collectives import time_collective
from rack_sim.timing.exchanges import (
    CANDIDATE_BYTES,
    dispatched_elements,
    logit_bytes,
    mix_bytes,
)
from rack_sim.timing.grid import Grid, on_links
from rack_sim.timing.kernel_roofs import KernelRoofs
from rack_sim.timing.kernels import CollectiveKernel, Kernel, launches_of
from rack_sim.timing.messages import time_flows
from rack_sim.timing.pipeline import TOKEN_BYTES, Group
from rack_sim.timing.precision import Precision
from rack_sim.timing.schedule import OnLinks
from rack_sim.timing.terms import Terms, weighted_total
from rack_sim.timing.window import Window

_KEPT_MAX = 2**16  # bases kept by (rows, sampled rows)

Counted = list[tuple[KernelRoofs, int]]
"""Kernels and how often each is launched."""


class IterationTimer:
    """Times iterations of a model whose stage n holds ``blocks_by_stage[n]`` on ``groups[n]``.

    `residual_elements` is the width of the residual stream (the hidden size). `roofs` bound the
    attention of all layers together: the largest counts. Roofs that never are the largest are left
    out. Where layers differ so much that different roofs bind in them, this is less than the sum of
    what each takes; layers that are alike make no difference. `messages_of` is a timer of the same
    model on the same links, whose messages need not be placed again. `kv_bytes_per_token` is what a
    cached token takes on a chip of the fullest stage.

    Raises KeyError where the chip has no peak for the compute precision, ValueError where blocks
    have what no kernel is known for or groups are not of one size.
    """

    def __init__(
        self,
        chip: Chip,
        routing: Routing,
        groups: Sequence[Group],
        blocks_by_stage: Sequence[Sequence[Block]],
        precision: Precision,
        *,
        residual_elements: int,
        messages_of: "IterationTimer | None" = None,
    ) -> None:
        if len(set(map(len, groups))) != 1:
            raise ValueError(f"stages of {[len(group) for group in groups]} chips")
        # Nothing is loaded ahead while another kernel runs.
        self._chip = replace(chip, matrix=replace(chip.matrix, buffer_bytes=0))
        self._routing = routing
        self._precision = precision
        self._residual_elements = residual_elements
        all_blocks = (block for blocks in blocks_by_stage for block in blocks)
        self._stream_count = max((block.stream_count for block in all_blocks), default=1)
        kernels: Counter[tuple[Kernel, int]] = Counter()
        collectives: Counter[tuple[CollectiveKernel, Group]] = Counter()
        for group, blocks in zip(groups, blocks_by_stage, strict=True):
            launches = launches_of(
                blocks, group_size=len(group), residual_elements=residual_elements
            )
            for launch in launches:
                if isinstance(launch, Kernel):
                    kernels[launch, 1 if launch.whole else len(group)] += 1
                else:
                    collectives[launch, group] += 1
        attention: list[tuple[Kernel, Fraction]] = []
        self._attention_count = 0
        self._of_rows: Counted = []
        self._of_sampled: Counted = []
        self._of_both: Counted = []
        for (kernel, parts), count in kernels.items():
            if kernel.is_attention:
                attention.append((kernel.over(parts), Fraction(count, parts)))
                self._attention_count += count
                continue
            place = self._of_both if kernel.sampled_operators else self._of_rows
            if not kernel.operators:
                place = self._of_sampled
            place.append((KernelRoofs(kernel, parts, self._chip, precision), count))
        # What goes over links: how often, and whether the rows or the sampled ones count.
        self._messages: list[tuple[Grid, int, bool]] = [
            (Grid(partial(self._collective, kernel, group)), count, kernel.sampled)
            for (kernel, group), count in collectives.items()
        ]
        self._messages += self._transfers(groups)
        self._messages = messages_of._messages if messages_of else self._messages
        self._base_ps: dict[tuple[int, int], int] = {}
        self._rows_ps: dict[int, int] = {}
        self._sampled_ps: dict[int, int] = {}
        self._terms: dict[tuple[int, bool], Terms] = {}
        self.roofs = without_dominated(self._attention_roofs(attention))
        self.kv_bytes_per_token = kv_bytes_per_token(blocks_by_stage, len(groups[0]), precision)

    def base_ps(self, rows: int, sampled: int) -> int:
        """Everything but the context-dependent part of attention; never less for more rows.

        Raises ValueError unless there is a row and at most all rows are sampled.
        """
        found = self._base_ps.get((rows, sampled))
        if found is None:
            if len(self._base_ps) >= _KEPT_MAX:  # pairs are many, and quickly found again
                self._base_ps.clear()
            found = self._base_ps[rows, sampled] = self._found_ps(rows, sampled)
        return found

    def _found_ps(self, rows: int, sampled: int) -> int:
        if rows < 1 or not 0 <= sampled <= rows:
            raise ValueError(f"{sampled} sampled of {rows} rows")
        rows_ps = self._rows_ps.get(rows)
        if rows_ps is None:
            rows_ps = self._rows_ps[rows] = self._kept_terms(rows, self._terms_of).total_ps
        sampled_ps = self._sampled_ps.get(sampled)
        if sampled_ps is None:
            terms = self._kept_terms(sampled, self._terms_of_sampled)
            sampled_ps = self._sampled_ps[sampled] = terms.total_ps
        fixed_ps = self._chip.operator_fixed_latency_ps
        return (
            rows_ps
            + sampled_ps
            + sum(
                count * (fixed_ps + kernel.binding(rows, sampled)[1])
                for kernel, count in self._of_both
            )
        )

    def base_terms(self, rows: int, sampled: int) -> Terms:
        """`base_ps` split by cause."""
        if rows < 1 or not 0 <= sampled <= rows:
            raise ValueError(f"{sampled} sampled of {rows} rows")
        result = self._terms_of(rows) + self._terms_of_sampled(sampled)
        if self._of_both:
            result = result + self._kernels(self._of_both, rows, sampled)
        return result

    def terms_of_all(
        self, by_rows: Mapping[int, int], by_sampled: Mapping[int, int], base_ps: int
    ) -> Terms:
        """The bases of many iterations, `base_ps` in all, split by cause.

        `by_rows` and `by_sampled` say how many iterations had so many rows, and sampled rows. The
        kernels that know both (the last norm) move bytes and little else: beside their launches
        they count as memory.
        """
        result = weighted_total(
            (self._kept_terms(number, terms_of), count)
            for counts, terms_of in (
                (by_rows, self._terms_of),
                (by_sampled, self._terms_of_sampled),
            )
            for number, count in counts.items()
        )
        launched = sum(by_rows.values()) * sum(count for _, count in self._of_both)
        fixed_ps = launched * self._chip.operator_fixed_latency_ps
        memory_ps = base_ps - result.total_ps - fixed_ps
        return result + Terms(fixed_latency_ps=fixed_ps, memory_ps=memory_ps)

    def _kept_terms(self, number: int, terms_of: Callable[[int], Terms]) -> Terms:
        """`terms_of` a number, found once: a replay asks for its sum, and a report for each."""
        key = (number, terms_of == self._terms_of)
        if key not in self._terms:
            self._terms[key] = terms_of(number)
        return self._terms[key]

    def _terms_of(self, rows: int) -> Terms:
        """What depends on the rows alone."""
        fixed_ps = self._attention_count * self._chip.operator_fixed_latency_ps
        before = Terms(fixed_latency_ps=self._chip.iteration_host_ps + fixed_ps)
        kernels = self._kernels(self._of_rows, rows, 0)
        return before + kernels + self._on_links(rows, of_sampled=False)

    def _terms_of_sampled(self, sampled: int) -> Terms:
        """What depends on the sampled rows alone."""
        if not sampled:
            return Terms()
        return (
            Terms(fixed_latency_ps=self._chip.sequence_host_ps * sampled)
            + self._kernels(self._of_sampled, 0, sampled)
            + self._on_links(sampled, of_sampled=True)
        )

    def launch_count(self, sampled: int) -> int:
        """Kernels, collectives and transfers of an iteration: what fixed latency and jitter count.

        Without sampled rows the head launches nothing.
        """
        launched = self._attention_count
        launched += sum(count for _, count in self._of_rows + self._of_both)
        launched += sum(count for _, count, of_sampled in self._messages if not of_sampled)
        if sampled:
            launched += sum(count for _, count in self._of_sampled)
            launched += sum(count for _, count, of_sampled in self._messages if of_sampled)
        return launched

    def duration_ps(self, sampled: int, attended: Attended) -> int:
        """The whole iteration: base and attention."""
        return self.base_ps(attended.rows, sampled) + self.attention(attended)[1]

    def attention(self, attended: Attended) -> tuple[str, int]:
        """The roof that binds the attention of an iteration, the first of equals, and its time."""
        times = [(roof.name, roof.time_ps(attended)) for roof in self.roofs]
        return max(times, key=lambda time: time[1])

    @property
    def windows(self) -> tuple[Window, ...]:
        """The windows of layers that do not look back to the beginning."""
        return tuple(sorted({rates.window for roof in self.roofs for rates in roof.windowed}))

    def vectors_by_hop(self, rows: int, sampled: int | None = None) -> Mapping[Hop, int]:
        """Vectors that an iteration puts on every link; all rows are sampled if not said."""
        return self._by_hop(rows, rows if sampled is None else sampled, held=False)

    def link_busy_ps(self, rows: int, sampled: int | None = None) -> Mapping[Hop, int]:
        """How long an iteration holds every link; all rows are sampled if not said."""
        return self._by_hop(rows, rows if sampled is None else sampled, held=True)

    def on_links_of(
        self, by_rows: Mapping[int, int], by_sampled: Mapping[int, int]
    ) -> tuple[dict[Hop, int], dict[Hop, int]]:
        """Vectors and holding times on every link of many iterations.

        `by_rows` and `by_sampled` say how many iterations had so many rows, and sampled rows. On
        the straight lines between grid points, rounded up once at the end.
        """
        carried = []
        for grid, count, of_sampled in self._messages:
            counts = by_sampled if of_sampled else by_rows
            carried.append((grid, {number: times * count for number, times in counts.items()}))
        return on_links(carried)

    def _by_hop(self, rows: int, sampled: int, *, held: bool) -> dict[Hop, int]:
        counted: Counter[Hop] = Counter()
        for grid, count, of_sampled in self._messages:
            carried = sampled if of_sampled else rows
            if carried:
                point = grid.at(carried)
                for hop, amount in (point.held_by_hop if held else point.vectors_by_hop).items():
                    counted[hop] += count * amount
        return dict(sorted(counted.items()))

    # Kernels ---------------------------------------------------------------------------------

    def _kernels(self, counted: Counted, rows: int, sampled: int) -> Terms:
        """What kernels take together: the fixed latency and the largest roof of each."""
        spent = {"compute": 0, "weight_feed": 0, "memory": 0}
        launched = 0
        for kernel, count in counted:
            roof, roof_ps = kernel.binding(rows, sampled)
            spent[roof] += count * roof_ps
            launched += count
        return Terms(
            launched * self._chip.operator_fixed_latency_ps,
            spent["compute"],
            spent["weight_feed"],
            spent["memory"],
        )

    def _attention_roofs(self, attention: Sequence[tuple[Kernel, Fraction]]) -> list[AttentionRoof]:
        """The roofs of all attention kernels: sums over layers, each rounded up once.

        Scores and probabilities never leave the chip (flash attention), so memory carries the
        cache, the queries and the values that come out; scores that another kernel chooses from do.
        Softmax runs on the vector unit inside the
        same kernel: a compute roof of its own, which mostly is far below that of the matrix unit.
        """
        chip, precision = self._chip, self._precision
        kv_bits, row_bits = precision.kv_bits, PRECISION_BITS[precision.activations]
        of_byte = chip.memory_work
        matrix, vector, memory, feed = AffineWork(), AffineWork(), AffineWork(), AffineWork()
        for kernel, share in attention:
            for operator in kernel.operators:
                unit = matrix if operator.unit == "matrix" else vector
                unit.row += share * operator.flop_of(operator.chunk_tokens)
                read_bytes = share * operator.kv_read_per_row_token * kv_bits / 8
                written = share * operator.kv_write_per_row * kv_bits / 8
                moved = share * operator.activations_per_row * row_bits / 8
                handed = share * operator.handed_per_row_token * row_bits / 8
                # Of prompts every row has its part of a chunk, which reads and writes the states.
                states = operator.state_elements * PRECISION_BITS[precision.states]
                states += operator.convolution_elements * row_bits
                written += 2 * share * Fraction(states, 8) / operator.chunk_tokens
                for window, entries in pairs_met(operator):
                    unit.pair[window] += share * operator.flop_per_row_token * entries
                    memory.pair[window] += handed * entries * of_byte.activations
                read = entries_read(operator)
                for window, entries in read.by_window:
                    memory.token[window] += read_bytes * entries * of_byte.kv
                memory.row += moved * of_byte.activations + written * of_byte.kv
                memory.row += read_bytes * read.per_row * of_byte.kv
                if operator.unit == "matrix":
                    for window, entries in read.by_window:
                        feed.token[window] += read_bytes * entries
                    feed.row += read_bytes * read.per_row
        roofs = [
            matrix.roof("compute", chip.reached_flop_per_s(precision.compute)),
            memory.roof("memory", of_byte.per_s),
            vector.roof("compute", chip.vector_flop_per_s),
        ]
        if chip.matrix.feed_bytes_per_s:
            roofs.append(feed.roof("weight_feed", chip.matrix.feed_bytes_per_s))
        return roofs

    # Links -----------------------------------------------------------------------------------

    def _on_links(self, carried: int, *, of_sampled: bool) -> Terms:
        """Launches of collectives and transfers, and the time of their messages."""
        launched = duration_ps = latency_ps = 0
        for grid, count, sampled in self._messages:
            if sampled == of_sampled:
                one_ps, one_latency_ps = grid.durations_ps(carried)
                launched += count
                duration_ps += count * one_ps
                latency_ps += count * one_latency_ps
        return Terms(
            fixed_latency_ps=launched * self._chip.collective_fixed_ps,
            link_latency_ps=latency_ps,
            link_serialisation_ps=duration_ps - latency_ps,
        )

    def _collective(self, kernel: CollectiveKernel, group: Group, rows: int) -> list[OnLinks]:
        """A collective of so many rows; several at one time where parts of a group share heads."""
        size_bytes = self.size_bytes(kernel, len(group), rows)
        members = [group]
        if kernel.sharing:
            # As `blocks` has it: every chip keeps its share of the whole, a part that of its chips.
            elements = -(-rows * kernel.elements_per_row // len(group))
            kept_bytes = self._precision.activation_bytes(elements)
            size_bytes = kept_bytes * kernel.sharing
            members = [
                group[first : first + kernel.sharing]
                for first in range(0, len(group), kernel.sharing)
            ]
        return [
            time_collective(self._routing, part, operation=kernel.operation, size_bytes=size_bytes)
            for part in members
        ]

    def size_bytes(self, kernel: CollectiveKernel, group_size: int, rows: int) -> int:
        """The buffer of a collective of the whole group for so many rows."""
        if kernel.traffic == "candidates":
            return rows * CANDIDATE_BYTES * group_size
        if kernel.traffic == "choices":
            return rows * CANDIDATE_BYTES * kernel.elements_per_row * group_size
        if kernel.traffic == "mixes":
            return mix_bytes(kernel.elements_per_row, rows)
        if kernel.choice is None:
            return self._precision.activation_bytes(rows * kernel.elements_per_row)
        if kernel.traffic == "logits":
            return logit_bytes(kernel.choice, rows)
        elements = dispatched_elements(
            kernel.choice,
            rows,
            group_size=group_size,
            residual_elements=self._residual_elements,
            execution=self._chip.execution,
        )
        return self._precision.activation_bytes(elements) * group_size

    def _transfers(self, groups: Sequence[Group]) -> list[tuple[Grid, int, bool]]:
        """Shards of the residual stream from stage to stage, and the sampled tokens' way back."""
        if len(groups) == 1:
            return []
        found = [
            (Grid(partial(self._transfer, source, target, None)), 1, False)
            for source, target in pairwise(groups)
        ]
        back = Grid(partial(self._transfer, groups[-1], groups[0], TOKEN_BYTES))
        return [*found, (back, 1, True)]

    def _transfer(
        self, source: Group, target: Group, row_bytes: int | None, rows: int
    ) -> list[OnLinks]:
        size_bytes = rows * (row_bytes or 0)
        if row_bytes is None:
            streams = rows * self._stream_count
            shard_elements = -(-streams * self._residual_elements // len(source))
            size_bytes = self._precision.activation_bytes(shard_elements)
        flows = [Flow(a, b, size_bytes) for a, b in zip(source, target, strict=True)]
        return [time_flows(self._routing, flows, "transfer")]
