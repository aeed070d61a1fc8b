"""Windows: what decoding sequences attend to where attention does not look back to the beginning.

A row attends to the tokens of its window, so a sequence adds one token more from step to step
until its window is full; from then on none, or where windows are chunks all over again.
`WindowSums` keeps the sums over all sequences in closed form: it changes where a sequence comes or
goes, and where a window ends.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush

from rack_sim.compiler.batches import BatchTiming
from rack_sim.engine.observer import Sequence as Served
from rack_sim.timing.window import Window


def windows_of(timing: BatchTiming) -> tuple[Window, ...]:
    """All windows of a model and its draft."""
    models = [timing.iterations, *([timing.draft.model] if timing.draft.model else [])]
    rates = [rates for model in models for roof in model.roofs for rates in roof.windowed]
    return tuple(sorted({each.window for each in rates}))


def rows_within(cached: int, width: int, window: Window) -> list[int]:
    """What each of the next `width` rows of a sequence attends to, `cached` tokens before them."""
    return [window.met(cached + row) for row in range(1, width + 1)]


class _Sums:
    """The sums of one window."""

    def __init__(self, window: Window, width: int) -> None:
        self.window = window
        self.sums = [0] * width
        # Without a draft: sequences that add a token an iteration, and when how many of them are
        # through: the window was full in the iteration before (of a chunk), or is full now.
        self.growing = 0
        self.ending: defaultdict[int, int] = defaultdict(int)
        # With a draft: what the sums gain in each coming iteration.
        self.gains: defaultdict[int, list[int]] = defaultdict(lambda: [0] * width)

    def add(self, amounts: Sequence[int], sign: int = 1) -> None:
        """Adds what each row of a sequence attends to, or takes it back."""
        for row, amount in enumerate(amounts):
            self.sums[row] += sign * amount

    def end_of(self, cached: int, clock: int) -> int | None:
        """When the window of a sequence ends that has so many tokens at `clock`; None: it has."""
        tokens = self.window.tokens
        if self.window.is_chunk:
            return clock + tokens - cached % tokens
        return clock + tokens - 1 - cached if cached + 1 < tokens else None

    def end(self, clock: int) -> int | None:
        """Windows that end at `clock`; tells when they end again."""
        count = self.ending.pop(clock, 0)
        if not self.window.is_chunk:
            self.growing -= count
            return None
        if not count:
            return None
        self.sums[0] -= count * self.window.tokens  # the next chunk begins
        self.ending[clock + self.window.tokens] += count
        return clock + self.window.tokens


class WindowSums:
    """The sums of several windows over the decoding sequences, each with `width` rows a step."""

    def __init__(self, windows: Sequence[Window], width: int) -> None:
        self._width = width
        self._windows = [_Sums(window, width) for window in windows]
        self._end_clocks: list[int] = []

    def sums(self) -> list[list[int]]:
        """What the first, second, … rows of all sequences attend to, for each window."""
        return [window.sums for window in self._windows]

    def growing(self, number: int) -> int:
        """By how much the sums of a window grow from one iteration to the next."""
        return self._windows[number].growing

    def join(self, sequence: Served, clock: int) -> None:
        """A sequence decodes from `clock` on; its steps, where there is a draft, are known."""
        cached = sequence.cached_tokens
        for each in self._windows:
            each.add(rows_within(cached, self._width, each.window))
            if sequence.steps is not None:
                self._plan(each, sequence, 0, 1)
            elif (end := each.end_of(cached, clock)) is not None:
                each.growing += 1
                each.ending[end] += 1
                heappush(self._end_clocks, end)

    def part(self, sequence: Served, passed: int, cached: int) -> None:
        """A sequence that joined `passed` iterations ago leaves, `cached` tokens of it there."""
        for each in self._windows:
            each.add(rows_within(cached, self._width, each.window), -1)
            if sequence.steps is not None:
                self._plan(each, sequence, passed, -1)
            elif (end := each.end_of(cached, sequence.joined_clock + passed)) is not None:
                each.growing -= 1
                each.ending[end] -= 1

    def advance(self, clock: int, count: int) -> None:
        """So many iterations have passed since `clock`; no window has ended before the last."""
        for each in self._windows:
            each.add([each.growing * count] * self._width)
            each.add(each.gains.pop(clock, ()))
            again = each.end(clock + count)
            if again is not None:
                heappush(self._end_clocks, again)

    def next_end(self, clock: int) -> int | None:
        """When the next window ends, if one does."""
        clocks = self._end_clocks
        while clocks and (clocks[0] <= clock or not self._ends(clocks[0])):
            heappop(clocks)
        return clocks[0] if clocks else None

    def _ends(self, clock: int) -> bool:
        return any(each.ending.get(clock) for each in self._windows)

    def _plan(self, each: _Sums, sequence: Served, passed: int, sign: int) -> None:
        """Adds (or takes back) what the coming steps of a sequence add to a window's sums."""
        for number, gains in enumerate(_gains(sequence, self._width, each.window)):
            if number >= passed:
                kept = each.gains[sequence.joined_clock + number]
                for row, gain in enumerate(gains):
                    kept[row] += sign * gain


def _gains(sequence: Served, width: int, window: Window) -> Iterator[list[int]]:
    cached = sequence.cached_tokens
    before = rows_within(cached, width, window)
    for tokens in sequence.steps or ():
        cached += tokens
        after = rows_within(cached, width, window)
        yield [new - old for new, old in zip(after, before, strict=True)]
        before = after
