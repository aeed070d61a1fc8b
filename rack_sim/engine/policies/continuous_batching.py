"""Continuous batching, from decision to decision: the engine that skips.

Every decoding sequence moves by one token an iteration, so what they are together is known in
closed form: the context they read grows by their number (within a window, `windows`); who ends next
stands at the top of a heap, by the count of iterations; and what they want of the cache's room
repeats with the block's size (`block_demand`).

With a draft a sequence moves by as many tokens as were accepted. Its steps are drawn when its
first token is there, so how many tokens all of them add in each coming iteration, and what these
take of the room, is known too, and is kept by iteration.
"""

from heapq import heappop, heappush

from rack_sim.engine.observer import Sequence
from rack_sim.engine.policies.batch_server import BatchServer
from rack_sim.engine.policies.block_demand import BlockDemand
from rack_sim.engine.policies.windows import WindowSums


class ContinuousBatching(BatchServer):
    """The engine that computes how many iterations pass until the next decision."""

    def set_up(self) -> None:
        self._clock = 0
        self._context = 0
        self._joined = 0
        self._ends: list[tuple[int, int, Sequence]] = []
        self._demand = BlockDemand(self.timing)
        self._changes = bool(self.windows or self.timing.blocks.windows)
        # With a draft: tokens and units of cache of each coming iteration.
        self._tokens_at: dict[int, int] = {}
        self._units_at: dict[int, int] = {}
        self._window_sums = WindowSums(self.windows, self.width)

    def context_tokens(self) -> int:
        return self._context

    def attended_within(self) -> list[list[int]]:
        return self._window_sums.sums()

    def growing_within(self, number: int) -> int:
        return self._window_sums.growing(number)

    def units_wanted(self) -> int:
        if self.speculation:
            return self._units_at.get(self._clock, 0)
        return self._demand.at(self._clock)

    def iterations_alike(self, limit: int) -> int:
        ends = self._ends
        while ends[0][2].joined_clock < 0 or ends[0][2].end_clock != ends[0][0]:
            heappop(ends)
        clock, demand = self._clock, self._demand
        count = min(limit, ends[0][0] - clock)
        if self._changes:
            for change in (self._window_sums.next_end(clock), demand.next_drop()):
                count = count if change is None else min(count, change - clock)
        if self.speculation:
            return count
        # In each turn of the block's size every sequence wants a block.
        if demand.units_per_turn * (count // self.block_tokens + 1) > self.free_units:
            count = min(count, demand.iterations_with(clock, self.free_units))
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
            self._demand.join(sequence.cached_tokens, clock)
        self._window_sums.join(sequence, clock)
        heappush(self._ends, (sequence.end_clock, self._joined, sequence))

    def part(self, sequence: Sequence) -> None:
        passed = self._clock - sequence.joined_clock
        if sequence.steps is None:
            tokens = passed
            self._demand.part(sequence, self._clock)
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
            units = self._units_at.pop(self._clock, 0)
        else:
            tokens = self.decoding * count
            units = self._demand.taken(self._clock, count)
        self._context += tokens
        self._window_sums.advance(self._clock, count)
        self._clock += count
        self._demand.advance(self._clock)
        finished = []
        ends = self._ends
        while ends and ends[0][0] <= self._clock:
            clock, _, sequence = heappop(ends)
            if sequence.joined_clock >= 0 and sequence.end_clock == clock:
                finished.append(sequence)
        return units, tokens, finished

    def _plan_steps(self, sequence: Sequence, passed: int, sign: int) -> None:
        """Adds (or takes back) the tokens and units of a sequence's coming steps."""
        cached = sequence.cached_tokens
        clock = sequence.joined_clock
        for number, tokens in enumerate(sequence.steps or ()):
            before, cached = cached, cached + tokens
            if number >= passed:
                units = self._units(cached) - self._units(before)
                for kept, amount in ((self._tokens_at, tokens), (self._units_at, units)):
                    kept[clock + number] = kept.get(clock + number, 0) + sign * amount
