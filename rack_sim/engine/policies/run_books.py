"""Run books: what a run of iterations leaves in the timeline, in the gaps and in the totals."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from rack_sim.compiler.batches import BatchTiming, BatchTotals, IterationCount
from rack_sim.engine.observer import Observer
from rack_sim.engine.observer import Sequence as Served
from rack_sim.engine.runs import Stretch, product_sum
from rack_sim.engine.timeline import KV, OUTPUT, PROMPT, RECOMPUTED, Timeline
from rack_sim.timing.attention_roofs import AttentionRoof, pairs_attended, tokens_read
from rack_sim.timing.window import Window

if TYPE_CHECKING:
    from rack_sim.engine.policies.batch_run import Chunk, Run
    from rack_sim.engine.policies.replica import ReplicaBooks


# Pairs of rows and sampled rows kept at a time; there can be a million.
_MIXES_MAX = 2**14


Reach = tuple[int, int, int, int]
"""Pairs and tokens read in an iteration, and by how much both grow from one to the next."""


class Rates(NamedTuple):
    """A roof of attention: picoseconds a pair and a token, of all layers without a window and then
    of those with each, and a row."""

    by_window: tuple[tuple[int, int], ...]
    row_ps: int

    @classmethod
    def of(cls, roof: AttentionRoof, windows: Sequence[Window]) -> "Rates":
        """Those of a roof, which may have a part of the `windows` or none."""
        known = {rates.window: rates for rates in roof.windowed}
        within = [known.get(window) for window in windows]
        pairs = [(rates.per_pair_ps, rates.per_token_ps) if rates else (0, 0) for rates in within]
        return cls(((roof.per_pair_ps, roof.per_token_ps), *pairs), roof.per_row_ps)

    def line(self, attended: "Sequence[Reach]", rows: int) -> tuple[int, int]:
        """The time of the first iteration, and how much it grows from one to the next."""
        start, growth = self.row_ps * rows, 0
        for (pair, token), (pairs, read, more_pairs, more_read) in zip(
            self.by_window, attended, strict=True
        ):
            start += pair * pairs + token * read
            growth += pair * more_pairs + token * more_read
        return start, growth


class RunBooks:
    """Counts runs when they have ended."""

    def __init__(
        self,
        timing: BatchTiming,
        width: int,
        windows: tuple[Window, ...],
        observer: Observer,
        timeline: Timeline,
        books: "ReplicaBooks",
    ) -> None:
        self.observer = observer
        self.line = timeline
        self.books = books
        self.draft = timing.draft
        self.draft_count = width - 1
        roofs = timing.iterations.roofs
        self.windows = windows
        self.draft_coefficients = [
            Rates.of(roof, windows)
            for roof in (timing.draft.model.roofs if timing.draft.model else ())
        ]
        self.totals = BatchTotals.nothing(len(roofs))
        # Per (rows, sampled rows), until they are folded: iterations, tokens, duration.
        self._mixes: dict[tuple[int, int], list[int]] = {}

    def closed(self) -> BatchTotals:
        """Everything counted."""
        self._fold()
        return self.totals

    def _fold(self) -> None:
        """Adds the pairs to the totals by rows and by sampled rows, and forgets them."""
        for (rows, sampled), (iterations, tokens, spent_ps) in self._mixes.items():
            count = IterationCount(iterations, tokens, iterations * sampled, spent_ps)
            for counts, number in (
                (self.totals.by_rows, rows),
                (self.totals.by_sampled, sampled),
            ):
                counts.setdefault(number, IterationCount()).add(count)
        self._mixes.clear()

    def draft_ps(
        self,
        decoding: int,
        context_tokens: int,
        within: Sequence[Sequence[int]],
        chunks: "Sequence[Chunk]",
    ) -> int:
        """Time of a proposal for every decoding sequence; the draft reads new prompts as well.

        `within` says what the rows of all sequences attend to, by window and row.
        """
        model = self.draft.model
        if model is None:
            spent = self.draft.latency_ps if decoding else 0
        else:
            spent = 0
            prompt_rows = sum(chunk.rows for chunk in chunks)
            for number in range(self.draft_count if decoding else 1):
                rows = decoding + (0 if number else prompt_rows)
                sums = [context_tokens + decoding * number, *(each[number] for each in within)]
                attended = []
                for window, alone in zip((None, *self.windows), sums, strict=True):
                    pairs = read = alone
                    for sequence, size in () if number else chunks:
                        before = sequence.cached_tokens - sequence.prompt_left
                        pairs += pairs_attended(before, size, window)
                        read += tokens_read(before, size, window)
                    attended.append((pairs, read, 0, 0))
                spent += model.base_ps(rows, decoding)
                spent += max(rates.line(attended, rows)[0] for rates in self.draft_coefficients)
        self.totals.draft_ps += spent
        self.totals.draft_token_ps += spent * decoding
        return spent

    def close(
        self,
        run: "Run",
        kv_tokens: int,
        emitted: int,
        end_ps: int,
        draft_ps: int,
        late: Sequence[Served],
    ) -> None:
        """A run has ended: `kv_tokens` were cached when it began, it emitted `emitted` tokens.

        `draft_ps` of every iteration went to the draft. Those who are `late` had their last token
        before the run began: elsewhere, and their cache had to be fetched.
        """
        n, count = run.decoding, run.iterations
        totals, spent_ps = self.totals, end_ps - run.start_ps
        self.books.busy_ps += spent_ps
        mix = self._mixes.get((run.rows, run.sampled))
        if mix is None:
            if len(self._mixes) >= _MIXES_MAX:
                self._fold()
            mix = self._mixes[run.rows, run.sampled] = [0, 0, 0]
        mix[0] += count
        mix[1] += count * n
        mix[2] += spent_ps
        base_ps = run.base_ps - draft_ps
        totals.base_ps += count * base_ps
        totals.base_token_ps += count * n * base_ps
        for stretch in run.stretches:
            # Mostly there is one, which is the whole run.
            whole = stretch.iterations == count
            stretch_ps = spent_ps if whole else stretch.elapsed_ps(stretch.iterations)
            attention_ps = stretch_ps - run.base_ps * stretch.iterations
            totals.attention_ps[stretch.roof] += attention_ps
            totals.attention_token_ps[stretch.roof] += attention_ps * n
            if late and n:
                self._late_gaps(stretch, n, run.start_ps, late)
                late = ()
            elif n:
                self.observer.gaps(stretch.first_ps, stretch.step_ps, stretch.iterations, n)
        if emitted > n * count:
            self.observer.gaps(0, 0, 1, emitted - n * count)
        fresh = sum(_first_time(sequence, rows) for sequence, rows in run.chunks)
        again = sum(rows for _, rows in run.chunks) - fresh
        self.books.prompt_tokens += fresh * count
        self.books.recomputed_tokens += again * count
        self._to_timeline(run, kv_tokens, emitted // count, fresh, again, end_ps)

    def _late_gaps(self, stretch: Stretch, n: int, start_ps: int, late: Sequence[Served]) -> None:
        """Gaps of `n` sequences; that of a late one began with its last token."""
        first_ps, step_ps, count = stretch.first_ps, stretch.step_ps, stretch.iterations
        if n > len(late):
            self.observer.gaps(first_ps, 0, 1, n - len(late))
        for sequence in late:
            self.observer.gaps(start_ps + first_ps - sequence.last_token_ps, 0, 1, 1)
        if count > 1:
            self.observer.gaps(first_ps + step_ps, step_ps, count - 1, n)

    def _to_timeline(
        self, run: "Run", kv_tokens: int, emitted: int, fresh: int, again: int, end_ps: int
    ) -> None:
        """Tokens at the end of their iteration; the cache as it was when each began."""
        line, bin_ps = self.line, self.line.bin_ps
        start_ps, stretches = run.start_ps, run.stretches
        growth = run.decoding
        number, last = start_ps // bin_ps, end_ps // bin_ps
        ended, area, level = 0, 0, kv_tokens
        if number == last:
            for stretch in stretches:
                area += product_sum(stretch, level, growth)
                level += growth * stretch.iterations
            line.add(number, KV, area)
        else:
            while number < last:
                border_ps = (number + 1) * bin_ps - start_ps
                until, before = _area_until(stretches, kv_tokens, growth, border_ps), ended
                line.add(number, KV, until - area)
                ended = _ended_by(stretches, border_ps - 1)
                self._tokens(number, ended - before, emitted, fresh, again)
                area = until
                number += 1
            total = _area_until(stretches, kv_tokens, growth, end_ps - start_ps)
            line.add(last, KV, total - area)
        self._tokens(last, run.iterations - ended, emitted, fresh, again)

    def _tokens(self, number: int, iterations: int, emitted: int, fresh: int, again: int) -> None:
        if not iterations:
            return
        line = self.line
        if emitted:
            line.add(number, OUTPUT, emitted * iterations)
        if fresh:
            line.add(number, PROMPT, fresh * iterations)
        if again:
            line.add(number, RECOMPUTED, again * iterations)


def _first_time(sequence: Served, rows: int) -> int:
    """How many of the next rows of a prompt were neither prefilled nor found in a cache before."""
    start = sequence.cached_tokens - sequence.prompt_left
    end = min(start + rows, sequence.request.input_tokens)
    return max(end - max(start, sequence.reached_tokens), 0)


def _ended_by(stretches: "Sequence[Stretch]", elapsed_ps: int) -> int:
    """Iterations that have ended `elapsed_ps` after the beginning."""
    ended = 0
    for stretch in stretches:
        found = stretch.ends_by(elapsed_ps)
        ended += found
        if found < stretch.iterations:
            break
        elapsed_ps -= stretch.elapsed_ps(found)
    return ended


def _area_until(stretches: "Sequence[Stretch]", level: int, growth: int, elapsed_ps: int) -> int:
    """The integral of a level, which grows by `growth` after each iteration, up to an instant."""
    area = 0
    for stretch in stretches:
        ended = stretch.ends_by(elapsed_ps)
        area += product_sum(stretch._replace(iterations=ended), level, growth)
        level += growth * ended
        elapsed_ps -= stretch.elapsed_ps(ended)
        if ended < stretch.iterations:
            return area + level * elapsed_ps
    return area
