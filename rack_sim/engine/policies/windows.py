"""Windows: what decoding sequences attend to where attention looks back so many tokens and no more.

A row attends to ``min(its context, window)`` tokens, so a sequence adds one token more from step to
step until its window is full, and from then on none. `WindowSums` keeps the sums over all sequences
in closed form: it changes where a sequence comes or goes, and where a window fills.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush

from rack_sim.compiler.batches import BatchTiming
from rack_sim.engine.observer import Sequence as Served


def windows_of(timing: BatchTiming) -> tuple[int, ...]:
    """All windows of a model and its draft, in tokens."""
    models = [timing.iterations, *([timing.draft.model] if timing.draft.model else [])]
    rates = [rates for model in models for roof in model.roofs for rates in roof.windowed]
    return tuple(sorted({each.window_tokens for each in rates}))


def rows_within(cached: int, width: int, window: int) -> list[int]:
    """What each of the next `width` rows of a sequence attends to, `cached` tokens before them."""
    return [min(cached + row, window) for row in range(1, width + 1)]


def chunks_alike(before: int, rows: int, window: int) -> int | None:
    """How many chunks of so many rows grow alike; None: as many as come, the window is full."""
    if before + 1 >= window:
        return None
    return max((window - before) // rows, 1)


class _Window:
    """The sums of one window."""

    def __init__(self, tokens: int, width: int) -> None:
        self.tokens = tokens
        self.sums = [0] * width
        # Without a draft: sequences whose window is not full, and when how many of them fill it.
        self.growing = 0
        self.filling: defaultdict[int, int] = defaultdict(int)
        # With a draft: what the sums gain in each coming iteration.
        self.gains: defaultdict[int, list[int]] = defaultdict(lambda: [0] * width)

    def add(self, amounts: Sequence[int], sign: int = 1) -> None:
        """Adds what each row of a sequence attends to, or takes it back."""
        for row, amount in enumerate(amounts):
            self.sums[row] += sign * amount


class WindowSums:
    """The sums of several windows over the decoding sequences, each with `width` rows a step."""

    def __init__(self, windows: Sequence[int], width: int) -> None:
        self._width = width
        self._windows = [_Window(tokens, width) for tokens in windows]
        self._fill_clocks: list[int] = []

    def sums(self) -> list[list[int]]:
        """What the first, second, … rows of all sequences attend to, for each window."""
        return [window.sums for window in self._windows]

    def growing(self, number: int) -> int:
        """By how much the sums of a window grow from one iteration to the next."""
        return self._windows[number].growing

    def join(self, sequence: Served, clock: int) -> None:
        """A sequence decodes from `clock` on; its steps, where there is a draft, are known."""
        cached = sequence.cached_tokens
        for window in self._windows:
            window.add(rows_within(cached, self._width, window.tokens))
            if sequence.steps is not None:
                self._plan(window, sequence, 0, 1)
            elif cached + 1 < window.tokens:
                window.growing += 1
                fill = clock + window.tokens - 1 - cached
                window.filling[fill] += 1
                heappush(self._fill_clocks, fill)

    def part(self, sequence: Served, passed: int, cached: int) -> None:
        """A sequence that joined `passed` iterations ago leaves, `cached` tokens of it there."""
        for window in self._windows:
            window.add(rows_within(cached, self._width, window.tokens), -1)
            if sequence.steps is not None:
                self._plan(window, sequence, passed, -1)
            elif cached + 1 < window.tokens:
                window.growing -= 1
                window.filling[sequence.joined_clock + passed + window.tokens - 1 - cached] -= 1

    def advance(self, clock: int, count: int) -> None:
        """So many iterations have passed since `clock`; no window was full before the last."""
        for window in self._windows:
            window.add([window.growing * count] * self._width)
            window.add(window.gains.pop(clock, ()))
            window.growing -= window.filling.pop(clock + count, 0)

    def next_fill(self, clock: int) -> int | None:
        """When the next window fills, if one does."""
        clocks = self._fill_clocks
        while clocks and (clocks[0] <= clock or not self._fills(clocks[0])):
            heappop(clocks)
        return clocks[0] if clocks else None

    def _fills(self, clock: int) -> bool:
        return any(window.filling.get(clock) for window in self._windows)

    def _plan(self, window: _Window, sequence: Served, passed: int, sign: int) -> None:
        """Adds (or takes back) what the coming steps of a sequence add to a window's sums."""
        for number, gains in enumerate(_gains(sequence, self._width, window.tokens)):
            if number >= passed:
                kept = window.gains[sequence.joined_clock + number]
                for row, gain in enumerate(gains):
                    kept[row] += sign * gain


def _gains(sequence: Served, width: int, window: int) -> Iterator[list[int]]:
    cached = sequence.cached_tokens
    before = rows_within(cached, width, window)
    for tokens in sequence.steps or ():
        cached += tokens
        after = rows_within(cached, width, window)
        yield [new - old for new, old in zip(after, before, strict=True)]
        before = after
