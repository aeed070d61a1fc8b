"""Continuous batching against a loop of its own: no clock of events, no runs, nothing skipped.

Machines, drafts and requests are drawn; room is never short, and nobody gives up. Compared are the
times of every request, the gaps between tokens, every bin of the timeline, and the totals.
"""

from collections import Counter, deque
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from replays import Iterations, Listed, Roof, Watcher

from rack_sim.compiler.batches import BatchTiming, DraftCost
from rack_sim.engine.fleet import FleetPlan
from rack_sim.engine.policies import ContinuousBatchingPolicy
from rack_sim.engine.serving import replay
from rack_sim.engine.speculation import Speculation
from rack_sim.timing.attention_roofs import WindowRates
from rack_sim.timing.window import Window
from rack_sim.workload.request import Request

# Layers with windows beside those without: no, one or two widths, shorter and longer than requests.
windowed = st.lists(
    st.builds(
        WindowRates,
        st.builds(Window, st.sampled_from([1, 2, 3, 7, 16, 40]), st.booleans()),
        st.integers(0, 3),
        st.integers(0, 5),
    ),
    max_size=2,
    unique_by=lambda rates: rates.window,
).map(tuple)
roofs = st.builds(
    Roof,
    st.just("roof"),
    st.integers(0, 3),
    st.integers(0, 5),
    st.integers(0, 5),
    st.just(()) | windowed,
)
iterations = st.builds(
    Iterations,
    st.integers(1, 200),
    st.integers(0, 9),
    st.integers(0, 9),
    st.lists(roofs, min_size=1, max_size=3).map(tuple),
)
drafts = st.builds(DraftCost, st.none(), st.integers(0, 50)) | st.builds(DraftCost, iterations)


@st.composite
def fleets(draw: st.DrawFn) -> FleetPlan:
    rates = draw(st.lists(st.sampled_from([0.0, 0.5, 1.0]), max_size=3))
    sequences = draw(st.integers(1, 6))
    budget = sequences * (1 + len(rates)) + draw(st.integers(0, 12))
    return FleetPlan(
        BatchTiming(
            draw(iterations), 4, 10**6, 10**6, draft=draw(drafts) if rates else DraftCost()
        ),
        ContinuousBatchingPolicy(budget, draw(st.none() | st.integers(1, 9)), sequences, 4, 0.0),
        speculation=Speculation(tuple(rates), draw(st.integers(0, 9))) if rates else None,
    )


@st.composite
def listed(draw: st.DrawFn) -> list[Request]:
    longest_gap, now, found = draw(st.sampled_from([0, 50, 500, 5000])), 0, []
    for number in range(draw(st.integers(1, 14))):
        now += draw(st.integers(0, longest_gap))
        found.append(Request(number, now, draw(st.integers(1, 30)), draw(st.integers(1, 20))))
    return found


@dataclass
class Here:
    """A sequence in the batch: prompt tokens that are left, tokens cached, tokens of each step."""

    request: Request
    left: int
    steps: deque[int]
    cached: int = 0
    last_ps: int = 0
    times: dict[str, int] = field(default_factory=dict)


class Walk:
    """The loop."""

    def __init__(self, fleet: FleetPlan, requests: list[Request], bin_ps: int) -> None:
        self.timing, self.policy, self.draft = fleet.timing, fleet.policy, fleet.timing.draft
        self.speculation, self.bin_ps = fleet.speculation, bin_ps
        self.width = 1 + (fleet.speculation.draft_tokens if fleet.speculation else 0)
        self.to_come, self.waiting = deque(requests), deque[Request]()
        self.batch: list[Here] = []
        self.bins: Counter[tuple[int, str]] = Counter()
        self.gaps: Counter[int] = Counter()
        self.times: dict[int, dict[str, int]] = {}
        self.by_rows: dict[tuple[int, int], Counter[str]] = {}
        self.totals: Counter[str] = Counter()
        now = 0
        for request in requests:
            self.count("arrived", request.arrival_ps)
        while self.to_come or self.waiting or self.batch:
            if not self.waiting and not self.batch:
                now = max(now, self.to_come[0].arrival_ps)
            while self.to_come and self.to_come[0].arrival_ps <= now:
                self.waiting.append(self.to_come.popleft())
            now = self.iteration(now)

    def count(self, column: str, at_ps: int, amount: int = 1) -> None:
        if amount:
            self.bins[at_ps // self.bin_ps, column] += amount

    def area(self, column: str, level: int, start_ps: int, end_ps: int) -> None:
        """A level that lasts, bin by bin."""
        while level and start_ps < end_ps:
            border_ps = min((start_ps // self.bin_ps + 1) * self.bin_ps, end_ps)
            self.count(column, start_ps, level * (border_ps - start_ps))
            start_ps = border_ps

    def iteration(self, now: int) -> int:
        decoding = [here for here in self.batch if not here.left]
        budget = self.policy.token_budget - len(decoding) * self.width
        chunks: list[tuple[Here, int]] = []

        def take(here: Here, budget: int) -> int:
            rows = min(here.left, budget, self.policy.chunk_tokens or budget)
            chunks.append((here, rows))
            here.times.setdefault("prefill_start_ps", now)
            return budget - rows

        for here in self.batch:
            if here.left and budget:
                budget = take(here, budget)
        while self.waiting and budget and len(self.batch) < self.policy.max_sequences:
            request = self.waiting.popleft()
            if self.speculation:
                steps = self.speculation.emitted(request).tolist()
            else:
                steps = [1] * (request.output_tokens - 1)
            here = Here(request, request.input_tokens, deque(steps))
            here.times["admitted_ps"] = now
            self.area("waiting_ps", 1, request.arrival_ps, now)
            self.batch.append(here)
            budget = take(here, budget)
        end = now + self.duration_ps(decoding, chunks)
        self.area("running_ps", len(self.batch), now, end)
        held = sum(here.request.input_tokens if here.left else here.cached for here in self.batch)
        self.area("kv_token_ps", held, now, end)
        self.ended(end, decoding, chunks)
        return end

    def attention(self, model, width, decoding, chunks, rows, extra=0) -> int:
        """The largest roof: query and key pairs, and tokens that are read."""
        groups = [range(here.cached + extra, here.cached + extra + width) for here in decoding]
        for here, size in chunks:
            before = here.request.input_tokens - here.left
            groups.append(range(before, before + size))

        def first(window: Window | None, at: int) -> int:
            if window is None:
                return 0
            return at - at % window.tokens if window.is_chunk else max(at - window.tokens + 1, 0)

        def spent(window: Window | None, per_pair_ps: int, per_token_ps: int) -> int:
            pairs = read = 0
            for group in groups:
                seen = [set(range(first(window, at), at + 1)) for at in group]
                pairs += sum(map(len, seen))
                read += len(set().union(*seen))
            return per_pair_ps * pairs + per_token_ps * read

        return max(
            spent(None, roof.per_pair_ps, roof.per_token_ps)
            + sum(spent(each.window, each.per_pair_ps, each.per_token_ps) for each in roof.windowed)
            + roof.per_row_ps * rows
            for roof in model.roofs
        )

    def draft_ps(self, decoding: list[Here], chunks: list[tuple[Here, int]]) -> int:
        """A draft that is a model reads new prompts too, and then runs once a token."""
        if self.draft.model is None:
            return self.draft.latency_ps if decoding else 0
        model, spent = self.draft.model, 0
        for number in range(self.width - 1 if decoding else 1):
            prompts = chunks if number == 0 else []
            rows = len(decoding) + sum(size for _, size in prompts)
            spent += model.base_ps(rows, len(decoding))
            spent += self.attention(model, 1, decoding, prompts, rows, number)
        return spent

    def duration_ps(self, decoding: list[Here], chunks: list[tuple[Here, int]]) -> int:
        n, totals = len(decoding), self.totals
        rows = n * self.width + sum(size for _, size in chunks)
        sampled = n * self.width + sum(size == here.left for here, size in chunks)
        parts = {
            "base": self.timing.iterations.base_ps(rows, sampled),
            "attention": self.attention(self.timing.iterations, self.width, decoding, chunks, rows),
            "draft": self.draft_ps(decoding, chunks) if self.speculation else 0,
        }
        for name, spent in parts.items():
            totals[f"{name}_ps"] += spent
            totals[f"{name}_token_ps"] += spent * n
        duration = sum(parts.values())
        counts = self.by_rows.setdefault((rows, sampled), Counter())
        counts.update(iterations=1, tokens=n, sampled=sampled, duration=duration)
        return duration

    def ended(self, now: int, decoding: list[Here], chunks: list[tuple[Here, int]]) -> None:
        for here in decoding:
            tokens = here.steps.popleft()
            here.cached += tokens
            self.gaps[now - here.last_ps] += 1
            self.gaps[0] += tokens - 1
            here.last_ps = now
            self.count("output_tokens", now, tokens)
        for here, size in chunks:
            here.left -= size
            self.count("prompt_tokens", now, size)
            if not here.left:
                here.cached, here.last_ps = here.request.input_tokens, now
                here.times["prefill_end_ps"] = here.times["first_token_ps"] = now
                self.count("output_tokens", now)
        for here in [*self.batch]:
            if not here.left and not here.steps:
                here.times["finish_ps"] = now
                self.times[here.request.request_id] = here.times
                self.batch.remove(here)
                self.count("finished", now)


@settings(max_examples=200, deadline=None)
@given(fleet=fleets(), requests=listed(), bin_ps=st.sampled_from([150, 2000, 10**7]))
def test_continuous_batching_is_its_loop(fleet, requests, bin_ps):
    walk, watcher = Walk(fleet, requests, bin_ps), Watcher()
    totals = replay(fleet, Listed(requests), watcher, bin_ps=bin_ps)
    (chunk,) = watcher.requests.chunks()
    for number, times in walk.times.items():
        assert {name: int(chunk[name][number]) for name in times} == times
    assert len(chunk["request_id"]) == len(walk.times) == len(requests)
    gaps: Counter[int] = Counter()
    for values, counts in watcher.gap_runs.chunks():
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            gaps[value] += count
    assert gaps == +walk.gaps
    assert bins_of(watcher) == walk.bins
    by: dict[str, dict[int, Counter[str]]] = {"rows": {}, "sampled": {}}
    for (rows, sampled), count in walk.by_rows.items():
        by["rows"].setdefault(rows, Counter()).update(count)
        by["sampled"].setdefault(sampled, Counter()).update(count)
    batches = totals.batches
    for told, name in ((batches.by_rows, "rows"), (batches.by_sampled, "sampled")):
        assert {
            number: (c.iterations, c.tokens, c.sampled_rows, c.duration_ps)
            for number, c in told.items()
        } == {
            number: (c["iterations"], c["tokens"], c["sampled"], c["duration"])
            for number, c in by[name].items()
        }
    assert {
        "base_ps": batches.base_ps,
        "base_token_ps": batches.base_token_ps,
        "attention_ps": sum(batches.attention_ps),
        "attention_token_ps": sum(batches.attention_token_ps),
        "draft_ps": batches.draft_ps,
        "draft_token_ps": batches.draft_token_ps,
    } == dict(walk.totals)


def bins_of(watcher: Watcher) -> Counter[tuple[int, str]]:
    """Whatever is not nothing in the timeline, by bin and column."""
    found: Counter[tuple[int, str]] = Counter()
    first = 0
    for chunk in watcher.bins.chunks():
        columns = {name: chunk[name].tolist() for name in watcher.bins.columns}
        for name, cells in columns.items():
            found.update({(first + n, name): cell for n, cell in enumerate(cells) if cell})
        first += len(next(iter(columns.values())))
    return found
