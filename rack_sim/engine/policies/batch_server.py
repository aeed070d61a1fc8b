"""Batch server: iteration-level continuous batching, whichever way its time is computed.

An iteration carries one token (with a draft, one proposal) of every decoding sequence and, in what
is left of the token budget, chunks of prompts. Between iterations sequences end, arrive, are let in
or lose their cache; what is decided there is written here and in `batch_members`, once. How many
iterations pass until the next decision, and what is true then, is the engine's:
`continuous_batching` computes it, `stepped_batching` walks.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rack_sim.compiler.batches import BatchTiming, BatchTotals
from rack_sim.engine import runs
from rack_sim.engine.decision import Decision, Priority
from rack_sim.engine.observer import Sequence
from rack_sim.engine.policies.batch_members import BatchMembers
from rack_sim.engine.policies.batch_run import Chunk, Run
from rack_sim.engine.policies.run_books import Rates, RunBooks

if TYPE_CHECKING:
    from rack_sim.engine.policies.batch_policy import ContinuousBatchingPolicy
    from rack_sim.engine.policies.policy import ReplicaPlace


class BatchServer(BatchMembers):
    """Serves requests in batches that change from iteration to iteration."""

    def __init__(
        self, place: "ReplicaPlace", timing: BatchTiming, policy: "ContinuousBatchingPolicy"
    ) -> None:
        super().__init__(place, timing, policy)
        self.base_ps = timing.iterations.base_ps
        self.coefficients = [Rates.of(roof, self.windows) for roof in timing.iterations.roofs]
        self.token_budget = policy.token_budget
        self.chunk_tokens = policy.chunk_tokens or policy.token_budget
        self.run: Run | None = None
        self.run_number = 0
        self.planned_ps: int | None = None
        self.draft_ps = 0
        self.account = RunBooks(
            timing, self.width, self.windows, self.observer, self.line, self.books
        )

    def final_before_ps(self, now_ps: int) -> int:
        return self.run.start_ps if self.run else now_ps

    def batch_totals(self) -> BatchTotals:
        """What the iterations were."""
        return self.account.closed()

    def units_wanted(self) -> int:
        """Units of cache that decoding sequences need in the next iteration."""
        raise NotImplementedError

    def iterations_alike(self, limit: int) -> int:
        """How many iterations pass before a sequence ends or room runs out, at most `limit`."""
        raise NotImplementedError

    def advance(self, count: int) -> tuple[int, int, list[Sequence]]:
        """So many iterations have passed: units taken, tokens emitted, who has its last token."""
        raise NotImplementedError

    def wake(self, now: int) -> None:
        run = self.run
        if run is None:
            if self.planned_ps != now:
                self.planned_ps = now
                self.decide(now, Priority.ENTRY, self._plan)
            return
        count = runs.iterations_until(run.stretches, now - run.start_ps)
        if count < run.iterations:
            self._go(run._replace(iterations=count, stretches=runs.first_of(run.stretches, count)))

    def _go(self, run: Run) -> None:
        self.run = run
        self.run_number += 1
        end_ps = run.start_ps + runs.total_ps(run.stretches)
        self.decide(end_ps, Priority.COMPLETION, self._iteration_ends, self.run_number)

    def _iteration_ends(self, decision: Decision) -> None:
        run = self.run
        if run is None or decision.subject != self.run_number:
            return
        now = self.worked_until_ps = int(self.env.now)
        self.run = None
        units, tokens, finished = self.advance(run.iterations) if run.decoding else (0, 0, [])
        self.account.close(run, self.kv_tokens, tokens, now, self.draft_ps, self.late)
        self.kv_tokens += tokens
        if self.kv_tokens > self.books.kv_tokens_max:
            self.books.kv_tokens_max = self.kv_tokens
        if run.decoding:
            self.free_units -= units
            for sequence in finished:
                self._done(sequence, now)
        for chunk in run.chunks:
            chunk.sequence.prompt_left -= chunk.rows * run.iterations
            if not chunk.sequence.prompt_left:
                self._prefilled(chunk.sequence, now)
        if self.aborted:
            self._drop_aborted(now)
        if self.env.peek() == now:
            # Others may arrive in this very picosecond.
            self.planned_ps = now
            self.decide(now, Priority.ENTRY, self._plan)
        else:
            self._form_batch(now)

    def _plan(self, decision: Decision) -> None:
        self.planned_ps = None
        if self.run is None:
            self._form_batch(int(self.env.now))

    def _form_batch(self, now: int) -> None:
        """Decides who is in the next iterations, and how many are alike."""
        if self.aborted:
            self._drop_aborted(now)
        for sequence in self.joining:
            self.park(now, -sequence.cached_tokens)
            self.kv_tokens += sequence.cached_tokens
            self._decode(sequence)
        self.late, self.joining = self.joining, []
        wanted = self.units_wanted() if self.decoding else 0
        thrown_out = False
        while wanted > self.free_units:
            self._preempt_youngest(now)
            wanted = self.units_wanted()
            thrown_out = True
        budget = self.token_budget - self.decoding * self.width
        chunks: list[Chunk] = []
        for sequence in self.prefilling:
            if not budget:
                break
            rows = min(sequence.prompt_left, budget, self.chunk_tokens)
            chunks.append(Chunk(sequence, rows))
            budget -= rows
        head = None if thrown_out else self.waiting.head
        while head and len(self.batch) < self.max_sequences and self._let_in(head, wanted, budget):
            self._start(head, now)
            if head.prompt_left:
                rows = min(head.prompt_left, budget, self.chunk_tokens)
                chunks.append(Chunk(head, rows))
                budget -= rows
            head = self.waiting.head
        # A request that comes while this runs may be let in when an iteration ends.
        self.open = budget > 0 and len(self.batch) < self.max_sequences
        if not chunks and not self.decoding:
            self.open = True
        else:
            # Who was thrown out may be let in again when this iteration has ended.
            self._run(now, chunks, 1 if thrown_out else 2**62)

    def _run(self, now: int, chunks: list[Chunk], limit: int) -> None:
        decoding = self.decoding
        completing = 0
        rows = decoding * self.width
        for chunk in chunks:
            rows += chunk.rows
            completing += chunk.rows == chunk.sequence.prompt_left
            if chunk.sequence.prefill_start_ps < 0:
                chunk.sequence.prefill_start_ps = now
        if len(chunks) == 1 and not completing:
            # The same chunk again and again, as long as a whole one is left behind it, and as it is
            # prefilled for the first time, or again.
            sequence, size = chunks[0]
            limit = min(limit, (sequence.prompt_left - 1) // size)
            before = sequence.cached_tokens - sequence.prompt_left
            again = sequence.reached_tokens - before
            if again > 0:
                limit = min(limit, max(again // size, 1))
            for window in self.windows:
                limit = min(limit, window.growing_alike(before, size) or limit)
        elif chunks:
            limit = 1
        if self.speculation is not None:
            limit = 1
        count = self.iterations_alike(limit) if decoding else limit
        sampled = decoding * self.width + completing
        base_ps = self.base_ps(rows, sampled)
        if self.speculation is not None:
            self.draft_ps = self.account.draft_ps(
                decoding, self.context_tokens(), self.attended_within(), chunks
            )
            base_ps += self.draft_ps
        roofs = self._roofs(chunks, rows)
        run = Run(
            now,
            count,
            runs.stretches(base_ps, roofs, count),
            decoding,
            chunks,
            rows,
            sampled,
            base_ps,
        )
        self._go(run)

    def _roofs(self, chunks: list[Chunk], rows: int) -> list[tuple[int, int]]:
        """Attention of the first iteration by roof, and how much it grows from one to the next."""
        n, context, width = self.decoding, self.context_tokens() if self.decoding else 0, self.width
        pairs = width * context + n * (width * (width - 1) // 2)
        read = context + n * (width - 1)
        pairs_growth = read_growth = n
        for sequence, size in chunks:
            before = sequence.cached_tokens - sequence.prompt_left
            pairs += size * before + size * (size + 1) // 2
            read += before + size
            pairs_growth += size * size
            read_growth += size
        attended = [(pairs, read, pairs_growth, read_growth)]
        if self.windows:
            attended += self._within(chunks)
        return [rates.line(attended, rows) for rates in self.coefficients]

    def _within(self, chunks: list[Chunk]) -> Iterator[tuple[int, int, int, int]]:
        """Pairs and reads of each window in the first iteration, and how much they grow."""
        for number, (window, sums) in enumerate(
            zip(self.windows, self.attended_within(), strict=True)
        ):
            pairs, read = sum(sums), sums[0] + self.decoding * (self.width - 1)
            pairs_growth = read_growth = self.growing_within(number)
            for sequence, size in chunks:
                before = sequence.cached_tokens - sequence.prompt_left
                pairs += window.pairs(before, size)
                read += window.read(before, size)
                if window.growing_alike(before, size):
                    pairs_growth += size * size
                    read_growth += size
            yield pairs, read, pairs_growth, read_growth
