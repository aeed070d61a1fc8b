"""Unreachable: the answer to objectives that nothing in the space meets, as a value.

What is in the way is read from the candidate that comes nearest, with as many replicas as allowed:
nothing waits there for anybody else, so what is left is the machine.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from rack_sim.foundation.errors import InfeasibleError
from rack_sim.metrics.slo import AttainmentObjective, Objective, Reading
from rack_sim.metrics.words import PHASES, TERMS
from rack_sim.partition.partitioner import possible_degrees
from rack_sim.pipeline import explain
from rack_sim.scenario import Scenario
from rack_sim.study.load_row import SATURATION
from rack_sim.study.sizing.candidate import Candidate
from rack_sim.study.sizing.constants import rests_on
from rack_sim.study.sizing.search import (
    TOO_SHORT,
    TURNED_AWAY,
    ExplainedShape,
    SizingQuestion,
    SizingSearch,
)
from rack_sim.study.sizing.traffic import offered

# So many shapes are replayed for the best there is: those whose bounds are the best.
_SHAPES_REPLAYED = 4
# A lever helps where it takes off at least so much of the value.
_HELPS = 0.01
_RATES_TRIED = 6

_KEPT = {TURNED_AWAY: "with none turned away or given up"}


@dataclass(frozen=True)
class Unreachable:
    """Why nothing meets the objectives.

    `binding` is the objective in the way, or None where replicas are; `best` the candidate that
    comes nearest. No candidate at all is below `floor`, in the unit of the objective. `terms` split
    the objective's latency, in milliseconds, `limit` says which physical limit is in the way.
    `levers` were tried, each alone, and help. Not `proved` where candidates are left that no bound
    rules out. `rests` says which constants that nobody has published the verdict rests on, and
    whether it holds over their range.
    """

    question: str
    space: str
    binding: Objective | None
    demanded: str
    best: Candidate
    best_value: float | None
    floor: float | None
    limit: str
    terms: Mapping[str, float]
    levers: tuple[str, ...]
    replay_count: int
    proved: bool
    rests: tuple[str, ...] = ()

    @property
    def gap(self) -> float | None:
        """By how much the best misses."""
        if self.binding is None or self.best_value is None:
            return None
        return abs(round(self.best_value - self.binding.bound, 9))

    def __str__(self) -> str:
        unit = self.binding.unit if self.binding else ""
        lines = [
            f"unreachable: {self.question}",
            f"  searched  {self.space}",
            f"  demanded  {self.demanded}",
            f"  best      {_value(self.best_value, unit)} by {self.best.name} "
            "(tensor parallel x stages x replicas)",
        ]
        if self.gap is not None:
            lines.append(f"  gap       {_value(self.gap, unit)}")
        if self.floor is not None:
            side = "above" if isinstance(self.binding, AttainmentObjective) else "below"
            lines.append(f"  bound     no candidate can be {side} {_value(self.floor, unit)}")
        lines.append(f"  limit     {self.limit}")
        if self.terms:
            lines.append("  where the best spends its time:")
            shown = sorted(self.terms.items(), key=lambda item: -item[1])
            wide = max(map(len, self.terms))
            lines += [f"    {words:<{wide}}{ms:>12,.3f} ms" for words, ms in shown]
        if self.rests:
            lines.append("  it rests on what nobody has published:")
            lines += [f"    - {rest}" for rest in self.rests]
        if self.levers:
            lines.append("  what was tried and helps:")
            lines += [f"    - {lever}" for lever in self.levers]
        else:
            lines.append("  no single change was found to help")
        if not self.proved:
            lines.append(
                f"  not proved: {self.replay_count} candidates were replayed, up to the most "
                "replicas, and others between them were not"
            )
        return "\n".join(lines)


def unreachable(search: SizingSearch) -> InfeasibleError:
    """Says of a search that found nothing why; its reason is an `Unreachable`.

    The reason is what `explain` has of the first shape where no shape has room for a sequence.
    """
    question = search.question
    shapes = [search.shape(shape) for shape in question.space.shapes]
    fitting = [shape for shape in shapes if shape.found is not None]
    if not fitting:
        return _no_room(question)
    walked, replays = search.walked, search.replay_count
    most = question.space.replicas_max
    best = _nearest(search, fitting)
    missed = best.tightest
    if missed is not None and (missed.holds or _overloaded(best)):
        missed = None  # in the way is how much is asked at once
    objective = None if missed is None else missed.objective
    reason = Unreachable(
        question=_asked(question),
        space=str(question.space),
        binding=objective,
        demanded=(
            f"{question.rate_rps:g} requests/s {_KEPT.get(best.reason, 'kept up with')}, "
            f"by at most {most} replicas"
            if objective is None
            else _bound(objective)
        ),
        best=best,
        best_value=None if missed is None else missed.value,
        floor=None if objective is None else _floor(fitting, objective),
        limit=(
            _limit_of_rows(fitting, most, best) if objective is None else _limit(best, objective)
        ),
        terms={} if objective is None else _split(best, objective),
        levers=tuple(_levers(search, best, overloaded=objective is None)),
        replay_count=replays,
        proved=walked,
        rests=tuple(rests_on(search, best, objective)),
    )
    return InfeasibleError(reason)


def _nearest(search: SizingSearch, fitting: Sequence[ExplainedShape]) -> Candidate:
    """Of the shapes whose bounds are the best, with all replicas there may be, the nearest."""
    most = search.question.space.replicas_max
    first = sorted(fitting, key=lambda item: (_worst(item.bounds.alone), item.shape))
    tried = [search.replayed(item.shape, most) for item in first[:_SHAPES_REPLAYED]]
    return min(tried, key=lambda found: (_overloaded(found), _worst(found.readings), found.shape))


def _no_room(question: SizingQuestion) -> InfeasibleError:
    try:
        explain(question.scenario_of(question.space.shapes[0], 1))
    except InfeasibleError as error:
        return error
    raise AssertionError("a shape that does not fit says why")


def _overloaded(found: Candidate) -> bool:
    return found.reason in (SATURATION, TURNED_AWAY)


def _worst(readings: tuple[Reading, ...]) -> float:
    return max((reading.load for reading in readings), default=0.0)


def _asked(question: SizingQuestion) -> str:
    deployment = question.scenario.deployment
    bounds = " and ".join(_bound(objective) for objective in question.objectives)
    return (
        f"{bounds} for {question.rate_rps:g} requests/s of {question.scenario.name} "
        f"({deployment.model.name} on {deployment.system.name})"
    )


def _bound(objective: Objective) -> str:
    if isinstance(objective, AttainmentObjective):
        return f"{objective.share:.4%} of the requests within the scenario's slo"
    return f"{objective.name} <= {_value(objective.bound, 'ms')}"


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return "none that serves every request that fits"
    return f"{value:,.6g} ms" if unit == "ms" else f"{value:.6g}"


def _easier(reading: Reading) -> str:
    """A bound that a value meets, with few digits: rounded to the easier side."""
    value = Decimal(str(reading.value))
    share = isinstance(reading.objective, AttainmentObjective)
    digits = Decimal(1).scaleb(value.adjusted() - 3)
    eased = value.quantize(digits, ROUND_FLOOR if share else ROUND_CEILING)
    return f"{eased:f}" if share else f"{eased:f} ms"


def _floor(fitting: list[ExplainedShape], objective: Objective) -> float | None:
    values = [
        reading.value
        for item in fitting
        for reading in item.bounds.alone
        if reading.objective == objective and reading.value is not None
    ]
    better = max if isinstance(objective, AttainmentObjective) else min
    return better(values, default=None)


def _limit_of_rows(fitting: list[ExplainedShape], most: int, best: Candidate) -> str:
    needed = min(
        max(item.bounds.fewest_by_rows(), item.bounds.fewest_in_time()) for item in fitting
    )
    if needed > most:
        return f"rows: no shape carries what is offered with fewer than {needed} replicas"
    if best.reason == TURNED_AWAY:
        return (
            f"{best.detail} by {most} replicas: serving.timeout, serving.queue_limit or the cache "
            "turn them away, and more replicas do not help one that takes too long by itself"
        )
    return f"queues: {most} replicas do not keep up"


def _limit(best: Candidate, objective: Objective) -> str:
    metric = "e2el" if isinstance(objective, AttainmentObjective) else objective.metric
    of_token = metric in ("tpot", "itl", "ntpot") or (metric == "e2el" and _decodes_longer(best))
    if not of_token:
        part = str(best.measured.get("ttft_bound_by"))
        words = PHASES[part].phrase if part in PHASES else "the first token"
        bottleneck = best.measured.get("bottleneck")
        behind = f"; they can follow each other no sooner than {bottleneck} allows"
        return words + (behind if part == "prefill" and bottleneck else "")
    read_ms = best.number("tok_latency_limit_ms")
    if read_ms is not None and metric == "tpot" and read_ms > objective.bound:
        return (
            f"the weights, read once at full memory bandwidth, take {read_ms:,.4g} ms a token: "
            "no schedule of this partition is faster"
        )
    spent = _token_terms(best)
    if not spent:
        return "the time of a token"
    term = max(spent, key=lambda name: spent[name])
    least = "" if read_ms is None else f"; reading the weights once takes {read_ms:,.4g} ms"
    alone = " alone" if spent[term] > objective.bound and metric == "tpot" else ""
    return f"{TERMS[term].phrase}{alone}, {spent[term]:,.4g} ms of every token{least}"


def _decodes_longer(best: Candidate) -> bool:
    """Whether long answers take longer after their first token than before it."""
    first = sum(best.number(f"ttft_{part}_ms_mean") or 0.0 for part in PHASES)
    return best.lifetime_s * 1000 - first > first


def _token_terms(best: Candidate) -> dict[str, float]:
    found = {term: best.number(f"tpot_{term}_ms") for term in TERMS}
    return {term: ms for term, ms in found.items() if ms}


def _split(best: Candidate, objective: Objective) -> dict[str, float]:
    """Where the time goes, in means: of a token, and of the first one where that is asked for."""
    metric = "" if isinstance(objective, AttainmentObjective) else objective.metric
    found = {}
    if metric not in ("tpot", "itl"):
        for part, words in PHASES.items():
            found[f"first token: {words.phrase}"] = best.number(f"ttft_{part}_ms_mean") or 0.0
    if metric not in ("ttft", "scheduling_delay"):
        for term, ms in _token_terms(best).items():
            found[f"each token: {TERMS[term].phrase}"] = ms
    return {words: ms for words, ms in found.items() if round(ms, 3)}


def _levers(search: SizingSearch, best: Candidate, *, overloaded: bool) -> Iterator[str]:
    """Changes that were tried, each alone, and help."""
    shape = search.shape(best.shape)
    most = search.question.space.replicas_max
    if overloaded:
        count = most
        for _ in range(_RATES_TRIED):
            count *= 2
            found = search.replayed(shape.shape, count)
            if found.verdict == "meets" or found.reason == TOO_SHORT:
                so_far = "" if found.verdict == "meets" else ", as far as so few requests tell"
                yield f"--max-replicas {count}: {found.name} meets every objective{so_far}"
                break
        yield from _lower_rates(search, shape, best.replica_count)
        return
    if all(reading.value for reading in best.readings):  # no share of nothing is an objective
        yield _relaxed(search, shape, best)
    for text, changed in _changes(search.question.scenario_of(shape.shape, best.replica_count)):
        search.on_progress(f"trying {text}", search.replay_count)
        tried = search.changed(best, changed)
        if tried:
            yield from _help(best, text, tried[0])


def _relaxed(search: SizingSearch, shape: ExplainedShape, best: Candidate) -> str:
    """What to ask for instead, and a system that meets it, not the smallest perhaps."""
    missed = [reading for reading in best.readings if not reading.holds]
    words = " and ".join(f"{reading.objective.name} {_easier(reading)}" for reading in missed)
    bounds = {reading.objective.name: reading.load for reading in missed}
    first, enough = shape.bounds.fewest_by_rows(), best
    for count in (first, *(first + 2**power for power in range(best.replica_count.bit_length()))):
        if count >= best.replica_count:
            break
        found = search.replayed(shape.shape, count)
        if not _overloaded(found) and all(
            reading.holds or reading.load <= bounds.get(reading.objective.name, 0.0)
            for reading in found.readings
        ):
            enough = found
            break
    chips = enough.footprint.bought_chip_count
    return f"ask for {words}: {enough.name} ({chips:,} chips) meets that and every other objective"


def _lower_rates(search: SizingSearch, shape: ExplainedShape, count: int) -> Iterator[str]:
    """The highest rate that was tried and met, of few digits: halves, then in between."""
    question = search.question
    met, missed = 0.0, question.rate_rps
    for _ in range(_RATES_TRIED):
        rate = float(f"{(met + missed) / 2:.3g}")
        if _meets_at(question, shape, count, rate):
            met = rate
        else:
            missed = rate
    if met:
        yield f"--rate {met:g}: {shape.shape} x {count} meets every objective at {met:g} requests/s"


def _meets_at(question: SizingQuestion, shape: ExplainedShape, count: int, rate_rps: float) -> bool:
    slower, _ = offered(question.scenario, rate_rps)
    asked = replace(question, scenario=slower, rate_rps=rate_rps)
    other = SizingSearch(asked)
    other.explained[shape.shape] = ExplainedShape(asked, shape.shape, shape.found)
    return other.replayed(shape.shape, count).verdict == "meets"


def _changes(scenario: Scenario) -> Iterator[tuple[str, Scenario]]:
    """One change each of what a space does not hold."""
    deployment = scenario.deployment
    if scenario.serving.policy.execution == "static":
        for rows in (2, 4):
            shape = replace(deployment.shape, rows=deployment.shape.rows * rows)
            yield (
                f"serving.slot_rows={shape.rows}",
                replace(scenario, deployment=replace(deployment, shape=shape)),
            )
    node = len(deployment.system.topology.nodes[0])
    wider = [d for d in possible_degrees(replace(deployment, tensor_parallel=None)) if d > node]
    if wider:
        changed = replace(deployment, tensor_parallel=wider[0], stage_count=None)
        changed = replace(changed, objective="fewest_chips")
        yield f"--tensor-parallel {wider[0]}", replace(scenario, deployment=changed)


def _help(best: Candidate, text: str, found: Candidate) -> Iterator[str]:
    """What a change reaches, if it helps."""
    before = best.tightest
    after = found.reading_of(before.objective) if before else None
    if found.verdict == "meets":
        yield f"{text}: meets every objective"
    elif before and after and after.load < before.load * (1 - _HELPS) and not _overloaded(found):
        value = _value(after.value, after.objective.unit)
        yield f"{text}: {after.objective.name} {value}, which is not enough"
