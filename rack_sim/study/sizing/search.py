"""Sizing search: branch and bound over shapes and replicas, exact for its space.

Candidates are taken in the order of their chips. Bounds prune, a replay decides: a candidate is
replayed unless a bound shows that it misses an objective, or that it cannot be the best for any
goal. What a candidate costs at least is known from its racks: the price of what stands in them, and
the power they draw when nothing is served. Both rise with the number of replicas, so the first
number that cannot win ends a shape. Nothing is taken for granted of how latency depends on the
number of replicas: requests are dealt anew for each, and one replica more may be worse.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from heapq import heapify, heappop, heappush
from math import floor

from rack_sim.foundation.brief import Brief
from rack_sim.foundation.errors import InfeasibleError, InputError
from rack_sim.metrics.cost import capital_usd_of, standby_watts_of, usd_per_year
from rack_sim.metrics.sizing_columns import GOALS, Goal
from rack_sim.metrics.slo import ATTAINMENT, Objective, Reading, reading_of
from rack_sim.metrics.summary import number_of
from rack_sim.pipeline import Explanation, Result, explain, simulate
from rack_sim.scenario import Scenario
from rack_sim.study.load_row import SATURATION, LoadRow, row_of
from rack_sim.study.sizing.bounds import Bounds
from rack_sim.study.sizing.candidate import MEASURED, Candidate
from rack_sim.study.sizing.space import Shape, Space, footprint_of_shape
from rack_sim.study.sizing.traffic import Traffic, traffic_of

OnReplay = Callable[[str, int], None]
Turn = tuple[tuple[float, ...], Shape, int]
"""When a shape with so many replicas is looked at: in order of their chips."""

# assumed: so many failures in a row are worth a look at far more replicas, and, where those fail as
# well, so many requests may be replayed in all (a minute or so) to prove that nothing else meets
_FAILURES_PATIENT = 64
_REQUESTS_TO_FAIL = 2_500_000
# assumed: arrivals should last for so many lifetimes of a request (`LoadPoint.is_short`)
LIFETIMES = 4

TOO_SHORT = "too_short"
TURNED_AWAY = "turned_away"
CAPACITY = "capacity"
BETTER_KNOWN = "better_known"
DOES_NOT_FIT = "does_not_fit"


@dataclass(frozen=True, repr=False)
class SizingQuestion(Brief):
    """What is asked: a scenario at a rate, objectives, and where to look.

    The scenario has the workload at the rate already.
    """

    scenario: Scenario
    rate_rps: float
    objectives: tuple[Objective, ...]
    space: Space

    @cached_property
    def traffic(self) -> Traffic:
        """Its requests. Raises InputError where none comes, or none fits."""
        return traffic_of(self.scenario, self.rate_rps)

    def scenario_of(self, shape: Shape, replica_count: int) -> Scenario:
        """The scenario of a candidate: what `rack-sim run` would read."""
        cut = self.scenario.with_cut(shape.tensor_parallel, shape.stage_count)
        return replace(cut, serving=replace(cut.serving, replica_count=replica_count))


@dataclass(frozen=True, eq=False)
class ExplainedShape:
    """A shape and what was compiled for it: nothing where its caches have no room after all."""

    question: SizingQuestion
    shape: Shape
    found: Explanation | None

    @classmethod
    def of(cls, question: SizingQuestion, shape: Shape) -> "ExplainedShape":
        """Compiles a shape."""
        try:
            return cls(question, shape, explain(question.scenario_of(shape, 1)))
        except InfeasibleError:
            return cls(question, shape, None)

    @cached_property
    def bounds(self) -> Bounds:
        """Its bounds; it must hold the model."""
        if self.found is None:
            raise AssertionError("what does not fit has no bounds")
        return Bounds(self.found, self.question.traffic, self.question.objectives)

    def replay(self, replica_count: int) -> Result:
        """Replays so many replicas."""
        if self.found is None:
            raise AssertionError("what does not fit is not replayed")
        scenario = self.question.scenario_of(self.shape, replica_count)
        return simulate(scenario, explanation=replace(self.found, scenario=scenario))


@dataclass
class SizingSearch:
    """The search: `run` looks at every candidate, and leaves them in order of shape and replicas.

    `best` holds the best candidate of each goal, `walked` says whether everything that could have
    met the objectives was replayed. With `stop_when_short` the search ends at the first candidate
    of which the requests at hand cannot tell, `short`.
    """

    question: SizingQuestion
    on_progress: OnReplay = lambda _text, _count: None
    stop_when_short: bool = False
    short: Candidate | None = None
    candidates: list[Candidate] = field(default_factory=list)
    best: dict[Goal, Candidate] = field(default_factory=dict)
    walked: bool = True
    explained: dict[Shape, ExplainedShape] = field(default_factory=dict)
    replay_count: int = 0

    def run(self) -> None:
        """Looks at everything that could be the best."""
        space = self.question.space
        waiting = [self._turn(shape, 1) for shape in space.shapes]
        heapify(waiting)
        while waiting:
            if not self.best and self.replay_count == _FAILURES_PATIENT:
                self._look_far(waiting)
            replayed = self.replay_count * self.question.traffic.request_count
            if not self.best and replayed > _REQUESTS_TO_FAIL:
                self.walked = False
                break
            _, shape, count = heappop(waiting)
            following = self._look_at(shape, count)
            if self.short is not None and self.stop_when_short:
                break
            if following is not None and following <= space.replicas_max:
                heappush(waiting, self._turn(shape, following))
        # What was replayed on a look far ahead says more than a bound.
        said = sorted(self.candidates, key=lambda one: bool(one.measured))
        known = {(one.shape, one.replica_count): one for one in said}
        self.candidates = [known[key] for key in sorted(known)]

    def _turn(self, shape: Shape, count: int) -> Turn:
        return self._least(shape, count).rank("fewest_chips"), shape, count

    def shape(self, shape: Shape) -> ExplainedShape:
        """A shape, compiled at most once."""
        if shape not in self.explained:
            self.explained[shape] = ExplainedShape.of(self.question, shape)
        return self.explained[shape]

    def replayed(self, shape: Shape, count: int) -> Candidate:
        """A candidate as its replay shows it; kept, and the best if it is."""
        known = self._known(shape, count)
        if known:
            return known
        self.on_progress(f"replaying {shape} x {count}", self.replay_count)
        result = self.shape(shape).replay(count)
        self.replay_count += 1
        found = self._judged(shape, count, result)
        self.candidates.append(found)
        if found.is_short and (found.verdict == "meets" or found.reason == TOO_SHORT):
            self.short = self.short or found
        if found.verdict == "meets":
            for goal in GOALS:
                if goal not in self.best or found.rank(goal) < self.best[goal].rank(goal):
                    self.best[goal] = found
        return found

    def changed(self, candidate: Candidate, scenario: Scenario) -> tuple[Candidate, Bounds] | None:
        """A candidate as a replay of another scenario in its place shows it, and that one's bounds.

        None where that cannot be.
        """
        shape, count = candidate.shape, candidate.replica_count
        try:
            found = explain(scenario)
            bounds = ExplainedShape(self.question, shape, found).bounds
            return self._judged(shape, count, simulate(scenario, explanation=found)), bounds
        except (InfeasibleError, InputError):
            return None

    def _known(self, shape: Shape, count: int) -> Candidate | None:
        """A candidate that was replayed."""
        for found in self.candidates:
            if (found.shape, found.replica_count) == (shape, count) and found.measured:
                return found
        return None

    def _look_at(self, shape: Shape, count: int) -> int | None:
        """Judges a candidate; the next number of replicas of its shape to look at, or None."""
        if not self._may_win(shape, count):
            self._prune(
                shape,
                count,
                BETTER_KNOWN,
                "no goal can be reached better",
                covers_larger_counts=True,
            )
            return None
        if shape not in self.explained:
            self.on_progress(f"compiling {shape}", self.replay_count)
        explained = self.shape(shape)
        if explained.found is None:
            text = "the cache has no room for one sequence"
            self._prune(shape, count, DOES_NOT_FIT, text, covers_larger_counts=True)
            return None
        bounds = explained.bounds
        if count == 1:
            missed = next((reading for reading in bounds.alone if not reading.holds), None)
            if missed is not None:
                text = "even for a request alone on a replica"
                self._prune(
                    shape, 1, missed.objective.name, text, bounds.alone, covers_larger_counts=True
                )
                return None
            least = self._skip(shape, bounds)
            if least > 1:
                return least
        for missed in bounds.with_replicas(count):
            if not missed.holds:
                text = "even if only prompts took rows"
                readings = bounds.with_replicas(count)
                self._prune(shape, count, missed.objective.name, text, readings)
                return count + 1
        self.replayed(shape, count)
        return count + 1

    def _skip(self, shape: Shape, bounds: Bounds) -> int:
        """The first number of replicas that bounds monotone in it leave; those below are pruned."""
        by_rows, in_time = bounds.fewest_by_rows(), bounds.fewest_in_time()
        least = max(by_rows, in_time)
        most = self.question.space.replicas_max
        for count in range(1, min(least, most + 1)):
            if count < by_rows:
                self._prune(shape, count, CAPACITY, "fewer rows than are offered", bounds.alone)
            else:
                text = "too few rows for the first tokens in time"
                self._prune(shape, count, "rows_in_time", text, bounds.alone)
        return least

    def _look_far(self, waiting: list[Turn]) -> None:
        """Doubles the replicas of every shape until one meets: any that does prunes much."""
        most = self.question.space.replicas_max
        for _, shape, count in sorted(waiting):
            explained = self.shape(shape)
            if explained.found is None or not all(r.holds for r in explained.bounds.alone):
                continue
            start = max(count, explained.bounds.fewest_by_rows())
            counts = [start << power for power in range(most.bit_length()) if start << power < most]
            for tried in [*counts, most]:
                met = start <= most and self.replayed(shape, tried).verdict == "meets"
                if met or (self.short is not None and self.stop_when_short):
                    return

    def _may_win(self, shape: Shape, count: int) -> bool:
        least = self._least(shape, count)
        return any(
            goal not in self.best or least.rank(goal) < self.best[goal].rank(goal) for goal in GOALS
        )

    def _least(self, shape: Shape, count: int) -> Candidate:
        """What is known of a candidate without a replay: none of so many replicas ranks before."""
        scenario = self.question.scenario
        where = footprint_of_shape(scenario.deployment, shape, count)
        system, cost = scenario.deployment.system, scenario.cost
        capital = capital_usd_of(system, where, cost)
        standby = standby_watts_of(system, where, cost)
        usd = floor(usd_per_year(capital, standby, standby, cost))
        return Candidate(shape, count, where, capital, standby, float(usd), float(floor(standby)))

    def _prune(
        self,
        shape: Shape,
        count: int,
        reason: str,
        detail: str,
        readings: tuple[Reading, ...] = (),
        *,
        covers_larger_counts: bool = False,
    ) -> None:
        while covers_larger_counts and self._known(shape, count):
            count += 1  # it was replayed, on a look far ahead; the others were not
        if count > self.question.space.replicas_max:
            return
        self.candidates.append(
            replace(
                self._least(shape, count),
                reason=reason,
                detail=detail,
                readings=readings,
                covers_larger_counts=covers_larger_counts,
            )
        )

    def _judged(self, shape: Shape, count: int, result: Result) -> Candidate:
        """A candidate as a replay of it shows it."""
        question, summary = self.question, result.summary
        row = row_of(result, question.rate_rps)
        if result.explanation.fleet.admission.prefix_caching is not None:
            row = replace(row, capacity_rps=None)  # what is found there takes no rows
        attained = row.attainment.get("all", 1.0)
        readings = tuple(reading_of(o, summary, attained) for o in question.objectives)
        least = self._least(shape, count)
        watts = number_of(summary, "mean_watts") or 0.0
        usd = usd_per_year(least.capital_usd, watts, least.standby_watts, question.scenario.cost)
        # As a load study has it: a few lifetimes of a request, or what is in the system at the end
        # has not yet shown what it does to the others.
        lifetime_s = (row.latencies_ms["e2el_ms_p99"] or 0.0) / 1000
        is_short = row.arrival_span_s < LIFETIMES * lifetime_s
        reasons = list(_failures(question, row, readings))
        over = row.capacity_rps is not None and row.offered_rps > row.capacity_rps
        if is_short and not over and [name for name, _ in reasons] == [SATURATION]:
            reasons = [(TOO_SHORT, "the backlog grows, and too few requests tell for how long")]
        return replace(
            least,
            usd_per_year=round(usd, 2),
            mean_watts=watts,
            verdict="fails" if reasons else "meets",
            reason=reasons[0][0] if reasons else "",
            detail=reasons[0][1] if reasons else "",
            readings=readings,
            measured={name: summary[name] for name in MEASURED},
            lifetime_s=lifetime_s,
            is_short=is_short,
        )


def _failures(
    question: SizingQuestion, row: LoadRow, readings: tuple[Reading, ...]
) -> Iterator[tuple[str, str]]:
    """What a replay failed on, name and words, the gravest first."""
    if not row.keeps_up:
        yield SATURATION, "the backlog grows"
    away = question.traffic.fit_count - row.finished_count
    if away:
        yield TURNED_AWAY, f"{away} requests that fit were not served"
    for reading in sorted(readings, key=lambda item: -item.load):
        if not reading.holds:
            name = reading.objective.name
            yield name, "too few met every objective" if name == ATTAINMENT else "above its bound"
