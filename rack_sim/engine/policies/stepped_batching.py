"""Stepped batching: continuous batching walked iteration by iteration, sequence by sequence.

It keeps for each decoding sequence how much of it is cached and what is left, and nothing else; it
is what `continuous_batching` must agree with.
"""

from rack_sim.engine.observer import Sequence
from rack_sim.engine.policies.batch_server import BatchServer


class SteppedBatching(BatchServer):
    """The engine in which every iteration is an event."""

    def set_up(self) -> None:
        # Decoding sequences in the order in which they joined, and the steps each has behind it.
        self._decoders: dict[int, Sequence] = {}
        self._behind: dict[int, int] = {}

    def context_tokens(self) -> int:
        return sum(sequence.cached_tokens + 1 for sequence in self._decoders.values())

    def attended_within(self) -> list[list[int]]:
        rows = range(self.width)
        cached = [sequence.cached_tokens for sequence in self._decoders.values()]
        return [
            [sum(window.met(tokens + row + 1) for tokens in cached) for row in rows]
            for window in self.windows
        ]

    def growing_within(self, number: int) -> int:
        if self.speculation:
            return 0
        window = self.windows[number]
        growing = (window.growing_alike(one.cached_tokens, 1) for one in self._decoders.values())
        return sum(count is not None for count in growing)

    def units_wanted(self) -> int:
        return sum(self._units_of_step(sequence) for sequence in self._decoders.values())

    def iterations_alike(self, limit: int) -> int:
        return 1

    def join(self, sequence: Sequence) -> None:
        number = sequence.request.request_id
        sequence.joined_clock = 0
        self._decoders[number] = sequence
        self._behind[number] = 0
        if self.speculation:
            sequence.steps = self.accepted_steps(sequence)

    def part(self, sequence: Sequence) -> None:
        number = sequence.request.request_id
        sequence.joined_clock = -1
        del self._decoders[number]
        behind = self._behind.pop(number)
        if sequence.steps is not None:
            self.accepted(sequence, sequence.steps[:behind])

    def advance(self, count: int) -> tuple[int, int, list[Sequence]]:
        units, total, finished = 0, 0, []
        for number, sequence in self._decoders.items():
            units += self._units_of_step(sequence)
            tokens = self._next_tokens(sequence)
            total += tokens
            sequence.cached_tokens += tokens
            sequence.emitted += tokens
            self._behind[number] += 1
            if sequence.emitted == sequence.request.output_tokens:
                finished.append(sequence)
        return units, total, finished

    def _next_tokens(self, sequence: Sequence) -> int:
        if sequence.steps is None:
            return 1
        return sequence.steps[self._behind[sequence.request.request_id]]

    def _units_of_step(self, sequence: Sequence) -> int:
        cached = sequence.cached_tokens
        after = cached + self._next_tokens(sequence)
        return self._units(after) - self._units(cached)
