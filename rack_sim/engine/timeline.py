"""Timeline: tokens and occupancy per bin of simulated time, in exact integers.

Counts of a bin are final once the clock has passed it and every run of tokens that began in it
was added; final bins are handed on and forgotten, so memory does not grow with the trace.
"""

from collections.abc import Callable, Sequence

from rack_sim.foundation.errors import ConservationError

COLUMNS = (
    "arrived",
    "rejected",
    "timed_out",
    "finished",
    "prompt_tokens",
    "cached_tokens",
    "recomputed_tokens",
    "output_tokens",
    "waiting_ps",
    "running_ps",
    "kv_token_ps",
)
(
    ARRIVED,
    REJECTED,
    TIMED_OUT,
    FINISHED,
    PROMPT,
    CACHED,
    RECOMPUTED,
    OUTPUT,
    WAITING,
    RUNNING,
    KV,
) = range(len(COLUMNS))

# Integrals over time: the last columns.
LEVELS = COLUMNS[WAITING:]

_FLUSH_BINS = 256


class Timeline:
    """Accumulates counts into bins of `bin_ps`.

    Occupancy columns are integrals: requests (or cached tokens) times picoseconds inside the bin.
    """

    def __init__(self, bin_ps: int, emit: Callable[[int, list[tuple[int, ...]]], None]) -> None:
        self.bin_ps = bin_ps
        self._emit = emit
        self._bins: dict[int, list[int]] = {}
        self._next_bin = 0
        self._last_ps = 0
        self._waiting = self._running = self._kv_tokens = 0
        # The bin used last, because most calls are about it.
        self._at = -1
        self._found: list[int] = []

    def count(self, column: int, at_ps: int, amount: int = 1) -> None:
        """Adds to a column of the bin in which something happens at one instant."""
        number = at_ps // self.bin_ps
        if number != self._at:
            self._turn_to(number)
        self._found[column] += amount

    def add(self, number: int, column: int, amount: int) -> None:
        """Adds to a column of bin `number`."""
        if number != self._at:
            self._turn_to(number)
        self._found[column] += amount

    def add_output_tokens(self, first_ps: int, gap_ps: int, tokens: int, each: int = 1) -> None:
        """`tokens` output tokens at `first_ps`, `first_ps` + `gap_ps`, …

        `each` is -1 where tokens that were added before their time are taken back.
        """
        bin_ps = self.bin_ps
        number = first_ps // bin_ps
        while True:
            inside = ((number + 1) * bin_ps - 1 - first_ps) // gap_ps + 1
            self._bin(number)[OUTPUT] += min(inside, tokens) * each
            if inside >= tokens:
                return
            tokens -= inside
            first_ps += inside * gap_ps
            number = first_ps // bin_ps

    def add_output_turns(
        self, first_ps: int, gap_ps: int, totals: Sequence[int], turns: range, each: int = 1
    ) -> None:
        """Turns at `first_ps`, `first_ps` + `gap_ps`, … that emit several tokens at once.

        Turn t emits ``totals[t + 1] - totals[t]``; `each` as in `add_output_tokens`.
        """
        at, bin_ps = turns.start, self.bin_ps
        while at < turns.stop:
            number = first_ps // bin_ps
            inside = ((number + 1) * bin_ps - 1 - first_ps) // gap_ps + 1
            end = min(at + inside, turns.stop)
            self._bin(number)[OUTPUT] += (totals[end] - totals[at]) * each
            at = end
            first_ps += inside * gap_ps

    def change_levels(self, now_ps: int, waiting: int, running: int, kv_tokens: int) -> None:
        """From `now_ps` on so many more requests wait and run, and tokens of cache are reserved."""
        if self._waiting or self._running or self._kv_tokens:
            self._integrate(now_ps)
        self._last_ps = now_ps
        self._waiting += waiting
        self._running += running
        self._kv_tokens += kv_tokens

    def flush(self, before_ps: int) -> None:
        """Bins that end before `before_ps` are final. Called often; works now and then.

        Occupancy is known only up to the last `change_levels`, so no later bin is handed on.
        """
        final = min(before_ps, self._last_ps) // self.bin_ps
        if final - self._next_bin >= _FLUSH_BINS:
            self._hand_on(final)

    def close(self, end_ps: int) -> None:
        """The replay has ended at `end_ps`; hands on every bin that is left."""
        levels = (self._waiting, self._running, self._kv_tokens)
        if any(levels):
            raise ConservationError(f"waiting, running and cached are {levels} at the end, not 0")
        self._last_ps = end_ps
        # A bin from which everything was taken back is as if it had never been.
        used = (number for number, counts in self._bins.items() if any(counts))
        self._hand_on(max(used, default=self._next_bin - 1) + 1)

    def _turn_to(self, number: int) -> None:
        """Makes bin `number` the one at hand."""
        self._found = self._bin(number)
        self._at = number

    def _bin(self, number: int) -> list[int]:
        if number < self._next_bin:
            raise ConservationError(f"timeline bin {number} was handed on already")
        found = self._bins.get(number)
        if found is None:
            found = self._bins[number] = [0] * len(COLUMNS)
        return found

    def _integrate(self, now_ps: int) -> None:
        """Adds the levels since the last change, bin by bin."""
        at_ps, bin_ps = self._last_ps, self.bin_ps
        while at_ps < now_ps:
            number = at_ps // bin_ps
            if number != self._at:
                self._turn_to(number)
            end_ps = (number + 1) * bin_ps
            span = (now_ps if now_ps < end_ps else end_ps) - at_ps
            counts = self._found
            if self._waiting:
                counts[WAITING] += self._waiting * span
            counts[RUNNING] += self._running * span
            counts[KV] += self._kv_tokens * span
            at_ps += span

    def _hand_on(self, end_bin: int) -> None:
        empty = [0] * len(COLUMNS)
        while self._next_bin < end_bin:
            # Piece by piece: a long silence is many empty bins.
            numbers = range(self._next_bin, min(end_bin, self._next_bin + _FLUSH_BINS))
            rows = [tuple(self._bins.pop(number, empty)) for number in numbers]
            self._emit(numbers.start, rows)
            self._next_bin = numbers.stop
        self._at = -1
