"""Block demand: what decoding sequences take of the cache's room in coming iterations.

A sequence that moves by one token an iteration wants a block whenever its last is full, so what all
of them want in an iteration repeats with the block's size, but for sequences that outgrow a window:
from then on a block takes less of the room.
"""

from collections import defaultdict
from heapq import heappop, heappush

from rack_sim.compiler.batches import BatchTiming
from rack_sim.engine.observer import Sequence


class BlockDemand:
    """The demand of sequences that all move by one token an iteration, in units of the room."""

    def __init__(self, timing: BatchTiming) -> None:
        self._blocks = timing.blocks
        self._size = timing.block_tokens
        # Units wanted in iterations of this number, modulo the block's size, and in all of these.
        self._wanting = [0] * self._size
        self.units_per_turn = 0
        # What is wanted less from an iteration on: units by the number modulo the block's size.
        self._drops: dict[int, defaultdict[int, int]] = {}
        self._drop_clocks: list[int] = []

    def join(self, cached_tokens: int, clock: int) -> None:
        """A sequence of so many tokens decodes from `clock` on."""
        self._change(cached_tokens, clock, 1)

    def part(self, sequence: Sequence, clock: int) -> None:
        """A sequence leaves, after as many tokens as iterations since it joined."""
        passed = clock - sequence.joined_clock
        self._change(sequence.cached_tokens + passed, clock, -1)

    def _change(self, cached_tokens: int, clock: int, sign: int) -> None:
        slot, count = (clock - cached_tokens) % self._size, -(-cached_tokens // self._size)
        self._add(slot, sign * self._blocks.units_of_next(count))
        for most, units in self._blocks.windows:
            if count < most:
                # Its last block there has been taken an iteration before.
                at = clock + (most - 1) * self._size + 1 - cached_tokens
                if at not in self._drops:
                    self._drops[at] = defaultdict(int)
                    heappush(self._drop_clocks, at)
                self._drops[at][slot] += sign * units

    def _add(self, slot: int, units: int) -> None:
        self._wanting[slot] += units
        self.units_per_turn += units

    def at(self, clock: int) -> int:
        """Units wanted in one iteration."""
        return self._wanting[clock % self._size]

    def next_drop(self) -> int | None:
        """The next iteration from which on less is wanted, if there is one."""
        return self._drop_clocks[0] if self._drop_clocks else None

    def advance(self, clock: int) -> None:
        """It is `clock` now: at most one drop has come."""
        if self._drop_clocks and self._drop_clocks[0] <= clock:
            for slot, units in self._drops.pop(heappop(self._drop_clocks)).items():
                self._add(slot, -units)

    def taken(self, clock: int, count: int) -> int:
        """Units that so many iterations from `clock` on take, no drop among them."""
        size, wanting = self._size, self._wanting
        turns, rest = divmod(count, size)
        first = clock % size
        found = turns * self.units_per_turn + sum(wanting[first : first + rest])
        if first + rest > size:
            found += sum(wanting[: first + rest - size])
        return found

    def iterations_with(self, clock: int, units: int) -> int:
        """The most iterations from `clock` on for which so many units are enough."""
        size, wanting = self._size, self._wanting
        turns, left = divmod(units, self.units_per_turn)
        count, at = turns * size, clock
        while wanting[at % size] <= left:
            left -= wanting[at % size]
            at += 1
            count += 1
            if at - clock > size:
                break
        return count
