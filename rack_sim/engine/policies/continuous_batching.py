"""Continuous batching, from decision to decision: the engine that skips.

Every decoding sequence moves by one token an iteration, so what they are together is known in
closed form: the context they read grows by their number; who ends next stands at the top of a heap,
by the count of iterations; and since a sequence wants a block whenever its last is full, how many
are wanted in an iteration repeats with the block's size.

With a draft a sequence moves by as many tokens as were accepted. Its steps are drawn when its
first token is there, so how many tokens and blocks all of them want in each coming iteration is
known too, and is kept by iteration.
"""

from heapq import heappop, heappush

from rack_sim.engine.observer import Sequence
from rack_sim.engine.policies.batch_server import BatchServer
from rack_sim.engine.policies.windows import WindowSums


class ContinuousBatching(BatchServer):
    """The engine that computes how many iterations pass until the next decision."""

    def set_up(self) -> None:
        self._clock = 0
        self._context = 0
        self._joined = 0
        self._ends: list[tuple[int, int, Sequence]] = []
        # Sequences that want a block in iterations of this number, modulo the block's size.
        self._wanting = [0] * self.block_tokens
        # With a draft: tokens and blocks of each coming iteration.
        self._tokens_at: dict[int, int] = {}
        self._blocks_at: dict[int, int] = {}
        self._window_sums = WindowSums(self.windows, self.width)

    def context_tokens(self) -> int:
        return self._context

    def attended_within(self) -> list[list[int]]:
        return self._window_sums.sums()

    def growing_within(self, number: int) -> int:
        return self._window_sums.growing(number)

    def blocks_wanted(self) -> int:
        if self.speculation:
            return self._blocks_at.get(self._clock, 0)
        return self._wanting[self._clock % self.block_tokens]

    def iterations_alike(self, limit: int) -> int:
        ends = self._ends
        while ends[0][2].joined_clock < 0 or ends[0][2].end_clock != ends[0][0]:
            heappop(ends)
        count = min(limit, ends[0][0] - self._clock)
        if self.windows:
            fill = self._window_sums.next_fill(self._clock)
            count = count if fill is None else min(count, fill - self._clock)
        size = self.block_tokens
        # At most every sequence wants one block in each turn of the block's size.
        if self.decoding * (count // size + 1) > self.free_blocks:
            count = min(count, self._iterations_with(self.free_blocks))
        return count

    def join(self, sequence: Sequence) -> None:
        clock = self._clock
        sequence.joined_clock = clock
        self._context += sequence.cached_tokens + 1
        self._joined += 1
        request = sequence.request
        if self.speculation:
            sequence.steps = self.accepted_steps(sequence)
            sequence.end_clock = clock + len(sequence.steps)
            self._plan_steps(sequence, 0, 1)
        else:
            sequence.end_clock = clock + request.output_tokens - sequence.emitted
            self._wanting[(clock - sequence.cached_tokens) % self.block_tokens] += 1
        self._window_sums.join(sequence, clock)
        heappush(self._ends, (sequence.end_clock, self._joined, sequence))

    def part(self, sequence: Sequence) -> None:
        passed = self._clock - sequence.joined_clock
        if sequence.steps is None:
            tokens = passed
            place = sequence.joined_clock - sequence.cached_tokens
            self._wanting[place % self.block_tokens] -= 1
        else:
            tokens = sum(sequence.steps[:passed])
            self._plan_steps(sequence, passed, -1)
            self.accepted(sequence, sequence.steps[:passed])
        self._window_sums.part(sequence, passed, sequence.cached_tokens + tokens)
        sequence.joined_clock = -1
        sequence.emitted += tokens
        sequence.cached_tokens += tokens
        self._context -= sequence.cached_tokens + 1

    def advance(self, count: int) -> tuple[int, int, list[Sequence]]:
        if self.speculation:
            tokens = self._tokens_at.pop(self._clock, 0)
            blocks = self._blocks_at.pop(self._clock, 0)
        else:
            tokens = self.decoding * count
            blocks = self._blocks_in(count)
        self._context += tokens
        self._window_sums.advance(self._clock, count)
        self._clock += count
        finished = []
        ends = self._ends
        while ends and ends[0][0] <= self._clock:
            clock, _, sequence = heappop(ends)
            if sequence.joined_clock >= 0 and sequence.end_clock == clock:
                finished.append(sequence)
        return blocks, tokens, finished

    def _blocks_in(self, count: int) -> int:
        """Blocks that the next `count` iterations take."""
        size, wanting = self.block_tokens, self._wanting
        turns, rest = divmod(count, size)
        taken = turns * self.decoding
        first = self._clock % size
        taken += sum(wanting[first : first + rest])
        if first + rest > size:
            taken += sum(wanting[: first + rest - size])
        return taken

    def _iterations_with(self, blocks: int) -> int:
        """The most iterations for which so many blocks are enough."""
        size, wanting = self.block_tokens, self._wanting
        turns, left = divmod(blocks, self.decoding)
        count = turns * size
        at = self._clock
        while wanting[at % size] <= left:
            left -= wanting[at % size]
            at += 1
            count += 1
            if at - self._clock > size:
                break
        return count

    def _plan_steps(self, sequence: Sequence, passed: int, sign: int) -> None:
        """Adds (or takes back) the tokens and blocks of a sequence's coming steps."""
        cached, size = sequence.cached_tokens, self.block_tokens
        clock = sequence.joined_clock
        for number, tokens in enumerate(sequence.steps or ()):
            before, cached = cached, cached + tokens
            if number >= passed:
                blocks = -(-cached // size) - -(-before // size)
                for kept, amount in ((self._tokens_at, tokens), (self._blocks_at, blocks)):
                    kept[clock + number] = kept.get(clock + number, 0) + sign * amount
